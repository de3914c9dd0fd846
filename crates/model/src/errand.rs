//! What a user asked of a machine that is carried out behind the answer: the API writes it into the node, the conductor does it
//! once nothing else holds the node. One at a time.

use crate::node::Object;
use serde::{Deserialize, Serialize};

/// A wish for the hardware.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errand {
    /// What to do.
    pub deed: Deed,
    /// It was begun. A conductor that finds this set died over it, and must not repeat what can't be repeated.
    #[serde(default)]
    pub begun: bool,
    /// Who asked, for the history.
    #[serde(default)]
    pub user: Option<String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Boot in this mode from now on: `bios` or `uefi`.
    BootMode(String),
    /// Switch secure boot on or off.
    SecureBoot(bool),
    /// Start or stop the console.
    Console(bool),
    /// Insert an image into a virtual drive.
    AttachMedia {
        /// `disk`, `cdrom`, `floppy`.
        device_type: String,
        /// Where the image is.
        image_url: String,
        /// Who serves it to the BMC: `http`, `local`, `swift`.
        download_source: String,
    },
    /// Empty these virtual drives; none: all of them.
    DetachMedia(Option<Vec<String>>),
    /// Call a method of the vendor interface.
    Passthru {
        /// Method.
        method: String,
        /// Its arguments.
        arguments: Object,
    },
}

impl Deed {
    /// May it be done again without knowing whether it was done already?
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Deed::Passthru { .. })
    }

    /// Short name for the event log.
    pub fn name(&self) -> String {
        match self {
            Deed::BootMode(mode) => format!("boot mode {mode}"),
            Deed::SecureBoot(on) => format!("secure boot {}", if *on { "on" } else { "off" }),
            Deed::Console(on) => format!("console {}", if *on { "on" } else { "off" }),
            Deed::AttachMedia { device_type, .. } => format!("attach {device_type}"),
            Deed::DetachMedia(_) => "detach virtual media".to_owned(),
            Deed::Passthru { method, .. } => format!("vendor.{method}"),
        }
    }
}
