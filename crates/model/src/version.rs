//! Microversions of the bare-metal API: one table of what came with which, used by routes, fields, filters and verbs alike.
//!
//! Source: Ironic's `api/controllers/v1/versions.py` and its `webapi-version-history`.

use std::fmt;
use std::str::FromStr;

/// A microversion `1.N` of the bare-metal API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Microversion(u16);

impl Microversion {
    /// The oldest there is, and the one that is used when a client asks for none.
    pub const MIN: Microversion = Microversion(1);
    /// The newest.
    pub const MAX: Microversion = Microversion(115);

    /// `1.minor`, if Billet speaks it.
    pub const fn new(minor: u16) -> Option<Self> {
        if minor >= Self::MIN.0 && minor <= Self::MAX.0 { Some(Self(minor)) } else { None }
    }

    /// The number after the dot.
    pub const fn minor(self) -> u16 {
        self.0
    }

    /// Is a feature, known by the microversion that it came with, there in this one?
    pub const fn has(self, feature: Microversion) -> bool {
        self.0 >= feature.0
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// Why a version header is refused. The texts are Ironic's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not `1.N`, `latest`.
    #[error("Invalid value for X-OpenStack-Ironic-API-Version header")]
    Malformed,
    /// Another major version.
    #[error(
        "Mutually exclusive versions requested. Version {0} requested but not supported by this service. \
         The supported version range is: [{min}, {max}].",
        min = Microversion::MIN,
        max = Microversion::MAX
    )]
    Major(String),
    /// A minor version out of range.
    #[error(
        "Version {0} was requested but the minor version is not supported by this service. \
         The supported version range is: [{min}, {max}].",
        min = Microversion::MIN,
        max = Microversion::MAX
    )]
    Minor(String),
}

impl FromStr for Microversion {
    type Err = VersionError;

    /// Parses a header's value: `1.N` or `latest`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("latest") {
            return Ok(Self::MAX);
        }
        let number = |part: &str| {
            if part.is_empty() || part.len() > 9 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(VersionError::Malformed);
            }
            part.parse::<u32>().map_err(|_| VersionError::Malformed)
        };
        let (major, minor) = text.split_once('.').ok_or(VersionError::Malformed)?;
        if minor.starts_with('-') && number(&minor[1..]).is_ok() && number(major)? == 1 {
            return Err(VersionError::Minor(format!("{major}.{minor}")));
        }
        let (major, minor) = (number(major)?, number(minor)?);
        let shown = format!("{major}.{minor}");
        if major != 1 {
            return Err(VersionError::Major(shown));
        }
        u16::try_from(minor).ok().and_then(Self::new).ok_or(VersionError::Minor(shown))
    }
}

macro_rules! features {
    ($($name:ident = $minor:literal, $text:literal;)+) => {
        $(#[doc = concat!("1.", stringify!($minor), ": ", $text, ".")]
        pub const $name: Microversion = Microversion($minor);)+

        /// Every feature: the microversion that it came with, its name, and what it is.
        pub const FEATURES: &[(Microversion, &str, &str)] = &[$((Microversion($minor), stringify!($name), $text),)+];
    };
}

features! {
    BASE = 1, "what there was in the beginning";
    AVAILABLE_STATE = 2, "state `available` is shown; it was null before";
    DRIVER_INTERNAL_INFO = 3, "node.driver_internal_info";
    MANAGEABLE_STATE = 4, "state `manageable`, verbs `manage` and `provide`, `PUT states/provision` by name";
    NODE_NAME = 5, "node.name, and names in place of UUIDs";
    INSPECT = 6, "verb `inspect` and the times of an inspection";
    CLEAN_STEP = 7, "node.clean_step";
    FIELDS = 8, "`fields=` chooses fields";
    PROVISION_STATE_FILTER = 9, "filter nodes by provision state";
    RFC3986_NAMES = 10, "names of all unreserved characters";
    ENROLL_STATE = 11, "new nodes begin in `enroll`; they began in `available`";
    RAID = 12, "RAID configuration";
    ABORT = 13, "verb `abort`, from `clean wait`";
    STATE_LINKS = 14, "links to states and driver properties";
    MANUAL_CLEAN = 15, "verb `clean`";
    DRIVER_FILTER = 16, "filter nodes by driver";
    ADOPT = 17, "verb `adopt`";
    PORT_INTERNAL_INFO = 18, "port.internal_info";
    PORT_LINKS = 19, "port.local_link_connection and pxe_enabled";
    NETWORK_INTERFACE = 20, "node.network_interface";
    RESOURCE_CLASS = 21, "node.resource_class";
    RAMDISK = 22, "lookup and heartbeat";
    PORTGROUPS = 23, "port groups";
    PORTGROUP_LISTS = 24, "port groups below nodes, ports below port groups";
    UNSET_CHASSIS = 25, "chassis_uuid can be removed";
    PORTGROUP_MODE = 26, "portgroup.mode and properties";
    SOFT_POWER = 27, "soft power off and reboot, time limit";
    VIFS = 28, "attach and detach VIFs";
    INJECT_NMI = 29, "inject NMI";
    DYNAMIC_DRIVERS = 30, "drivers have interfaces; `type` and `detail`";
    INTERFACES = 31, "node.*_interface";
    VOLUMES = 32, "volume connectors and targets";
    STORAGE_INTERFACE = 33, "node.storage_interface";
    PHYSICAL_NETWORK = 34, "port.physical_network";
    REBUILD_CONFIGDRIVE = 35, "config drive at rebuild";
    HEARTBEAT_VERSION = 36, "agent_version in the heartbeat";
    TRAITS = 37, "traits";
    RESCUE = 38, "verbs `rescue` and `unrescue`, node.rescue_interface";
    INSPECT_WAIT = 39, "state `inspect wait` is shown";
    BIOS = 40, "BIOS settings, node.bios_interface";
    INSPECT_ABORT = 41, "`abort` from `inspect wait`";
    FAULT = 42, "node.fault";
    DETAIL = 43, "`detail=`";
    DEPLOY_STEP = 44, "node.deploy_step";
    RESET_INTERFACES = 45, "reset_interfaces when the driver changes";
    CONDUCTOR_GROUP = 46, "node.conductor_group";
    AUTOMATED_CLEAN = 47, "node.automated_clean";
    PROTECTED = 48, "node.protected and its reason";
    CONDUCTORS = 49, "conductors, node.conductor";
    OWNER = 50, "node.owner";
    DESCRIPTION = 51, "node.description";
    ALLOCATIONS = 52, "allocations";
    SMARTNIC = 53, "port.is_smartnic";
    EVENTS = 54, "external events";
    DEPLOY_TEMPLATES = 55, "deploy templates";
    CONFIGDRIVE_OBJECT = 56, "config drive as a JSON object";
    ALLOCATION_UPDATE = 57, "allocations can be changed";
    ALLOCATION_BACKFILL = 58, "allocations for deployed nodes";
    CONFIGDRIVE_VENDOR_DATA = 59, "vendor_data in the config drive";
    ALLOCATION_OWNER = 60, "allocation.owner";
    RETIRED = 61, "node.retired and its reason";
    AGENT_TOKEN = 62, "the agent's token";
    INDICATORS = 63, "indicators";
    LINK_NETWORK_TYPE = 64, "network_type in local_link_connection";
    LESSEE = 65, "node.lessee";
    NETWORK_DATA = 66, "node.network_data";
    VIF_PORT = 67, "attach a VIF to a given port";
    AGENT_VERIFY_CA = 68, "the agent's certificate";
    DEPLOY_STEPS = 69, "deploy_steps at deployment";
    CLEAN_DISABLE_RAMDISK = 70, "cleaning without the ramdisk";
    SCOPE = 71, "marks the enforcing of scope";
    AGENT_STATUS = 72, "agent_status in the heartbeat";
    DEPLOY_UNDEPLOY = 73, "verbs `deploy` and `undeploy`";
    BIOS_REGISTRY = 74, "registry fields of BIOS settings";
    BOOT_MODE = 75, "node.boot_mode and secure_boot";
    CHANGE_BOOT_MODE = 76, "change boot mode and secure boot";
    DRIVER_FIELDS = 77, "`fields=` of drivers";
    HISTORY = 78, "node history";
    ALLOCATION_NAMES = 79, "an allocation prefers the node of its name";
    SELF_SERVICE = 80, "marks that projects may create nodes";
    INVENTORY = 81, "inventory";
    SHARD = 82, "node.shard, shards";
    PARENT_NODE = 83, "node.parent_node, children";
    CONTINUE_INSPECTION = 84, "continue_inspection";
    UNHOLD = 85, "verb `unhold`";
    FIRMWARE = 86, "firmware, node.firmware_interface";
    SERVICE = 87, "verb `service`, node.service_step";
    PORT_NAME = 88, "port.name";
    VIRTUAL_MEDIA = 89, "attach and detach virtual media";
    OVN_VTEP = 90, "OVN VTEP in local_link_connection";
    NO_DOT_JSON = 91, "`.json` at the end of a path means nothing any more";
    RUNBOOKS = 92, "runbooks";
    GET_VIRTUAL_MEDIA = 93, "virtual media can be read";
    PORT_NODE_IDENT = 94, "node_ident when a port is created";
    DISABLE_POWER_OFF = 95, "node.disable_power_off";
    INSPECTION_RULES = 96, "inspection rules";
    PORT_DESCRIPTION = 97, "port.description";
    POINTER_ESCAPES = 98, "`~0` and `~1` in the paths of a patch";
    PORT_CONDUCTOR_GROUPS = 99, "filter ports by conductor group";
    PORT_VENDOR = 100, "port.vendor";
    PORT_CATEGORY = 101, "port.category";
    PORTGROUP_PHYSICAL_NETWORK = 102, "portgroup.physical_network";
    PORTGROUP_CATEGORY = 103, "portgroup.category";
    INSTANCE_NAME = 104, "node.instance_name";
    NO_VTEP = 105, "OVN VTEP is gone";
    PORTGROUP_SHARD = 106, "filter port groups by shard";
    REQUEST_ID = 107, "X-OpenStack-Request-Id";
    SERVICE_DISABLE_RAMDISK = 108, "service without the ramdisk";
    HEALTH = 109, "node.health";
    DEPLOY_ABORT = 110, "`abort` from `wait call-back`";
    DYNAMIC_PORTGROUPS = 111, "dynamic port groups";
    RUNBOOK_TRAITS = 112, "traits and description of runbooks";
    HISTORY_PROJECT = 113, "project in the history";
    FIRMWARE_IDENTITY = 114, "vendor, model and serial of firmware components";
    HISTORY_STATES = 115, "states in the history";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_microversion_once() {
        assert_eq!(FEATURES.len(), usize::from(Microversion::MAX.minor()));
        for (index, (version, name, _)) in FEATURES.iter().enumerate() {
            assert_eq!(usize::from(version.minor()), index + 1, "{name}");
        }
    }

    #[test]
    fn headers_parse_as_the_contract_says() {
        assert_eq!("latest".parse(), Ok(Microversion::MAX));
        assert_eq!("1.1".parse(), Ok(Microversion::MIN));
        assert_eq!("1.115".parse::<Microversion>().map(Microversion::minor), Ok(115));
        assert_eq!("1.116".parse::<Microversion>(), Err(VersionError::Minor("1.116".into())));
        assert_eq!("1.0".parse::<Microversion>(), Err(VersionError::Minor("1.0".into())));
        assert_eq!("1.-2".parse::<Microversion>(), Err(VersionError::Minor("1.-2".into())));
        assert_eq!("2.1".parse::<Microversion>(), Err(VersionError::Major("2.1".into())));
        for bad in ["", "1", "1.", ".1", "1.2.3", "a.b", "1.--2", "1.+2", "1.99999999999999999999", "1.٣"] {
            assert_eq!(bad.parse::<Microversion>(), Err(VersionError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn later_versions_keep_earlier_features() {
        assert!(Microversion::MAX.has(NODE_NAME));
        assert!(!Microversion::MIN.has(NODE_NAME));
        assert!(NODE_NAME.has(NODE_NAME));
    }
}
