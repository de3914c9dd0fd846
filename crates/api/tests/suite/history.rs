use crate::site::Site;
use jiff::Timestamp;
use model::history::{HistoryEntry, KEPT, Severity};
use model::node::PowerTarget;
use model::state::ProvisionState;
use serde_json::{Value, json};
use store::{Guard, StoreError};
use uuid::Uuid;

/// Writes `count` entries about a node, in edits of their own.
async fn write(site: &Site, node: Uuid, count: usize, event: &str) {
    for _ in 0..count {
        let now = Timestamp::now();
        site.store
            .edit_node(node, Guard::Any, now, |edit| {
                let entry = HistoryEntry::new(
                    Uuid::new_v4(),
                    &edit.node,
                    "seed",
                    Severity::Error,
                    "cleaning",
                    event,
                    now,
                );
                edit.history.push(entry.by(Some("ann".into()), Some("p1".into())));
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn entries_come_in_pages_and_whole_one_by_one() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let other = site.node("n2").await;
    write(&site, node, 3, &"x".repeat(300)).await;
    write(&site, other, 1, "other").await;
    let first = site.get("/v1/nodes/n1/history?limit=2").await.is(200).json();
    let rows = first["history"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["event"], format!("{}...", "x".repeat(251)));
    let mut keys: Vec<_> = rows[0].as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["created_at", "event", "links", "severity", "uuid"]);
    let next = first["next"].as_str().unwrap().strip_prefix("http://h:1").unwrap();
    let second = site.get(next).await.is(200).json();
    assert_eq!(second["history"].as_array().unwrap().len(), 1);
    assert!(second.get("next").is_none());
    let uuid = rows[0]["uuid"].as_str().unwrap();
    let url = format!("/v1/nodes/n1/history/{uuid}");
    let one = site.get(&url).await.is(200).json();
    assert_eq!(one["event"], "x".repeat(300));
    assert_eq!(
        (&one["user"], &one["project"], &one["state"], &one["target_provision_state"]),
        (&json!("ann"), &json!("p1"), &json!("enroll"), &Value::Null)
    );
    assert_eq!(
        one["links"],
        json!([{"href": format!("http://h:1/v1/nodes/{node}/history/{uuid}"), "rel": "self"}])
    );
    for (minor, missing) in [(112, &["project", "state"][..]), (114, &["state", "duration_seconds"])] {
        let older = site.at(minor, "GET", "/v1/nodes/n1/history?detail=true", None).await.is(200).json();
        assert!(missing.iter().all(|name| older["history"][0].get(*name).is_none()), "{older}");
        assert_eq!(older["history"][0]["conductor"], "seed");
    }
    // Another node's entry is not told here.
    site.get(&format!("/v1/nodes/n2/history/{uuid}")).await.is(404);
    for ident in ["foo", "00000000-0000-0000-0000-000000000001"] {
        assert_eq!(
            site.get(&format!("/v1/nodes/n1/history/{ident}")).await.is(404).fault(),
            format!("Node history record {ident} could not be found.")
        );
    }
    for (query, status) in
        [("limit=0", 400), ("sort_key=foo", 400), ("sort_dir=x", 400), ("x=1", 400), ("marker=x", 400)]
    {
        site.get(&format!("/v1/nodes/n1/history?{query}")).await.is(status);
    }
    site.get("/v1/nodes/n1/history?marker=00000000-0000-0000-0000-000000000001").await.is(404);
    site.at(77, "GET", "/v1/nodes/n1/history", None).await.is(404);
}

#[tokio::test]
async fn the_oldest_entries_go_and_a_node_takes_its_own_along() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let kept = usize::try_from(KEPT).unwrap();
    write(&site, node, 1, "oldest").await;
    write(&site, node, kept, "later").await;
    let all = site.get("/v1/nodes/n1/history?limit=1000").await.is(200).json();
    let rows = all["history"].as_array().unwrap();
    assert_eq!(rows.len(), kept);
    assert!(rows.iter().all(|row| row["event"] == "later"));
    site.call("DELETE", "/v1/nodes/n1", None).await.is(204);
    let uuid = rows[0]["uuid"].as_str().unwrap();
    assert!(matches!(site.store.get::<HistoryEntry>(uuid).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn failures_leave_an_entry_with_their_error() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    // No interface can do this, so the power can't be changed and nothing can be verified.
    site.edit(uuid, |node| {
        node.interfaces.set(model::node::InterfaceKind::Power, "agent");
        node.target_power_state = Some(PowerTarget::On);
        node.nudge(Timestamp::now());
    })
    .await;
    let failed = site.work_until(uuid, |node| node.target_power_state.is_none()).await;
    let power = site.get("/v1/nodes/n1/history?detail=true").await.is(200).json();
    assert_eq!(power["history"][0]["event"], failed.last_error.unwrap());
    assert_eq!(
        (&power["history"][0]["severity"], &power["history"][0]["event_type"]),
        (&json!("ERROR"), &json!("UNKNOWN"))
    );
    site.edit(uuid, |node| {
        node.provision_state = ProvisionState::Verifying;
        node.provision_updated_at = Some(Timestamp::now());
        node.nudge(Timestamp::now());
    })
    .await;
    let failed = site.work_until(uuid, |node| node.provision_state == ProvisionState::Enroll).await;
    let rows = site.get("/v1/nodes/n1/history?detail=true&sort_dir=desc").await.is(200).json();
    let entry = &rows["history"][0];
    assert_eq!(entry["event"], failed.last_error.unwrap());
    assert_eq!((&entry["event_type"], &entry["state"]), (&json!("verify"), &json!("verifying")));
    assert!(entry["duration_seconds"].is_number());
}

#[tokio::test]
async fn an_abort_is_told_for_information() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    site.edit(uuid, |node| {
        node.provision_state = ProvisionState::CleanWait;
        node.target_provision_state = Some(ProvisionState::Manageable);
    })
    .await;
    site.call("PUT", "/v1/nodes/n1/states/provision", Some(json!({"target": "abort"}))).await.is(202);
    let rows = site.get("/v1/nodes/n1/history?detail=true").await.is(200).json();
    let entry = &rows["history"][0];
    assert_eq!(entry["event"], "By request, the clean operation was aborted");
    assert_eq!((&entry["severity"], &entry["event_type"]), (&json!("INFO"), &json!("cleaning")));
}
