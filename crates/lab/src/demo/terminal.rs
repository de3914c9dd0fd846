//! The terminal of the walk: command lines as a person types them, run by `sh` in a directory that holds the files they name.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::error::{Error, Result};
use crate::process;

/// Whose commands are found first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Today's `openstack`, and 2017's `ironic` and `neutron`, which have no successors of their name.
    Today,
    /// 2017's `openstack` too, with names like `openstack baremetal list`.
    Of2017,
}

/// A shell in which nothing of the caller's environment counts.
#[derive(Debug)]
pub struct Terminal {
    directory: PathBuf,
    /// What has been sourced or exported so far.
    profile: String,
}

impl Terminal {
    /// Opens a terminal in `directory`, with the clients of these virtual environments on its path.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory can't be written.
    pub fn open(directory: &Path, today: &Path, of_2017: &Path) -> Result<Self> {
        for (place, programs) in [
            ("bin", [("openstack", today), ("ironic", of_2017), ("neutron", of_2017)]),
            ("bin-2017", [("openstack", of_2017), ("ironic", of_2017), ("neutron", of_2017)]),
        ] {
            let place = directory.join(place);
            std::fs::create_dir_all(&place).map_err(Error::io("creating", &place))?;
            for (program, environment) in programs {
                let link = place.join(program);
                symlink(environment.join("bin").join(program), &link).map_err(Error::io("linking", &link))?;
            }
        }
        Ok(Self { directory: directory.to_path_buf(), profile: String::new() })
    }

    /// Where its commands run.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts the file at `path` where commands find it by `name`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn put(&self, path: &Path, name: &str) -> Result<()> {
        let link = self.directory.join(name);
        symlink(path, &link).map_err(Error::io("linking", &link))
    }

    /// From now on every line finds what `line` sets: `. ./openrc`, `export OS_CLOUD=…`. What was set before is forgotten.
    pub fn profile(&mut self, line: &str) {
        self.profile = line.to_owned();
    }

    /// The words that set a terminal of one's own up as this one is.
    #[must_use]
    pub fn setup(&self) -> String {
        format!("cd {} && PATH=$PWD/bin:$PATH && {}", self.directory.display(), self.profile)
    }

    /// Runs a line and returns what it printed on standard output.
    ///
    /// # Errors
    /// [`Error::Command`] with the command's own words when it fails; [`Error::Timeout`] after `limit`.
    pub async fn run(&self, clients: Clients, line: &str, limit: Duration) -> Result<String> {
        let programs = match clients {
            Clients::Today => "bin",
            Clients::Of2017 => "bin-2017",
        };
        let set_up = if self.profile.is_empty() { String::new() } else { format!("{} && ", self.profile) };
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{set_up}{line}")]).current_dir(&self.directory).env_clear();
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.directory.join(programs).display());
        command.env("PATH", path).env("HOME", &self.directory).env("LANG", "C.UTF-8");
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = match tokio::time::timeout(limit, command.output()).await {
            Ok(output) => output.map_err(|source| process::spawn_error(command.as_std(), source))?,
            Err(_) => {
                let hint = "the server's log and the machine's console say how far it came".to_string();
                return Err(Error::Timeout { what: format!("`{line}`"), seconds: limit.as_secs(), hint });
            }
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        let output_tail = process::tail(&String::from_utf8_lossy(said));
        Err(Error::Command {
            command: line.to_owned(),
            status: output.status.to_string(),
            output: output_tail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn lines_see_the_profile_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::open(dir.path(), Path::new("/today"), Path::new("/then")).unwrap();
        std::fs::write(dir.path().join("openrc"), "export OS_USERNAME=admin\n").unwrap();
        terminal.profile(". ./openrc");
        let said = terminal.run(Clients::Today, "echo $OS_USERNAME $CARGO_PKG_NAME", LIMIT).await.unwrap();
        assert_eq!(said, "admin\n");
        let said =
            terminal.run(Clients::Of2017, "readlink $(dirname $PWD/bin-2017/x)/openstack", LIMIT).await;
        assert_eq!(said.unwrap(), "/then/bin/openstack\n");
    }

    #[tokio::test]
    async fn a_failed_line_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let terminal = Terminal::open(dir.path(), Path::new("/today"), Path::new("/then")).unwrap();
        let error = terminal.run(Clients::Today, "echo no >&2; exit 3", LIMIT).await.unwrap_err().to_string();
        assert!(error.contains("exit 3") && error.ends_with("no"), "{error}");
    }
}
