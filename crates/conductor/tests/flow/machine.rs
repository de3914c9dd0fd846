//! A simulated machine: firmware that asks what to boot, an agent that looks up, beats and obeys, and a disk that remembers.
//!
//! It meets the conductor only where a real one would: its BMC's power, the boot source, lookup and heartbeat, and the agent's
//! HTTP interface.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use bmc::Bmc;
use bmc::fake::FakeBmc;
use conductor::{Conductor, HeartbeatRequest, LookupRequest, NodeBootSource};
use model::secret::MASK;
use netboot::{Artifact, Boot, BootSource};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The root file system of every image here.
pub const ROOT: &str = "3f0b5a7c-2a51-4f0f-9d5e-7d1a4a4e8b11";

/// The conductor that is up now, if one is.
pub type Up = Arc<RwLock<Option<Conductor>>>;

/// By what address the machine knows the conductor's host.
pub const SERVER: &str = "http://192.0.2.1:6386";

/// What a machine has been through.
#[derive(Debug, Default, Clone)]
pub struct Diary {
    /// Boots into the ramdisk.
    pub ramdisk_boots: usize,
    /// Boots from its own disk.
    pub disk_boots: usize,
    /// Boots of its instance over the network: kernel, ramdisk and command line.
    pub instance_boots: Vec<String>,
    /// Times that the disk was erased.
    pub erased: usize,
    /// Image that is on the disk.
    pub image: Option<String>,
    /// Files of the ramdisk that was booted last: kernel and initramfs.
    pub booted: Option<(PathBuf, PathBuf)>,
    /// Images written, repeats included.
    pub writes: usize,
    /// What the agent was told of the image.
    pub image_info: Value,
    /// What it was told of the boot loader.
    pub bootloader: Vec<Value>,
    /// Config drive that came with the image.
    pub config_drive: Option<String>,
    /// What the rescue ramdisk was told.
    pub rescue: Option<Value>,
}

/// Faults that a test may set.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    /// The agent command of this name fails with this text.
    pub fail: Option<(String, String)>,
    /// The ramdisk never calls.
    pub mute: bool,
    /// Another agent's token is sent.
    pub stolen_token: bool,
}

pub struct Machine {
    pub diary: Arc<Mutex<Diary>>,
    pub faults: Arc<Mutex<Faults>>,
    stop: CancellationToken,
}

/// Is the machine on? Asked of whatever plays its power supply.
pub enum Power {
    /// The `fake` BMC.
    Bmc(Arc<FakeBmc>),
    /// The chassis behind a simulated BMC.
    Switch(Arc<AtomicBool>),
}

impl Power {
    async fn is_on(&self) -> bool {
        match self {
            Power::Bmc(bmc) => bmc.power_state().await.unwrap() == bmc::PowerState::On,
            Power::Switch(switch) => switch.load(Ordering::SeqCst),
        }
    }

    /// How often it was cut, as far as that is counted.
    fn offs(&self) -> u64 {
        match self {
            Power::Bmc(bmc) => bmc.offs(),
            Power::Switch(_) => 0,
        }
    }
}

impl Machine {
    pub fn start(power: Power, mac: &str, up: Up) -> Self {
        let machine = Self { diary: Arc::default(), faults: Arc::default(), stop: CancellationToken::new() };
        let life = Life {
            power,
            mac: mac.to_owned(),
            up,
            diary: machine.diary.clone(),
            faults: machine.faults.clone(),
        };
        let stop = machine.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = life.run() => {}
            }
        });
        machine
    }

    pub fn diary(&self) -> Diary {
        self.diary.lock().unwrap().clone()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Life {
    power: Power,
    mac: String,
    up: Up,
    diary: Arc<Mutex<Diary>>,
    faults: Arc<Mutex<Faults>>,
}

const TICK: Duration = Duration::from_millis(2);

impl Life {
    async fn run(&self) {
        loop {
            let offs = self.power.offs();
            while !self.power.is_on().await {
                tokio::time::sleep(TICK).await;
            }
            tokio::select! {
                () = self.until_off(offs) => {}
                () = self.boot() => self.until_off(offs).await,
            }
        }
    }

    /// Waits until the power is cut again.
    async fn until_off(&self, offs: u64) {
        while self.power.offs() == offs && self.power.is_on().await {
            tokio::time::sleep(TICK).await;
        }
    }

    fn conductor(&self) -> Option<Conductor> {
        self.up.read().unwrap().clone()
    }

    /// As firmware does: asks until somebody answers, then boots what it got.
    async fn boot(&self) {
        let boot = loop {
            if let Some(conductor) = self.conductor() {
                let (source, _scribe) = NodeBootSource::new(conductor, 6386, CancellationToken::new());
                if let Ok(Some(machine)) = source.boot(self.mac.parse().unwrap()).await {
                    break machine.boot;
                }
            }
            tokio::time::sleep(TICK).await;
        };
        match boot {
            Boot::LocalDisk => self.diary.lock().unwrap().disk_boots += 1,
            Boot::Ramdisk { kernel, initramfs, cmdline } if cmdline.contains("root=UUID=") => {
                let told = format!("{kernel:?} {initramfs:?} {cmdline}");
                self.diary.lock().unwrap().instance_boots.push(told);
            }
            Boot::Ramdisk { kernel, initramfs, .. } => {
                {
                    let mut diary = self.diary.lock().unwrap();
                    diary.ramdisk_boots += 1;
                    diary.booted = match (kernel, initramfs) {
                        (Artifact::File(kernel), Artifact::File(initramfs)) => Some((kernel, initramfs)),
                        _ => None,
                    };
                }
                if !self.faults.lock().unwrap().mute {
                    self.ramdisk().await;
                }
            }
        }
    }

    async fn ramdisk(&self) {
        let (node, token) = loop {
            if let Some(conductor) = self.conductor() {
                let asked = LookupRequest { addresses: vec![self.mac.clone()], node_uuid: None };
                if let Ok((node, Some(token))) = conductor.lookup(asked).await {
                    break (node.uuid, token);
                }
            }
            tokio::time::sleep(TICK).await;
        };
        if token.expose() == MASK {
            // The token went to somebody else, or its reply was lost: as the real agent does, nothing until the power is cut.
            return std::future::pending().await;
        }
        let agent = Agent {
            token: token.expose().to_owned(),
            commands: Arc::default(),
            diary: self.diary.clone(),
            faults: self.faults.clone(),
            bell: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let callback_url = format!("http://{}", listener.local_addr().unwrap());
        let bell = agent.bell.clone();
        let stolen = self.faults.lock().unwrap().stolen_token;
        let serving = async { axum::serve(listener, agent.router()).await.unwrap() };
        let beating = async {
            loop {
                let beat = HeartbeatRequest {
                    callback_url: callback_url.clone(),
                    agent_version: Some("12.0.0".into()),
                    agent_token: Some(if stolen {
                        model::Secret::new("x".repeat(43))
                    } else {
                        token.clone()
                    }),
                    agent_verify_ca: None,
                    agent_status: None,
                    agent_status_message: None,
                    arrived_at: Some(SERVER.to_owned()),
                };
                let delivered = match self.conductor() {
                    Some(conductor) => conductor.heartbeat(node, beat).await.is_ok(),
                    None => false,
                };
                // A heartbeat that was not taken is repeated soon; else the next is due when a command has ended.
                if delivered {
                    let _ = tokio::time::timeout(Duration::from_millis(200), bell.notified()).await;
                } else {
                    tokio::time::sleep(TICK).await;
                }
            }
        };
        tokio::select! {
            () = serving => {}
            () = beating => {}
        }
    }
}

#[derive(Clone)]
struct Agent {
    token: String,
    commands: Arc<Mutex<Vec<Value>>>,
    diary: Arc<Mutex<Diary>>,
    faults: Arc<Mutex<Faults>>,
    bell: Arc<tokio::sync::Notify>,
}

impl Agent {
    fn router(self) -> Router {
        Router::new().route("/v1/commands/", get(list).post(command)).with_state(self)
    }

    fn carry_out(&self, name: &str, params: &Value) -> Result<Value, String> {
        if let Some((failing, text)) = &self.faults.lock().unwrap().fail
            && failing == name
        {
            return Err(text.clone());
        }
        let mut diary = self.diary.lock().unwrap();
        match name {
            "rescue.finalize_rescue" => {
                diary.rescue = Some(params.clone());
                Ok(json!({"result": "rescue"}))
            }
            "clean.get_clean_steps" => Ok(json!({
                "clean_steps": {"Generic": [
                    {"step": "erase_devices_metadata", "priority": 99, "interface": "deploy", "abortable": true},
                    {"step": "burnin_cpu", "priority": 0, "interface": "deploy"},
                ]},
                "hardware_manager_version": {"Generic": "1"},
            })),
            "deploy.get_deploy_steps" => Ok(json!({"deploy_steps": {}, "hardware_manager_version": {}})),
            "clean.execute_clean_step" => {
                diary.erased += 1;
                diary.image = None;
                Ok(json!({"clean_result": null, "clean_step": params["step"]}))
            }
            "standby.prepare_image" => {
                diary.writes += 1;
                diary.image = params["image_info"]["urls"][0].as_str().map(str::to_owned);
                diary.image_info = params["image_info"].clone();
                diary.config_drive = params["configdrive"].as_str().map(str::to_owned);
                Ok(json!({"result": "prepare_image: image written"}))
            }
            "standby.get_partition_uuids" => {
                Ok(json!({"root uuid": ROOT, "efi system partition uuid": "1A2B-3C4D"}))
            }
            "image.install_bootloader" => {
                diary.bootloader.push(params.clone());
                Ok(json!({"result": "done"}))
            }
            "standby.sync" => Ok(json!({"result": "done"})),
            other => Err(format!("unknown command {other}")),
        }
    }
}

type Asked = Query<HashMap<String, String>>;

async fn list(State(agent): State<Agent>, Query(query): Asked) -> (StatusCode, Json<Value>) {
    if query.get("agent_token") != Some(&agent.token) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"faultstring": "Token invalid."})));
    }
    (StatusCode::OK, Json(json!({"commands": *agent.commands.lock().unwrap()})))
}

async fn command(
    State(agent): State<Agent>,
    Query(query): Asked,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if query.get("agent_token") != Some(&agent.token) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"faultstring": "Token invalid."})));
    }
    let name = body["name"].as_str().unwrap().to_owned();
    let mut entry = json!({
        "id": format!("c{}", agent.commands.lock().unwrap().len()),
        "command_name": name.rsplit('.').next(),
        "command_status": "RUNNING",
    });
    let outcome = agent.carry_out(&name, &body["params"]);
    let mut ended = entry.clone();
    match outcome {
        Ok(result) => {
            ended["command_status"] = "SUCCEEDED".into();
            ended["command_result"] = result;
        }
        Err(details) => {
            ended["command_status"] = "FAILED".into();
            ended["command_error"] =
                json!({"type": "E", "code": 500, "message": "failed", "details": details});
        }
    }
    agent.commands.lock().unwrap().push(ended.clone());
    if query.get("wait").is_some_and(|wait| wait == "true") {
        entry = ended;
    } else {
        agent.bell.notify_one();
    }
    (StatusCode::OK, Json(entry))
}
