//! Every row of the route table, with callers who may do nothing: a route that was forgotten lets them in.

use crate::stub_keystone::body;
use crate::world::World;
use api::baremetal::TABLE;
use api::route::Route;
use serde_json::{Value, json};

/// Routes that are open to everybody by contract. This list may only shrink.
const OPEN: &[&str] = &[
    "/",
    "/v1",
    "/healthcheck",
    "/openapi.json",
    "/v1/lookup",
    "/v1/heartbeat/{node}",
    "/v1/continue_inspection",
];

/// Routes whose rule is asked by their handler, since it depends on the body or on what is found. This list may only shrink.
const OWN_CHECK: &[&str] = &[
    "DELETE /v1/nodes/{node}",
    "DELETE /v1/nodes/{node}/allocation",
    "GET /v1/nodes/validate",
    "GET /v1/nodes/{node}/allocation",
    "PATCH /v1/nodes/{node}",
    "PATCH /v1/runbooks/{runbook}",
    "POST /v1/nodes",
    "POST /v1/portgroups",
    "POST /v1/ports",
    "POST /v1/volume/connectors",
    "POST /v1/volume/targets",
];

/// A path that names what is there: refusing what isn't there proves nothing.
fn path(world: &World, route: &Route) -> String {
    let mut path = route.path.replace("{node}", "{owned}");
    for part in ["port", "portgroup", "connector", "target"] {
        path = path.replace(&format!("{{{part}}}"), &format!("{{owned_{part}}}"));
    }
    let path = path.replace("{allocation}", "{owners_allocation}").replace("{runbook}", "{owners_runbook}");
    let path = path.replace("{driver}", "fake-hardware").replace("{hostname}", "seed");
    let path = path.replace("nodes/validate", "nodes/validate?node={owned}");
    let path = path
        .replace("{indicator}", "led@chassis")
        .replace("{setting}", "virtualization")
        .replace("{event}", "{missing}");
    let path = path.replace("{method}", "x");
    let path = if path.ends_with("vendor_passthru") { format!("{path}?method=x") } else { path };
    let path = path.replace("{trait}", "CUSTOM_MEOW").replace("{vif}", "v1");
    world.text(&path)
}

/// A body that would do, as far as that can be told.
fn sensible(world: &World, route: &Route) -> Option<Value> {
    let patch = |path: &str, value: Value| Some(json!([{"op": "replace", "path": path, "value": value}]));
    match (route.verb.as_str(), route.path) {
        ("GET" | "DELETE", _) | ("PUT", "/v1/nodes/{node}/traits/{trait}") => None,
        ("PATCH", "/v1/nodes/{node}") => patch("/description", json!("x")),
        ("PATCH", _) => patch("/extra", json!({})),
        ("POST", "/v1/nodes") => Some(json!({"driver": "fake-hardware"})),
        ("POST", "/v1/ports") => {
            Some(json!({"address": "52:54:00:00:00:01", "node_uuid": world.text("{owned}")}))
        }
        ("POST", "/v1/portgroups") => Some(json!({"node_uuid": world.text("{owned}")})),
        ("POST", "/v1/volume/connectors") => {
            Some(json!({"node_uuid": world.text("{owned}"), "type": "ip", "connector_id": "10.0.0.1"}))
        }
        ("POST", "/v1/volume/targets") => Some(
            json!({"node_uuid": world.text("{owned}"), "volume_type": "iscsi", "volume_id": "v", "boot_index": 5}),
        ),
        ("POST", "/v1/allocations") => Some(json!({"resource_class": "x"})),
        ("POST", "/v1/runbooks") => Some(json!({
            "name": "CUSTOM_X",
            "steps": [{"interface": "deploy", "step": "erase_devices", "args": {}, "order": 1}],
        })),
        ("POST", "/v1/events") => Some(json!({"events": []})),
        _ if route.path.ends_with("/states/provision") => Some(json!({"target": "manage"})),
        _ if route.path.ends_with("/states/power") => Some(json!({"target": "power on"})),
        _ if route.path.ends_with("/states/console") => Some(json!({"enabled": true})),
        _ if route.path.ends_with("/boot_device") => Some(json!({"boot_device": "pxe"})),
        _ if route.path.ends_with("/vifs") => Some(json!({"id": "v1"})),
        _ if route.path.ends_with("/traits") => Some(json!({"traits": []})),
        _ => Some(json!({})),
    }
}

#[tokio::test]
async fn nobody_gets_anywhere_without_a_token_or_a_role() {
    let world = World::new().await;
    world.keystone.knows("unscoped", body("eve", "none", &[]));
    world.keystone.knows("domain", body("eve", "domain", &["admin", "manager", "member", "reader"]));
    let before = world.snapshot().await;
    let mut wrong = Vec::new();
    for route in TABLE.routes().filter(|route| !OPEN.contains(&route.path)) {
        let (path, body) = (path(&world, route), sensible(&world, route));
        let verb = route.verb.as_str();
        let bare = world.site.call(verb, &path, body.clone()).await.status.as_u16();
        if bare != 401 {
            wrong.push(format!("{verb} {path} without a token: {bare}"));
        }
        for persona in ["no-role", "unscoped", "domain"] {
            let answer = world.site.by(persona, verb, &path, body.clone()).await;
            if !matches!(answer.status.as_u16(), 403 | 404) {
                wrong.push(format!("{verb} {path} as {persona}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "these let somebody in:\n{}", wrong.join("\n"));
    assert_eq!(world.snapshot().await, before);
}

/// Whoever runs the site gets through everywhere: so the test above refuses for the right reason.
#[tokio::test]
async fn an_operator_gets_through_everywhere() {
    let mut world = World::new().await;
    for route in TABLE.routes() {
        let (path, body) = (path(&world, route), sensible(&world, route));
        let answer = world.site.by("system-admin", route.verb.as_str(), &path, body).await;
        let status = answer.status.as_u16();
        assert!(
            !matches!(status, 401 | 403 | 405 | 500..),
            "{:?} {path}: {status} {}",
            route.verb,
            answer.text
        );
        if route.verb.as_str() != "GET" {
            world.reset().await;
        }
    }
}

/// What another project has nothing to do with.
const HIDDEN: &[&str] = &[
    "{owned}",
    "{leased}",
    "{foreign}",
    "{owned_port}",
    "{foreign_port}",
    "{owned_portgroup}",
    "{leased_connector}",
    "{foreign_target}",
    "{owners_allocation}",
    "{lessees_runbook}",
    "{chassis}",
    "{template}",
    "{rule}",
];

/// A caller of another project finds nothing of the others' in any list.
#[tokio::test]
async fn lists_show_nothing_of_other_projects() {
    let world = World::new().await;
    let lists = TABLE.routes().filter(|route| route.verb.as_str() == "GET" && !route.path.contains('{'));
    for route in lists {
        let answer = world.site.by("other-admin", "GET", route.path, None).await;
        for name in HIDDEN {
            assert!(!answer.text.contains(&world.text(name)), "{} shows {name}: {}", route.path, answer.text);
        }
    }
}

#[test]
fn what_is_open_or_asks_for_itself_is_listed() {
    let open: Vec<_> = TABLE.routes().filter(|route| route.public).map(|route| route.path).collect();
    assert_eq!(open, OPEN);
    let mut own: Vec<_> = TABLE
        .routes()
        .filter(|route| route.own_check)
        .map(|route| format!("{} {}", route.verb.as_str(), route.path))
        .collect();
    own.sort();
    assert_eq!(own, OWN_CHECK);
}

#[test]
fn every_route_has_a_rule_that_exists() {
    for route in TABLE.routes() {
        assert!(api::policy::find(route.policy).is_some(), "{}: {}", route.path, route.policy);
    }
}
