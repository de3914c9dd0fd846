//! The tenant's way in: a key pair, and `ssh` with it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::screen::Step;
use crate::error::{Error, Result};
use crate::process;
use crate::qemu::Machine;

/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(500);
/// One try's longest time.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// The tenant's key pair.
#[derive(Debug, Clone)]
pub struct Key {
    path: PathBuf,
    public: String,
}

impl Key {
    /// Makes an Ed25519 key in `dir`.
    ///
    /// # Errors
    /// [`Error::Missing`] without ssh-keygen, [`Error::Io`].
    pub fn make(dir: &Path) -> Result<Self> {
        let path = dir.join("tenant-key");
        if !path.exists() {
            let mut keygen = std::process::Command::new("ssh-keygen");
            process::output(keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "tenant", "-f"]).arg(&path))?;
        }
        let file = path.with_extension("pub");
        let public = std::fs::read_to_string(&file).map_err(Error::io("reading", &file))?.trim().to_string();
        Ok(Self { path, public })
    }

    /// The private key's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The public key, one line.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }
}

/// Who logs in where.
#[derive(Debug, Clone)]
pub struct Login {
    /// The private key's file.
    pub key: PathBuf,
    /// The user on the machine.
    pub user: String,
    /// The machine's address.
    pub address: Ipv4Addr,
}

impl Login {
    /// One command by ssh.
    ///
    /// # Errors
    /// [`Error::Command`] when the machine does not answer, refuses the key, or the command fails there.
    pub async fn run(&self, command: &str) -> Result<String> {
        let mut ssh = Command::new("ssh");
        ssh.arg("-i").arg(&self.key);
        // A machine that was made a minute ago has a host key that nobody knows.
        for option in [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "BatchMode=yes",
            "ConnectTimeout=5",
            "IdentitiesOnly=yes",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.arg(format!("{}@{}", self.user, self.address)).arg(command);
        ssh.stdin(std::process::Stdio::null()).kill_on_drop(true);
        let output = match tokio::time::timeout(TRY_LIMIT, ssh.output()).await {
            Ok(output) => output.map_err(|source| process::spawn_error(ssh.as_std(), source))?,
            Err(_) => {
                let output = format!("connected, but no answer within {} s", TRY_LIMIT.as_secs());
                return Err(Error::Command {
                    command: process::display(ssh.as_std()),
                    status: "killed".into(),
                    output,
                });
            }
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = process::tail(&String::from_utf8_lossy(&output.stderr));
        Err(Error::Command {
            command: process::display(ssh.as_std()),
            status: output.status.to_string(),
            output: said,
        })
    }

    /// Runs `command` again and again until it succeeds and `is_enough` likes its output.
    ///
    /// # Errors
    /// [`Error::Timeout`] after `limit`, with the last answer and the end of the machine's console.
    pub async fn until(
        &self,
        machine: &Machine,
        step: &Step,
        limit: Duration,
        command: &str,
        is_enough: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut pause = tokio::time::interval(TRY_EVERY);
        loop {
            pause.tick().await;
            let said = match self.run(command).await {
                Ok(said) if is_enough(&said) => return Ok(said),
                Ok(said) => said,
                Err(Error::Command { output, .. }) => output,
                Err(error) => return Err(error),
            };
            step.progress(said.lines().last().unwrap_or("no answer yet"));
            if tokio::time::Instant::now() > deadline {
                let what = format!("`{command}` by ssh on {}", self.address);
                let hint = format!("last answer: {said}; its console:\n{}", machine.console().tail().await);
                return Err(Error::Timeout { what, seconds: limit.as_secs(), hint });
            }
        }
    }
}
