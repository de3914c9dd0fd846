//! How many of each resource a project may have.

/// A resource that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaResource {
    /// Name in the API.
    pub name: &'static str,
    /// What a project may have that nobody has said otherwise for; -1: any number. Neutron's defaults.
    pub default: i64,
}

/// Every resource that is counted. What is not served here (`router`, `floatingip`) has a quota of none, which is the truth.
pub const QUOTA_RESOURCES: &[QuotaResource] = &[
    QuotaResource { name: "network", default: 100 },
    QuotaResource { name: "subnet", default: 100 },
    QuotaResource { name: "port", default: 500 },
    QuotaResource { name: "subnetpool", default: -1 },
    QuotaResource { name: "security_group", default: 10 },
    QuotaResource { name: "security_group_rule", default: 100 },
    QuotaResource { name: "router", default: 0 },
    QuotaResource { name: "floatingip", default: 0 },
    QuotaResource { name: "rbac_policy", default: 0 },
];

impl QuotaResource {
    /// The resource of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        QUOTA_RESOURCES.iter().find(|resource| resource.name == name)
    }
}
