//! A rack: machines, their BMCs and the wire between them, alive as long as the value.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chassis::{BootDevice, BootFlags, Chassis, Control};
use crate::error::{Error, Result};
use crate::image_server::ImageServer;
use crate::ipmi_sim::{self, IpmiSim};
use crate::qemu::{Disk, DiskBus, Firmware, Machine, MachineConfig};
use crate::state_dir::StateDir;
use crate::{isolation, network};

/// User of every simulated BMC.
pub const BMC_USER: &str = "admin";
/// Password of every simulated BMC. No secret: the rack can be reached from its own namespace alone.
pub const BMC_PASSWORD: &str = "billet-lab";
/// UDP port of IPMI.
const IPMI_PORT: u16 = 623;
/// TCP port of the image server on [`network::GATEWAY`].
pub const IMAGE_PORT: u16 = 8000;

/// One machine to be.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Firmware.
    pub firmware: Firmware,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Sizes (bytes) and buses of its disks.
    pub disks: Vec<(u64, DiskBus)>,
}

impl NodeConfig {
    /// 512 MiB and one 8 GiB virtio disk (sparse): enough for every image the lab builds.
    #[must_use]
    pub fn new(firmware: Firmware) -> Self {
        Self { firmware, memory_mib: 512, disks: vec![(8 << 30, DiskBus::Virtio)] }
    }
}

/// What a rack is made of.
#[derive(Debug, Clone, Default)]
pub struct RackConfig {
    /// Its machines.
    pub nodes: Vec<NodeConfig>,
    /// Where its state goes and stays; `None`: a temporary directory, removed at the end.
    pub state_dir: Option<PathBuf>,
    /// Directory of images to serve.
    pub images: Option<PathBuf>,
}

/// A machine's entry in `rack.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Name in the rack: `node-1`, …
    pub name: String,
    /// Firmware.
    pub firmware: Firmware,
    /// MAC of its network card.
    pub mac: String,
    /// System UUID.
    pub uuid: uuid::Uuid,
    /// BMC's address.
    pub bmc_address: Ipv4Addr,
    /// BMC's UDP port.
    pub bmc_port: u16,
    /// BMC's user.
    pub bmc_user: String,
    /// BMC's password.
    pub bmc_password: String,
    /// File with everything its serial console printed.
    pub console_log: PathBuf,
    /// An address on the rack's network that is free for its operating system.
    pub address: Ipv4Addr,
}

/// `rack.json`: what others need to use a running rack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RackInfo {
    /// Process 1 of the rack's namespaces, as seen from outside.
    pub pid: i32,
    /// The rack's directory.
    pub state_dir: PathBuf,
    /// Base URL of the image server, with a slash at the end.
    pub images_url: String,
    /// The machines.
    pub nodes: Vec<NodeInfo>,
}

impl RackInfo {
    /// Reads `rack.json` from a rack's directory.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Invalid`] when it is no such file.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("rack.json");
        let text = std::fs::read(&path).map_err(Error::io("reading", &path))?;
        serde_json::from_slice(&text).map_err(|error| Error::Invalid(format!("{}: {error}", path.display())))
    }
}

/// One machine with its BMC.
pub struct Node {
    /// How to reach it.
    pub info: NodeInfo,
    /// The machine.
    pub machine: Arc<Machine>,
    /// Its BMC: faults are set here.
    pub bmc: IpmiSim,
    _serving: tokio_util::sync::DropGuard,
}

/// A running rack. Dropping it kills its machines and closes its servers; a temporary state directory is removed.
pub struct Rack {
    // Fields are dropped in this order: machines before the directory that they write into.
    nodes: Vec<Node>,
    images: ImageServer,
    info: RackInfo,
    _state_dir: StateDir,
}

impl Rack {
    /// Brings a rack up: wires, machines (powered off), BMCs, image server, `rack.json`. The process must be inside namespaces of its own
    /// ([`isolation::enter`], [`isolation::test`]); one rack a process.
    ///
    /// # Errors
    /// Any [`Error`]; what had been started by then is taken down.
    pub async fn start(config: RackConfig) -> Result<Self> {
        let pid = isolation::outer_pid().ok_or_else(|| {
            Error::Invalid(
                "a rack must run in namespaces of its own (isolation::enter or isolation::test)".into(),
            )
        })?;
        let state_dir = StateDir::create(config.state_dir.as_deref())?;
        network::configure(config.nodes.len())?;
        let images = ImageServer::start(SocketAddr::from((network::GATEWAY, IMAGE_PORT))).await?;
        if let Some(dir) = &config.images {
            images.add_directory(dir).await?;
        }
        let mut nodes = Vec::with_capacity(config.nodes.len());
        for (index, node) in config.nodes.iter().enumerate() {
            nodes.push(Node::start(index, node, state_dir.path()).await?);
        }
        let info = RackInfo {
            pid,
            state_dir: state_dir.path().to_path_buf(),
            images_url: images.url(""),
            nodes: nodes.iter().map(|node| node.info.clone()).collect(),
        };
        let path = state_dir.path().join("rack.json");
        let text = serde_json::to_vec_pretty(&info).map_err(|error| Error::Invalid(error.to_string()))?;
        std::fs::write(&path, text).map_err(Error::io("writing", &path))?;
        Ok(Self { nodes, images, info, _state_dir: state_dir })
    }

    /// Its machines.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Its image server.
    #[must_use]
    pub fn images(&self) -> &ImageServer {
        &self.images
    }

    /// What `rack.json` says.
    #[must_use]
    pub fn info(&self) -> &RackInfo {
        &self.info
    }

    /// Powers every machine off and takes the rack down. The same as dropping it, but returns only when the machines are off.
    pub async fn stop(self) {
        let flags = BootFlags { device: BootDevice::None, persistent: false, uefi: false };
        for node in &self.nodes {
            // A machine that can't be asked is being killed with its task.
            let _ = node.machine.control(Control::PowerDown, flags).await;
        }
    }
}

impl Node {
    async fn start(index: usize, config: &NodeConfig, state_dir: &Path) -> Result<Self> {
        let name = format!("node-{}", index + 1);
        let disks = config.disks.iter().enumerate().map(|(number, &(size_bytes, bus))| Disk {
            size_bytes,
            bus,
            serial: format!("LAB{}D{number}", index + 1),
        });
        let machine = MachineConfig {
            name: name.clone(),
            // The same machine has the same UUID in every rack, as its MAC; nothing outside the rack sees either.
            uuid: uuid::Uuid::from_u64_pair(0x6269_6c6c_6574_4000, 0x8000_0000_0000_0001 + index as u64),
            firmware: config.firmware,
            memory_mib: config.memory_mib,
            mac: network::mac(index),
            tap: Some(network::tap(index)),
            disks: disks.collect(),
        };
        let machine = Arc::new(Machine::create(machine, &state_dir.join(&name)).await?);
        let info = NodeInfo {
            name,
            firmware: config.firmware,
            mac: machine.config().mac.clone(),
            uuid: machine.config().uuid,
            bmc_address: network::bmc_address(index),
            bmc_port: IPMI_PORT,
            bmc_user: BMC_USER.into(),
            bmc_password: BMC_PASSWORD.into(),
            console_log: machine.console().path().to_path_buf(),
            address: network::machine_address(index),
        };
        let address = SocketAddr::from((info.bmc_address, info.bmc_port));
        let users = ipmi_sim::administrator(&info.bmc_user, &info.bmc_password);
        let bmc = IpmiSim::bind(address, users, machine.clone())
            .map_err(Error::io("listening for IPMI on", address.to_string()))?;
        let cancel = tokio_util::sync::CancellationToken::new();
        let (serving, until, name) = (bmc.clone(), cancel.clone(), info.name.clone());
        tokio::spawn(async move {
            if let Err(error) = serving.run(until).await {
                tracing::error!(%error, machine = name, "the BMC stopped");
            }
        });
        Ok(Self { info, machine, bmc, _serving: cancel.drop_guard() })
    }
}
