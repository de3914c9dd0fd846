//! A machine of variables and a BMC in front of it.

use bmc::ipmi::{IpmiBmc, Limits, Settings};
use lab::chassis::{BootDevice, BootFlags, Chassis, ChassisFuture, Control};
use lab::ipmi_sim::{Config, IpmiSim, administrator};
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub const USER: &str = "admin";
pub const PASSWORD: &str = "calvin";

/// Keeps what it was told; powers up at once.
pub struct Machine {
    pub is_on: Mutex<bool>,
    pub deeds: Mutex<Vec<(Control, BootFlags)>>,
    boots: watch::Sender<u64>,
}

impl Chassis for Machine {
    fn is_on(&self) -> ChassisFuture<'_, Result<bool, String>> {
        Box::pin(async { Ok(*self.is_on.lock().unwrap()) })
    }

    fn control(&self, control: Control, flags: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.deeds.lock().unwrap().push((control, flags));
            match control {
                Control::PowerDown | Control::SoftShutdown => *self.is_on.lock().unwrap() = false,
                Control::PowerUp | Control::PowerCycle | Control::HardReset => {
                    *self.is_on.lock().unwrap() = true;
                    self.boots.send_modify(|n| *n += 1);
                }
                Control::DiagnosticInterrupt => {}
            }
            Ok(())
        })
    }

    fn boot_flags_changed(&self, _: BootFlags) -> ChassisFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn boots(&self) -> watch::Receiver<u64> {
        self.boots.subscribe()
    }
}

/// A served simulator; dropping it ends the server.
pub struct Rack {
    pub sim: IpmiSim,
    pub machine: Arc<Machine>,
    _server: DropGuard,
}

impl Rack {
    pub fn new() -> Self {
        Self::with(Config::new(administrator(USER, PASSWORD)))
    }

    pub fn with(config: Config) -> Self {
        let machine = Arc::new(Machine {
            is_on: Mutex::new(false),
            deeds: Mutex::default(),
            boots: watch::channel(0).0,
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sim = IpmiSim::with_config(socket, config, machine.clone()).unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn({
            let (sim, cancel) = (sim.clone(), cancel.clone());
            async move { sim.run(cancel).await }
        });
        Self { sim, machine, _server: cancel.drop_guard() }
    }

    pub fn deeds(&self) -> Vec<Control> {
        self.machine.deeds.lock().unwrap().iter().map(|(control, _)| *control).collect()
    }

    pub fn last_device(&self) -> BootDevice {
        self.machine.deeds.lock().unwrap().last().unwrap().1.device
    }

    pub fn port(&self) -> u16 {
        self.sim.local_addr().port()
    }

    /// Settings of the right user, changed by `change`.
    pub fn settings(&self, change: serde_json::Value) -> Settings {
        let mut info = serde_json::json!({
            "ipmi_address": "127.0.0.1", "ipmi_port": self.port(), "ipmi_username": USER, "ipmi_password": PASSWORD,
        });
        let all = info.as_object_mut().unwrap();
        all.extend(change.as_object().unwrap().clone());
        Settings::parse(all).unwrap()
    }

    pub fn bmc(&self, change: serde_json::Value) -> IpmiBmc {
        IpmiBmc::new(self.settings(change), quick())
    }
}

/// Limits for tests: everything on loopback answers in milliseconds.
pub fn quick() -> Limits {
    Limits {
        overall: Duration::from_millis(1500),
        first_wait: Duration::from_millis(60),
        longest_wait: Duration::from_millis(200),
        pause: Duration::ZERO,
        ..Limits::default()
    }
}
