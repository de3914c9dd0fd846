//! Every route with every persona, against what the real Ironic answers: `personas.txt`.
//!
//! Its first line that is no comment names the personas; each further one has a cell for each of them, then method, path and body.
//! `+` is let through (what comes of it is other tests' matter), a digit is let through and sees so many, `.` is refused (403), `-` is
//! told that there is nothing (404), `?` is told that the request makes no sense (400).

use crate::world::{PERSONAS, World};
use serde_json::Value;

const TABLE: &str = include_str!("personas.txt");
const LISTS: &[&str] = &[
    "nodes",
    "children",
    "ports",
    "portgroups",
    "connectors",
    "targets",
    "chassis",
    "allocations",
    "deploy_templates",
    "runbooks",
    "inspection_rules",
];

struct Row {
    cells: Vec<char>,
    method: &'static str,
    path: &'static str,
    body: Option<&'static str>,
}

fn rows() -> Vec<Row> {
    let mut lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let columns: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    let known: Vec<_> = PERSONAS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(columns, known);
    lines
        .map(|line| {
            let mut parts = line.splitn(4, ' ');
            let cells: Vec<_> = parts.next().unwrap().chars().collect();
            assert_eq!(cells.len(), PERSONAS.len(), "{line}");
            Row { cells, method: parts.next().unwrap(), path: parts.next().unwrap(), body: parts.next() }
        })
        .collect()
}

/// The cell that an answer belongs into; `wanted` tells whether it is counted.
fn cell(status: u16, body: &str, wanted: char) -> String {
    match status {
        403 => ".".to_owned(),
        404 => "-".to_owned(),
        400 if wanted == '?' => "?".to_owned(),
        200 if wanted.is_ascii_digit() => {
            let body: Value = serde_json::from_str(body).unwrap();
            let list = LISTS.iter().find_map(|name| body[*name].as_array());
            list.map_or_else(|| format!("no list: {body}"), |list| list.len().to_string())
        }
        200..=299 | 400 | 409 => "+".to_owned(),
        other => format!("{other} {body}"),
    }
}

async fn walk(takes: impl Fn(&Row) -> bool) {
    let mut world = World::new().await;
    let mut wrong = Vec::new();
    for row in rows().into_iter().filter(takes) {
        let what = format!("{} {} {}", row.method, row.path, row.body.unwrap_or_default());
        let path = world.text(row.path);
        let body: Option<Value> = row.body.map(|body| serde_json::from_str(&world.text(body)).unwrap());
        // After these the next persona would find another world, or a node that is held.
        let takes_away = row.method == "DELETE"
            || ["/owner", "/lessee", "/boot_mode", "/secure_boot", "/console", "/vmedia"]
                .iter()
                .any(|path| what.contains(path));
        let (let_through, refused): (Vec<usize>, Vec<usize>) =
            (0..PERSONAS.len()).partition(|column| matches!(row.cells[*column], '+' | '0'..='9'));
        let before = world.snapshot().await;
        for column in refused {
            ask(&world, &row, column, &path, body.clone(), &mut wrong).await;
        }
        if row.method == "GET" {
            for column in let_through {
                ask(&world, &row, column, &path, body.clone(), &mut wrong).await;
            }
            continue;
        }
        if world.snapshot().await != before {
            wrong.push(format!("{what} was refused and changed something"));
        }
        let mut fresh = true;
        for column in let_through {
            if takes_away && !fresh {
                world.reset().await;
            }
            ask(&world, &row, column, &path, body.clone(), &mut wrong).await;
            fresh = false;
        }
        if !fresh {
            world.reset().await;
        }
    }
    assert!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

async fn ask(
    world: &World,
    row: &Row,
    column: usize,
    path: &str,
    body: Option<Value>,
    wrong: &mut Vec<String>,
) {
    let (wanted, persona) = (row.cells[column], PERSONAS[column].0);
    let answer = world.site.by(persona, row.method, path, body).await;
    let found = cell(answer.status.as_u16(), &answer.text, wanted);
    if found != wanted.to_string() {
        let body = row.body.unwrap_or_default();
        wrong.push(format!("{persona}: {} {} {body}: {wanted} became {found}", row.method, row.path));
    }
}

#[tokio::test]
async fn reading() {
    walk(|row| row.method == "GET").await;
}

#[tokio::test]
async fn what_a_volume_needs_to_be_reached_is_for_admins() {
    let world = World::new().await;
    let path = world.text("/v1/volume/targets/{leased_target}");
    for (persona, sees) in
        [("lessee-admin", true), ("system-reader", true), ("owner-manager", false), ("lessee-reader", false)]
    {
        let target = world.site.by(persona, "GET", &path, None).await.is(200).json();
        assert_eq!(target["properties"]["target_portal"] == "10.0.0.9", sees, "{persona}: {target}");
        let list = world.site.by(persona, "GET", "/v1/volume/targets?detail=true", None).await.is(200);
        assert_eq!(list.text.contains("10.0.0.9"), sees, "{persona}");
    }
}

#[tokio::test]
async fn what_a_project_makes_is_its_own() {
    let world = World::new().await;
    let wish = serde_json::json!({"resource_class": "x"});
    let made = world.site.by("other-member", "POST", "/v1/allocations", Some(wish)).await.is(201).json();
    assert_eq!(made["owner"], "id-of-project-other");
    let runbook = serde_json::json!({
        "name": "CUSTOM_MINE", "steps": [{"interface": "deploy", "step": "erase_devices", "args": {}, "order": 1}]
    });
    let made = world.site.by("other-manager", "POST", "/v1/runbooks", Some(runbook)).await.is(201).json();
    assert_eq!(made["owner"], "id-of-project-other");
}

#[tokio::test]
async fn changing_nodes() {
    walk(|row| row.method == "PATCH" && row.path.starts_with("/v1/nodes")).await;
}

#[tokio::test]
async fn acting_on_nodes() {
    walk(|row| !matches!(row.method, "GET" | "PATCH") && row.path.starts_with("/v1/nodes")).await;
}

#[tokio::test]
async fn changing_what_is_not_a_node() {
    walk(|row| row.method != "GET" && !row.path.starts_with("/v1/nodes")).await;
}

#[tokio::test]
async fn a_lessee_reads_which_permission_it_takes() {
    let world = World::new().await;
    let path = world.text("/v1/nodes/{leased}");
    let seen =
        async |persona: &str, path: &str| world.site.by(persona, "GET", path, None).await.is(200).json();
    let redacted =
        |field: &str, word: &str| format!("** {word}equires baremetal:node:get:{field} permission. **");
    let node = seen("lessee-admin", &path).await;
    assert_eq!(node["last_error"], redacted("last_error", "Value Redacted - R"));
    assert_eq!(node["reservation"], redacted("reservation", "Redacted - r"));
    assert_eq!(node["driver_info"]["content"], redacted("driver_info", "Redacted - r"));
    assert_eq!(node["driver_internal_info"]["content"], redacted("driver_internal_info", "Redacted - R"));
    let listed = seen("lessee-reader", "/v1/nodes?fields=last_error").await;
    assert_eq!(listed["nodes"][0]["last_error"], node["last_error"]);
    let states = seen("lessee-reader", &format!("{path}/states")).await;
    assert_eq!(states["last_error"], node["last_error"]);
    let patch = serde_json::json!([{"op": "add", "path": "/extra/a", "value": 1}]);
    let patched = world.site.by("lessee-member", "PATCH", &path, Some(patch)).await.is(200).json();
    assert_eq!(patched["last_error"], node["last_error"]);
    for persona in ["owner-reader", "owner-service", "system-reader", "system-service", "service-project"] {
        let node = seen(persona, &path).await;
        assert_eq!(node["last_error"], "the BMC at 10.0.0.7 said no", "{persona}");
        assert_eq!(
            node["driver_info"],
            serde_json::json!({"address": "10.0.0.7", "fake_password": "******"})
        );
        assert_eq!(node["driver_internal_info"]["inside"], true);
    }
}

#[tokio::test]
async fn who_creates_a_node_for_a_project_owns_it_with_that_project() {
    let world = World::new().await;
    let make = async |persona: &str, owner: Option<&str>| {
        let body = serde_json::json!({"driver": "fake-hardware", "owner": owner});
        world.site.by(persona, "POST", "/v1/nodes", Some(body)).await
    };
    assert_eq!(make("other-admin", None).await.is(201).json()["owner"], "id-of-project-other");
    assert_eq!(
        make("other-admin", Some("somebody")).await.is(400).fault(),
        "Cannot create a node as a project scoped admin with an owner other than your own project."
    );
    assert_eq!(make("system-admin", Some("somebody")).await.is(201).json()["owner"], "somebody");
    assert_eq!(make("system-admin", None).await.is(201).json()["owner"], Value::Null);
    assert_eq!(
        make("other-member", None).await.is(403).fault(),
        "Access was denied to the following resource: baremetal:node:create"
    );
}

#[tokio::test]
async fn the_owner_of_an_active_node_is_changed_by_operators_only() {
    let world = World::new().await;
    let uuid = world.text("{foreign}").parse().unwrap();
    world.site.edit(uuid, |node| node.provision_state = model::state::ProvisionState::Active).await;
    let patch = serde_json::json!([{"op": "replace", "path": "/owner", "value": "x"}]);
    let path = world.text("/v1/nodes/{foreign}");
    let refused = world.site.by("system-member", "PATCH", &path, Some(patch.clone())).await.is(409).fault();
    assert!(refused.starts_with("Cannot update owner of node"), "{refused}");
    world.site.by("system-admin", "PATCH", &path, Some(patch.clone())).await.is(200);
    let allocated = world.text("/v1/nodes/{owned}");
    let refused = world.site.by("system-admin", "PATCH", &allocated, Some(patch)).await.is(409).fault();
    assert!(refused.contains("allocated to an allocation"), "{refused}");
}
