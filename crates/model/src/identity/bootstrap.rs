//! What a new site begins with: as DevStack makes a cloud, so that what is written about one is true of the other.

/// A project and its description.
pub const PROJECTS: &[(&str, &str)] = &[
    ("admin", "The operators of this site: admins of this project may do everything"),
    ("service", "The services of this site"),
    ("demo", "A project to try things in"),
    ("alt_demo", "Another project, which sees nothing of the first"),
];

/// Roles; each implies the next one, but for `service`, which stands alone.
pub const ROLES: &[&str] = &["admin", "manager", "member", "reader"];

/// The role of services.
pub const SERVICE_ROLE: &str = "service";

/// A user that is there from the start.
#[derive(Debug, Clone, Copy)]
pub struct NewUser {
    /// Name.
    pub name: &'static str,
    /// Its project of first choice.
    pub project: &'static str,
    /// Roles there.
    pub roles: &'static [&'static str],
    /// Somebody is told its password; else nobody can log in as it until an operator sets one.
    pub has_password: bool,
}

const fn person(name: &'static str, roles: &'static [&'static str]) -> NewUser {
    NewUser { name, project: name, roles, has_password: true }
}

const fn service(name: &'static str) -> NewUser {
    NewUser { name, project: "service", roles: &["service", "admin"], has_password: false }
}

/// The users.
pub const USERS: &[NewUser] = &[
    person("admin", &["admin"]),
    person("demo", &["member"]),
    person("alt_demo", &["member"]),
    service("nova"),
    service("neutron"),
    service("glance"),
    service("swift"),
    service("ironic"),
    service("placement"),
];

/// The user that has its role on the system and the default domain too.
pub const OPERATOR: &str = "admin";

/// The region of all that this process serves.
pub const REGION: &str = "RegionOne";

/// Type, name, description and path of a service of this process.
pub const SERVICES: &[(&str, &str, &str, &str)] = &[
    ("identity", "keystone", "Identity", "/identity"),
    ("image", "glance", "Images", "/image"),
    ("network", "neutron", "Networks", "/networking"),
    ("compute", "nova", "Servers", "/compute/v2.1"),
    ("placement", "placement", "Placement", "/placement"),
    ("object-store", "swift", "Objects", "/object-store/v1/AUTH_$(project_id)s"),
    ("baremetal", "ironic", "Bare metal", "/baremetal"),
];
