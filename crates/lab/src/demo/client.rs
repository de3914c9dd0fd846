//! The clients, today's and 2017's, in virtual environments of the cache.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::watch::Api;
use crate::error::{Error, Result};
use crate::image;
use crate::process;

/// Today's, all versions pinned.
pub(super) const TODAY: &str = include_str!("../../assets/client/requirements.txt");
/// Those of 2017: what is said there about the versions matters.
pub(super) const OF_2017: &str = include_str!("../../assets/client/requirements-2017.txt");

fn directory(requirements: &str) -> Result<PathBuf> {
    let key: String = Sha256::digest(requirements).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(image::cache_dir()?.join(format!("client-{key}")))
}

/// The virtual environment with these requirements, if it is in the cache.
pub(super) fn find(requirements: &str) -> Result<Option<PathBuf>> {
    let dir = directory(requirements)?;
    Ok(dir.join("ready").exists().then_some(dir))
}

/// Makes the virtual environment, or finds it in the cache, and returns its path. Blocking.
pub(super) fn install(requirements: &str) -> Result<PathBuf> {
    let dir = directory(requirements)?;
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
    std::fs::write(&list, requirements).map_err(Error::io("writing", &list))?;
    let mut pip = std::process::Command::new(dir.join("bin/pip"));
    process::output(
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&list),
    )?;
    std::fs::write(&ready, "").map_err(Error::io("writing", &ready))?;
    Ok(dir)
}

/// Calls today's client, for an API without authentication.
#[derive(Debug, Clone)]
pub struct Client {
    program: PathBuf,
    endpoint: String,
    api: Api,
}

impl Client {
    /// The client of a virtual environment, for an API without authentication.
    #[must_use]
    pub fn new(environment: &Path, endpoint: &str) -> Self {
        let api = Api::new(endpoint, None);
        Self { program: environment.join("bin/openstack"), endpoint: endpoint.to_string(), api }
    }

    /// The API that it speaks to.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
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
}
