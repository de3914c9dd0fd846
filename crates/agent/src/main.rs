//! `billet-agent`: PID 1 of the ramdisk, or a normal process that takes the kernel's words as arguments.

use agent::machine::Machine;
use agent::{Agent, Ending, Options, init};
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() == 1 {
        init::main();
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--version") {
        println!("billet-agent {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let options = Options::parse(words.iter().map(String::as_str));
    // Outside of a ramdisk a real disk is only touched when it was named.
    let Some(disks) = options.disks.clone() else {
        eprintln!(
            "usage: billet-agent ipa-api-url=URL billet-disks=FILE,... [ipa-listen-port=PORT] [other ipa-* words]\n\
             As PID 1 it reads the kernel's command line instead."
        );
        return ExitCode::from(2);
    };
    init::report_panics();
    let machine = Machine::new(options.root.clone(), Some(disks));
    let agent = match Agent::new(options, machine) {
        Ok(agent) => agent,
        Err(error) => {
            eprintln!("billet-agent: {error}");
            return ExitCode::FAILURE;
        }
    };
    match init::supervise(&agent) {
        Ending::PowerOff | Ending::RebootNow => ExitCode::SUCCESS,
        Ending::Reboot | Ending::Lockdown => ExitCode::FAILURE,
    }
}
