//! PID 1 of the ramdisk: mounts, modules, network, and then the agent, which is run again whatever happens to it.

mod modules;
mod mounts;
mod power;

use crate::bell::pause;
use crate::machine::Machine;
use crate::options::Options;
use crate::run::{Agent, Ending, run};
use crate::say;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use modules::Modules;

/// After so many failures in a row the machine is rebooted: something is wrong that a new start may mend.
const MOST_FAILURES: u32 = 5;
const REBOOT_DELAY: Duration = Duration::from_secs(30);

/// Does all of it and never returns: PID 1 that ends is a kernel panic.
pub fn main() -> ! {
    report_panics();
    let ending = catch_unwind(boot).unwrap_or(Ending::Reboot);
    loop {
        match ending {
            Ending::PowerOff => power::off(),
            Ending::Reboot => {
                say!("reboot in {} s", REBOOT_DELAY.as_secs());
                pause(REBOOT_DELAY);
                power::reboot();
            }
            Ending::RebootNow => power::reboot(),
            Ending::Lockdown => lock_down(),
        }
        // Neither call returns on a machine that obeys.
        say!("the kernel refused; waiting for the BMC");
        pause(Duration::from_secs(60));
    }
}

/// A panic of any thread is one line on the console.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
        let text = info.payload().downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| info.payload().downcast_ref::<String>().cloned()).unwrap_or_default();
        say!("internal error at {place}: {text}");
    }));
}

fn boot() -> Ending {
    say!("version {}", env!("CARGO_PKG_VERSION"));
    mounts::mount_all();
    let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let options = Options::parse(command_line.split_whitespace());
    let machine = Machine::new(options.root.clone(), None);
    let modules = Modules::read(Path::new("/"));
    modules.load();
    mounts::mount_efi_variables();
    crate::network::configure(&options, &machine);
    wait_for_random_numbers();
    let agent = match Agent::new(options, machine) {
        Ok(agent) => agent,
        Err(error) => {
            say!("cannot start: {error}");
            return Ending::Reboot;
        }
    };
    supervise(&agent)
}

/// Waits until the kernel has random numbers fit for keys; says so where it takes long, since nothing else would.
fn wait_for_random_numbers() {
    let mut byte = [0u8];
    for attempt in 0u32.. {
        // SAFETY: a buffer of one byte.
        let got = unsafe { libc::getrandom(byte.as_mut_ptr().cast(), 1, libc::GRND_NONBLOCK) };
        let is_waiting = got < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN);
        if !is_waiting {
            return;
        }
        if attempt == 30 {
            say!(
                "waiting for the kernel's random numbers: this CPU has no RDRAND (virtual machine: add a virtio-rng device)"
            );
        }
        pause(Duration::from_millis(100));
    }
}

/// Runs the agent until it says how the machine shall end.
pub fn supervise(agent: &Arc<Agent>) -> Ending {
    let mut failures = 0;
    loop {
        match catch_unwind(AssertUnwindSafe(|| run(agent))) {
            Ok(Ok(ending)) => return ending,
            Ok(Err(error)) => say!("{error}"),
            Err(_) => {}
        }
        failures += 1;
        if failures == MOST_FAILURES {
            return Ending::Reboot;
        }
        pause(Duration::from_secs(5));
    }
}

/// Interfaces down, and nothing more: someone else holds this machine's token.
fn lock_down() -> ! {
    say!("locked down");
    let names = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        if let Err(error) = crate::network::set_link_down(&name) {
            say!("{name}: {error}");
        }
    }
    loop {
        pause(Duration::from_secs(3600));
    }
}
