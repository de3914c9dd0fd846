//! The configuration file: TOML, every key optional, unknown keys refused.

mod image;
mod observe;
mod work;

pub use observe::Tracing;

use anyhow::{Context, Result, bail};
use api::auth::{KeystoneSettings, ProjectName};
use clap::ValueEnum;
use model::Secret;
use model::driver::Enabled;
use model::node::InterfaceKind;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who may use the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Users of the site's own identity service; the services of the cloud are served with this one.
    Own,
    /// Everybody who can reach it; hence on a loopback address only.
    None,
    /// Users of an htpasswd file.
    Basic,
    /// Users with a token of the Keystone in `[keystone]`.
    Keystone,
}

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// `[api]`
    pub api: Api,
    /// `[keystone]`, for `auth = "keystone"`.
    pub keystone: Option<Keystone>,
    /// `[conductor]`
    pub conductor: Conductor,
    /// `[netboot]`
    pub netboot: Netboot,
    /// `[deploy]`
    pub deploy: work::Deploy,
    /// `[inspector]`
    pub inspector: work::Inspector,
    /// `[fake]`
    pub fake: work::Fake,
    /// `[image]`
    pub image: image::Image,
    /// `[metrics]`
    pub metrics: observe::Metrics,
    /// `[tracing]`
    pub tracing: observe::Tracing,
    /// A PostgreSQL database, which several processes may use: `postgres://user:password@host/name`. SQLite in the state directory by
    /// default.
    pub database: Option<Secret>,
    /// Where the keys and, with SQLite, the database are kept.
    pub state_dir: Option<PathBuf>,
    /// What this process does: `api`, `conductor`, `netboot`; everything by default.
    pub roles: Option<Vec<crate::roles::Name>>,
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
    /// Certificate of the API and what it was signed with, PEM; with `tls_key`, the API is served over TLS alone.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Hardware types that nodes may use.
    pub enabled_hardware_types: Option<Vec<String>>,
    /// For each interface kind the implementations that nodes may use; Ironic's `enabled_…_interfaces`.
    pub enabled_interfaces: BTreeMap<InterfaceKind, Vec<String>>,
    /// For each interface kind what nodes get that choose none; Ironic's `default_…_interface`.
    pub default_interfaces: BTreeMap<InterfaceKind, String>,
    /// With tokens: projects whose admins are operators of every node, beside those with system scope. By id, by name in the default
    /// domain, or as `domain/name`.
    pub operator_projects: Option<Vec<ProjectName>>,
    /// With Keystone: the project of the cloud's own services, if their role `service` is to reach every node.
    pub service_project: Option<ProjectName>,
    /// With Keystone: admins of a project create and delete nodes that it owns.
    pub project_admin_can_manage_own_nodes: Option<bool>,
    /// Connections at once; more get 503.
    pub max_connections: Option<usize>,
    /// Listings and details that are worked on at once; sixteen times as many wait, and the rest gets 503.
    pub max_listings: Option<usize>,
    /// The same of changes, of which four times as many wait.
    pub max_changes: Option<usize>,
    /// The same of heartbeats and lookups, of which 32 times as many wait.
    pub max_heartbeats: Option<usize>,
    /// Uploads at once; more get 503.
    pub max_uploads: Option<usize>,
    /// Bytes of requests' bodies in memory; requests beyond it get 503.
    pub max_request_memory: Option<usize>,
    /// Bytes of answers that clients have not taken yet; beyond it listings get 503.
    pub max_answer_memory: Option<usize>,
}

/// `[keystone]`: where tokens are validated, and as whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keystone {
    /// Keystone's URL, with or without `/v3`.
    pub url: String,
    /// What refusals tell clients in its place.
    pub public_url: Option<String>,
    /// The service user.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The domain of that user.
    pub user_domain: Option<String>,
    /// The project in which it has the role `service` or `admin`.
    pub project: String,
    /// The domain of that project.
    pub project_domain: Option<String>,
    /// Certificates (PEM) by which Keystone's is checked; those of the system by default.
    pub ca_file: Option<PathBuf>,
    /// How many seconds Keystone's word on a token is believed.
    pub token_cache_seconds: Option<u64>,
}

impl Api {
    /// What the site offers: Billet's own choice with what the file says over it.
    pub fn drivers(&self) -> Result<Enabled> {
        let mut enabled = match &self.enabled_hardware_types {
            Some(types) => Enabled::with_hardware_types(types).context("api.enabled_hardware_types")?,
            None => Enabled::default(),
        };
        for (kind, names) in &self.enabled_interfaces {
            enabled.set_interfaces(*kind, names.clone()).context("api.enabled_interfaces")?;
        }
        for (kind, name) in &self.default_interfaces {
            enabled.set_default(*kind, name.clone()).context("api.default_interfaces")?;
        }
        Ok(enabled)
    }

    /// The project whose admins are operators where nothing else is said: the one that Keystone's own set-up makes for them.
    const OPERATOR_PROJECT: &str = "admin";

    /// The projects whose admins are operators.
    pub fn operator_projects(&self) -> Vec<ProjectName> {
        self.operator_projects.clone().unwrap_or_else(|| vec![ProjectName::new(Self::OPERATOR_PROJECT)])
    }

    /// A Keystone as the file describes it.
    pub fn keystone(&self, section: Option<&Keystone>) -> Result<api::auth::Keystone> {
        let Some(section) = section else {
            bail!(
                "api.auth = \"keystone\" needs a section [keystone] in the configuration, with url, username, password and project"
            );
        };
        for (key, value) in [("username", &section.username), ("project", &section.project)] {
            if value.is_empty() {
                bail!("keystone.{key} is empty");
            }
        }
        let default = || "Default".to_owned();
        let settings = KeystoneSettings {
            url: section.url.clone(),
            public_url: section.public_url.clone(),
            username: section.username.clone(),
            password: section.password.clone(),
            user_domain: section.user_domain.clone().unwrap_or_else(default),
            project: section.project.clone(),
            project_domain: section.project_domain.clone().unwrap_or_else(default),
            ca_file: section.ca_file.clone(),
            token_cache: Duration::from_secs(section.token_cache_seconds.unwrap_or(60)),
            operator_projects: self.operator_projects(),
            service_project: self.service_project.clone(),
        };
        Ok(api::auth::Keystone::new(settings)?)
    }
}

/// `[conductor]`; times in seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conductor {
    /// Name shown as `conductor` and `reservation`, each process's own; the host's name by default.
    pub hostname: Option<String>,
    /// The conductor group whose nodes are served.
    pub conductor_group: Option<String>,
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
    /// Each BMC is asked for its machine's power at least so often; 0 for never.
    pub sync_power_state_interval: Option<u64>,
    /// Bring machines back to the recorded power; else the record follows the machine.
    pub force_power_state_during_sync: Option<bool>,
    /// So many failures in a row put a node into maintenance.
    pub power_state_sync_max_retries: Option<u32>,
    /// How often a BMC is asked that failed so; 0 for never.
    pub power_failure_recovery_interval: Option<u64>,
    /// Kernel parameters of the ramdisk.
    pub kernel_append_params: Option<String>,
    /// Directory with `vmlinuz` and `initramfs`; `ramdisk` in the state directory by default.
    pub ramdisk_dir: Option<PathBuf>,
    /// Firmware mode of nodes whose capabilities name none: `uefi` or `bios`.
    pub default_boot_mode: Option<String>,
    /// Refuse agents that serve without TLS.
    pub require_agent_tls: Option<bool>,
    /// Priorities of clean steps by `interface.step`.
    pub clean_step_priority_override: BTreeMap<String, u32>,
    /// Deployments under way at once.
    pub max_concurrent_deploy: Option<u32>,
    /// Cleanings and deletions under way at once.
    pub max_concurrent_clean: Option<u32>,
    /// Days for which the event log keeps what happened to a node; 0 for ever.
    pub event_retention_days: Option<u32>,
    /// Let `provide` work on nodes in maintenance.
    pub allow_provisioning_in_maintenance: Option<bool>,
}

/// `[netboot]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Netboot {
    /// Off: something else boots the machines.
    pub enabled: Option<bool>,
    /// Interfaces to serve; all that have an IPv4 address by default.
    pub interfaces: Option<Vec<String>>,
    /// Those of them on which another DHCP server gives the addresses: there machines are told only what to load (ProxyDHCP).
    /// Instances get their port's address there by config drive alone: their subnets want `enable_dhcp` off.
    pub proxy_interfaces: Vec<String>,
    /// Port of the HTTP listener for machines.
    pub http_port: Option<u16>,
    /// Port beside it where lookup and heartbeat are served over TLS, with the API's certificate. Ramdisks are sent there, and the port
    /// without TLS serves boot files only.
    pub https_port: Option<u16>,
    /// Directory with undionly.kpxe and snponly.efi.
    pub programs: Option<PathBuf>,
    /// Serve metadata at 169.254.169.254: this host is given that address, which takes CAP_NET_ADMIN. By default metadata is served
    /// where the host has the address already.
    pub metadata: Option<bool>,
    /// Connections at once on the ports for machines; more get 503.
    pub max_connections: Option<usize>,
    /// How machines reach the port for machines, as in `http://192.0.2.1:6386`, where that is not the address that their agents call:
    /// behind address translation, say. Images are fetched from there.
    pub url: Option<String>,
}

impl File {
    /// Reads a file; the error names the file, the line and what is wrong there.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("configuration {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("configuration {}", path.display()))
    }
}

impl File {
    /// The conductor's settings: its defaults with what the file says over them.
    pub fn conductor_settings(&self, hostname: String, state_dir: &Path) -> Result<conductor::Settings> {
        let mut settings = self.conductor.settings(hostname, state_dir)?;
        settings.clean_priorities = self.deploy.priorities();
        settings.clean_priorities.extend(
            self.conductor
                .clean_step_priority_override
                .iter()
                .map(|(step, priority)| (step.clone(), (*priority).into())),
        );
        settings.inspection = self.inspector.settings()?;
        settings.fake = self.fake.delays()?;
        if let Some(url) = &self.netboot.url {
            let url = url.trim_end_matches('/');
            let is_base = url.split_once("://").is_some_and(|(scheme, rest)| {
                matches!(scheme, "http" | "https") && !rest.is_empty() && !rest.contains(['/', '?', '#', ' '])
            });
            if !is_base {
                bail!(
                    "netboot.url is \"{url}\"; it must be scheme, host and port, as in http://192.0.2.1:6386"
                );
            }
            settings.machines_url = Some(url.to_owned());
        }
        Ok(settings)
    }
}

/// Longest name of a process, as host names go.
const LONGEST_NAME: usize = 255;

impl Conductor {
    /// The conductor's settings: its defaults with what the file says over them.
    fn settings(&self, hostname: String, state_dir: &Path) -> Result<conductor::Settings> {
        // It stands in URLs and in paths of files.
        let is_usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if hostname.is_empty() || hostname.len() > LONGEST_NAME || !hostname.chars().all(is_usual) {
            bail!(
                "the name \"{}\" can't be a conductor's: set conductor.hostname to letters, digits, '.', '-', '_' and ':', {LONGEST_NAME} \
                 of them at most",
                hostname.escape_debug()
            );
        }
        let mut settings = conductor::Settings::new(hostname, state_dir);
        settings.conductor_group = self.conductor_group.as_deref().unwrap_or_default().to_lowercase();
        let seconds = |place: &mut Duration, value: Option<u64>| {
            if let Some(value) = value {
                *place = Duration::from_secs(value);
            }
        };
        seconds(&mut settings.callback_timeout, self.callback_timeout);
        seconds(&mut settings.boot_retry, self.boot_retry);
        seconds(&mut settings.boot_retry_after_fetch, self.boot_retry_after_fetch);
        seconds(&mut settings.bmc_patience, self.bmc_patience);
        let days = self.event_retention_days.map(|days| u64::from(days) * 24 * 3600);
        seconds(&mut settings.event_retention, days);
        let sync = &mut settings.power_sync;
        seconds(&mut sync.interval, self.sync_power_state_interval);
        seconds(&mut sync.recovery_interval, self.power_failure_recovery_interval);
        sync.force = self.force_power_state_during_sync.unwrap_or(sync.force);
        sync.max_retries = self.power_state_sync_max_retries.unwrap_or(sync.max_retries);
        settings.boot_attempts = self.boot_attempts.unwrap_or(settings.boot_attempts);
        settings.automated_clean = self.automated_clean.unwrap_or(settings.automated_clean);
        settings.max_concurrent_deploy = self.max_concurrent_deploy.unwrap_or(settings.max_concurrent_deploy);
        settings.max_concurrent_clean = self.max_concurrent_clean.unwrap_or(settings.max_concurrent_clean);
        settings.allow_provisioning_in_maintenance =
            self.allow_provisioning_in_maintenance.unwrap_or(settings.allow_provisioning_in_maintenance);
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

    fn file(text: &str) -> Result<File> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("billet.toml");
        std::fs::write(&path, text).unwrap();
        File::read(&path)
    }

    const KEYSTONE: &str =
        "[keystone]\nusername = \"billet\"\npassword = \"s3cr3t\"\nproject = \"service\"\n";

    #[test]
    fn keystone_is_described_whole_or_refused_by_key() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let whole = file(&format!("{KEYSTONE}url = \"https://k:5000/v3\"\n")).unwrap();
        let keystone = whole.api.keystone(whole.keystone.as_ref()).unwrap();
        assert!(!format!("{keystone:?}{whole:?}").contains("s3cr3t"));
        let refused = |text: &str| {
            let error = file(text).and_then(|file| file.api.keystone(file.keystone.as_ref()));
            format!("{:#}", error.unwrap_err())
        };
        assert!(refused("").contains("[keystone]"));
        assert!(refused(KEYSTONE).contains("url"));
        assert!(refused(&format!("{KEYSTONE}url = \"k\"\n")).contains("keystone.url"));
        assert!(
            refused(&format!("{KEYSTONE}url = \"http://k\"\nca_file = \"/none.pem\"\n"))
                .contains("keystone.ca_file")
        );
        assert!(refused(&format!("{KEYSTONE}url = \"http://k\"\npasswort = \"\"\n")).contains("passwort"));
    }

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

    #[test]
    fn machines_are_handled_as_the_file_says() {
        let text = "[deploy]\nerase_devices_priority = 0\n[conductor.clean_step_priority_override]\n\"vendor.x\" = 7\n\
                    [inspector]\nhooks = [\"validate-interfaces\", \"cpus\"]\nadd_ports = \"all\"\n\
                    [fake]\npower_delay = \"1,5\"\ndeploy_delay = 3\n";
        let file: File = toml::from_str(text).unwrap();
        let settings = file.conductor_settings("h".into(), Path::new("/x")).unwrap();
        assert_eq!(settings.clean_priorities["deploy.erase_devices"], 0);
        assert_eq!(settings.clean_priorities["vendor.x"], 7);
        assert_eq!(settings.inspection.hooks.len(), 2);
        let sync = "[conductor]\nsync_power_state_interval = 0\nforce_power_state_during_sync = false\n\
                    power_state_sync_max_retries = 5\npower_failure_recovery_interval = 60\n";
        let sync: File = toml::from_str(sync).unwrap();
        let sync = sync.conductor_settings("h".into(), Path::new("/x")).unwrap().power_sync;
        let (interval, recovery_interval) = (Duration::ZERO, Duration::from_secs(60));
        assert_eq!(sync, conductor::PowerSync { interval, force: false, max_retries: 5, recovery_interval });
        for (wrong, named) in [
            ("[inspector]\nhooks = [\"ports\"]\n", "validate-interfaces"),
            ("[inspector]\nadd_ports = \"some\"\n", "active, all, pxe"),
            ("[fake]\nbios_delay = \"5,1\"\n", "fake.bios_delay"),
            ("[netboot]\nurl = \"http://h/x\"\n", "netboot.url"),
        ] {
            let file: File = toml::from_str(wrong).unwrap();
            let error = format!("{:#}", file.conductor_settings("h".into(), Path::new("/x")).unwrap_err());
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn interfaces_are_chosen_by_kind_and_unknown_names_are_refused() {
        let drivers = |text: &str| toml::from_str::<File>(text).unwrap().api.drivers();
        let enabled = drivers(
            "[api.enabled_interfaces]\nboot = [\"pxe\"]\n[api.default_interfaces]\ndeploy = \"ramdisk\"\n",
        )
        .unwrap();
        assert_eq!(enabled.interfaces(InterfaceKind::Boot), ["pxe"]);
        let ipmi = enabled.serves("ipmi").unwrap();
        assert_eq!(enabled.default_of(ipmi, InterfaceKind::Deploy).as_deref(), Some("ramdisk"));
        let error = drivers("[api.enabled_interfaces]\nboot = [\"pxi\"]\n").unwrap_err();
        assert!(format!("{error:#}").contains("unknown boot interface \"pxi\""), "{error:#}");
        assert!(toml::from_str::<File>("[api.enabled_interfaces]\nboots = []\n").is_err());
    }
}
