//! The ironic-python-agent protocol: what the ramdisk and the conductor say to each other.
//!
//! Both sides are served by these types, and both may be foreign: the real agent talks to our conductor, our agent to
//! a real Ironic. Hence reading is lenient (unknown keys are ignored, `null` counts as absent, numbers that come as text
//! are read) and writing is exact. Source: ironic-python-agent `extensions/base.py`, `hardware.py`; Ironic's ramdisk API.

mod command;
mod image;
mod inventory;
mod lookup;
mod steps;

pub use command::{AgentStatus, CommandError, CommandList, CommandRequest, CommandResult, CommandStatus};
pub use image::{ImageInfo, InstallBootloaderParams, PartitionUuids, PrepareImageParams, RescueParams};
pub use inventory::{
    BootInfo, Cpu, Disk, Firmware, Identifiers, Inspection, Interface, Inventory, Memory, SystemVendor,
};
pub use lookup::{AgentConfig, Heartbeat, LookupNode, LookupResponse, MASKED_TOKEN, MIN_TOKEN_LENGTH};
pub use steps::{AgentStep, ExecuteStepParams, GetStepsParams, Phase, StepCall, StepList, StepOutcome};

use serde::{Deserialize, Deserializer};

/// Reads a field where `null` means the type's default value.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a whole number that some releases send as text.
pub(crate) fn number<'de, D>(deserializer: D) -> Result<Option<u64>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(u64),
        Text(String),
    }
    match Option::<Form>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Form::Number(number)) => Ok(Some(number)),
        Some(Form::Text(text)) => {
            text.trim().parse().map(Some).map_err(|_| serde::de::Error::custom("a whole number is expected"))
        }
    }
}

/// Reads a truth value that some releases send as text.
pub(crate) fn flag<'de, D>(deserializer: D) -> Result<Option<bool>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Flag(bool),
        Text(String),
    }
    Ok(Option::<Form>::deserialize(deserializer)?.map(|form| match form {
        Form::Flag(flag) => flag,
        Form::Text(text) => {
            matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "t" | "yes" | "y" | "on" | "1")
        }
    }))
}

/// Reads a list of texts that some releases send as one comma-separated text.
pub(crate) fn text_list<'de, D>(deserializer: D) -> Result<Option<Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        List(Vec<String>),
        Text(String),
    }
    Ok(Option::<Form>::deserialize(deserializer)?.map(|form| match form {
        Form::List(list) => list,
        Form::Text(text) => {
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
        }
    }))
}

#[cfg(test)]
mod tests;
