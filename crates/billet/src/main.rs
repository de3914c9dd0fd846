//! `billet`: the bare-metal cloud in one binary.

mod bootstrap;
mod configuration;
mod database;
mod listener;
mod machine_side;
mod metadata;
mod password;
mod patient;
mod ramdisk_command;
mod roles;
mod serve;
mod tls;
mod traces;
mod why;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A node is a hundred small pieces of memory, and each request takes several nodes apart.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A bare-metal cloud in one binary.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, move machines, and boot them over the network.
    Serve(serve::Arguments),
    /// Make the ramdisk that cleans machines and writes images.
    #[command(subcommand)]
    Ramdisk(ramdisk_command::Command),
    /// Look after the database: bring it up to date, check it, move it to another.
    Db(database::Arguments),
    /// Give a user a new password: the way back where nobody knows the operator's any more.
    Password(password::Arguments),
    /// Tell what happened to a node and what it waits for.
    Why(why::Arguments),
}

fn main() -> ExitCode {
    // The one TLS provider, for every client that is made without naming one. A second install can't happen here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match Cli::parse().command {
        Command::Serve(arguments) => serve::main(arguments),
        Command::Ramdisk(command) => ramdisk_command::main(command),
        Command::Db(arguments) => database::main(arguments),
        Command::Password(arguments) => password::main(arguments),
        Command::Why(arguments) => why::main(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("billet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
