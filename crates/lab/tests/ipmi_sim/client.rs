//! `bmc`'s IPMI client against the simulator, on good days.

use crate::rack::{PASSWORD, Rack, USER, quick};
use bmc::ipmi::{IpmiBmc, Limits};
use bmc::{Bmc, BmcError, BootDevice, BootOverride, FirmwareMode, PowerAction, PowerState, Registry};
use lab::chassis::{self, Control};
use lab::ipmi_sim::{CipherSuite, Config, Privilege, User, administrator};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const NO_OVERRIDE: BootOverride = BootOverride { device: BootDevice::None, persistent: false, mode: None };

async fn whole_story(rack: &Rack, bmc: &IpmiBmc) {
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    assert_eq!(bmc.boot_override().await.unwrap(), NO_OVERRIDE);
    let pxe = BootOverride { device: BootDevice::Pxe, persistent: false, mode: Some(FirmwareMode::Uefi) };
    bmc.set_boot_override(pxe).await.unwrap();
    assert_eq!(bmc.boot_override().await.unwrap(), pxe);
    bmc.set_power(PowerAction::On).await.unwrap();
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::On);
    assert_eq!(rack.last_device(), chassis::BootDevice::Pxe);
    assert_eq!(bmc.boot_override().await.unwrap(), NO_OVERRIDE, "a one-shot override is used up by a boot");
    let disk = BootOverride { device: BootDevice::Disk, persistent: true, mode: Some(FirmwareMode::Bios) };
    bmc.set_boot_override(disk).await.unwrap();
    for action in [PowerAction::Reset, PowerAction::Cycle, PowerAction::Nmi, PowerAction::SoftOff] {
        bmc.set_power(action).await.unwrap();
    }
    assert_eq!(bmc.boot_override().await.unwrap(), disk, "a persistent override stays");
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    assert_eq!(
        rack.deeds(),
        [
            Control::PowerUp,
            Control::HardReset,
            Control::PowerCycle,
            Control::DiagnosticInterrupt,
            Control::SoftShutdown
        ]
    );
    let identity = bmc.identity().await.unwrap();
    assert_eq!((identity.manufacturer, identity.firmware.as_str()), (0, "1.00"));
    assert_eq!(bmc.send_raw(0x06, 0x04, vec![]).await.unwrap(), [0x55, 0x00]);
    assert_eq!(rack.sim.open_sessions(), 1, "one session served it all");
}

#[tokio::test]
async fn every_deed_with_the_suite_that_the_bmc_prefers() {
    let rack = Rack::new();
    whole_story(&rack, &rack.bmc(json!({}))).await;
}

#[tokio::test]
async fn every_deed_with_either_suite() {
    for suite in [3, 17] {
        let rack = Rack::new();
        whole_story(&rack, &rack.bmc(json!({"ipmi_cipher_suite": suite}))).await;
    }
}

#[tokio::test]
async fn suite_0_works_only_where_both_sides_ask_for_it() {
    let open =
        Rack::with(Config { suites: vec![CipherSuite::Zero], ..Config::new(administrator(USER, PASSWORD)) });
    whole_story(&open, &open.bmc(json!({"ipmi_cipher_suite": 0}))).await;
    let error = open.bmc(json!({})).power_state().await.unwrap_err();
    assert!(matches!(error, BmcError::CipherRefused { .. }), "{error}");
    let closed = Rack::new();
    let error = closed.bmc(json!({"ipmi_cipher_suite": 0})).power_state().await.unwrap_err();
    assert!(matches!(&error, BmcError::CipherRefused { tried, .. } if *tried == [0]), "{error}");
}

#[tokio::test]
async fn an_old_bmc_gets_suite_3_unless_17_was_demanded() {
    let rack =
        Rack::with(Config { suites: vec![CipherSuite::Three], ..Config::new(administrator(USER, PASSWORD)) });
    assert_eq!(rack.bmc(json!({})).power_state().await.unwrap(), PowerState::Off);
    let error = rack.bmc(json!({"ipmi_cipher_suite": 17})).power_state().await.unwrap_err();
    assert!(matches!(&error, BmcError::CipherRefused { tried, .. } if *tried == [17]), "{error}");
}

#[tokio::test]
async fn the_bmcs_own_key_is_used() {
    let rack = Rack::with(Config { kg: Some(vec![1, 2, 3]), ..Config::new(administrator(USER, PASSWORD)) });
    let with_key = rack.bmc(json!({"ipmi_hex_kg_key": "010203"}));
    assert_eq!(with_key.power_state().await.unwrap(), PowerState::Off);
    let error = rack.bmc(json!({})).power_state().await.unwrap_err();
    assert!(matches!(&error, BmcError::WrongCredentials { detail, .. } if detail.contains("K_g")), "{error}");
}

#[tokio::test]
async fn the_null_user_with_the_empty_password_is_a_user() {
    let rack = Rack::with(Config::new(administrator("", "")));
    let bmc = rack.bmc(json!({"ipmi_username": null, "ipmi_password": ""}));
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
}

#[tokio::test]
async fn privileges_hold() {
    let user = User { name: "reader".into(), password: "r".into(), privilege: Privilege::User };
    let rack = Rack::with(Config::new(vec![user]));
    let info =
        |level: &str| json!({"ipmi_username": "reader", "ipmi_password": "r", "ipmi_priv_level": level});
    let reader = rack.bmc(info("USER"));
    assert_eq!(reader.power_state().await.unwrap(), PowerState::Off);
    let error = reader.set_power(PowerAction::On).await.unwrap_err();
    assert!(matches!(error, BmcError::PrivilegeRefused { .. }), "{error}");
    assert!(rack.deeds().is_empty());
    let error = rack.bmc(info("ADMINISTRATOR")).power_state().await.unwrap_err();
    assert!(matches!(error, BmcError::PrivilegeRefused { .. }), "{error}");
}

#[tokio::test]
async fn supermicro_is_told_to_boot_its_disk_in_its_own_way() {
    let rack = Rack::with(Config { manufacturer: 10876, ..Config::new(administrator(USER, PASSWORD)) });
    let bmc = rack.bmc(json!({}));
    let disk = BootOverride { device: BootDevice::Disk, persistent: true, mode: Some(FirmwareMode::Uefi) };
    bmc.set_boot_override(disk).await.unwrap();
    let raw = bmc.send_raw(0x00, 0x09, vec![5, 0, 0]).await.unwrap();
    assert_eq!(raw[2..4], [0xe0, 0x24]);
    assert_eq!(bmc.boot_override().await.unwrap(), disk);
    assert_eq!(bmc.identity().await.unwrap().vendor, Some("supermicro"));
}

#[tokio::test]
async fn uefi_and_persistence_are_the_bytes_that_ironic_sends() {
    let rack = Rack::new();
    let bmc = rack.bmc(json!({}));
    for (device, persistent, expected) in [
        (BootDevice::Pxe, true, [0xe0, 0x04]),
        (BootDevice::Pxe, false, [0xa0, 0x04]),
        (BootDevice::Disk, true, [0xe0, 0x08]),
        (BootDevice::Cdrom, false, [0xa0, 0x14]),
        (BootDevice::Bios, false, [0xa0, 0x18]),
        (BootDevice::Safe, false, [0xa0, 0x0c]),
    ] {
        let wanted = BootOverride { device, persistent, mode: Some(FirmwareMode::Uefi) };
        bmc.set_boot_override(wanted).await.unwrap();
        let raw = bmc.send_raw(0x00, 0x09, vec![5, 0, 0]).await.unwrap();
        assert_eq!(raw[2..7], [expected[0], expected[1], 0, 0, 0], "{wanted:?}");
    }
    let clearing = bmc.send_raw(0x00, 0x09, vec![3, 0, 0]).await.unwrap();
    assert_eq!(clearing[2], 0x08, "the flags' timeout is off");
}

#[tokio::test]
async fn callers_at_one_time_share_one_session() {
    let rack = Rack::new();
    let registry = Arc::new(Registry::new(quick()));
    let settings = rack.settings(json!({}));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (registry, settings) = (registry.clone(), settings.clone());
        calls.spawn(async move { registry.ipmi(&settings).power_state().await });
    }
    while let Some(outcome) = calls.join_next().await {
        assert_eq!(outcome.unwrap().unwrap(), PowerState::Off);
    }
    assert_eq!((rack.sim.open_sessions(), registry.len()), (1, 1));
    registry.evict_idle();
    assert_eq!(registry.len(), 1, "it was used just now");
}

#[tokio::test]
async fn an_idle_session_is_closed_and_its_slot_given_back() {
    let rack = Rack::new();
    let registry = Registry::new(Limits { keep: Duration::ZERO, ..quick() });
    registry.ipmi(&rack.settings(json!({}))).power_state().await.unwrap();
    registry.evict_idle();
    assert!(registry.is_empty());
    wait_until(|| rack.sim.open_sessions() == 0).await;
}

/// Waits for something that another task does, within two seconds.
pub async fn wait_until(mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), so).await.expect("it did not happen within two seconds");
}
