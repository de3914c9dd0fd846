//! The story's steps. Each says what it does, shows what is going on, and leaves a span for the timeline.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::client::Client;
use super::phases;
use super::screen::{Screen, Step};
use super::server::Server;
use super::ssh::{Key, Login};
use super::timeline::Span;
use super::watch::{Moment, Watch};
use super::{Limits, image};
use crate::error::{Error, Result};
use crate::network;
use crate::qemu::Firmware;
use crate::rack::{Node, Rack};

/// The node's name in the story.
const NAME: &str = "demo";
/// The ramdisk talks on the serial console; without the second word one kernel in a hundred panics under emulation.
const KERNEL_PARAMETERS: &str = "kernel_append_params=%default% console=ttyS0 no_timer_check";
/// The machine's host name.
const HOSTNAME: &str = "lodger";
/// Written by the user data on the machine.
const MARKER_FILE: &str = "/run/demo-marker";
/// For calls that only talk to the API.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// An image as a deployment names it.
#[derive(Debug, Clone)]
pub struct ImageSource {
    /// Which one.
    pub kind: image::Kind,
    /// Where a machine downloads it.
    pub url: String,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// The user that gets the key.
    pub user: &'static str,
    /// Where kernel and ramdisk of a partition image are.
    pub boot_files: Option<(String, String)>,
}

/// Size of the root partition that a partition image gets, in GiB.
const ROOT_GIB: u64 = 2;
const SWAP_MIB: u64 = 64;

impl ImageSource {
    /// Serves an image file from the rack's image server.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be read.
    pub async fn serve(rack: &Rack, kind: image::Kind, path: &Path) -> Result<Self> {
        let url = rack.images().add(path).await?;
        let name = url.rsplit('/').next().unwrap_or_default();
        let sha256 =
            rack.images().sha256(name).ok_or_else(|| Error::Invalid(format!("{name} is not served")))?;
        let boot_files = match kind.is_partition() {
            true => {
                let files = image::BootFiles::beside(path);
                Some((rack.images().add(&files.kernel).await?, rack.images().add(&files.ramdisk).await?))
            }
            false => None,
        };
        Ok(Self { kind, url, sha256, user: kind.user(), boot_files })
    }
}

/// The story of one node.
pub struct Story<'a> {
    client: &'a Client,
    node: &'a Node,
    image: &'a ImageSource,
    key: &'a Key,
    screen: &'a Screen,
    limits: Limits,
    spans: Vec<Span>,
    watch: Watch<'a>,
    is_netboot: bool,
}

impl<'a> Story<'a> {
    /// A story that has not begun.
    #[must_use]
    pub fn new(
        client: &'a Client,
        node: &'a Node,
        image: &'a ImageSource,
        key: &'a Key,
        screen: &'a Screen,
        server: &'a Mutex<Server>,
    ) -> Self {
        let limits = Limits::of(image.kind);
        let watch = Watch::new(client.api().clone(), NAME, server);
        Self { client, node, image, key, screen, limits, spans: Vec::new(), watch, is_netboot: false }
    }

    /// Asks for an instance that boots over the network even where its image brings a boot loader.
    pub fn ask_for_netboot(&mut self) {
        self.is_netboot = true;
    }

    /// Kills the server, and starts it again, when the node first comes to each of these moments.
    pub fn crash_at(&mut self, moments: &[Moment]) {
        self.watch.crash_at = moments.to_vec();
    }

    /// Moments at which the server was to be killed and which have not come.
    #[must_use]
    pub fn crashes_to_come(&self) -> &[Moment] {
        &self.watch.crash_at
    }

    /// All of it. With `keep_deployed` it ends with the machine in the tenant's hands.
    ///
    /// # Errors
    /// The first step's that failed.
    pub async fn play(&mut self, keep_deployed: bool) -> Result<()> {
        self.enrol().await?;
        self.clean().await?;
        self.deploy().await?;
        self.visit().await?;
        if self.image.boot_files.is_some() {
            self.look_at_root().await?;
            self.reboot().await?;
        }
        if !keep_deployed {
            self.release().await?;
        }
        Ok(())
    }

    /// Where the seconds went: this side's steps, and what the server's own events say, if they can be had.
    pub async fn spans(&self) -> Vec<Span> {
        let mut spans = self.spans.clone();
        match self.client.api().get(&format!("/billet/v1/nodes/{NAME}/events")).await {
            Ok(document) => spans.extend(phases::spans(&document, self.screen.started_at())),
            Err(error) => tracing::debug!(%error, "no timeline from the server"),
        }
        spans
    }

    /// Node, port, validation, manageable.
    ///
    /// # Errors
    /// Any; the client's own words.
    pub async fn enrol(&mut self) -> Result<()> {
        let info = &self.node.info;
        let boot_mode = match info.firmware {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
        };
        let address = format!("ipmi_address={}", info.bmc_address);
        let username = format!("ipmi_username={}", info.bmc_user);
        let password = format!("ipmi_password={}", info.bmc_password);
        let capabilities = format!("capabilities=boot_mode:{boot_mode}");
        let create = ["node", "create", "--name", NAME, "--driver", "ipmi"];
        let create = [
            &create[..],
            &["--driver-info", &address, "--driver-info", &username, "--driver-info", &password],
            &["--driver-info", KERNEL_PARAMETERS],
            &["--property", "cpu_arch=x86_64", "--property", &capabilities],
        ]
        .concat();

        let (step, began) =
            self.begin(&format!("Enrol the machine by its BMC's address, {}", info.bmc_address));
        let node = self.client.json(&create, CALL_LIMIT).await?;
        let uuid = node["uuid"].as_str().unwrap_or_default().to_string();
        self.client.run(&["port", "create", &info.mac, "--node", &uuid], CALL_LIMIT).await?;
        self.end(step, began, "enrol", &uuid);

        let (step, began) = self.begin("Validate: can it be powered, booted and deployed?");
        let answer = self.client.json(&["node", "validate", NAME], CALL_LIMIT).await?;
        for interface in ["power", "management"] {
            let entry =
                answer.as_array().and_then(|list| list.iter().find(|entry| entry["Interface"] == interface));
            if entry.is_none_or(|entry| entry["Result"] != true) {
                return Err(Error::Invalid(format!(
                    "validate says of {interface}: {}",
                    entry.unwrap_or(&answer)
                )));
            }
        }
        self.end(step, began, "validate", "power and management are fine");

        let (step, began) = self.begin("Manage: log in to the BMC");
        self.ask_and_watch(&step, &["node", "manage", NAME], "manageable").await?;
        self.end(step, began, "manage", "manageable");
        Ok(())
    }

    /// Cleaning in the ramdisk: manageable to available.
    ///
    /// # Errors
    /// Any; the node's `last_error` if it failed.
    pub async fn clean(&mut self) -> Result<()> {
        let (step, began) = self.begin("Provide: boot the ramdisk over the network and clean the disks");
        self.ask_and_watch(&step, &["node", "provide", NAME], "available").await?;
        self.end(step, began, "clean", "available");
        Ok(())
    }

    /// Available to active, with a config drive.
    ///
    /// # Errors
    /// As [`Story::clean`].
    pub async fn deploy(&mut self) -> Result<()> {
        let (step, began) = self.begin("Say which image, by its URL and checksum");
        let source = format!("image_source={}", self.image.url);
        let value = format!("image_os_hash_value={}", self.image.sha256);
        let set =
            ["node", "set", NAME, "--instance-info", &source, "--instance-info", "image_os_hash_algo=sha256"];
        self.client.run(&[&set[..], &["--instance-info", &value]].concat(), CALL_LIMIT).await?;
        if let Some((kernel, ramdisk)) = &self.image.boot_files {
            let mut words = vec![
                format!("kernel={kernel}"),
                format!("ramdisk={ramdisk}"),
                format!("root_gb={ROOT_GIB}"),
                format!("swap_mb={SWAP_MIB}"),
            ];
            if self.is_netboot {
                words.push(format!("capabilities={}", json!({"boot_option": "netboot"})));
            }
            let mut set = vec!["node", "set", NAME];
            set.extend(words.iter().flat_map(|word| ["--instance-info", word.as_str()]));
            self.client.run(&set, CALL_LIMIT).await?;
        }
        self.end(step, began, "set image", &self.image.url);

        let (step, began) =
            self.begin(&format!("Deploy the {} image, with a config drive", self.image.kind.name()));
        let drive = self.key.path().with_file_name("config-drive.json");
        std::fs::write(&drive, self.config_drive().to_string()).map_err(Error::io("writing", &drive))?;
        let drive = drive.to_string_lossy();
        self.ask_and_watch(&step, &["node", "deploy", NAME, "--config-drive", &drive], "active").await?;
        self.end(step, began, "deploy", "active");
        Ok(())
    }

    /// `ssh` with the tenant's key; host name, user and user data are as the config drive said.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the machine does not answer; [`Error::Invalid`] when it is not the one asked for.
    pub async fn visit(&mut self) -> Result<()> {
        let (step, began) = self.begin(&format!("ssh {}@{}", self.image.user, self.node.info.address));
        let login = self.login();
        let (machine, limit) = (&self.node.machine, self.limits.boot);
        let said = login.until(machine, &step, limit, "hostname; id -un", |_| true).await?;
        let words: Vec<&str> = said.split_whitespace().collect();
        if words != [HOSTNAME, self.image.user] {
            return Err(Error::Invalid(format!(
                "host name and user should be {HOSTNAME} and {}, but are {words:?}",
                self.image.user
            )));
        }
        self.end(step, began, "boot to ssh", &format!("{} on {HOSTNAME}", self.image.user));

        let (step, began) = self.begin("User data has run on it");
        let marker = self.marker();
        let read = format!("cat {MARKER_FILE} 2> /dev/null || true");
        login.until(machine, &step, limit, &read, |said| said.trim() == marker).await?;
        self.end(step, began, "user data", &marker);
        Ok(())
    }

    /// The instance runs on its root partition, whose file system was grown, and boots the way that its image allows.
    ///
    /// # Errors
    /// [`Error::Invalid`] when something is otherwise.
    pub async fn look_at_root(&mut self) -> Result<()> {
        let (step, began) = self.begin("It runs on the root partition, and was booted as its image allows");
        let ask = "cat /proc/cmdline; df -P -m / | tail -n 1";
        let (machine, limit) = (&self.node.machine, self.limits.boot);
        let said = self.login().until(machine, &step, limit, ask, |_| true).await?;
        let (line, root) = said.split_once('\n').unwrap_or_default();
        // What the server's boot script adds for the ramdisks that it starts.
        let is_from_network = line.contains("BOOTIF=");
        let has_loader = self.image.kind == image::Kind::TinyPartition;
        let wanted = self.is_netboot || !has_loader || self.node.info.firmware == Firmware::Bios;
        let megabytes = root.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        if !line.contains("root=UUID=") || is_from_network != wanted {
            return Err(Error::Invalid(format!(
                "it was to boot over the network: {wanted}; command line: {line}"
            )));
        }
        if megabytes < ROOT_GIB * 1024 * 9 / 10 {
            return Err(Error::Invalid(format!(
                "the root file system was not grown to {ROOT_GIB} GiB: {root}"
            )));
        }
        let way = if is_from_network { "over the network" } else { "from its disk" };
        self.end(step, began, "root", &format!("{megabytes} MB, booted {way}"));
        Ok(())
    }

    /// Power off and on again: the instance comes back.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it does not.
    pub async fn reboot(&mut self) -> Result<()> {
        const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";
        let (step, began) = self.begin("Reboot: it comes back by itself");
        let (login, machine, limit) = (self.login(), &self.node.machine, self.limits.boot);
        let before = login.until(machine, &step, limit, BOOT_ID, |_| true).await?;
        self.client.run(&["node", "reboot", NAME], CALL_LIMIT).await?;
        login.until(machine, &step, limit, BOOT_ID, |said| said.len() > 30 && said != before).await?;
        self.end(step, began, "reboot to ssh", "another boot of the same system");
        Ok(())
    }

    /// Active to available, by way of cleaning.
    ///
    /// # Errors
    /// As [`Story::clean`].
    pub async fn release(&mut self) -> Result<()> {
        let (step, began) = self.begin("Undeploy: take it back, and clean it again");
        self.ask_and_watch(&step, &["node", "undeploy", NAME], "available").await?;
        self.end(step, began, "undeploy and clean", "available");
        Ok(())
    }

    fn login(&self) -> Login {
        let key = self.key.path().to_path_buf();
        Login { key, user: self.image.user.into(), address: self.node.info.address }
    }

    fn marker(&self) -> String {
        format!("user data ran on {HOSTNAME}")
    }

    /// What the tenant wants on the machine (OpenStack's metadata formats).
    fn config_drive(&self) -> Value {
        let info = &self.node.info;
        let link = json!({ "id": "link0", "type": "phy", "ethernet_mac_address": info.mac, "mtu": 1500 });
        let route =
            json!({ "network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": network::GATEWAY.to_string() });
        let address = json!({
            "id": "network0", "link": "link0", "type": "ipv4",
            "ip_address": info.address.to_string(), "netmask": "255.255.255.0", "routes": [route],
        });
        json!({
            "meta_data": {
                "uuid": info.uuid.to_string(),
                "name": HOSTNAME,
                "hostname": HOSTNAME,
                "public_keys": { "tenant": self.key.public() },
            },
            "network_data": { "links": [link], "networks": [address], "services": [] },
            "user_data": format!("#!/bin/sh\necho \"user data ran on $(hostname)\" > {MARKER_FILE}\n"),
        })
    }

    fn begin(&self, title: &str) -> (Step, Instant) {
        (self.screen.step(title), Instant::now())
    }

    fn end(&mut self, step: Step, began: Instant, name: &str, detail: &str) {
        let origin = self.screen.started();
        let seconds = |at: Instant| at.duration_since(origin).as_secs_f64();
        self.spans.push(Span { name: name.into(), start: seconds(began), end: seconds(Instant::now()) });
        step.done(detail);
    }

    /// Gives a verb by the client, then looks at the node until it has come where it is to end.
    async fn ask_and_watch(&mut self, step: &Step, verb: &[&str], target: &str) -> Result<()> {
        self.client.run(verb, CALL_LIMIT).await?;
        self.watch.until(step, target, self.limits.provision).await
    }
}
