//! Machines made of QEMU.
//!
//! One boot is one QEMU process: power on starts it, power off kills it, and a reset, the BMC's or the guest's own (`-action
//! reboot=shutdown`), ends it and starts the next. This makes "the next boot" an exact thing: the boot order is on the command line, and
//! one-shot boot flags are used up by precisely one process. (Within one QEMU process SeaBIOS answers a reset with further resets of its
//! own, so that counting RESET events would use flags up too early.)

mod arguments;
mod console;
mod machine;
mod qmp;

pub use arguments::{BootOrder, Disk, DiskBus, Firmware, MachineConfig};
pub use console::Console;
pub use machine::Machine;
pub use qmp::{Event, Qmp, QmpError};
