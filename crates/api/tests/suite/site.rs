//! One site for one test.

use api::auth::{Auth, Own, ProjectName};
use api::identity::bootstrap::Login;
use api::image::ImageSettings;
use api::{ApiState, Settings};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use conductor::Conductor;
use jiff::Timestamp;
use model::driver::{Enabled, FAKE};
use model::node::Node;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::{Guard, Store, StoreError};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

/// A site; its state directory goes with it.
pub struct Site {
    pub operator: Router,
    pub ramdisk: Router,
    pub store: Store,
    /// Moves nothing until a test runs it.
    pub conductor: Conductor,
    pub state: Arc<ApiState>,
    _dir: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// What the user reads of an error, with its shape checked.
    pub fn fault(&self) -> String {
        let inner: Value =
            serde_json::from_str(self.json()["error_message"].as_str().expect("a JSON text")).unwrap();
        let code = if self.status.is_server_error() { "Server" } else { "Client" };
        assert_eq!(inner["faultcode"], code);
        assert_eq!(inner["debuginfo"], Value::Null);
        inner["faultstring"].as_str().unwrap().to_owned()
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a status; the body tells why it differs.
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

impl Site {
    /// A site without authentication, with `ipmi` and `fake-hardware`.
    pub async fn new() -> Self {
        Self::with(Auth::None).await
    }

    /// The same with another authentication.
    pub async fn with(auth: Auth) -> Self {
        Self::set(Settings { auth, ..Settings::default() }).await
    }

    /// The same with the services of the cloud.
    pub async fn cloud(auth: Auth, images: ImageSettings) -> Self {
        Self::set(Settings { auth, cloud: true, images, ..Settings::default() }).await
    }

    /// The same with an identity service of its own, and the log-ins of its first start.
    pub async fn own() -> (Self, Vec<Login>) {
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        let (data, logins) = api::identity::bootstrap::first_data().unwrap();
        assert!(store.identity().write_first_data(&data).await.unwrap());
        assert!(!store.identity().write_first_data(&data).await.unwrap(), "once is enough");
        let projects = |name: &str| ProjectName::new(name);
        let own = Own::open(store.clone(), dir.path(), vec![projects("admin")], Some(projects("service")));
        let auth = Auth::Own(Box::new(own.unwrap()));
        (Self::over(dir, store, Settings { auth, cloud: true, ..Settings::default() }), logins)
    }

    /// The state directory.
    pub fn dir(&self) -> &std::path::Path {
        self._dir.path()
    }

    /// The same with other settings.
    pub async fn set(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        Self::over(dir, store, settings)
    }

    fn over(dir: tempfile::TempDir, store: Store, settings: Settings) -> Self {
        let bmcs = Arc::new(bmc::Registry::new(Default::default()));
        let storage = images::Backend::directory(&dir.path().join("storage")).unwrap();
        let mut conductor_settings = conductor::Settings::new("seed", dir.path()).with_storage(storage);
        // A BMC is asked for what a test does and for nothing else: whether a sweep came between would be chance.
        conductor_settings.power_sync.interval = Duration::ZERO;
        let conductor = Conductor::new(store.clone(), conductor_settings, bmcs);
        let settings =
            Settings { drivers: Enabled::with_hardware_types(&["ipmi", FAKE]).unwrap(), ..settings };
        let state = Arc::new(ApiState {
            store: store.clone(),
            conductor: conductor.clone(),
            settings,
            started_at: Timestamp::now(),
            shown_nodes: api::baremetal::ShownNodes::default(),
        });
        Self {
            operator: api::operator_router(Arc::clone(&state)),
            ramdisk: api::ramdisk_router(Arc::clone(&state)),
            store,
            conductor,
            state,
            _dir: dir,
        }
    }

    /// Sends a request as it is.
    pub async fn send(router: &Router, request: Request<Body>) -> Answer {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        };
        assert_eq!(answer.header("x-openstack-ironic-api-minimum-version"), "1.1");
        assert_eq!(answer.header("x-openstack-ironic-api-maximum-version"), "1.115");
        assert!(answer.header("x-openstack-request-id").starts_with("req-"));
        assert_eq!(answer.header("x-openstack-request-id"), answer.header("openstack-request-id"));
        if answer.status == 204 || answer.status == 202 && answer.text.is_empty() {
            assert_eq!(answer.text, "");
            assert_eq!(answer.header("content-type"), "");
        }
        answer
    }

    /// A request at a microversion, with a JSON body or none.
    pub async fn at(&self, minor: u16, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.request(minor, None, method, path, body).await
    }

    /// A request with a token, at the newest microversion.
    pub async fn by(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.request(115, Some(token), method, path, body).await
    }

    async fn request(
        &self,
        minor: u16,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("host", "h:1")
            .header("x-openstack-ironic-api-version", format!("1.{minor}"));
        if let Some(token) = token {
            request = request.header("x-auth-token", token);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        Self::send(&self.operator, request.body(body).unwrap()).await
    }

    /// A request at the newest microversion.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.at(115, method, path, body).await
    }

    /// `GET` at the newest microversion.
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    /// A node of `fake-hardware`.
    pub async fn node(&self, name: &str) -> Uuid {
        let body = serde_json::json!({"driver": FAKE, "name": name});
        let answer = self.call("POST", "/v1/nodes", Some(body)).await.is(201);
        answer.json()["uuid"].as_str().unwrap().parse().unwrap()
    }

    /// Two nodes, `n1` and `n2`; the latter is in the shard `s1` and the conductor group `rack`.
    pub async fn two_nodes(&self) -> (Uuid, Uuid) {
        let (one, other) = (self.node("n1").await, self.node("n2").await);
        self.edit(other, |node| {
            node.shard = Some("s1".into());
            node.conductor_group = "rack".into();
        })
        .await;
        (one, other)
    }

    /// Changes a stored node behind the API's back.
    pub async fn edit(&self, uuid: Uuid, change: impl FnOnce(&mut Node)) {
        self.store
            .edit_node(uuid, Guard::Any, Timestamp::now(), |edit| {
                change(&mut edit.node);
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }

    /// Lets the conductor work until a node is as it should be, then stops it.
    pub async fn work_until(&self, uuid: Uuid, done: impl Fn(&Node) -> bool) -> Node {
        let stop = CancellationToken::new();
        let running = self.conductor.clone();
        let ended = stop.clone();
        let working = tokio::spawn(async move { running.run(ended).await });
        let reached = async {
            loop {
                let node = self.store.node(&uuid.to_string()).await.unwrap().node;
                if done(&node) {
                    return node;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let node = tokio::time::timeout(Duration::from_secs(20), reached).await.expect("within the limit");
        stop.cancel();
        working.await.unwrap().unwrap();
        node
    }

    /// Lets the conductor carry out what was asked of a node's hardware.
    pub async fn work(&self, uuid: Uuid) -> Node {
        self.work_until(uuid, |node| node.errand.is_none()).await
    }
}
