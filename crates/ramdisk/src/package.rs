//! Getting at a kernel package's files.

use crate::{Error, KernelSource, file_error};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A meta-package leads to the kernel in so many steps.
const MOST_STEPS: usize = 3;

/// An unpacked package; what was unpacked for it goes with it.
pub(crate) enum Unpacked {
    /// Somebody else's.
    Given(PathBuf),
    /// Ours.
    Temporary(tempfile::TempDir),
}

impl Unpacked {
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

/// Fetches and unpacks what is needed.
pub(crate) fn unpack(source: &KernelSource) -> Result<Unpacked, Error> {
    match source {
        KernelSource::Tree(path) => Ok(Unpacked::Given(path.clone())),
        KernelSource::Deb(path) => extract(path),
        KernelSource::Package(name) => {
            let downloads = temporary()?;
            let mut name = name.clone();
            for _ in 0..MOST_STEPS {
                let deb = download(&name, downloads.path())?;
                match kernel_dependency(&deb)? {
                    None => return extract(&deb),
                    Some(next) => name = next,
                }
            }
            Err(Error::Kernel {
                path: PathBuf::from(name),
                problem: "packages lead to packages and to no kernel".to_owned(),
                remedy: "name the package of the kernel itself",
            })
        }
    }
}

fn temporary() -> Result<tempfile::TempDir, Error> {
    let directory = std::env::temp_dir();
    tempfile::Builder::new()
        .prefix("billet-ramdisk-")
        .tempdir()
        .map_err(file_error("making a directory in", &directory))
}

fn extract(deb: &Path) -> Result<Unpacked, Error> {
    let directory = temporary()?;
    let mut command = Command::new("dpkg-deb");
    command.arg("-x").arg(deb).arg(directory.path());
    run(command, "is it a Debian package, and is there room in the temporary directory?")?;
    Ok(Unpacked::Temporary(directory))
}

fn download(name: &str, into: &Path) -> Result<PathBuf, Error> {
    let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    if !is_name || name.starts_with('-') {
        return Err(Error::Kernel {
            path: PathBuf::from(name),
            problem: "it is no package's name".to_owned(),
            remedy: "give a name such as linux-image-cloud-amd64",
        });
    }
    let before = debs(into)?;
    let mut command = Command::new("apt-get");
    // Its own user may not write here; the sandbox is only about that.
    command.args(["-q", "-o", "APT::Sandbox::User=root", "download", name]).current_dir(into);
    run(command, "is the package's name right, and `apt-get update` done?")?;
    let new = debs(into)?.into_iter().find(|deb| !before.contains(deb));
    new.ok_or_else(|| Error::Kernel {
        path: PathBuf::from(name),
        problem: "apt-get fetched nothing".to_owned(),
        remedy: "see what `apt-get download` says",
    })
}

fn debs(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(directory).map_err(file_error("reading", directory))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "deb"))
        .collect())
}

/// The kernel that a meta-package stands for; `None` where the package is a kernel.
fn kernel_dependency(deb: &Path) -> Result<Option<String>, Error> {
    let mut command = Command::new("dpkg-deb");
    command.arg("-f").arg(deb).args(["Package", "Depends"]);
    let text = run(command, "is it a Debian package?")?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let names = field("Depends: ").split([',', '|']).filter_map(|part| part.split_whitespace().next());
    let own = field("Package: ").trim();
    // A signed kernel's package names the unsigned one nowhere, and a kernel depends on no other kernel.
    Ok(names.into_iter().find(|name| name.starts_with("linux-image-") && *name != own).map(str::to_owned))
}

fn run(mut command: Command, remedy: &'static str) -> Result<String, Error> {
    let program = format!("{command:?}");
    let failed = |output: String| Error::Program { program: program.clone(), output, remedy };
    let output = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = text.lines().rev().take(3).collect();
        return Err(failed(tail.into_iter().rev().collect::<Vec<_>>().join(" / ")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
