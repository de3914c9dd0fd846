//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address (IEEE 802 MAC-48).
///
/// Prints as `52:54:00:77:00:01`: lower case, colons. Parses that form in any case, also with dashes
/// (`52-54-00-77-00-01`) or bare (`525400770001`), since firmware, BMCs and operators write all three.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

/// The text is not an Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ethernet address: expected six octets in hexadecimal, as in 52:54:00:77:00:01")]
pub struct NotAMac;

impl Mac {
    /// The address made of these six octets, in the order in which they go over the wire.
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The six octets, in the order in which they go over the wire.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether one machine's port can have this address: neither a group address (the lowest bit of the first
    /// octet) nor all zeros.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }
}

impl From<[u8; 6]> for Mac {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let bytes = text.as_bytes();
        let (stride, separator) = match bytes.len() {
            12 => (2, None),
            17 if matches!(bytes[2], b':' | b'-') => (3, Some(bytes[2])),
            _ => return Err(NotAMac),
        };
        let mut octets = [0; 6];
        for (index, octet) in octets.iter_mut().enumerate() {
            let at = index * stride;
            if index > 0 && separator.is_some_and(|s| bytes[at - 1] != s) {
                return Err(NotAMac);
            }
            let digit = |b: u8| char::from(b).to_digit(16).ok_or(NotAMac);
            // Two hexadecimal digits always fit in one octet.
            *octet = (digit(bytes[at])? * 16 + digit(bytes[at + 1])?) as u8;
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_three_forms_and_prints_one() {
        for text in ["52:54:00:AB:cd:01", "52-54-00-ab-CD-01", "525400abcd01"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "52:54:00:ab:cd:01");
        }
    }

    #[test]
    fn refuses_what_is_not_one() {
        for text in [
            "",
            "52:54:00:ab:cd",
            "52:54:00:ab:cd:0g",
            "52:54:00:ab:cd-01",
            "52:54:00:ab:cd:011",
            "+2:54:00:ab:cd:01",
            "52.54.00.ab.cd.01",
            "ä:54:00:ab:cd:01",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(NotAMac), "{text}");
        }
    }

    #[test]
    fn knows_group_addresses() {
        assert!(!Mac::new([0xff; 6]).is_unicast());
        assert!(!Mac::new([1, 0, 0x5e, 0, 0, 1]).is_unicast());
        assert!(!Mac::new([0; 6]).is_unicast());
        assert!(Mac::new([2, 0, 0, 0, 0, 1]).is_unicast());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<Mac>();
        }

        #[test]
        fn round_trips(octets: [u8; 6]) {
            let mac = Mac::new(octets);
            prop_assert_eq!(mac.to_string().parse::<Mac>(), Ok(mac));
        }
    }
}
