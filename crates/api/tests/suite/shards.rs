use crate::site::Site;
use model::event::EventKind;
use serde_json::{Value, json};

#[tokio::test]
async fn shards_are_counted() {
    let site = Site::new().await;
    assert_eq!(site.get("/v1/shards").await.is(200).json(), json!({"shards": []}));
    for (name, shard) in [("n1", Some("a")), ("n2", Some("b")), ("n3", Some("b")), ("n4", None)] {
        let uuid = site.node(name).await;
        site.edit(uuid, |node| node.shard = shard.map(str::to_owned)).await;
    }
    assert_eq!(
        site.get("/v1/shards").await.json(),
        json!({"shards": [{"name": "b", "count": 2}, {"name": "None", "count": 1}, {"name": "a", "count": 1}]})
    );
    site.at(81, "GET", "/v1/shards", None).await.is(404);
    site.get("/v1/shards/a").await.is(404);
    site.get("/v1/shards?x=1").await.is(400);
}

#[tokio::test]
async fn events_of_the_network_are_taken_and_written_into_the_nodes_log() {
    let site = Site::new().await;
    let node = site.node("n1").await;
    let port = json!({"address": "52:54:00:aa:00:01", "node_uuid": node});
    site.call("POST", "/v1/ports", Some(port)).await.is(201);
    let id = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123";
    let event = json!({
        "event": "network.bind_port", "port_id": id, "mac_address": "52:54:00:AA:00:01", "status": "ACTIVE",
        "device_id": null, "binding:host_id": id, "binding:vnic_type": "baremetal"
    });
    let post = async |events: Value| site.call("POST", "/v1/events", Some(json!({"events": events}))).await;
    post(json!([event])).await.is(204);
    let log = site.store.events(node, 100).await.unwrap();
    let last = log.last().unwrap();
    assert_eq!((last.kind, last.name.as_str()), (EventKind::Request, "network.bind_port"));
    assert!(last.detail.contains("52:54:00:aa:00:01: ACTIVE"), "{}", last.detail);
    let but = |key: &str, value: Value| {
        let mut event = event.clone();
        event[key] = value;
        json!([event])
    };
    post(but("mac_address", json!("52:54:00:aa:00:99"))).await.is(204);
    for (events, text) in [
        (json!([]), "Schema error: [] should be non-empty"),
        (json!([{"event": "network.bind_port"}]), "Schema error: 'port_id' is a required property"),
        (but("port_id", json!("x")), "Schema error: 'x' is not a 'uuid'"),
        (but("device_id", json!("x")), "Schema error: 'x' is not a 'uuid'"),
        (but("mac_address", json!("x")), "Schema error: 'x' is not a 'mac-address'"),
        (but("status", json!(1)), "Schema error: 1 is not of type 'string'"),
        (
            but("event", json!("foo")),
            "Schema error: 'foo' is not one of ['network.bind_port', 'network.unbind_port', 'network.delete_port']",
        ),
        (but("foo", json!(1)), "Schema error: Additional properties are not allowed ('foo' was unexpected)"),
    ] {
        assert_eq!(post(events).await.is(400).fault(), text);
    }
    assert_eq!(
        site.call("POST", "/v1/events", Some(json!({}))).await.is(400).fault(),
        "Schema error: 'events' is a required property"
    );
    site.at(53, "POST", "/v1/events", Some(json!({"events": [event]}))).await.is(404);
    site.get("/v1/events").await.is(405);
}
