//! Builds the deploy ramdisk: Debian's kernel, the modules a machine needs, and the agent as `/init`.
//!
//! No chroot, no root, no shell: a kernel package is unpacked, modules are picked by what their own `.modinfo` says, and a cpio
//! archive is written by hand. The same inputs give the same bytes.

mod cpio;
mod kernel;
mod modinfo;
mod package;
mod selection;

use cpio::Archive;
use kernel::KernelTree;
use selection::{ModuleList, Selection};
use std::io;
use std::path::{Path, PathBuf};

/// Modules for the lab's virtual machines.
const LAB: &str = include_str!("../modules/lab.list");
/// Modules for real servers.
const METAL: &str = include_str!("../modules/metal.list");

/// Where the kernel comes from. Flag `--kernel`: `deb:PATH`, `tree:PATH`, or a package's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelSource {
    /// A package's name, fetched with `apt-get download`; a meta-package is followed to the kernel it depends on.
    Package(String),
    /// A `.deb` file.
    Deb(PathBuf),
    /// An unpacked package, or a running system's root: `boot/vmlinuz-*` and `lib/modules/*`.
    Tree(PathBuf),
}

/// Which modules. Flag `--modules`: `lab`, `metal`, or a file's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modules {
    /// For virtual machines with virtio (`modules/lab.list`).
    Lab,
    /// For real servers (`modules/metal.list`).
    Metal,
    /// A list in a file; `modules/lab.list` says how it is written.
    File(PathBuf),
}

/// How the initramfs is packed. Flag `--compression`: `auto`, `none`, `gzip`, `zstd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// The best that the kernel can unpack.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// What [`build`] is asked for: the flags of `billet ramdisk build`.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// `--kernel`, by default the package `linux-image-cloud-amd64` with `lab`, `linux-image-amd64` with `metal`.
    pub kernel: KernelSource,
    /// `--modules`, by default `lab`.
    pub modules: Modules,
    /// `--agent`: the static agent, by default `billet-agent` beside the running binary.
    pub agent: PathBuf,
    /// `--ca`: PEM file with the CAs of the API and of image servers, `/etc/billet/ca.pem` in the ramdisk.
    pub ca: Option<PathBuf>,
    /// `--compression`.
    pub compression: Compression,
    /// `--output`: directory for `vmlinuz` and `initramfs`; made where it is missing.
    pub output: PathBuf,
}

/// What was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The kernel, `OUTPUT/vmlinuz`.
    pub kernel: PathBuf,
    /// The initramfs, `OUTPUT/initramfs`.
    pub initramfs: PathBuf,
    /// The kernel's release, `6.1.0-56-cloud-amd64`.
    pub kernel_release: String,
    /// Modules in the ramdisk, dependencies included, sorted.
    pub modules: Vec<String>,
    /// Optional modules that this kernel does not have.
    pub left_out: Vec<String>,
    /// How it is packed; never `Auto`.
    pub compression: Compression,
    /// The initramfs' length in bytes.
    pub initramfs_bytes: u64,
    /// Its length unpacked, in bytes.
    pub unpacked_bytes: u64,
}

/// Why nothing was built, by what is to be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{attempt} {}: {source}", path.display())]
    File {
        /// `reading`, `writing` …
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A program failed or is missing.
    #[error("{program} failed: {output}; {remedy}")]
    Program {
        /// The program with its arguments.
        program: String,
        /// The end of what it said.
        output: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The kernel is not there, or not what it should be.
    #[error("{}: {problem}; {remedy}", path.display())]
    Kernel {
        /// Where it was looked for.
        path: PathBuf,
        /// What was found.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The list asks for modules that this kernel does not have.
    #[error(
        "kernel {release} has no module {}; take another kernel package, or mark them optional in the list",
        names.join(", ")
    )]
    MissingModules {
        /// The kernel.
        release: String,
        /// The modules.
        names: Vec<String>,
    },
    /// A line of the list cannot be read.
    #[error("module list, line {line}: {text:?} is not a module's name followed by `load` or `optional`")]
    List {
        /// Its number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// The agent would not run as PID 1.
    #[error("{}: {problem}; build it static: see `make agent`", path.display())]
    Agent {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

pub(crate) fn file_error(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { attempt, path, source }
}

/// Builds kernel and initramfs. Writes both under other names first, so that a half-written one is never booted. Errors: see
/// [`Error`].
pub fn build(options: &BuildOptions) -> Result<Built, Error> {
    let list = match &options.modules {
        Modules::Lab => ModuleList::parse(LAB)?,
        Modules::Metal => ModuleList::parse(METAL)?,
        Modules::File(path) => {
            ModuleList::parse(&std::fs::read_to_string(path).map_err(file_error("reading", path))?)?
        }
    };
    let agent = read_agent(&options.agent)?;
    let unpacked = package::unpack(&options.kernel)?;
    let tree = KernelTree::open(unpacked.root())?;
    let selection = Selection::choose(&tree, &list)?;

    let mut archive = Archive::default();
    for directory in ["dev", "proc", "sys", "run", "tmp", "root"] {
        archive.directory(directory);
    }
    archive.device("dev/console", 5, 1);
    archive.file("init", 0o755, agent);
    archive.file("etc/billet/modules", 0o644, selection.table().into_bytes());
    for module in &selection.modules {
        let path = tree.root.join(&module.path);
        archive.file(&module.path, 0o644, std::fs::read(&path).map_err(file_error("reading", &path))?);
    }
    if let Some(ca) = &options.ca {
        archive.file("etc/billet/ca.pem", 0o644, std::fs::read(ca).map_err(file_error("reading", ca))?);
    }
    let unpacked_image = archive.finish();
    let compression = match options.compression {
        Compression::Auto => tree.best_compression(),
        other => other,
    };
    let initramfs = cpio::compress(&unpacked_image, compression);
    let kernel = std::fs::read(&tree.image).map_err(file_error("reading", &tree.image))?;
    std::fs::create_dir_all(&options.output).map_err(file_error("making", &options.output))?;
    Ok(Built {
        kernel: write(&options.output, "vmlinuz", &kernel)?,
        initramfs: write(&options.output, "initramfs", &initramfs)?,
        kernel_release: tree.release,
        modules: selection.modules.into_iter().map(|module| module.name).collect(),
        left_out: selection.left_out,
        compression,
        initramfs_bytes: initramfs.len() as u64,
        unpacked_bytes: unpacked_image.len() as u64,
    })
}

fn write(directory: &Path, name: &str, content: &[u8]) -> Result<PathBuf, Error> {
    let path = directory.join(name);
    let mut file =
        tempfile::NamedTempFile::new_in(directory).map_err(file_error("writing into", directory))?;
    io::Write::write_all(&mut file, content).map_err(file_error("writing", &path))?;
    // Temporary files are private; these are served.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(permissions).map_err(file_error("writing", &path))?;
    file.persist(&path).map_err(|error| file_error("writing", &path)(error.error))?;
    Ok(path)
}

/// The agent's bytes, if it is a static ELF program: there is no dynamic linker in the ramdisk.
fn read_agent(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(path).map_err(file_error("reading", path))?;
    match modinfo::has_interpreter(&bytes) {
        Some(false) => Ok(bytes),
        Some(true) => Err(Error::Agent { path: path.to_owned(), problem: "it is linked dynamically" }),
        None => {
            Err(Error::Agent { path: path.to_owned(), problem: "it is no 64-bit little-endian ELF program" })
        }
    }
}

#[cfg(test)]
mod tests;
