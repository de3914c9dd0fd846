//! The command API: who may, what is refused, what steps there are.

use crate::rack::{Rack, TOKEN, image, image_info};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::FileExt;

#[test]
fn without_the_token_there_is_nothing_but_the_status() {
    let rack = Rack::new();
    let conductor = rack.conductor();
    let (status, body) = conductor.call("GET", "/v1/status", None);
    assert_eq!(status, 200);
    assert!(body["started_at"].as_f64().unwrap() > 1e9 && body["version"].is_string());
    assert_eq!(conductor.call("GET", "/", None).1["default_version"]["id"], "v1");
    assert_eq!(conductor.call("GET", "/v1", None).1["id"], "v1");
    let command = json!({"name": "clean.get_clean_steps", "params": {}});
    let wrong = TOKEN.replace("TOKEN", "TOKEM");
    for query in ["", "?agent_token=", &format!("?agent_token={wrong}"), &format!("?agent_token={TOKEN}x")] {
        for path in [format!("/v1/commands/{query}"), format!("/commands/{query}")] {
            let (status, body) = conductor.call("POST", &path, Some(command.clone()));
            assert_eq!(status, 401, "{path}");
            assert!(body["faultstring"].as_str().unwrap().contains("Token invalid."), "{body}");
        }
        assert_eq!(conductor.call("GET", &format!("/v1/commands/{query}"), None).0, 401);
        assert_eq!(conductor.call("GET", &format!("/v1/commands/some-id{query}"), None).0, 401);
    }
    assert!(rack.agent.commands.list().is_empty());
}

#[test]
fn what_is_no_command_is_refused_without_a_trace() {
    let rack = Rack::new();
    let conductor = rack.conductor();
    let path = format!("/v1/commands/?agent_token={TOKEN}");
    for body in [
        json!({}),
        json!({"name": "standby.sync"}),
        json!({"name": "standby.sync", "params": []}),
        json!([1]),
    ] {
        let (status, answer) = conductor.call("POST", &path, Some(body));
        assert_eq!(status, 400);
        assert_eq!(answer["faultcode"], "Client");
        assert!(answer["faultstring"].as_str().unwrap().contains("Missing or invalid name or params"));
    }
    for (name, expected) in [
        ("sync", 400),
        ("standby.fly", 400),
        ("nonsense.sync", 404),
        ("standby.prepare_image", 400),
        ("clean.execute_clean_step", 400),
        ("rescue.finalize_rescue", 400),
    ] {
        assert_eq!(conductor.start(name, json!({})).0, expected, "{name}");
    }
    for info in [
        json!({"id": "i", "urls": []}),
        json!({"id": "i", "urls": ["ftp://x/y"], "checksum": "00"}),
        json!({"id": "i", "urls": ["http://127.0.0.1/x"]}),
        json!({"id": "i", "urls": ["http://127.0.0.1/x"], "checksum": "00", "image_type": "partition"}),
    ] {
        assert_eq!(conductor.start("standby.prepare_image", json!({"image_info": info})).0, 400, "{info}");
    }
    assert_eq!(conductor.call("DELETE", &path, None).0, 405);
    assert_eq!(conductor.call("GET", "/v2/nothing", None).0, 404);
    assert_eq!(conductor.call("GET", &format!("/v1/commands/unknown?agent_token={TOKEN}"), None).0, 404);
    assert!(rack.agent.commands.list().is_empty());
}

#[test]
fn steps_are_listed_and_metadata_is_erased() {
    let rack = Rack::new();
    let conductor = rack.conductor();
    let disk = fs::File::options().write(true).read(true).open(rack.disk()).unwrap();
    disk.write_all_at(&[0x5a; 4096], 0).unwrap();
    disk.write_all_at(&[0x5a; 4096], (5 << 30) - 4096).unwrap();
    let listed = conductor.command("clean.get_clean_steps", json!({"node": {"uuid": "x"}, "ports": []}));
    assert_eq!(listed["command_name"], "get_clean_steps");
    let steps = listed["command_result"]["clean_steps"]["BilletHardwareManager"].as_array().unwrap().clone();
    let priority =
        |name: &str| steps.iter().find(|step| step["step"] == name).map(|step| step["priority"].clone());
    assert_eq!(priority("erase_devices_metadata"), Some(json!(99)));
    assert_eq!(priority("erase_devices"), Some(json!(10)));
    let versions = listed["command_result"]["hardware_manager_version"].clone();

    let step = json!({"step": "erase_devices_metadata", "interface": "deploy", "priority": 99, "args": null});
    let params = json!({"step": step, "node": {}, "ports": [], "clean_version": versions});
    let before = rack.server.beats().len();
    let (status, started) = conductor.start("clean.execute_clean_step", params);
    assert_eq!(status, 200);
    let done = conductor.look(started["id"].as_str().unwrap(), true);
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    assert_eq!(done["command_result"]["clean_step"], step);
    let mut edge = [1u8; 4096];
    disk.read_exact_at(&mut edge, 0).unwrap();
    assert_eq!(edge, [0; 4096]);
    disk.read_exact_at(&mut edge, (5 << 30) - 4096).unwrap();
    assert_eq!(edge, [0; 4096]);
    rack.server.wait_for("the heartbeat after the step", |script| {
        let count = script.seen.iter().filter(|seen| seen.line.contains("/v1/heartbeat/")).count();
        (count > before).then_some(())
    });
    for (command, key) in
        [("deploy.get_deploy_steps", "deploy_steps"), ("service.get_service_steps", "service_steps")]
    {
        assert!(conductor.command(command, json!({}))["command_result"][key].is_object());
    }
}

#[test]
fn steps_of_another_version_and_unknown_steps_fail_by_their_own_words() {
    let rack = Rack::new();
    let conductor = rack.conductor();
    let call = |phase: &str, step: &str, version: Value| {
        let key = format!("{phase}_version");
        conductor
            .command(&format!("{phase}.execute_{phase}_step"), json!({"step": {"step": step}, key: version}))
    };
    let mismatch = call("clean", "erase_devices_metadata", json!({"billet_hardware_manager": "0"}));
    assert_eq!(mismatch["command_status"], "CLEAN_VERSION_MISMATCH");
    assert_eq!(mismatch["command_error"]["code"], 409);
    for (phase, kind) in
        [("clean", "CleaningError"), ("deploy", "DeploymentError"), ("service", "ServicingError")]
    {
        let failed = call(phase, "make_coffee", Value::Null);
        assert_eq!(failed["command_status"], "FAILED");
        assert_eq!(failed["command_error"]["type"], kind);
        assert!(failed["command_error"]["details"].as_str().unwrap().contains("make_coffee"));
    }
}

#[test]
fn one_command_at_a_time() {
    let rack = Rack::with(
        |script| {
            script.files.insert("i".into(), image());
            script.is_held = true;
        },
        &[],
    );
    let conductor = rack.conductor();
    let info = image_info(&rack.server, "i");
    let (_, started) = conductor.start("standby.prepare_image", json!({"image_info": info}));
    assert_eq!(started["command_status"], "RUNNING");
    let (status, busy) = conductor.start("standby.sync", json!({}));
    assert_eq!(status, 409);
    assert_eq!(busy["faultstring"], "Agent is busy: executing command prepare_image");
    let listed = conductor.call("GET", &format!("/v1/commands/?agent_token={TOKEN}"), None).1;
    assert_eq!(listed["commands"].as_array().unwrap().len(), 1);
    assert_eq!(listed["commands"][0]["command_status"], "RUNNING");
    assert!(listed["commands"][0].get("command_params").is_none());
    rack.server.with(|script| script.is_held = false);
    let done = conductor.look(started["id"].as_str().unwrap(), true);
    assert_eq!(done["command_status"], "SUCCEEDED", "{done}");
    assert_eq!(conductor.start("standby.sync", json!({})).0, 200);
}

#[test]
fn hardware_and_logs_are_shown_and_logs_hold_no_token() {
    use base64::Engine;
    use std::io::Read;
    let rack = Rack::new();
    let conductor = rack.conductor();
    let info = conductor.command("poll.get_hardware_info", json!({}));
    assert_eq!(info["command_result"]["disks"][0]["size"], 5u64 << 30);
    assert!(info["command_result"]["cpu"]["count"].as_u64().unwrap() > 0);
    agent::say!("a line with {TOKEN} in it, which no line has");
    let logs = conductor.command("log.collect_system_logs", json!({}));
    let packed = base64::engine::general_purpose::STANDARD
        .decode(logs["command_result"]["system_logs"].as_str().unwrap())
        .unwrap();
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut tar).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("logs.tar"), &tar).unwrap();
    let output = std::process::Command::new("tar")
        .args(["-xvf", "logs.tar"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = fs::read_to_string(dir.path().join("agent.log")).unwrap();
    assert!(log.contains("a line with *** in it") && !log.contains(TOKEN), "{log}");
    assert!(dir.path().join("inventory.json").exists());
}
