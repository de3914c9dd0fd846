//! pyghmi's fake BMC: suite 3 only; silent where others refuse (unknown user, wrong password in RAKP message 3).

use crate::peer::Peer;
use bmc::{Bmc, BmcError, BootDevice, BootOverride, PowerAction, PowerState};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// A release known to work with this test.
const PYGHMI: &str = "pyghmi==1.6.19";

/// The fake BMC of pyghmi's own demonstration, on loopback only.
const SERVER: &str = r"
import sys
import pyghmi.cmd.fakebmc as demo
import pyghmi.ipmi.bmc as bmc

class Local(demo.FakeBmc):
    def __init__(self, users, port):
        bmc.Bmc.__init__(self, users, port, address='127.0.0.1')
        self.powerstate = 'off'
        self.bootdevice = 'default'

Local({'admin': 'password'}, int(sys.argv[1])).listen()
";

async fn run(command: &mut Command, hint: &str) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap_or_else(|e| panic!("{command:?}: {e}. This test needs it: {hint}"));
    assert!(
        output.status.success(),
        "{command:?} failed, this test needs it ({hint}): {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A Python with pyghmi, made once under the target directory. Made beside its place and moved there, so that tests at one time do not
/// see a half-made one: Python finds its packages by where its link stands.
async fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venv-pyghmi-1.6.19");
    let python = home.join("bin/python3");
    if !python.exists() {
        let hint = "apt-get install python3-venv, and a way to PyPI for pip";
        let making = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let venv = making.path().join("venv");
        run(Command::new("python3").arg("-m").arg("venv").arg(&venv), hint).await;
        let mut install = Command::new(venv.join("bin/python3"));
        run(install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYGHMI]), hint)
            .await;
        // Another test may have been first: then its venv serves.
        if std::fs::rename(&venv, &home).is_err() {
            assert!(python.exists(), "the venv could not be moved to {}", home.display());
        }
    }
    python
}

async fn start() -> Peer {
    let python = python().await;
    Peer::start("python3-venv", |port| {
        let mut command = Command::new(python);
        command.arg("-u").arg("-c").arg(SERVER).arg(port.to_string()).stdout(Stdio::null());
        command
    })
}

#[tokio::test]
async fn power_and_boot_device() {
    let peer = start().await;
    let bmc = peer.bmc(json!({"ipmi_username": "admin", "ipmi_password": "password"}));
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    bmc.set_power(PowerAction::On).await.unwrap();
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::On);
    let pxe = BootOverride { device: BootDevice::Pxe, persistent: false, mode: None };
    bmc.set_boot_override(pxe).await.unwrap();
    assert_eq!(bmc.boot_override().await.unwrap().device, BootDevice::Pxe);
    bmc.set_power(PowerAction::Reset).await.unwrap();
    bmc.set_power(PowerAction::SoftOff).await.unwrap();
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    assert_eq!(bmc.identity().await.unwrap().firmware, "1.00");
    let error = bmc.set_power(PowerAction::Nmi).await.unwrap_err();
    assert!(matches!(error, BmcError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn wrong_password_and_silence_about_users() {
    let peer = start().await;
    peer.bmc(json!({"ipmi_username": "admin", "ipmi_password": "password"})).power_state().await.unwrap();
    let error = peer
        .bmc(json!({"ipmi_username": "admin", "ipmi_password": "hobbes"}))
        .power_state()
        .await
        .unwrap_err();
    assert!(matches!(error, BmcError::WrongCredentials { .. }), "{error}");
    let error = peer
        .hasty_bmc(json!({"ipmi_username": "nobody", "ipmi_password": "password"}))
        .power_state()
        .await
        .unwrap_err();
    assert!(
        matches!(&error, BmcError::Timeout { detail, .. } if detail.contains("user does not exist")),
        "{error}"
    );
}
