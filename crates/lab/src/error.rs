//! What goes wrong in a lab, grouped by what the reader can do about it.

use std::path::{Path, PathBuf};

/// Result of the lab's own functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure in the lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused what a rack needs; run as root, outside a restricted container.
    #[error(
        "{what} was refused ({source}); a rack needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, and /dev/net/tun"
    )]
    Privilege {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: nix::Error,
    },
    /// A program or file of the host's is missing; install the package.
    #[error("{what} is missing; install it with: apt-get install {package}")]
    Missing {
        /// The program or file.
        what: String,
        /// The Debian package that has it.
        package: String,
    },
    /// A program ran and failed; its own words are in `output`.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command line.
        command: String,
        /// Exit status or signal.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A file or socket operation failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "reading", "creating".
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Something did not happen within its limit.
    #[error("{what}: nothing after {seconds} s; {hint}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// The limit, in seconds.
        seconds: u64,
        /// Where to look next.
        hint: String,
    },
    /// The request does not fit the lab or the machine; change it.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// Wraps an I/O error with what was tried and where: `.map_err(Error::io("reading", path))`.
    pub fn io(what: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}
