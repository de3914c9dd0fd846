//! What the netboot servers may give a MAC, from the state of its node; and what they saw, into its event log.

use crate::hardware;
use crate::image;
use crate::lease;
use crate::measure;
use crate::partition_image;
use crate::{Conductor, Settings};
use jiff::Timestamp;
use model::event::{EventKind, LogEvent};
use model::node::{Node, Object};
use model::port::Port;
use model::state::ProvisionState as S;
use netboot::{
    Artifact, Boot, BootSource, Foreign, Ipv4Net, LeaseError, LeaseStore, Machine, Observation, Pending,
    Seen, Unavailable,
};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use store::Guard;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::Mac;

/// Observations that may wait to be written; more than that are dropped and counted, so that a storm costs no memory.
const QUEUE: usize = 4096;

/// The database as the netboot servers' [`BootSource`].
pub struct NodeBootSource {
    conductor: Conductor,
    /// Where ramdisks find the API, in the words of a boot script.
    api: String,
    seen: mpsc::Sender<(Timestamp, Observation)>,
}

impl NodeBootSource {
    /// Makes the source, and the task that writes down what is seen, which ends with `stop`. Ramdisks are told that the API is on
    /// this port of the DHCP server, without TLS.
    pub fn new(
        conductor: Conductor,
        http_port: u16,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()>) {
        let (seen, queue) = mpsc::channel(QUEUE);
        let source = Self { conductor: conductor.clone(), api: api_url("http", http_port), seen };
        (source, write_down(conductor, queue, stop))
    }

    /// Ramdisks are told that the API is on this port of the DHCP server, with TLS.
    #[must_use]
    pub fn with_tls(mut self, https_port: u16) -> Self {
        self.api = api_url("https", https_port);
        self
    }

    async fn machine(&self, mac: Mac) -> Result<Option<Machine>, Unavailable> {
        let unavailable = |error: store::StoreError| Unavailable(error.to_string());
        let store = self.conductor.store();
        let Some(port) = store.port_by_addresses(&[mac.to_string()]).await.map_err(unavailable)? else {
            return Ok(None);
        };
        let node = store.node(&port.node_uuid.to_string()).await.map_err(unavailable)?.node;
        let boot = boot_of(self.conductor.settings(), &node, &port, &self.api);
        let terms = if runs_ramdisk(&node) {
            lease::Terms::of_ramdisk(&node)
        } else {
            lease::of_instance(store, &node, &port).await.map_err(unavailable)?
        };
        let boot = self.conductor.boot_with_images(&node, boot);
        Ok(Some(Machine { node: node.uuid, hostname: terms.hostname, lease: terms.lease, boot }))
    }
}

impl BootSource for NodeBootSource {
    fn boot(&self, mac: Mac) -> Pending<'_, Result<Option<Machine>, Unavailable>> {
        Box::pin(self.machine(mac))
    }

    fn observe(&self, seen: Observation) {
        let (kind, event, ok, _) = in_words(&seen.seen);
        measure::seen(&seen, kind.as_str(), event, ok);
        if self.seen.try_send((Timestamp::now(), seen)).is_err() {
            tracing::warn!(
                "more is seen on the boot network than can be written down; some of it is dropped"
            );
        }
    }
}

fn api_url(scheme: &str, port: u16) -> String {
    format!("{scheme}://${{netX/dhcp-server}}:{port}")
}

/// Does the machine run our ramdisk, or is it on its way there?
fn runs_ramdisk(node: &Node) -> bool {
    node.provision_state.answers_lookup() && node.work.boot.as_ref().is_some_and(|boot| !boot.is_over)
}

/// A ramdisk only while the node's work has a boot under way; an instance that is itself a ramdisk each time; otherwise its own
/// disk.
fn boot_of(settings: &Settings, node: &Node, port: &Port, api: &str) -> Boot {
    if !port.pxe_enabled {
        return Boot::LocalDisk;
    }
    if !runs_ramdisk(node) {
        return instance_of(settings, node).unwrap_or(Boot::LocalDisk);
    }
    let is_rescue = matches!(node.provision_state, S::Rescuing | S::RescueWait);
    let text = |key: &str| text_of(&node.driver_info, key);
    let file = |key: &str, file: &str| {
        let own = is_rescue.then(|| text(&format!("rescue_{key}"))).flatten();
        match own.or_else(|| text(&format!("deploy_{key}"))) {
            Some(place) => artifact(place),
            None => Artifact::File(settings.ramdisk_dir.join(file)),
        }
    };
    let appended = appended(settings, node);
    let inspection = match node.provision_state {
        S::Inspecting | S::InspectWait => {
            format!(" ipa-inspection-callback-url={api}/v1/continue_inspection ipa-collect-lldp=1")
        }
        _ => String::new(),
    };
    Boot::Ramdisk {
        kernel: file("kernel", "vmlinuz"),
        initramfs: file("ramdisk", "initramfs"),
        cmdline: format!("selinux=0 troubleshoot=0 text {appended} ipa-api-url={api}{inspection}"),
    }
}

/// What an instance boots over the network: kernel and ramdisk that lead to its root file system, or of which it consists.
fn instance_of(settings: &Settings, node: &Node) -> Option<Boot> {
    if let Some(root) = partition_image::netboot_root(node) {
        return partition_instance(settings, node, root);
    }
    let is_deployed = matches!(node.provision_state, S::Deploying | S::Active | S::Adopting);
    if !is_deployed || !hardware::instance_is_ramdisk(node) {
        return None;
    }
    let (kernel, ramdisk) = image::ramdisk_instance(node).ok()?;
    let arguments = text_of(&node.instance_info, "ramdisk_kernel_arguments").unwrap_or_default();
    Some(Boot::Ramdisk {
        kernel: artifact(kernel),
        initramfs: artifact(ramdisk),
        cmdline: format!("root=/dev/ram0 text {} {arguments}", appended(settings, node)),
    })
}

/// From the time that its image is written until it is deleted, in whichever state the node is; a rescued machine runs something else.
fn partition_instance(settings: &Settings, node: &Node, root: &str) -> Option<Boot> {
    let is_rescued =
        matches!(node.provision_state, S::Rescue | S::Rescuing | S::RescueWait | S::RescueFailed);
    let (kernel, ramdisk) = image::kernel_and_ramdisk(node).ok().filter(|_| !is_rescued)?;
    let site = appended(settings, node);
    let parameters = match text_of(&node.instance_info, "kernel_append_params") {
        Some(own) => own.replace("%default%", &site),
        None => site,
    };
    Some(Boot::Ramdisk {
        kernel: artifact(kernel),
        initramfs: artifact(ramdisk),
        cmdline: format!("root=UUID={root} ro text {parameters}"),
    })
}

fn text_of<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(|value| value.as_str()).filter(|text| !text.is_empty())
}

fn artifact(place: &str) -> Artifact {
    if place.starts_with("http://") || place.starts_with("https://") {
        Artifact::Url(place.to_owned())
    } else {
        Artifact::File(PathBuf::from(place.strip_prefix("file://").unwrap_or(place)))
    }
}

/// Kernel parameters of the site and of the node.
fn appended(settings: &Settings, node: &Node) -> String {
    match text_of(&node.driver_info, "kernel_append_params") {
        Some(own) => own.replace("%default%", &settings.kernel_append_params),
        None => settings.kernel_append_params.clone(),
    }
}

async fn write_down(
    conductor: Conductor,
    mut queue: mpsc::Receiver<(Timestamp, Observation)>,
    stop: CancellationToken,
) {
    loop {
        let (at, seen) = tokio::select! {
            () = stop.cancelled() => return,
            next = queue.recv() => match next {
                Some(next) => next,
                None => return,
            },
        };
        if let Err(error) = record(&conductor, at, seen).await {
            tracing::error!(%error, "what was seen on the boot network can't be written down");
        }
    }
}

/// Writes the event, and what a boot under way needs to know of it.
async fn record(conductor: &Conductor, at: Timestamp, seen: Observation) -> Result<(), store::StoreError> {
    let event = log_event(at, &seen);
    let Some(node) = seen.node else {
        return conductor.store().record(&[event]).await;
    };
    let said = seen.seen.to_string();
    let sent = matches!(&seen.seen, Seen::FetchFinished { what, .. } if what == "initramfs");
    let done = conductor
        .store()
        .edit_node(node, Guard::Any, Timestamp::now(), |edit| {
            if let Some(boot) = &mut edit.node.work.boot {
                boot.last_seen = Some(said);
                boot.last_seen_at = Some(at);
                if sent && boot.ramdisk_sent_at.is_none() {
                    boot.ramdisk_sent_at = Some(at);
                    edit.node.nudge(at);
                }
            }
            edit.events.push(event);
            Ok::<_, store::StoreError>(())
        })
        .await;
    match done {
        Ok(_) | Err(store::StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn log_event(at: Timestamp, seen: &Observation) -> LogEvent {
    let (kind, name, ok, lasted) = in_words(&seen.seen);
    let began = lasted.and_then(|lasted| at.checked_sub(lasted).ok()).unwrap_or(at);
    let mut event = LogEvent::new(seen.node, began, kind, name, seen.to_string());
    event.ok = ok;
    if lasted.is_some() { event.until(at) } else { event }
}

/// What was seen in the words of the event log: kind, name, whether it went well, and how long it took.
fn in_words(seen: &Seen) -> (EventKind, &'static str, bool, Option<jiff::SignedDuration>) {
    let took = |duration: std::time::Duration| jiff::SignedDuration::try_from(duration).unwrap_or_default();
    match seen {
        Seen::Offered(_) => (EventKind::Dhcp, "offer", true, None),
        Seen::Leased(_) => (EventKind::Dhcp, "lease", true, None),
        Seen::AddressRefused { .. } => (EventKind::Dhcp, "refuse", true, None),
        Seen::AddressInUse { .. } => (EventKind::Dhcp, "address in use", false, None),
        Seen::OtherServer { .. } => (EventKind::Dhcp, "other server", false, None),
        Seen::Unanswered { .. } => (EventKind::Dhcp, "unanswered", false, None),
        Seen::UnknownMachine { .. } => (EventKind::Dhcp, "unknown machine", false, None),
        Seen::TftpStarted { .. } => (EventKind::Tftp, "start", true, None),
        Seen::TftpFinished { took: lasted, .. } => (EventKind::Tftp, "send", true, Some(took(*lasted))),
        Seen::TftpAborted { took: lasted, .. } => (EventKind::Tftp, "send", false, Some(took(*lasted))),
        Seen::Refused { .. } => (EventKind::Http, "refuse", false, None),
        Seen::ScriptServed => (EventKind::Http, "script", true, None),
        Seen::FetchStarted { .. } => (EventKind::Http, "start", true, None),
        Seen::FetchFinished { took: lasted, .. } => (EventKind::Http, "send", true, Some(took(*lasted))),
        Seen::FetchCut { took: lasted, .. } => (EventKind::Http, "send", false, Some(took(*lasted))),
        _ => (EventKind::Dhcp, "seen", true, None),
    }
}

/// The database as the DHCP server's memory of its leases.
pub struct StoredLeases(store::Store);

impl StoredLeases {
    /// Keeps leases in this store.
    pub fn new(store: store::Store) -> Self {
        Self(store)
    }
}

impl LeaseStore for StoredLeases {
    fn leases(&self) -> Pending<'_, Result<Vec<(Mac, Ipv4Addr)>, LeaseError>> {
        Box::pin(async {
            let rows = self.0.dhcp_leases().await.map_err(|error| LeaseError(error.to_string()))?;
            Ok(rows.into_iter().filter_map(|(mac, address)| Some((mac.parse().ok()?, address))).collect())
        })
    }

    fn save(&self, mac: Mac, address: Ipv4Addr) -> Pending<'_, Result<bool, LeaseError>> {
        Box::pin(async move {
            let saved = self.0.put_dhcp_lease(&mac.to_string(), address, Timestamp::now()).await;
            saved.map_err(|error| LeaseError(error.to_string()))
        })
    }

    fn foreign(&self, net: Ipv4Net) -> Pending<'_, Result<Foreign, LeaseError>> {
        Box::pin(
            async move { lease::foreign(&self.0, net).await.map_err(|error| LeaseError(error.to_string())) },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::network::{Network, NetworkPort, Subnet};
    use model::node::BootAttempt;
    use netboot::Lease;
    use std::sync::Arc;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_ramdisk_gets_an_address_of_the_pool_and_the_instance_its_ports() {
        let now = Timestamp::now();
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        let bmcs = Arc::new(bmc::Registry::new(bmc::ipmi::Limits::default()));
        let conductor = Conductor::new(store.clone(), Settings::new("seed", dir.path()), bmcs);
        let (source, _scribe) = NodeBootSource::new(conductor, 6386, CancellationToken::new());

        let network = store.create_network(Network::new(Uuid::new_v4(), "p", now)).await.unwrap();
        let cidr = "10.77.0.0/24".parse().unwrap();
        store.create_subnet(Subnet::new(Uuid::new_v4(), network.id, "p", cidr, now)).await.unwrap();
        let wanted = NetworkPort::new(Uuid::new_v4(), network.id, "p", now);
        let attached = store.create_network_port(wanted, None, now).await.unwrap();

        let mac: Mac = "52:54:00:00:00:01".parse().unwrap();
        assert_eq!(source.machine(mac).await.unwrap(), None, "a stranger");
        let mut node = Node::new(Uuid::new_v4(), "ipmi", now);
        node.provision_state = S::DeployWait;
        node.work.boot = Some(BootAttempt {
            attempt: 1,
            powered_at: Some(now),
            last_seen: None,
            last_seen_at: None,
            ramdisk_sent_at: None,
            is_over: false,
        });
        store.create_node(&node, &[]).await.unwrap();
        let mut port = Port::new(Uuid::new_v4(), node.uuid, mac.to_string(), now);
        model::vif::attach(&mut port.internal_info, &attached.id.to_string());
        store.create(&port).await.unwrap();
        assert_eq!(source.machine(mac).await.unwrap().unwrap().lease, Lease::Pool);
        store
            .edit_node(node.uuid, Guard::Any, now, |edit| {
                edit.node.provision_state = S::Active;
                edit.node.work.boot = None;
                Ok::<_, store::StoreError>(())
            })
            .await
            .unwrap();
        let Lease::Fixed(fixed) = source.machine(mac).await.unwrap().unwrap().lease else {
            panic!("no port")
        };
        assert_eq!(std::net::IpAddr::V4(fixed.address), attached.fixed_ips[0].ip_address);

        // Neither gives out what the other has.
        let leases = StoredLeases::new(store.clone());
        assert_eq!(leases.save(mac, fixed.address).await, Ok(false));
        assert!(
            leases.foreign("10.77.0.0/24".parse().unwrap()).await.unwrap().taken.contains(&fixed.address)
        );
        let next = Ipv4Addr::new(10, 77, 0, 3);
        assert_eq!(leases.save(mac, next).await, Ok(true));
        let wanted = NetworkPort::new(Uuid::new_v4(), network.id, "p", now);
        let other = store.create_network_port(wanted, None, now).await.unwrap();
        assert_eq!(other.fixed_ips[0].ip_address.to_string(), "10.77.0.4");
    }
}
