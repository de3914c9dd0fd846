//! What the API asks of the conductor: intents that are recorded and answered at once, and the few calls that are synchronous by
//! contract.

use bmc::BmcError;
use model::Secret;
use model::node::{InterfaceKind, Object, PowerTarget};
use model::state::Event;
use model::step::Step;
use serde_json::Value;
use store::StoreError;

/// `PUT …/states/provision`, parsed and schema-checked by the API.
#[derive(Debug, Clone)]
pub struct ProvisionRequest {
    /// The verb.
    pub verb: Event,
    /// As the client sent it: a JSON object, a URL, or base64 of gzip of ISO 9660.
    pub config_drive: Option<Value>,
    /// `clean_steps`, `deploy_steps` or `service_steps`.
    pub steps: Option<Vec<Step>>,
    /// Work without the ramdisk.
    pub disable_ramdisk: bool,
    /// Password of the rescue user.
    pub rescue_password: Option<Secret>,
}

/// `POST /v1/continue_inspection`, parsed.
#[derive(Debug, Clone, Default)]
pub struct InspectionReport {
    /// The node, if the ramdisk knows it.
    pub node_uuid: Option<uuid::Uuid>,
    /// MAC addresses, lower case.
    pub macs: Vec<String>,
    /// Addresses of the machine's BMC.
    pub bmc_addresses: Vec<String>,
    /// The hardware.
    pub inventory: Object,
    /// What else was found.
    pub plugin_data: Object,
}

/// `PUT …/states/power`.
#[derive(Debug, Clone, Copy)]
pub struct PowerRequest {
    /// What to do.
    pub target: PowerTarget,
    /// Seconds that it may take.
    pub timeout_seconds: Option<u64>,
}

/// One row of `GET …/validate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Interface.
    pub interface: InterfaceKind,
    /// Why it would not work; none if it would.
    pub reason: Option<String>,
}

/// `GET …/management/boot_device`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootDevice {
    /// Ironic's word: `pxe`, `disk`, `cdrom`, `bios`, `safe`; none if the BMC has no override.
    pub device: Option<String>,
    /// Stays beyond the next boot; none if the BMC doesn't say.
    pub persistent: Option<bool>,
}

/// One row of `GET …/management/indicators`: an LED.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indicator {
    /// What it is on: `chassis`, `system`, `disk`, `power`, `nic`.
    pub component: &'static str,
    /// Its name on that component.
    pub name: &'static str,
    /// Can't be set.
    pub read_only: bool,
    /// States that it can have: `on`, `off`, `blinking`.
    pub states: &'static [&'static str],
}

/// One row of `GET …/vmedia`: a virtual drive.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VirtualMedia {
    /// What is in it.
    pub image: Option<String>,
    /// Something is in it.
    pub inserted: bool,
    /// What it takes, in Redfish's words.
    pub media_types: Vec<String>,
}

/// `GET /v1/lookup`, parsed.
#[derive(Debug, Clone, Default)]
pub struct LookupRequest {
    /// MAC addresses, lower case.
    pub addresses: Vec<String>,
    /// The node, if the ramdisk knows it.
    pub node_uuid: Option<uuid::Uuid>,
}

/// `POST /v1/heartbeat/{node}`, parsed.
#[derive(Debug, Clone)]
pub struct HeartbeatRequest {
    /// Where the agent serves.
    pub callback_url: String,
    /// Its version.
    pub agent_version: Option<String>,
    /// Its token.
    pub agent_token: Option<Secret>,
    /// PEM certificate that it serves with.
    pub agent_verify_ca: Option<String>,
    /// `start`, `end` or `error`.
    pub agent_status: Option<String>,
    /// Beside the status.
    pub agent_status_message: Option<String>,
    /// The address of this host that it was sent to, as a URL: `http://192.0.2.1:6386`.
    pub arrived_at: Option<String>,
}

/// A refusal, by the status that the API gives it. Texts follow the contract and then help.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// 400: the request can't be carried out on this node as it is.
    #[error("{0}")]
    Invalid(String),
    /// 403: protected.
    #[error("{0}")]
    Forbidden(String),
    /// 404: no such node, or none that may be looked up.
    #[error("{0}")]
    NotFound(String),
    /// 409: locked or in a conflicting state; a retry may work.
    #[error("{0}")]
    Conflict(String),
    /// 503: too much under way.
    #[error("{0}")]
    Busy(String),
    /// 500, with the BMC's error as text: a synchronous call failed.
    #[error("{0}")]
    Bmc(#[from] BmcError),
    /// 404, 409 or 500 by its kind.
    #[error(transparent)]
    Store(#[from] StoreError),
}
