//! Thousands of simulated machines in one process: real RMCP+ on loopback, an agent that looks up, beats and obeys, and faults that
//! repeat with their seed.
//!
//! A machine is a BMC ([`IpmiSim`]) on a loopback address of its own, a power switch, and what its ramdisk does after it was powered
//! on to boot from the network. Disks are not there: an image is "written" by its name and the time that it takes.

mod agent;
mod api;
mod enrol;
mod machine;
mod plan;

pub(crate) use api::Api;
pub use enrol::{Entry, enrol};
pub use machine::Diary;
pub(crate) use plan::mix;
pub use plan::{Character, Rates};

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::ipmi_sim::{IpmiSim, administrator};
use machine::Machine;

/// User of every BMC of a fleet.
pub const BMC_USER: &str = "admin";
/// Password of every BMC of a fleet, but of those that have forgotten it. No secret: they listen on loopback alone.
pub const BMC_PASSWORD: &str = "billet-lab";
/// UDP port of every BMC, each on an address of its own. Not 623: that one is the system's to give.
pub const BMC_PORT: u16 = 6230;
/// Machines that a fleet may have: what fits `127.64.0.0/10` with room to spare.
pub const MAX_NODES: u32 = 1_000_000;

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From power-on to the first lookup of the ramdisk.
    pub boot: Duration,
    /// Writing an image.
    pub write: Duration,
    /// Any other step of the agent.
    pub step: Duration,
    /// Answering one request to a slow BMC.
    pub slow_bmc: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(2),
            write: Duration::from_secs(2),
            step: Duration::from_millis(200),
            slow_bmc: Duration::from_secs(1),
        }
    }
}

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// Machines.
    pub nodes: u32,
    /// The first machine's number, so that several fleets can share a host.
    pub first: u32,
    /// Where the bare-metal API is, for lookups and heartbeats (plain HTTP): one process, or several of one site.
    pub api: Vec<SocketAddr>,
    /// How long things take.
    pub times: Times,
    /// How many of a thousand machines have which fault.
    pub rates: Rates,
    /// What decides which machines those are.
    pub seed: u64,
}

/// A running fleet. Dropping it switches everything off.
pub struct Fleet {
    machines: Vec<Arc<Machine>>,
    bmcs: Vec<IpmiSim>,
    _stop: tokio_util::sync::DropGuard,
}

impl Fleet {
    /// Binds every BMC and the agents' listener, and serves them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an impossible number of machines, [`Error::Io`] when an address can't be bound (the limit of open files is
    /// the usual reason) or the agents' certificate can't be made.
    pub async fn start(config: Config) -> Result<Self> {
        if config.nodes == 0 || u64::from(config.first) + u64::from(config.nodes) > u64::from(MAX_NODES) {
            return Err(Error::Invalid(format!("a fleet has 1 to {MAX_NODES} machines")));
        }
        let stop = CancellationToken::new();
        let agents = agent::Agents::start(stop.clone()).await?;
        let api = Arc::new(api::Api::new(config.api));
        let count = config.nodes as usize;
        let (mut machines, mut bmcs) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for number in config.first..config.first + config.nodes {
            let character = Character::of(config.seed, number, &config.rates);
            let machine = Arc::new(Machine::new(number, character, config.times, &agents, &api, &stop));
            agents.add(&machine);
            bmcs.push(bmc(&machine, character, config.times, &stop)?);
            machines.push(machine);
        }
        Ok(Self { machines, bmcs, _stop: stop.drop_guard() })
    }

    /// How each machine is to be enrolled.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.machines.iter().map(|machine| Entry::of(machine.number))
    }

    /// What a machine has been through.
    #[must_use]
    pub fn diary(&self, index: usize) -> Option<Diary> {
        self.machines.get(index).map(|machine| machine.diary())
    }

    /// Is a machine powered?
    #[must_use]
    pub fn is_on(&self, index: usize) -> bool {
        self.machines.get(index).is_some_and(|machine| machine.is_on())
    }

    /// What is wrong with a machine.
    #[must_use]
    pub fn character(&self, index: usize) -> Option<Character> {
        self.machines.get(index).map(|machine| machine.character)
    }

    /// A machine's BMC, for faults beyond its character.
    #[must_use]
    pub fn bmc(&self, index: usize) -> Option<&IpmiSim> {
        self.bmcs.get(index)
    }

    /// How often a machine's BMC was asked for the power, and answered.
    #[must_use]
    pub fn power_asked(&self, index: usize) -> Option<u64> {
        self.machines.get(index).map(|machine| machine.asked())
    }

    /// Somebody presses a machine's own power button: its power changes behind the server's back.
    pub fn press(&self, index: usize) {
        if let Some(machine) = self.machines.get(index) {
            machine.press();
        }
    }

    /// Datagrams that all BMCs have received so far.
    #[must_use]
    pub fn datagrams(&self) -> u64 {
        self.bmcs.iter().map(IpmiSim::received).sum()
    }
}

/// Where a machine's BMC and its agent listen: 127.64.0.1 and up.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 64, 0, 1)) + number)
}

/// The MAC of a machine's only network card: locally administered.
fn mac(number: u32) -> String {
    let [a, b, c, d] = number.to_be_bytes();
    format!("02:b1:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// Binds a machine's BMC and serves it.
fn bmc(
    machine: &Arc<Machine>,
    character: Character,
    times: Times,
    stop: &CancellationToken,
) -> Result<IpmiSim> {
    let address = SocketAddr::from((address(machine.number), BMC_PORT));
    let password = if character == Character::WrongPassword { "something else" } else { BMC_PASSWORD };
    let bmc = IpmiSim::bind(address, administrator(BMC_USER, password), machine.clone())
        .map_err(Error::io("listening on", address.to_string()))?;
    bmc.set_faults(|faults| match character {
        Character::DeadBmc => faults.is_dead = true,
        Character::SlowBmc => faults.delay = times.slow_bmc,
        Character::LossyBmc => faults.lose_every = Some(5),
        Character::HangingBmc => faults.hangs_in_session = true,
        Character::Healthy | Character::WrongPassword | Character::DyingAgent => {}
    });
    let (serving, stop) = (bmc.clone(), stop.clone());
    tokio::spawn(async move {
        if let Err(error) = serving.run(stop).await {
            tracing::error!(%address, %error, "a BMC ended");
        }
    });
    Ok(bmc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_an_address_and_a_mac_of_its_own() {
        assert_eq!(address(0), Ipv4Addr::new(127, 64, 0, 1));
        assert_eq!(address(9_999), Ipv4Addr::new(127, 64, 39, 16));
        assert!(address(MAX_NODES).octets()[0] == 127);
        assert_eq!(mac(0), "02:b1:00:00:00:00");
        assert_eq!(mac(0x0102_0304), "02:b1:01:02:03:04");
    }
}
