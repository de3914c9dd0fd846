//! Which machine has which fault: a pure function of the seed, so that a run repeats.

/// What is wrong with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Character {
    /// Nothing.
    Healthy,
    /// Its BMC hears nothing.
    DeadBmc,
    /// Its BMC opens sessions and then answers no command.
    HangingBmc,
    /// Its BMC has another password than it was enrolled with.
    WrongPassword,
    /// Its BMC takes its time.
    SlowBmc,
    /// Every fifth datagram to its BMC is lost.
    LossyBmc,
    /// Its agent dies in the middle of the first image that it writes.
    DyingAgent,
}

/// How many of a thousand machines have which fault; what is left is healthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// [`Character::DeadBmc`].
    pub dead: u16,
    /// [`Character::HangingBmc`].
    pub hanging: u16,
    /// [`Character::WrongPassword`].
    pub wrong_password: u16,
    /// [`Character::SlowBmc`].
    pub slow: u16,
    /// [`Character::LossyBmc`].
    pub lossy: u16,
    /// [`Character::DyingAgent`].
    pub dying_agent: u16,
}

impl Character {
    /// The character of a machine.
    #[must_use]
    pub fn of(seed: u64, number: u32, rates: &Rates) -> Self {
        let mut drawn = mix(seed ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)) % 1000;
        for (character, rate) in [
            (Self::DeadBmc, rates.dead),
            (Self::HangingBmc, rates.hanging),
            (Self::WrongPassword, rates.wrong_password),
            (Self::SlowBmc, rates.slow),
            (Self::LossyBmc, rates.lossy),
            (Self::DyingAgent, rates.dying_agent),
        ] {
            let rate = u64::from(rate);
            if drawn < rate {
                return character;
            }
            drawn -= rate;
        }
        Self::Healthy
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input reaches every bit of the output.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_rates_are_kept() {
        let rates = Rates { dead: 50, slow: 10, ..Rates::default() };
        let fleet = |seed| (0..10_000).map(|n| Character::of(seed, n, &rates)).collect::<Vec<_>>();
        let one = fleet(1);
        assert_eq!(one, fleet(1));
        assert_ne!(one, fleet(2));
        let count = |wanted| one.iter().filter(|character| **character == wanted).count();
        assert!((400..600).contains(&count(Character::DeadBmc)), "{}", count(Character::DeadBmc));
        assert!((60..140).contains(&count(Character::SlowBmc)), "{}", count(Character::SlowBmc));
        assert_eq!(count(Character::DeadBmc) + count(Character::SlowBmc) + count(Character::Healthy), 10_000);
    }

    #[test]
    fn no_rates_mean_no_faults() {
        assert!((0..1000).all(|n| Character::of(7, n, &Rates::default()) == Character::Healthy));
    }
}
