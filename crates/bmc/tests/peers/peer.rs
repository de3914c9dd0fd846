//! A BMC simulator of others as a child process.

use bmc::ipmi::{IpmiBmc, Limits, Settings};
use std::net::UdpSocket;
use std::time::Duration;
use tokio::process::{Child, Command};

/// A running simulator; dropping it kills it.
pub struct Peer {
    pub port: u16,
    _child: Child,
}

impl Peer {
    /// Starts a program on a free port of loopback. `package` is told when the program is missing.
    pub fn start(package: &str, command: impl FnOnce(u16) -> Command) -> Self {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = command(port);
        let program = format!("{:?}", command.as_std().get_program());
        let child = command
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}. This test needs it: apt-get install {package}"));
        Self { port, _child: child }
    }

    /// A client. The limit leaves the program time to start: until then its port refuses, and the client goes on asking.
    pub fn bmc(&self, info: serde_json::Value) -> IpmiBmc {
        let limits = Limits {
            overall: Duration::from_secs(10),
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_millis(500),
            ..Limits::default()
        };
        IpmiBmc::new(self.settings(info), limits)
    }

    /// A client with little patience, for errors that come of silence.
    pub fn hasty_bmc(&self, info: serde_json::Value) -> IpmiBmc {
        let limits = Limits {
            overall: Duration::from_secs(1),
            first_wait: Duration::from_millis(200),
            ..Limits::default()
        };
        IpmiBmc::new(self.settings(info), limits)
    }

    fn settings(&self, mut info: serde_json::Value) -> Settings {
        let map = info.as_object_mut().unwrap();
        map.insert("ipmi_address".into(), "127.0.0.1".into());
        map.insert("ipmi_port".into(), self.port.into());
        Settings::parse(map).unwrap()
    }
}
