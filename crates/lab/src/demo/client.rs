//! Today's `openstack` client, in a virtual environment of the cache.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::error::{Error, Result};
use crate::image;
use crate::process;

/// What is installed, all versions pinned.
const REQUIREMENTS: &str = include_str!("../../assets/client/requirements.txt");

fn directory() -> Result<PathBuf> {
    let key: String = Sha256::digest(REQUIREMENTS).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(image::cache_dir()?.join(format!("client-{key}")))
}

/// The virtual environment, if it is in the cache.
pub(super) fn find() -> Result<Option<PathBuf>> {
    let dir = directory()?;
    Ok(dir.join("ready").exists().then_some(dir))
}

/// Makes the virtual environment, or finds it in the cache, and returns its path. Blocking.
pub(super) fn install() -> Result<PathBuf> {
    let dir = directory()?;
    let ready = dir.join("ready");
    let _lock = image::lock(&image::cache_dir()?)?;
    if ready.exists() {
        return Ok(dir);
    }
    // A half-made one of an interrupted run; a virtual environment holds its own path, so that it is made in place.
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(Error::io("removing", &dir))?;
    }
    process::output(std::process::Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
    let list = dir.join("requirements.txt");
    std::fs::write(&list, REQUIREMENTS).map_err(Error::io("writing", &list))?;
    let mut pip = std::process::Command::new(dir.join("bin/pip"));
    process::output(
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&list),
    )?;
    std::fs::write(&ready, "").map_err(Error::io("writing", &ready))?;
    Ok(dir)
}

/// Calls the client, and the API itself where a look at a node's state is all that is wanted.
#[derive(Debug, Clone)]
pub struct Client {
    program: PathBuf,
    endpoint: String,
}

impl Client {
    /// The client of a virtual environment, for an API without authentication.
    #[must_use]
    pub fn new(environment: &Path, endpoint: &str) -> Self {
        Self { program: environment.join("bin/openstack"), endpoint: endpoint.to_string() }
    }

    /// Runs `openstack baremetal ARGUMENTS` and returns what it printed.
    ///
    /// # Errors
    /// [`Error::Command`] with the client's own words when it fails; [`Error::Timeout`] after `limit`.
    pub async fn run(&self, arguments: &[&str], limit: Duration) -> Result<String> {
        let mut command = Command::new(&self.program);
        command
            .args(["--os-auth-type", "none", "--os-endpoint", &self.endpoint, "baremetal"])
            .args(arguments);
        // Nothing of the caller's environment may change what the story shows.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OS_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        let shown = format!("openstack baremetal {}", arguments.join(" "));
        let output = match tokio::time::timeout(limit, command.output()).await {
            Ok(output) => output.map_err(|source| process::spawn_error(command.as_std(), source))?,
            Err(_) => {
                let hint = "the server's log and the machine's console say how far it came".to_string();
                return Err(Error::Timeout { what: format!("`{shown}`"), seconds: limit.as_secs(), hint });
            }
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = process::tail(&String::from_utf8_lossy(&output.stderr));
        Err(Error::Command { command: shown, status: output.status.to_string(), output: said })
    }

    /// As [`Client::run`] with `-f json`, parsed.
    ///
    /// # Errors
    /// As [`Client::run`]; [`Error::Invalid`] when the answer is no JSON.
    pub async fn json(&self, arguments: &[&str], limit: Duration) -> Result<Value> {
        let text = self.run(&[arguments, &["-f", "json"]].concat(), limit).await?;
        serde_json::from_str(&text).map_err(|error| {
            Error::Invalid(format!("openstack baremetal {}: {error}: {text}", arguments.join(" ")))
        })
    }

    /// `GET PATH` on the API, as a JSON document.
    ///
    /// # Errors
    /// [`Error::Io`] when the server can't be reached, [`Error::Invalid`] for another status than 200 or a body that is no JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = super::server::get(&self.endpoint, path).await?;
        if status != 200 {
            return Err(Error::Invalid(format!(
                "GET {path}: {status}: {}",
                process::tail(&String::from_utf8_lossy(&body))
            )));
        }
        serde_json::from_slice(&body).map_err(|error| Error::Invalid(format!("GET {path}: {error}")))
    }
}
