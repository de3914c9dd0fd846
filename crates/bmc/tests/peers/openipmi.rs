//! OpenIPMI's `ipmi_sim` (Debian's openipmi): suite 3 only, power and boot device by a shell script.

use crate::peer::Peer;
use bmc::{Bmc, BmcError, BootDevice, BootOverride, PowerAction, PowerState};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

/// `get power`, `set power 1`, `get boot`, `set boot pxe`, `set reset 1`, `set shutdown 1`: what ipmi_sim calls it with.
const CONTROL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$@" >> log
case "$1 $2" in
"get power") if [ -e on ]; then echo power:1; else echo power:0; fi ;;
"set power") if [ "$3" = 1 ]; then : > on; else rm -f on; fi ;;
"get boot") echo "boot:$(cat boot 2>/dev/null || echo none)" ;;
"set boot") echo "$3" > boot ;;
esac
"#;

const COMMANDS: &str = "mc_setbmc 0x20\n\
    mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\n\
    mc_enable 0x20\n";

fn configuration(dir: &Path, port: u16) -> String {
    format!(
        "name \"billet\"\nset_working_mc 0x20\n  startlan 1\n    addr 127.0.0.1 {port}\n    priv_limit admin\n    \
         allowed_auths_callback none md2 md5 straight\n    allowed_auths_user none md2 md5 straight\n    \
         allowed_auths_operator none md2 md5 straight\n    allowed_auths_admin none md2 md5 straight\n    \
         guid a123456789abcdefa123456789abcdef\n  endlan\n  chassis_control \"{}\"\n  \
         user 1 true \"\" \"test\" user 10 none md2 md5 straight\n  \
         user 2 true \"admin\" \"calvin\" admin 10 none md2 md5 straight\n  \
         user 3 true \"reader\" \"r\" user 10 none md2 md5 straight\n",
        dir.join("control").display()
    )
}

struct Sim {
    peer: Peer,
    dir: TempDir,
}

impl Sim {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("control"), CONTROL).unwrap();
        std::fs::set_permissions(at("control"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(at("commands"), COMMANDS).unwrap();
        std::fs::create_dir(at("state")).unwrap();
        let peer = Peer::start("openipmi", |port| {
            std::fs::write(at("lan.conf"), configuration(dir.path(), port)).unwrap();
            let mut command = Command::new("ipmi_sim");
            command.arg("-n").arg("-c").arg(at("lan.conf")).arg("-f").arg(at("commands"));
            command.arg("-s").arg(at("state")).stdout(std::process::Stdio::null());
            command
        });
        Self { peer, dir }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

fn admin() -> serde_json::Value {
    json!({"ipmi_username": "admin", "ipmi_password": "calvin"})
}

#[tokio::test]
async fn power_boot_device_and_identity() {
    let sim = Sim::start();
    let bmc = sim.peer.bmc(admin());
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    let pxe = BootOverride { device: BootDevice::Pxe, persistent: false, mode: None };
    bmc.set_boot_override(pxe).await.unwrap();
    assert_eq!(bmc.boot_override().await.unwrap().device, BootDevice::Pxe);
    bmc.set_power(PowerAction::On).await.unwrap();
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::On);
    bmc.set_power(PowerAction::Reset).await.unwrap();
    bmc.set_power(PowerAction::SoftOff).await.unwrap();
    bmc.set_power(PowerAction::Off).await.unwrap();
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    let identity = bmc.identity().await.unwrap();
    assert_eq!((identity.manufacturer, identity.product), (0x1291, 0xf02));
    assert_eq!(identity.firmware, "9.08");
    let log = sim.log();
    for deed in ["set boot pxe", "set power 1", "set reset 1", "set shutdown 1", "set power 0"] {
        assert!(log.lines().any(|line| line == deed), "{deed} in {log}");
    }
}

#[tokio::test]
async fn suite_17_is_refused_and_3_serves() {
    let sim = Sim::start();
    let mut info = admin();
    info["ipmi_cipher_suite"] = 3.into();
    assert_eq!(sim.peer.bmc(info.clone()).power_state().await.unwrap(), PowerState::Off);
    info["ipmi_cipher_suite"] = 17.into();
    let error = sim.peer.bmc(info).power_state().await.unwrap_err();
    assert!(matches!(&error, BmcError::CipherRefused { tried, .. } if *tried == [17]), "{error}");
}

#[tokio::test]
async fn wrong_password_user_and_low_privilege_are_told_apart() {
    let sim = Sim::start();
    sim.peer.bmc(admin()).power_state().await.unwrap();
    let wrong = json!({"ipmi_username": "admin", "ipmi_password": "hobbes"});
    let error = sim.peer.bmc(wrong).power_state().await.unwrap_err();
    assert!(
        matches!(&error, BmcError::WrongCredentials { detail, .. } if detail.contains("password")),
        "{error}"
    );
    let nobody = json!({"ipmi_username": "nobody", "ipmi_password": "calvin"});
    let error = sim.peer.bmc(nobody).power_state().await.unwrap_err();
    assert!(matches!(&error, BmcError::WrongCredentials { user, .. } if user == "nobody"), "{error}");
    // ipmi_sim lets any user rise to ADMINISTRATOR, so that only what a USER session may do is judged here.
    let as_user = json!({"ipmi_username": "reader", "ipmi_password": "r", "ipmi_priv_level": "USER"});
    let reader = sim.peer.bmc(as_user);
    assert_eq!(reader.power_state().await.unwrap(), PowerState::Off);
    let error = reader.set_power(PowerAction::On).await.unwrap_err();
    assert!(matches!(error, BmcError::PrivilegeRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_restart_of_the_bmc_is_survived() {
    let sim = Sim::start();
    let bmc = sim.peer.bmc(admin());
    bmc.set_power(PowerAction::On).await.unwrap();
    let Sim { peer, dir } = sim;
    let port = peer.port;
    drop(peer);
    let hasty = Peer::start("openipmi", |_| {
        let mut command = Command::new("ipmi_sim");
        command
            .arg("-n")
            .arg("-c")
            .arg(dir.path().join("lan.conf"))
            .arg("-f")
            .arg(dir.path().join("commands"));
        command.arg("-s").arg(dir.path().join("state")).stdout(std::process::Stdio::null());
        command
    });
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::On, "on port {port}");
    drop(hasty);
}
