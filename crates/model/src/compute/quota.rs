//! Quotas: how much of the compute service a project may use.

use super::server::ServerUsage;
use crate::state::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

words! {
    /// What is counted. The words are the API's.
    QuotaResource, "quota" {
        /// Servers.
        Instances => "instances",
        /// Processors of all servers, by their flavors.
        Cores => "cores",
        /// Memory of all servers, MiB, by their flavors.
        Ram => "ram",
        /// Pairs of metadata of one server.
        MetadataItems => "metadata_items",
        /// Keypairs of one user.
        KeyPairs => "key_pairs",
        /// Groups of servers.
        ServerGroups => "server_groups",
        /// Servers of one group.
        ServerGroupMembers => "server_group_members",
        /// Files given to a server: of the time before 2.57.
        InjectedFiles => "injected_files",
        /// Their size.
        InjectedFileContentBytes => "injected_file_content_bytes",
        /// Their paths.
        InjectedFilePathBytes => "injected_file_path_bytes",
        /// Of the network service: shown up to 2.35.
        FixedIps => "fixed_ips",
        /// Of the network service: shown up to 2.35.
        FloatingIps => "floating_ips",
        /// Of the network service: shown up to 2.35.
        SecurityGroups => "security_groups",
        /// Of the network service: shown up to 2.35.
        SecurityGroupRules => "security_group_rules",
    }
}

/// What stands for "as many as there are".
pub const UNLIMITED: i64 = -1;
/// The largest limit that can be set, as in Nova.
pub const LARGEST: i64 = 0x7fff_ffff;

impl QuotaResource {
    /// The limit where nobody set one: Nova's, but for processors and memory. Those of one machine alone often exceed what Nova
    /// grants a project of virtual machines, so that the count of servers is what limits.
    pub const fn default_limit(self) -> i64 {
        match self {
            QuotaResource::Instances
            | QuotaResource::ServerGroups
            | QuotaResource::ServerGroupMembers
            | QuotaResource::SecurityGroups => 10,
            QuotaResource::MetadataItems => 128,
            QuotaResource::KeyPairs => 100,
            QuotaResource::InjectedFiles => 5,
            QuotaResource::InjectedFileContentBytes => 10_240,
            QuotaResource::InjectedFilePathBytes => 255,
            QuotaResource::SecurityGroupRules => 20,
            QuotaResource::Cores
            | QuotaResource::Ram
            | QuotaResource::FixedIps
            | QuotaResource::FloatingIps => UNLIMITED,
        }
    }

    /// Is it shown and set with this microversion (`2.minor`)?
    pub const fn is_in(self, minor: u16) -> bool {
        match self {
            QuotaResource::FixedIps
            | QuotaResource::FloatingIps
            | QuotaResource::SecurityGroups
            | QuotaResource::SecurityGroupRules => minor < 36,
            QuotaResource::InjectedFiles
            | QuotaResource::InjectedFileContentBytes
            | QuotaResource::InjectedFilePathBytes => minor < 57,
            _ => true,
        }
    }
}

/// Limits that were set for one project, or for all that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The row's identity, which no client sees.
    pub uuid: Uuid,
    /// A project's id, or [`DEFAULTS`].
    pub holder: String,
    /// What was set.
    #[serde(default)]
    pub limits: BTreeMap<QuotaResource, i64>,
}

/// The holder of what applies to every project without a limit of its own: Nova's quota class of that name.
pub const DEFAULTS: &str = "class:default";

/// The limits that hold for a project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits(BTreeMap<QuotaResource, i64>);

impl Limits {
    /// The project's own, else the class's, else the built-in ones.
    pub fn of(project: Option<&Quota>, class: Option<&Quota>) -> Self {
        let set = |resource: &QuotaResource| {
            [project, class].into_iter().flatten().find_map(|quota| quota.limits.get(resource).copied())
        };
        Self(
            QuotaResource::ALL
                .iter()
                .map(|resource| (*resource, set(resource).unwrap_or(resource.default_limit())))
                .collect(),
        )
    }

    /// One limit; [`UNLIMITED`] is none.
    pub fn get(&self, resource: QuotaResource) -> i64 {
        self.0.get(&resource).copied().unwrap_or(resource.default_limit())
    }

    /// How many more there may be beside `used`, if `wanted` more are too many.
    pub fn exceeded(&self, resource: QuotaResource, used: i64, wanted: i64) -> Option<Exceeded> {
        let limit = self.get(resource);
        let fits = limit == UNLIMITED || used.saturating_add(wanted) <= limit;
        (!fits).then_some(Exceeded { resource, used, wanted, limit })
    }
}

/// What a project has too little left of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Quota exceeded for {resource}: Requested {wanted}, but already used {used} of {limit} {resource}. An operator may raise it: \
     openstack quota set --{option} NUMBER PROJECT", option = .resource.option()
)]
pub struct Exceeded {
    /// Of what.
    pub resource: QuotaResource,
    /// How much is used.
    pub used: i64,
    /// How much more was asked for.
    pub wanted: i64,
    /// How much there may be.
    pub limit: i64,
}

impl QuotaResource {
    /// What the client's `quota set` calls it.
    fn option(self) -> String {
        match self {
            QuotaResource::MetadataItems => "properties".to_owned(),
            _ => self.as_str().replace('_', "-"),
        }
    }
}

/// The first limit that `wanted` more servers' worth would exceed.
pub fn exceeds(used: ServerUsage, wanted: ServerUsage, limits: &Limits) -> Option<Exceeded> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let check = |resource, used, wanted| limits.exceeded(resource, number(used), number(wanted));
    check(QuotaResource::Instances, used.instances, wanted.instances)
        .or_else(|| check(QuotaResource::Cores, used.cores, wanted.cores))
        .or_else(|| check(QuotaResource::Ram, used.ram_mb, wanted.ram_mb))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(holder: &str, limits: &[(QuotaResource, i64)]) -> Quota {
        Quota { uuid: Uuid::nil(), holder: holder.to_owned(), limits: limits.iter().copied().collect() }
    }

    #[test]
    fn a_projects_own_limit_comes_before_the_class_and_that_before_the_default() {
        let project = quota("p", &[(QuotaResource::Instances, 3)]);
        let class = quota(DEFAULTS, &[(QuotaResource::Instances, 5), (QuotaResource::Cores, 7)]);
        let limits = Limits::of(Some(&project), Some(&class));
        let get = |resource| limits.get(resource);
        assert_eq!(
            (get(QuotaResource::Instances), get(QuotaResource::Cores), get(QuotaResource::Ram)),
            (3, 7, UNLIMITED)
        );
        assert_eq!(get(QuotaResource::KeyPairs), 100);
    }

    #[test]
    fn use_stops_at_the_limit_and_the_refusal_counts() {
        let limits = Limits::of(Some(&quota("p", &[(QuotaResource::Ram, 100)])), None);
        let used = ServerUsage { instances: 9, cores: 1000, ram_mb: 60 };
        let more = |instances, ram_mb| ServerUsage { instances, cores: 1000, ram_mb };
        assert_eq!(exceeds(used, more(1, 40), &limits), None);
        assert_eq!(exceeds(used, more(1, 41), &limits).unwrap().resource, QuotaResource::Ram);
        let refusal = exceeds(used, more(2, 0), &limits).unwrap().to_string();
        assert!(
            refusal.starts_with(
                "Quota exceeded for instances: Requested 2, but already used 9 of 10 instances."
            ),
            "{refusal}"
        );
        assert!(refusal.ends_with("openstack quota set --instances NUMBER PROJECT"), "{refusal}");
    }

    #[test]
    fn old_resources_go_with_their_microversions() {
        let shown = |minor| QuotaResource::ALL.iter().filter(|resource| resource.is_in(minor)).count();
        assert_eq!((shown(1), shown(35), shown(36), shown(56), shown(57)), (14, 14, 10, 10, 7));
    }
}
