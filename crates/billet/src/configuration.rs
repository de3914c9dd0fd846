//! The configuration file: TOML, every key optional, unknown keys refused.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who may use the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Everybody who can reach it; hence on a loopback address only.
    None,
    /// Users of an htpasswd file.
    Basic,
}

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// `[api]`
    pub api: Api,
    /// `[conductor]`
    pub conductor: Conductor,
    /// `[netboot]`
    pub netboot: Netboot,
    /// Where the database and the keys are kept.
    pub state_dir: Option<PathBuf>,
}

/// `[api]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Address and port.
    pub listen: Option<SocketAddr>,
    /// Who may use it.
    pub auth: Option<Auth>,
    /// For `auth = "basic"`: lines of `user:bcrypt-hash`, as `htpasswd -B` writes them.
    pub htpasswd: Option<PathBuf>,
    /// Serve without authentication on an address that is not loopback.
    pub open_to_the_network: bool,
    /// Hardware types that nodes may use.
    pub enabled_hardware_types: Option<Vec<String>>,
}

/// `[conductor]`; times in seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conductor {
    /// Name shown as `conductor` and `reservation`; the host's name by default.
    pub hostname: Option<String>,
    /// Clean on `provide` and after `deleted`.
    pub automated_clean: Option<bool>,
    /// How long a wait state may last.
    pub callback_timeout: Option<u64>,
    /// Start the machine again when it has not fetched the ramdisk for so long.
    pub boot_retry: Option<u64>,
    /// Start the machine again when it has fetched the ramdisk and not called for so long.
    pub boot_retry_after_fetch: Option<u64>,
    /// Boots within one callback timeout.
    pub boot_attempts: Option<u32>,
    /// How long a BMC or an agent may fail before the work fails.
    pub bmc_patience: Option<u64>,
    /// Kernel parameters of the ramdisk.
    pub kernel_append_params: Option<String>,
    /// Directory with `vmlinuz` and `initramfs`; `ramdisk` in the state directory by default.
    pub ramdisk_dir: Option<PathBuf>,
    /// Firmware mode of nodes whose capabilities name none: `uefi` or `bios`.
    pub default_boot_mode: Option<String>,
    /// Refuse agents that serve without TLS.
    pub require_agent_tls: Option<bool>,
}

/// `[netboot]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Netboot {
    /// Off: something else boots the machines.
    pub enabled: Option<bool>,
    /// Interfaces to serve; all that have an IPv4 address by default.
    pub interfaces: Option<Vec<String>>,
    /// Port of the HTTP listener for machines.
    pub http_port: Option<u16>,
    /// Directory with undionly.kpxe and snponly.efi.
    pub programs: Option<PathBuf>,
}

impl File {
    /// Reads a file; the error names the file, the line and what is wrong there.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("configuration {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("configuration {}", path.display()))
    }
}

impl Conductor {
    /// The conductor's settings: its defaults with what the file says over them.
    pub fn settings(&self, hostname: String, state_dir: &Path) -> Result<conductor::Settings> {
        let mut settings = conductor::Settings::new(self.hostname.clone().unwrap_or(hostname), state_dir);
        let seconds = |place: &mut Duration, value: Option<u64>| {
            if let Some(value) = value {
                *place = Duration::from_secs(value);
            }
        };
        seconds(&mut settings.callback_timeout, self.callback_timeout);
        seconds(&mut settings.boot_retry, self.boot_retry);
        seconds(&mut settings.boot_retry_after_fetch, self.boot_retry_after_fetch);
        seconds(&mut settings.bmc_patience, self.bmc_patience);
        settings.boot_attempts = self.boot_attempts.unwrap_or(settings.boot_attempts);
        settings.automated_clean = self.automated_clean.unwrap_or(settings.automated_clean);
        settings.require_agent_tls = self.require_agent_tls.unwrap_or(settings.require_agent_tls);
        if let Some(parameters) = &self.kernel_append_params {
            if parameters.contains(['\n', '\r', '\0']) {
                bail!("conductor.kernel_append_params must be one line");
            }
            settings.kernel_append_params.clone_from(parameters);
        }
        if let Some(directory) = &self.ramdisk_dir {
            settings.ramdisk_dir.clone_from(directory);
        }
        settings.uefi_by_default = match self.default_boot_mode.as_deref() {
            None | Some("uefi") => true,
            Some("bios") => false,
            Some(other) => {
                bail!("conductor.default_boot_mode is \"{other}\"; it may be \"uefi\" or \"bios\"")
            }
        };
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_a_configuration_and_a_misspelt_key_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("billet.toml");
        std::fs::write(&path, "").unwrap();
        assert!(File::read(&path).is_ok());
        std::fs::write(&path, "[conductor]\nautomatic_clean = true\n").unwrap();
        let error = format!("{:#}", File::read(&path).unwrap_err());
        assert!(error.contains("automatic_clean") && error.contains("billet.toml"), "{error}");
    }
}
