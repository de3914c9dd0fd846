//! A fleet before the real server: enrolled over its API, cleaned and deployed by its conductor over RMCP+ and the agent's protocol.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use api::{ApiState, Settings};
use bmc::Registry;
use bmc::ipmi::Limits;
use conductor::Conductor;
use lab::fleet::{BMC_PASSWORD, BMC_PORT, BMC_USER, Character, Config, Fleet, Rates, Times, enrol};
use model::state::ProvisionState;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{NodeQuery, Store};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

/// All machines of a test have gone where they should within this time.
const LIMIT: Duration = Duration::from_secs(60);

fn everyone() -> NodeQuery {
    NodeQuery { limit: 1000, ..NodeQuery::default() }
}

struct Site {
    address: SocketAddr,
    router: axum::Router,
    store: Store,
    _stop: DropGuard,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        let mut settings = conductor::Settings::new("seed", dir.path());
        settings.agent_poll = Duration::from_millis(100);
        std::fs::create_dir(dir.path().join("ramdisk")).unwrap();
        for file in ["vmlinuz", "initramfs"] {
            std::fs::write(dir.path().join("ramdisk").join(file), "not looked at").unwrap();
        }
        let conductor = Conductor::new(store.clone(), settings, Arc::new(Registry::new(Limits::default())));
        let state = Arc::new(ApiState {
            store: store.clone(),
            conductor: conductor.clone(),
            settings: Settings::default(),
            started_at: jiff::Timestamp::now(),
            shown_nodes: api::baremetal::ShownNodes::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = api::operator_router(state);
        let stop = CancellationToken::new();
        let serving =
            axum::serve(listener, router.clone()).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { serving.await });
        tokio::spawn({
            let stop = stop.clone();
            async move { conductor.run(stop).await }
        });
        Self { address, router, store, _stop: stop.drop_guard(), _dir: dir }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("x-openstack-ironic-api-version", "1.109")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body.to_string()))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&text));
    }

    /// Gives every node the verb, and waits until all have come to the state.
    async fn all(&self, names: &[String], verb: &str, state: ProvisionState) {
        for name in names {
            let path = format!("/v1/nodes/{name}/states/provision");
            self.ask("PUT", &path, json!({"target": verb})).await;
        }
        let reached = async {
            loop {
                let rows = self.store.nodes(&everyone()).await.unwrap();
                assert_eq!(rows.len(), names.len());
                if rows.iter().all(|row| row.node.provision_state == state && row.reservation.is_none()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(LIMIT, reached).await.is_err() {
            let rows = self.store.nodes(&everyone()).await.unwrap();
            let told: Vec<_> = rows
                .iter()
                .map(|row| {
                    format!("{:?} {} {:?}", row.node.name, row.node.provision_state, row.node.last_error)
                })
                .collect();
            panic!("not all {state} after \"{verb}\":\n{}", told.join("\n"));
        }
    }
}

fn config(api: SocketAddr, first: u32, nodes: u32, rates: Rates) -> Config {
    let soon = Duration::from_millis(20);
    let times = Times { boot: soon, write: soon, step: soon, slow_bmc: Duration::from_millis(50) };
    Config { nodes, first, api: vec![api], times, rates, seed: 4 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_enrolled_cleaned_deployed_and_given_back() {
    let site = Site::start().await;
    let fleet = Fleet::start(config(site.address, 0, 12, Rates::default())).await.unwrap();
    let entries: Vec<_> = fleet.entries().collect();
    let names: Vec<_> = entries.iter().map(|entry| entry.name.clone()).collect();
    assert_eq!(enrol(vec![site.address], None, entries.clone()).await.unwrap(), 12);
    assert_eq!(enrol(vec![site.address], None, entries).await.unwrap(), 0, "they are there already");

    site.all(&names, "manage", ProvisionState::Manageable).await;
    site.all(&names, "provide", ProvisionState::Available).await;
    for name in &names {
        let image = json!([{"op": "add", "path": "/instance_info", "value": {
            "image_source": format!("http://127.0.0.1:9/{name}.img"), "image_checksum": "0".repeat(32),
        }}]);
        site.ask("PATCH", &format!("/v1/nodes/{name}"), image).await;
    }
    site.all(&names, "active", ProvisionState::Active).await;
    for (index, name) in names.iter().enumerate() {
        let diary = fleet.diary(index).unwrap();
        assert_eq!((diary.erased, diary.writes), (1, 1), "{name}: {diary:?}");
        assert_eq!(diary.image, Some(format!("http://127.0.0.1:9/{name}.img")));
    }
    site.all(&names, "deleted", ProvisionState::Available).await;
    for index in 0..names.len() {
        let diary = fleet.diary(index).unwrap();
        assert_eq!((diary.erased, diary.image), (2, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_what_a_client_would_meet() {
    let address = "127.0.0.1:9".parse().unwrap();
    let each = 150;
    let rates =
        Rates { dead: each, hanging: each, wrong_password: each, slow: each, lossy: each, dying_agent: 0 };
    let fleet = Fleet::start(config(address, 1000, 40, rates)).await.unwrap();
    let wait = Duration::from_millis(200);
    let limits = Limits { overall: wait * 5, first_wait: wait, longest_wait: wait, ..Limits::default() };
    let registry = Registry::new(limits);
    let mut met = Vec::new();
    for (index, entry) in fleet.entries().enumerate() {
        let character = fleet.character(index).unwrap();
        if met.contains(&character) {
            continue;
        }
        let info = json!({
            "ipmi_address": entry.bmc.to_string(), "ipmi_port": BMC_PORT, "ipmi_username": BMC_USER,
            "ipmi_password": BMC_PASSWORD,
        });
        let settings = bmc::ipmi::Settings::parse(info.as_object().unwrap()).unwrap();
        let outcome = registry.ipmi(&settings).power_state().await;
        let answers = matches!(
            character,
            Character::Healthy | Character::SlowBmc | Character::LossyBmc | Character::DyingAgent
        );
        assert_eq!(outcome.is_ok(), answers, "{character:?}: {outcome:?}");
        met.push(character);
    }
    assert_eq!(met.len(), 6, "{met:?}");
}
