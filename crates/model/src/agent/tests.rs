use super::*;
use serde_json::json;

#[test]
fn lookup_of_a_real_ironic_is_read_and_its_token_never_printed() {
    let body = json!({
        "node": {"uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c781", "properties": null,
                 "instance_info": {"root_device": {"size": 4}}, "links": [], "new_key": 1},
        "config": {"metrics": {"backend": "noop"}, "heartbeat_timeout": 120,
                   "agent_token": "abcdefghijklmnopqrstuvwxyz0123456789", "agent_token_required": true,
                   "agent_md5_checksum_enable": null, "permitted_image_formats": "raw, qcow2", "later": {}}
    });
    let lookup: LookupResponse = serde_json::from_value(body).unwrap();
    assert_eq!(lookup.config.heartbeat_timeout, 120);
    assert_eq!(
        lookup.config.permitted_image_formats.as_deref(),
        Some(&["raw".to_owned(), "qcow2".to_owned()][..])
    );
    assert!(lookup.node.properties.is_empty());
    assert!(!format!("{lookup:?}").contains("abcdefghij"));
}

#[test]
fn lookup_without_config_has_ironics_timeout() {
    let lookup: LookupResponse =
        serde_json::from_value(json!({"node": {"uuid": "x"}, "config": null})).unwrap();
    assert_eq!(lookup.config.heartbeat_timeout, 300);
}

#[test]
fn errors_are_read_in_all_three_forms() {
    let read = |value| serde_json::from_value::<CommandError>(value).unwrap();
    let full = read(json!({"type": "ImageChecksumError", "code": 500, "message": "m", "details": "d"}));
    assert_eq!((full.kind.as_str(), full.to_string().as_str()), ("ImageChecksumError", "m: d"));
    assert_eq!(read(json!({"error": "boom"})).to_string(), "boom");
    assert_eq!(read(json!("boom")).to_string(), "boom");
    assert_eq!(read(json!({"code": 409, "details": {"a": 1}})).details, r#"{"a":1}"#);
}

#[test]
fn a_status_of_a_later_release_does_not_break_the_list() {
    let list: CommandList = serde_json::from_value(json!({"commands": [
        {"id": "1", "command_name": "x", "command_status": "PAUSED", "command_error": null, "command_result": null},
        {"id": "2", "command_name": "y", "command_status": "CLEAN_VERSION_MISMATCH"},
    ]}))
    .unwrap();
    assert_eq!(list.commands[0].command_status, CommandStatus::Unknown);
    assert_eq!(list.commands[1].command_status, CommandStatus::VersionMismatch);
}

#[test]
fn steps_make_the_round_trip_with_the_phases_own_keys() {
    let result = json!({
        "clean_steps": {"GenericHardwareManager": [{"step": "erase_devices", "priority": 10, "interface": "deploy",
            "reboot_requested": false, "abortable": true, "argsinfo": null, "polling": 3}]},
        "hardware_manager_version": {"generic_hardware_manager": "1.2"}
    });
    let list = StepList::from_result(Phase::Clean, &result).unwrap();
    let step = &list.steps["GenericHardwareManager"][0];
    assert_eq!((step.priority, step.abortable, step.extra["polling"].as_i64()), (10, true, Some(3)));
    assert_eq!(StepList::from_result(Phase::Clean, &list.to_result(Phase::Clean)).unwrap(), list);
    assert!(StepList::from_result(Phase::Deploy, &result).unwrap().steps.is_empty());
    assert!(StepList::from_result(Phase::Clean, &json!({"clean_steps": [1]})).is_err());
}

#[test]
fn execute_params_make_the_round_trip() {
    let sent = ExecuteStepParams {
        step: StepCall { step: "erase_devices".into(), interface: "deploy".into(), ..Default::default() },
        versions: Some([("billet".to_owned(), "1".to_owned())].into()),
        ..Default::default()
    };
    let params = sent.to_params(Phase::Clean);
    assert_eq!(params["clean_version"]["billet"], "1");
    let read = ExecuteStepParams::from_params(Phase::Clean, &params).unwrap();
    assert_eq!((read.step, read.versions), (sent.step, sent.versions));
    assert!(ExecuteStepParams::from_params(Phase::Clean, &Default::default()).is_err());
    let no_args = json!({"step": {"step": "x", "args": null}, "node": null});
    assert!(ExecuteStepParams::from_params(Phase::Deploy, no_args.as_object().unwrap()).is_ok());
}

#[test]
fn inventory_of_the_real_agent_is_read_nulls_lists_and_all() {
    let inventory: Inventory = serde_json::from_value(json!({
        "interfaces": [{"name": "eth0", "mac_address": "52:54:00:4e:3d:30", "lldp": [], "speed_mbps": null}],
        "cpu": {"model_name": "QEMU", "frequency": 2400.0, "count": 1, "architecture": "x86_64", "flags": null},
        "disks": [{"name": "/dev/sda", "size": 107374182400u64, "serial": ["a", null, "b"], "wwn": null}],
        "memory": null, "boot": {"current_boot_mode": "uefi"}, "system_vendor": {"firmware": null},
        "pci_devices": [1]
    }))
    .unwrap();
    assert_eq!(inventory.cpu.frequency.as_deref(), Some("2400.0"));
    assert_eq!(inventory.disks[0].serial.0, ["a", "b"]);
    assert_eq!(inventory.disks[0].wwn.first(), None);
    assert!(inventory.extra.contains_key("pci_devices"));
    let again: Inventory = serde_json::from_value(serde_json::to_value(&inventory).unwrap()).unwrap();
    assert_eq!(again, inventory);
}

#[test]
fn image_info_keeps_unknown_keys_and_hides_secrets() {
    let info: ImageInfo = serde_json::from_value(json!({
        "id": "i", "urls": ["http://192.0.2.1/i"], "root_mb": 10240, "image_server_password": "hunter2",
        "configdrive": null, "kernel": "k", "swap_mb": "512", "ephemeral_mb": null, "preserve_ephemeral": "True"
    }))
    .unwrap();
    assert_eq!(info.extra["kernel"], "k");
    assert_eq!((info.root_mb, info.swap_mb, info.ephemeral_mb), (Some(10240), Some(512), None));
    assert_eq!(info.preserve_ephemeral, Some(true));
    assert!(!format!("{info:?}").contains("hunter2"));
}
