//! `billet ramdisk build`: the words of the command line for what the `ramdisk` crate does.

use crate::serve::default_state_dir;
use anyhow::{Context, Result};
use ramdisk::{BuildOptions, Compression, KernelSource, Modules};
use std::path::PathBuf;

/// Subcommands of `billet ramdisk`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make kernel and initramfs from a Debian kernel package and the agent. Needs no root and no chroot; the same inputs give
    /// the same bytes.
    Build(Build),
}

/// Arguments of `billet ramdisk build`; all optional.
#[derive(clap::Args)]
pub struct Build {
    /// deb:PATH, tree:PATH, or the name of a Debian package [default: linux-image-amd64, with --modules lab
    /// linux-image-cloud-amd64].
    #[arg(long, value_name = "SOURCE")]
    kernel: Option<String>,
    /// Modules in the ramdisk: metal (real servers), lab (virtual ones), or a file with one name a line.
    #[arg(long, value_name = "LIST", default_value = "metal")]
    modules: String,
    /// The static agent [default: billet-agent beside this program].
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// PEM file with the CAs of the API and of image servers.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How the initramfs is packed.
    #[arg(long, value_enum, default_value_t = Packing::Auto)]
    compression: Packing,
    /// Directory for vmlinuz and initramfs [default: where `billet serve` looks for them].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Packing {
    /// The best that the kernel can unpack.
    Auto,
    /// Not at all.
    None,
    Gzip,
    Zstd,
}

/// Carries the command out and prints what was made.
pub fn main(command: Command) -> Result<()> {
    let Command::Build(build) = command;
    let (modules, package) = match build.modules.as_str() {
        "lab" => (Modules::Lab, "linux-image-cloud-amd64"),
        "metal" => (Modules::Metal, "linux-image-amd64"),
        path => (Modules::File(path.into()), "linux-image-amd64"),
    };
    let kernel = match build.kernel.as_deref() {
        None => KernelSource::Package(package.to_owned()),
        Some(source) => match source.split_once(':') {
            Some(("deb", path)) => KernelSource::Deb(path.into()),
            Some(("tree", path)) => KernelSource::Tree(path.into()),
            _ => KernelSource::Package(source.to_owned()),
        },
    };
    let agent = match build.agent {
        Some(path) => path,
        None => std::env::current_exe().context("where this program is")?.with_file_name("billet-agent"),
    };
    let output = match build.output {
        Some(path) => path,
        None => default_state_dir()?.join("ramdisk"),
    };
    let compression = match build.compression {
        Packing::Auto => Compression::Auto,
        Packing::None => Compression::None,
        Packing::Gzip => Compression::Gzip,
        Packing::Zstd => Compression::Zstd,
    };
    let built = ramdisk::build(&BuildOptions { kernel, modules, agent, ca: build.ca, compression, output })?;
    println!("{}: kernel {}", built.kernel.display(), built.kernel_release);
    println!(
        "{}: {:.1} MB ({:.1} MB unpacked), {} modules",
        built.initramfs.display(),
        megabytes(built.initramfs_bytes),
        megabytes(built.unpacked_bytes),
        built.modules.len()
    );
    if !built.left_out.is_empty() {
        println!("this kernel does not have: {}", built.left_out.join(", "));
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
