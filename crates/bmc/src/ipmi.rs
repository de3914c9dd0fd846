//! IPMI 2.0 over LAN.
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | Ironic's `driver_info` keys, checked |
//! | [`limits`] | how long and how often |
//! | `client` | [`IpmiBmc`]: the commands, one at a time |
//! | `login` | capabilities, choice of the cipher suite, handshake |
//! | `dialog` | one datagram out, one answer in, with repetitions and a deadline |
//! | `quirk` | vendors' oddities, as data |

mod client;
mod dialog;
pub mod limits;
mod login;
mod quirk;
pub mod settings;

pub use client::IpmiBmc;
pub use limits::Limits;
pub use settings::{Settings, SettingsError};
