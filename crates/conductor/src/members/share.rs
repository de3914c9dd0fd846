//! Which conductor looks after which node when nothing is to be done with it: a consistent share.
//!
//! Each node goes to the one of the living conductors of its group whose name, mixed with the node's identity, gives the largest
//! number (rendezvous hashing). Everybody comes to the same answer without asking, and a conductor that comes or goes moves no node
//! between the others. For moments two processes may see different members: what is done by share must bear to be done twice.

use super::Role;
use std::sync::Arc;
use store::{Member, Presence};
use uuid::Uuid;

/// The members as one process saw them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Share {
    own: String,
    members: Arc<[Member]>,
}

impl Share {
    /// One conductor that serves everything.
    pub fn of_one(hostname: &str) -> Self {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let presence = Presence {
            hostname: hostname.to_owned(),
            conductor_group: String::new(),
            drivers: Vec::new(),
            roles: vec![Role::Conductor.as_str().to_owned()],
        };
        let member = Member { session: Uuid::nil(), presence, created_at: now, seen_at: now, is_alive: true };
        Self::new(hostname.to_owned(), Arc::from([member]))
    }

    pub(super) fn new(own: String, members: Arc<[Member]>) -> Self {
        Self { own, members }
    }

    /// Is this node this process's to look after?
    pub fn is_ours(&self, node: Uuid, conductor_group: &str, driver: &str) -> bool {
        self.conductor_of(node, conductor_group, driver) == Some(&self.own)
    }

    /// The name of the conductor that looks after the node; none: nobody serves its group and driver.
    pub fn conductor_of(&self, node: Uuid, conductor_group: &str, driver: &str) -> Option<&str> {
        self.serving(conductor_group, driver)
            .map(|member| member.presence.hostname.as_str())
            .max_by_key(|name| (weight(name, node), *name))
    }

    /// Does anybody serve nodes of this group with this driver?
    pub fn is_served(&self, conductor_group: &str, driver: &str) -> bool {
        self.serving(conductor_group, driver).next().is_some()
    }

    /// Names of the living conductors that serve a driver, in whatever group.
    pub fn hosts_of(&self, driver: &str) -> Vec<&str> {
        let serving = self.members.iter().filter(|member| is_conductor(member) && serves(member, driver));
        serving.map(|member| member.presence.hostname.as_str()).collect()
    }

    fn serving<'a>(&'a self, group: &str, driver: &str) -> impl Iterator<Item = &'a Member> {
        self.members.iter().filter(move |member| {
            is_conductor(member) && member.presence.conductor_group == group && serves(member, driver)
        })
    }
}

/// Is it a conductor that lives?
fn is_conductor(member: &Member) -> bool {
    member.is_alive && member.presence.roles.iter().any(|role| role == Role::Conductor.as_str())
}

/// One that names no driver serves every one.
fn serves(member: &Member, driver: &str) -> bool {
    let drivers = &member.presence.drivers;
    drivers.is_empty() || drivers.iter().any(|name| name == driver)
}

/// The same number in every process and in every release. FNV-1a over the name, then SplitMix64's finalizer over it and the node.
fn weight(name: &str, node: Uuid) -> u64 {
    let of_name = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let (high, low) = node.as_u64_pair();
    mix(mix(of_name ^ high) ^ low)
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn member(hostname: &str, group: &str, drivers: &[&str]) -> Member {
        Member {
            session: Uuid::nil(),
            presence: Presence {
                hostname: hostname.into(),
                conductor_group: group.into(),
                drivers: drivers.iter().map(|&name| name.to_owned()).collect(),
                roles: vec!["conductor".into()],
            },
            created_at: Timestamp::UNIX_EPOCH,
            seen_at: Timestamp::UNIX_EPOCH,
            is_alive: true,
        }
    }

    fn share(members: &[Member]) -> Share {
        Share::new("a".into(), members.into())
    }

    #[test]
    fn nodes_are_spread_evenly_and_only_those_of_the_dead_move() {
        let three = ["a", "b", "c"].map(|name| member(name, "", &["ipmi"]));
        let mut two = three.clone();
        two[2].is_alive = false;
        let (before, after) = (share(&three), share(&two));
        let mut of_a = 0;
        for n in 0..3000_u128 {
            let node = Uuid::from_u128(n);
            let was = before.conductor_of(node, "", "ipmi").unwrap();
            let is = after.conductor_of(node, "", "ipmi").unwrap();
            assert!(is != "c" && (was == is || was == "c"));
            of_a += usize::from(before.is_ours(node, "", "ipmi"));
        }
        assert!((900..1100).contains(&of_a), "{of_a}");
    }

    #[test]
    fn a_node_goes_to_whoever_serves_its_group_and_driver_or_to_nobody() {
        let mut api = member("api", "", &["ipmi"]);
        api.presence.roles = vec!["api".into()];
        let all = share(&[member("a", "", &["ipmi"]), member("b", "rack2", &["ipmi", "redfish"]), api]);
        let node = Uuid::nil();
        assert_eq!(all.conductor_of(node, "rack2", "redfish"), Some("b"));
        assert_eq!(all.conductor_of(node, "", "ipmi"), Some("a"));
        assert_eq!(all.conductor_of(node, "", "redfish"), None);
        assert!(!all.is_served("rack3", "ipmi") && all.is_served("rack2", "ipmi"));
        assert_eq!(all.hosts_of("ipmi"), ["a", "b"]);
    }
}
