//! Lookup, token, heartbeats, the end.

use crate::rack::{NODE, Rack, TOKEN};
use agent::Ending;
use serde_json::json;

#[test]
fn it_looks_up_until_it_is_known_and_heartbeats_with_token_and_certificate() {
    let rack = Rack::with(
        |script| {
            script.lookups_to_refuse = 2;
            script.beats_to_refuse = 1;
            script.config["heartbeat_timeout"] = json!(1);
        },
        &["ipa-global-request-id=req-7"],
    );
    rack.server.wait_for("three heartbeats", |script| {
        (script.seen.iter().filter(|seen| seen.line.contains("/v1/heartbeat/")).count() >= 3).then_some(())
    });
    let seen = rack.server.with(|script| script.seen.clone());
    let lookups: Vec<_> = seen.iter().filter(|seen| seen.line.contains("/v1/lookup?addresses=")).collect();
    assert_eq!(lookups.len(), 3);
    assert_eq!(lookups[0].fields["x-openstack-ironic-api-version"], "1.62");
    assert_eq!(lookups[0].fields["x-openstack-request-id"], "req-7");
    let beat = &rack.server.beats()[0];
    assert_eq!(beat.line, format!("POST /v1/heartbeat/{NODE} HTTP/1.1"));
    assert_eq!(beat.fields["x-openstack-ironic-api-version"], "1.68");
    assert_eq!(beat.body["agent_token"], TOKEN);
    assert!(beat.body["callback_url"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert!(beat.body["agent_verify_ca"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(beat.body["agent_version"].as_str().unwrap().contains("billet"));
}

#[test]
fn a_token_that_was_given_to_someone_else_before_locks_it_down() {
    let mut rack = Rack::with(|script| script.config["agent_token"] = json!("******"), &[]);
    assert_eq!(rack.ending(), Ending::Lockdown);
    assert!(rack.server.beats().is_empty());
}

#[test]
fn a_baked_token_survives_a_masked_lookup() {
    let word = format!("ipa-agent-token={TOKEN}");
    let rack = Rack::with(|script| script.config["agent_token"] = json!("******"), &[&word]);
    rack.conductor();
    assert_eq!(rack.server.beats()[0].body["agent_token"], TOKEN);
    assert!(rack.agent.is_token(crate::rack::secret(TOKEN).expose()));
}

#[test]
fn a_short_token_is_no_token() {
    let mut rack = Rack::with(|script| script.config["agent_token"] = json!("short"), &[]);
    assert_eq!(rack.ending(), Ending::Lockdown);
}

#[test]
fn power_off_reboot_and_lockdown_end_the_run_after_the_answer() {
    for (command, ending) in [
        ("standby.power_off", Ending::PowerOff),
        ("standby.run_image", Ending::RebootNow),
        ("system.lockdown", Ending::Lockdown),
    ] {
        let mut rack = Rack::new();
        let result = rack.conductor().command(command, json!({}));
        assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
        assert_eq!(rack.ending(), ending);
    }
}

#[test]
fn the_inventory_is_sent_for_inspection_before_the_lookup() {
    let probe = Rack::new();
    let url =
        format!("ipa-inspection-callback-url=http://127.0.0.1:{}/v1/heartbeat/inspection", probe.server.port);
    let rack = Rack::with(|_| {}, &[&url]);
    rack.conductor();
    let body = probe.server.wait_for("an inventory", |script| {
        script.seen.iter().find(|seen| seen.line.contains("inspection")).map(|seen| seen.body.clone())
    });
    assert_eq!(body["inventory"]["disks"][0]["size"], 5u64 << 30);
    assert_eq!(body["root_disk"]["name"], rack.disk().to_str().unwrap());
}
