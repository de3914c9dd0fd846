//! A server: a machine that a tenant has, and the row that is its workflow.
//!
//! What a client is shown as `status` is made of two words, as in Nova: where the server is ([`VmState`]) and what is being done with
//! it ([`TaskState`]). The task is also the reconciler's memory: a server that has one is on its way, whoever started it.

use crate::node::PowerState;
use crate::state::words;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use uuid::Uuid;

words! {
    /// Where a server is (`OS-EXT-STS:vm_state`).
    VmState, "vm state" {
        /// It has not been made yet.
        Building => "building",
        /// It runs, or should.
        Active => "active",
        /// Its machine is off.
        Stopped => "stopped",
        /// It runs the rescue ramdisk.
        Rescued => "rescued",
        /// Something failed; the fault says what.
        Error => "error",
    }
}

words! {
    /// What is being done with a server (`OS-EXT-STS:task_state`).
    TaskState, "task state" {
        /// A node is being looked for.
        Scheduling => "scheduling",
        /// Its ports are made and attached.
        Networking => "networking",
        /// The node is being deployed.
        Spawning => "spawning",
        /// It is being taken away.
        Deleting => "deleting",
        /// The operating system is asked to restart.
        Rebooting => "rebooting",
        /// The machine is switched off and on.
        RebootingHard => "rebooting_hard",
        /// The machine is being switched off.
        PoweringOff => "powering-off",
        /// The machine is being switched on.
        PoweringOn => "powering-on",
        /// Its disk is written anew.
        Rebuilding => "rebuilding",
        /// It is being brought into the rescue ramdisk.
        Rescuing => "rescuing",
        /// It is being brought back from there.
        Unrescuing => "unrescuing",
    }
}

/// Nova's numbers for power (`OS-EXT-STS:power_state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerView {
    /// Nobody knows, or there is no machine yet.
    #[default]
    NoState,
    /// On.
    Running,
    /// Off.
    Shutdown,
}

impl PowerView {
    /// Nova's number.
    pub const fn number(self) -> u8 {
        match self {
            PowerView::NoState => 0,
            PowerView::Running => 1,
            PowerView::Shutdown => 4,
        }
    }

    /// A node's power as a server shows it.
    pub fn of_node(power: Option<PowerState>) -> Self {
        match power {
            Some(PowerState::On) => PowerView::Running,
            Some(PowerState::Off) => PowerView::Shutdown,
            Some(PowerState::Error) | None => PowerView::NoState,
        }
    }
}

/// The flavor as it was when the server was made: it may change or go afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerFlavor {
    /// The flavor's identifier, as users gave it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Processors.
    pub vcpus: u64,
    /// Memory in MiB.
    pub ram_mb: u64,
    /// Root disk in GiB.
    pub disk_gb: u64,
    /// Ephemeral disk in GiB.
    #[serde(default)]
    pub ephemeral_gb: u64,
    /// Swap in MiB.
    #[serde(default)]
    pub swap_mb: u64,
    /// What else is asked of a node: `resources:CUSTOM_X`, `trait:X`, `capabilities:…`.
    #[serde(default)]
    pub extra_specs: BTreeMap<String, String>,
}

/// The image as it was when the server was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerImage {
    /// Identity in the image service.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Memory that it needs, in MiB.
    #[serde(default)]
    pub min_ram_mb: u64,
    /// Disk that it needs, in GiB.
    #[serde(default)]
    pub min_disk_gb: u64,
    /// Properties: `hw_architecture`, `kernel_id` …
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// The key pair as it was when the server was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerKey {
    /// Its name.
    pub name: String,
    /// The public key, one line.
    pub public_key: String,
    /// `ssh` or `x509`.
    pub kind: String,
}

/// One network connection that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WantedPort {
    /// The network, where no port was named.
    pub network: Option<Uuid>,
    /// A port that the user made. It outlives the server.
    pub port: Option<Uuid>,
    /// The address that the port is to have.
    pub fixed_ip: Option<IpAddr>,
    /// The device's tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// The port that is made where none was named. It is decided before the port is made, so that a repetition makes no second one.
    #[serde(default)]
    pub made: Option<Uuid>,
}

/// Which networks were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestedNetworks {
    /// Nothing was said: the only network that the project can use; none where it has none.
    #[default]
    Unsaid,
    /// `auto`: the only network that the project can use.
    Auto,
    /// `none`.
    None,
    /// These.
    These(Vec<WantedPort>),
}

/// A port of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerPort {
    /// The network's port.
    pub port: Uuid,
    /// Its network.
    pub network: Uuid,
    /// Name of that network, by which clients group addresses.
    pub network_name: String,
    /// MAC address.
    pub mac: String,
    /// Addresses, in the order of their allocation.
    pub addresses: Vec<IpAddr>,
    /// It was made for the server and goes with it.
    pub made: bool,
    /// The device's tag.
    #[serde(default)]
    pub tag: Option<String>,
}

/// Why a server is in error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerFault {
    /// 500, or 404 and its like where Nova has them.
    pub code: u16,
    /// What happened and what to do, for the tenant.
    pub message: String,
    /// More of it, for operators.
    #[serde(default)]
    pub details: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// A lock: only operators change a server that has one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lock {
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// An operator set it, so that its owner can't lift it.
    #[serde(default)]
    pub by_operator: bool,
}

/// All that a process needs to go on with a server where another one died.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerWork {
    /// Request whose action is under way.
    pub request_id: Option<String>,
    /// The node was told what it is to do for the task; what it says from now on is the answer.
    pub told: bool,
    /// Nodes on which the server could not be made.
    pub tried: Vec<Uuid>,
    /// Why it could not be made on the node that it has; the node is being given back.
    pub failure: Option<ServerFault>,
    /// After that another node is tried.
    pub again: bool,
    /// Why it could not be made on the last of those.
    pub last_failure: Option<String>,
    /// What was asked nicely was not done; it is done by force.
    pub forced: bool,
    /// The machine was off before, and is to be off afterwards.
    pub then_stop: bool,
    /// Since when every fitting node is held by other work, or there is no room for another deployment.
    pub waiting_since: Option<Timestamp>,
    /// Keep the ephemeral partition in a rebuild.
    pub preserve_ephemeral: bool,
}

/// A server as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Identity; the node's `instance_uuid` too.
    pub uuid: Uuid,
    /// Its name; others may have the same.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Its host name.
    pub hostname: String,
    /// Project that it belongs to.
    pub project_id: String,
    /// User who made it.
    pub user_id: String,
    /// Where it is.
    pub vm_state: VmState,
    /// What is being done with it.
    #[serde(default)]
    pub task_state: Option<TaskState>,
    /// Power of its machine as last heard.
    #[serde(default)]
    pub power: PowerView,
    /// What it was made by.
    pub flavor: ServerFlavor,
    /// What is on its disk.
    #[serde(default)]
    pub image: Option<ServerImage>,
    /// Who may log in.
    #[serde(default)]
    pub key: Option<ServerKey>,
    /// Free for the user.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Free for the user.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// It has user data, which is kept sealed beside it.
    #[serde(default)]
    pub has_user_data: bool,
    /// A config drive was asked for. Bare metal gets one either way.
    #[serde(default)]
    pub config_drive: bool,
    /// Networks that were asked for; explicit once the server is stored.
    #[serde(default)]
    pub networks: RequestedNetworks,
    /// Names of security groups that were asked for.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Availability zone that was asked for.
    #[serde(default)]
    pub availability_zone: Option<String>,
    /// Host that was asked for: a conductor's name.
    #[serde(default)]
    pub wanted_host: Option<String>,
    /// Node that was asked for: its UUID or name.
    #[serde(default)]
    pub wanted_node: Option<String>,
    /// Place in a request for several servers, from 0.
    #[serde(default)]
    pub launch_index: u32,
    /// Reservation of the request that made it.
    #[serde(default)]
    pub reservation_id: String,
    /// Its machine.
    #[serde(default)]
    pub node: Option<Uuid>,
    /// Conductor that made it.
    #[serde(default)]
    pub host: Option<String>,
    /// Its ports.
    #[serde(default)]
    pub ports: Vec<ServerPort>,
    /// Why it is in error.
    #[serde(default)]
    pub fault: Option<ServerFault>,
    /// It is locked.
    #[serde(default)]
    pub locked: Option<Lock>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// When it first ran.
    #[serde(default)]
    pub launched_at: Option<Timestamp>,
    /// Progress.
    #[serde(default)]
    pub work: ServerWork,
}

/// What a project's servers take of its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerUsage {
    /// Servers.
    pub instances: u64,
    /// Processors.
    pub cores: u64,
    /// Memory in MiB.
    pub ram_mb: u64,
}

impl Server {
    /// A server that was just asked for: it is being built, and a node is to be found.
    pub fn new(
        uuid: Uuid,
        name: impl Into<String>,
        project_id: impl Into<String>,
        user_id: impl Into<String>,
        flavor: ServerFlavor,
        now: Timestamp,
    ) -> Self {
        let name = name.into();
        Self {
            uuid,
            description: None,
            hostname: hostname(&name, uuid),
            name,
            project_id: project_id.into(),
            user_id: user_id.into(),
            vm_state: VmState::Building,
            task_state: Some(TaskState::Scheduling),
            power: PowerView::NoState,
            flavor,
            image: None,
            key: None,
            metadata: BTreeMap::new(),
            tags: BTreeSet::new(),
            has_user_data: false,
            config_drive: false,
            networks: RequestedNetworks::Unsaid,
            security_groups: Vec::new(),
            availability_zone: None,
            wanted_host: None,
            wanted_node: None,
            launch_index: 0,
            reservation_id: String::new(),
            node: None,
            host: None,
            ports: Vec::new(),
            fault: None,
            locked: None,
            created_at: now,
            updated_at: None,
            launched_at: None,
            work: ServerWork::default(),
        }
    }

    /// The status that clients see (Nova's `api/openstack/common.py`, `_STATE_MAP`).
    pub const fn status(&self) -> &'static str {
        use TaskState as T;
        match (self.vm_state, self.task_state) {
            (VmState::Active | VmState::Stopped | VmState::Error, Some(T::Rebuilding)) => "REBUILD",
            (VmState::Active, Some(T::Rebooting)) => "REBOOT",
            (VmState::Active, Some(T::RebootingHard)) => "HARD_REBOOT",
            (VmState::Active, _) => "ACTIVE",
            (VmState::Building, _) => "BUILD",
            (VmState::Stopped, _) => "SHUTOFF",
            (VmState::Rescued, _) => "RESCUE",
            (VmState::Error, _) => "ERROR",
        }
    }

    /// Progress in percent, as Nova pretends to know it: 0 while it is built, 100 while it runs.
    pub fn progress(&self) -> Option<u8> {
        match self.status() {
            "BUILD" | "HARD_REBOOT" | "REBOOT" | "REBUILD" => Some(0),
            "ACTIVE" => Some(100),
            _ => None,
        }
    }

    /// The name if it has one, else the UUID: what people read in errors.
    pub fn label(&self) -> String {
        if self.name.is_empty() { self.uuid.to_string() } else { self.name.clone() }
    }

    /// Ends the task under way.
    pub fn come_to_rest(&mut self, vm_state: VmState) {
        self.vm_state = vm_state;
        self.task_state = None;
        self.work = ServerWork::default();
    }

    /// Puts the server in error.
    pub fn fail(&mut self, code: u16, message: impl Into<String>, details: Option<String>, now: Timestamp) {
        self.fault = Some(ServerFault { code, message: message.into(), details, created_at: now });
        self.come_to_rest(VmState::Error);
    }
}

/// Longest host name: one label (RFC 1123).
const LONGEST_LABEL: usize = 63;

/// A host name made of a server's name, as Nova makes it (`utils.py`, `sanitize_hostname`): blanks and underscores become
/// hyphens, what no host name may have goes, and a name of which nothing is left becomes `Server-UUID`.
pub fn hostname(name: &str, uuid: Uuid) -> String {
    let mut made = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            ' ' | '_' => made.push('-'),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => made.push(character.to_ascii_lowercase()),
            _ => {}
        }
    }
    // A name with dots in it keeps them from reading as a domain.
    let made = made.trim_matches(['.', '-']).replace('.', "-");
    let made: String = made.chars().take(LONGEST_LABEL).collect();
    let made = made.trim_matches('-');
    if made.is_empty() { format!("Server-{uuid}") } else { made.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server::new(Uuid::nil(), "web", "p", "u", ServerFlavor::default(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn statuses_are_novas() {
        let status = |vm_state, task_state| Server { vm_state, task_state, ..server() }.status();
        assert_eq!(status(VmState::Building, Some(TaskState::Scheduling)), "BUILD");
        assert_eq!(status(VmState::Active, None), "ACTIVE");
        assert_eq!(status(VmState::Active, Some(TaskState::Deleting)), "ACTIVE");
        assert_eq!(status(VmState::Active, Some(TaskState::PoweringOff)), "ACTIVE");
        assert_eq!(status(VmState::Active, Some(TaskState::RebootingHard)), "HARD_REBOOT");
        assert_eq!(status(VmState::Stopped, Some(TaskState::RebootingHard)), "SHUTOFF");
        assert_eq!(status(VmState::Error, Some(TaskState::Rebuilding)), "REBUILD");
        assert_eq!(status(VmState::Rescued, Some(TaskState::Unrescuing)), "RESCUE");
    }

    #[test]
    fn hostnames_are_labels() {
        let made = |name| hostname(name, Uuid::nil());
        assert_eq!(made("My_web server"), "my-web-server");
        assert_eq!(made("a.example.org"), "a-example-org");
        assert_eq!(made("-x-"), "x");
        assert_eq!(made("ünïcödé"), "ncd");
        assert_eq!(made("日本"), format!("Server-{}", Uuid::nil()));
        assert_eq!(made(&"a".repeat(100)).len(), 63);
    }

    #[test]
    fn a_server_survives_the_trip_through_json() {
        let mut server = server();
        server.networks = RequestedNetworks::These(vec![WantedPort::default()]);
        server.fail(500, "x", None, Timestamp::UNIX_EPOCH);
        let text = serde_json::to_string(&server).unwrap();
        assert_eq!(serde_json::from_str::<Server>(&text).unwrap(), server);
    }
}
