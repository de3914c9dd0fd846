//! Errors of commands, by the classes that the protocol knows.

use model::agent::CommandError;

/// Why a command failed. The name is ironic-python-agent's class, the code its HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {details}", class.1)]
pub struct Fault {
    class: (&'static str, &'static str, u16),
    details: String,
}

macro_rules! classes {
    ($($function:ident $name:literal $message:literal $code:literal $doc:literal;)*) => {
        impl Fault {
            $(#[doc = $doc] pub fn $function(details: impl Into<String>) -> Self {
                Self { class: ($name, $message, $code), details: details.into() }
            })*
        }
    };
}

classes! {
    execution "CommandExecutionError" "Command execution failed" 500 "Anything that has no own class.";
    invalid_command "InvalidCommandError" "Invalid command" 400 "No such command.";
    invalid_params "InvalidCommandParamsError" "Invalid command parameters" 400 "Parameters missing or malformed.";
    not_found "RequestedObjectNotFoundError" "Not found" 404 "No such extension or result.";
    busy "AgentIsBusy" "Agent is busy" 409 "Another command runs.";
    download "ImageDownloadError" "Error downloading image" 500 "The image server is at fault.";
    checksum "ImageChecksumError" "Error verifying image checksum" 500 "The image is not what was promised.";
    write "ImageWriteError" "Error writing image to device" 500 "The disk is at fault.";
    invalid_image "InvalidImage" "The provided image is not valid for use" 500 "The image cannot be used.";
    no_device "DeviceNotFound" "Error finding the disk or partition device to deploy the image onto" 404 "No disk suits.";
    erase "BlockDeviceEraseError" "Error erasing block device" 500 "A disk could not be erased.";
    cleaning "CleaningError" "Clean step failed" 500 "A clean step failed.";
    deployment "DeploymentError" "Deploy step failed" 500 "A deploy step failed.";
    servicing "ServicingError" "Service step failed" 500 "A service step failed.";
    version_mismatch "VersionMismatch" "Hardware managers version mismatch, reload agent with correct version" 409
        "Steps were listed by another version of the agent.";
}

impl Fault {
    /// The HTTP status where the fault is answered directly.
    pub fn code(&self) -> u16 {
        self.class.2
    }

    /// Whether the caller made a mistake that is answered directly and not recorded as a failed command.
    pub fn is_refusal(&self) -> bool {
        matches!(self.class.0, "InvalidCommandError" | "InvalidCommandParamsError" | "AgentIsBusy")
            || self.class.0 == "RequestedObjectNotFoundError"
    }

    /// Whether the command ends as `CLEAN_VERSION_MISMATCH`.
    pub fn is_version_mismatch(&self) -> bool {
        self.class.0 == "VersionMismatch"
    }

    /// The error as it goes over the wire.
    pub fn to_wire(&self) -> CommandError {
        CommandError {
            kind: self.class.0.to_owned(),
            code: self.class.2,
            message: self.class.1.to_owned(),
            details: self.details.clone(),
        }
    }
}

impl From<disk::Error> for Fault {
    fn from(error: disk::Error) -> Self {
        use disk::Error as E;
        let text = error.to_string();
        match error {
            E::Checksum { .. } | E::ChecksumText { .. } => Self::checksum(text),
            E::Truncated { .. } | E::Changed { .. } | E::Source { .. } => Self::download(text),
            E::Disk { .. } | E::ReadBack { .. } => Self::write(text),
            E::Image { .. } | E::TooLarge { .. } | E::PartitionTable { .. } => Self::invalid_image(text),
            E::ConfigDrive { .. } => Self::invalid_params(text),
        }
    }
}
