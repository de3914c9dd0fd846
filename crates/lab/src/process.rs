//! Running the host's programs: no shell, output kept for the error, missing ones named with their package.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// How much of a failed command's output an error shows, in bytes.
const OUTPUT_TAIL: usize = 2000;

/// Programs the lab calls and the Debian packages that have them.
const PACKAGES: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("debootstrap", "debootstrap"),
    ("mcopy", "mtools"),
    ("mmd", "mtools"),
    ("mkfs.vfat", "dosfstools"),
    ("mkfs.ext4", "e2fsprogs"),
    ("sfdisk", "fdisk"),
    ("grub-mkimage", "grub-common grub-pc-bin grub-efi-amd64-bin"),
    ("apt-get", "apt"),
    ("apt-cache", "apt"),
    ("dpkg-deb", "dpkg"),
    ("chroot", "coreutils"),
    ("cp", "coreutils"),
    ("cpio", "cpio"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("genisoimage", "genisoimage"),
    ("zstd", "zstd"),
    ("python3", "python3 python3-venv"),
    ("ipmitool", "ipmitool"),
    ("mariadbd", "mariadb-server"),
    ("mariadb-install-db", "mariadb-server"),
    ("mariadb", "mariadb-client"),
];

/// Where a program is: on the path, or among those for administrators, which not every user has on it.
///
/// # Errors
/// [`Error::Missing`] with its package.
pub fn find(program: &str) -> Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&on_path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let mut files = places.map(|place| place.join(program));
    files.find(|file| file.is_file()).ok_or_else(|| {
        spawn_error(&Command::new(program), std::io::Error::from(std::io::ErrorKind::NotFound))
    })
}

/// Runs `command` to its end and returns what it printed on standard output.
///
/// # Errors
/// [`Error::Missing`] when the program is not installed, [`Error::Command`] when it exits non-zero.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    feed(command, b"")
}

/// As [`output`], with `input` on the program's standard input. The input must be small (it is written before output is read).
///
/// # Errors
/// As [`output`].
pub fn feed(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| spawn_error(command, source))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that dies early closes the pipe; its exit status below says why.
        let _ = pipe.write_all(input);
    }
    let done = child.wait_with_output().map_err(Error::io("waiting for", command.get_program()))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let text = if done.stderr.is_empty() { done.stdout } else { done.stderr };
    Err(Error::Command {
        command: display(command),
        status: done.status.to_string(),
        output: tail(&String::from_utf8_lossy(&text)),
    })
}

/// The error for a program that could not be started: the package to install if the program is not there.
#[must_use]
pub fn spawn_error(command: &Command, source: std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    if source.kind() == std::io::ErrorKind::NotFound {
        let package =
            PACKAGES.iter().find(|(name, _)| *name == program).map_or("(unknown)", |(_, package)| package);
        return Error::Missing { what: format!("the program `{program}`"), package: package.to_string() };
    }
    Error::Io { what: "starting", path: program.into(), source }
}

/// The command as a person would type it, quoting left out.
#[must_use]
pub fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The last part of a program's output, trimmed.
#[must_use]
pub fn tail(text: &str) -> String {
    let text = text.trim();
    let mut start = text.len().saturating_sub(OUTPUT_TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_package() {
        let command = Command::new("debootstrap");
        let error = spawn_error(&command, std::io::Error::from(std::io::ErrorKind::NotFound));
        assert!(error.to_string().contains("apt-get install debootstrap"), "{error}");
    }

    #[test]
    fn a_program_is_found_or_its_package_named() {
        assert!(find("cat").unwrap().ends_with("cat"));
        let error = find("no-such-program").unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
    }

    #[test]
    fn a_failing_program_is_quoted() {
        let error = output(Command::new("ls").arg("/nonexistent/lab")).unwrap_err().to_string();
        assert!(error.contains("ls /nonexistent/lab") && error.contains("No such file"), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(feed(&mut Command::new("cat"), b"rack").unwrap(), b"rack");
    }
}
