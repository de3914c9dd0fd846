//! The services of the cloud: a site with all of them and a token for each persona, and what holds for every route.

use crate::site::{Answer, Site};
use crate::stub_keystone::{StubKeystone, body};
use api::cloud::{Access, SERVICES};
use api::image::ImageSettings;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use serde_json::Value;
use tower::ServiceExt;

/// Tokens: name, scope, roles.
///
/// Their users' ids are `id-of-{name}`, their projects' [`project_id`](crate::stub_keystone::project_id). `operator` is an admin of the operators' project, `alice` and `reader` belong to the project `a`, `bob` to `b`, `nobody` has a token
/// for `a` and no role in it.
const PERSONAS: [(&str, &str, &[&str]); 5] = [
    ("operator", "admin", &["admin", "manager", "member", "reader"]),
    ("alice", "a", &["member", "reader"]),
    ("reader", "a", &["reader"]),
    ("bob", "b", &["member", "reader"]),
    ("nobody", "a", &[]),
];

/// A site with every service.
pub struct Cloud {
    pub site: Site,
    _keystone: StubKeystone,
}

impl Cloud {
    pub async fn new() -> Self {
        Self::with_images(|_| {}).await
    }

    /// The same with other settings of the image service.
    pub async fn with_images(change: impl FnOnce(&mut ImageSettings)) -> Self {
        let mut images = ImageSettings::default();
        change(&mut images);
        let keystone = StubKeystone::start().await;
        for (name, scope, roles) in PERSONAS {
            keystone.knows(name, body(name, scope, roles));
        }
        Self { site: Site::cloud(keystone.auth(), images).await, _keystone: keystone }
    }

    /// Sends a request with a persona's token; an empty one sends none.
    pub async fn send(&self, token: &str, mut request: Request<Body>) -> Response {
        if !token.is_empty() {
            request.headers_mut().insert("x-auth-token", token.parse().unwrap());
        }
        request.headers_mut().entry("host").or_insert("h:1".parse().unwrap());
        self.site.operator.clone().oneshot(request).await.unwrap()
    }

    /// A request with a JSON body or none; its answer's body is text.
    pub async fn by(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.at("", token, method, path, body).await
    }

    /// The same with a microversion, as in `compute 2.79`.
    pub async fn at(
        &self,
        version: &str,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        if !version.is_empty() {
            request = request.header("openstack-api-version", version);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.send(token, request.body(body).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }
}

fn example(path: &str) -> String {
    path.replace(['{', '}', '*'], "")
}

#[tokio::test]
async fn every_route_refuses_those_who_may_not_call_it() {
    let cloud = Cloud::new().await;
    for service in SERVICES {
        for route in service.table.routes() {
            let path = format!("/{}{}", service.prefix, example(route.path));
            let verb = route.verb.as_str();
            let refused = |token: &'static str| cloud.by(token, verb, &path, None);
            match route.access {
                Access::Public => {
                    assert_ne!(refused("").await.status, 401, "{verb} {path}");
                    continue;
                }
                _ => drop(refused("").await.is(401)),
            }
            refused("forged").await.is(401);
            match route.access {
                Access::Project | Access::Granted => drop(refused("nobody").await.is(403)),
                Access::Operator => {
                    refused("nobody").await.is(403);
                    refused("alice").await.is(403);
                }
                Access::Public | Access::User => {}
            }
        }
    }
}

#[tokio::test]
async fn the_cloud_is_there_only_where_it_is_wanted() {
    let cloud = Cloud::new().await;
    cloud.by("", "GET", "/identity/v3", None).await.is(200);
    let nodes = cloud.by("operator", "GET", "/baremetal/v1/nodes", None).await.is(200);
    assert_eq!(nodes.json()["nodes"], serde_json::json!([]));
    let root = cloud.by("", "GET", "/baremetal/v1", None).await.is(200).json();
    assert_eq!(root["links"][0]["href"], "http://h:1/baremetal/v1/");
    let alone = Site::new().await;
    let request = Request::builder().uri("/identity/v3").body(Body::empty()).unwrap();
    assert_eq!(Site::send(&alone.operator, request).await.status, 404);
}
