//! What can be set of the conductor. Defaults are Ironic's where Ironic has the option.

use crate::fake::Delays;
use crate::inspection;
use crate::members::Role;
use crate::power_sync::PowerSync;
use images::Backend;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of one conductor.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name shown as `conductor` and `reservation`.
    pub hostname: String,
    /// `[conductor] conductor_group`: the group whose nodes are served, lower case.
    pub conductor_group: String,
    /// Hardware types and classic drivers whose nodes are served; none: all.
    pub drivers: Option<Vec<String>>,
    /// What this process does.
    pub roles: Vec<Role>,
    /// Where this process keeps what is its own.
    pub state_dir: PathBuf,
    /// `[conductor] automated_clean`: clean on `provide` and after `deleted`.
    pub automated_clean: bool,
    /// `[conductor] deploy_callback_timeout` and its siblings: how long a wait state may last.
    pub callback_timeout: Duration,
    /// Start the machine again when its ramdisk has not called this long after power-on.
    pub boot_retry: Duration,
    /// Start the machine again when it has fetched the whole ramdisk and has not called this long after.
    pub boot_retry_after_fetch: Duration,
    /// Boots that are tried within one callback timeout.
    pub boot_attempts: u32,
    /// How long a BMC may fail before the work on its node fails.
    pub bmc_patience: Duration,
    /// `[conductor] power_state_change_timeout`.
    pub power_timeout: Duration,
    /// How the power of machines at rest is synchronised.
    pub power_sync: PowerSync,
    /// `[conductor] soft_power_off_timeout`.
    pub soft_power_off_timeout: Duration,
    /// `[pxe] kernel_append_params`.
    pub kernel_append_params: String,
    /// Directory with `vmlinuz` and `initramfs` for nodes that name none of their own.
    pub ramdisk_dir: PathBuf,
    /// `[deploy] default_boot_mode`.
    pub uefi_by_default: bool,
    /// `[agent] require_tls`.
    pub require_agent_tls: bool,
    /// `[api] ramdisk_heartbeat_timeout`.
    pub heartbeat_timeout: Duration,
    /// `[deploy] power_off_after_deploy_failure`.
    pub power_off_after_deploy_failure: bool,
    /// Limit of one call to an agent.
    pub agent_timeout: Duration,
    /// How often a running agent command is looked at when no heartbeat comes.
    pub agent_poll: Duration,
    /// A session lasts so long unless it is prolonged: what a process that died held is free for others by then, and a fifth more.
    pub lease: Duration,
    /// `[conductor] max_concurrent_deploy`: deployments under way at once.
    pub max_concurrent_deploy: u32,
    /// `[conductor] max_concurrent_clean`: cleanings and deletions under way at once.
    pub max_concurrent_clean: u32,
    /// How long the event log keeps what happened to a node; zero: for ever.
    pub event_retention: Duration,
    /// `[conductor] allow_provisioning_in_maintenance`.
    pub allow_provisioning_in_maintenance: bool,
    /// Priorities of clean steps by `interface.step`, in place of those that drivers and agents name
    /// (`[conductor] clean_step_priority_override` and `[deploy] erase_devices_priority` and its like).
    pub clean_priorities: BTreeMap<String, i64>,
    /// `[conductor] max_conductor_wait_step_seconds`: the longest that a `wait` step may wait.
    pub longest_wait_step: Duration,
    /// How slow the fake interfaces pretend to be.
    pub fake: Delays,
    /// What is made of what an inspection finds.
    pub inspection: inspection::Settings,
    /// Where the bytes of images and objects are kept; none: this site keeps none.
    pub storage: Option<Backend>,
    /// How machines reach their listener on this host (`http://192.0.2.1:6386`), where that is not the address that their agents call.
    pub machines_url: Option<String>,
}

impl Settings {
    /// Defaults for a site whose state is kept in `state_dir`.
    pub fn new(hostname: impl Into<String>, state_dir: &std::path::Path) -> Self {
        Self {
            hostname: hostname.into(),
            conductor_group: String::new(),
            drivers: None,
            roles: Role::ALL.to_vec(),
            state_dir: state_dir.to_owned(),
            automated_clean: true,
            callback_timeout: Duration::from_secs(1800),
            boot_retry: Duration::from_secs(600),
            boot_retry_after_fetch: Duration::from_secs(120),
            boot_attempts: 3,
            bmc_patience: Duration::from_secs(180),
            power_timeout: Duration::from_secs(60),
            power_sync: PowerSync::default(),
            soft_power_off_timeout: Duration::from_secs(600),
            kernel_append_params: "nofb vga=normal".to_owned(),
            ramdisk_dir: state_dir.join("ramdisk"),
            uefi_by_default: true,
            require_agent_tls: true,
            heartbeat_timeout: Duration::from_secs(300),
            power_off_after_deploy_failure: true,
            agent_timeout: Duration::from_secs(60),
            agent_poll: Duration::from_secs(10),
            lease: Duration::from_secs(10),
            max_concurrent_deploy: 250,
            max_concurrent_clean: 50,
            event_retention: Duration::from_secs(90 * 24 * 3600),
            allow_provisioning_in_maintenance: true,
            clean_priorities: BTreeMap::new(),
            longest_wait_step: Duration::from_secs(30),
            fake: Delays::default(),
            inspection: inspection::Settings::default(),
            storage: None,
            machines_url: None,
        }
    }
}
