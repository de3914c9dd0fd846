use crate::site::Site;
use api::auth::{Auth, PasswordFile};
use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[tokio::test]
async fn basic_authentication_guards_all_but_the_public_routes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("htpasswd");
    std::fs::write(&path, format!("admin:{}\n", bcrypt::hash("right", 4).unwrap())).unwrap();
    let site = Site::with(Auth::Basic(PasswordFile::open(path).unwrap())).await;
    for path in ["/", "/v1", "/healthcheck"] {
        site.get(path).await.is(200);
    }
    site.get("/v1/lookup").await.is(400);
    site.call("POST", "/v1/heartbeat/n1", None).await.is(400);
    let refused = site.get("/v1/nodes").await.is(401);
    assert_eq!(refused.header("www-authenticate"), "Basic realm=\"Baremetal API\"");
    assert_eq!(refused.fault(), "Authorization required");
    for path in ["/v1/ports", "/v1/drivers", "/v1/nodes/x/states", "/billet/v1/nodes/x/events"] {
        site.get(path).await.is(401);
    }
    let login = async |password: &str| {
        let token = STANDARD.encode(format!("admin:{password}"));
        let request = Request::get("/v1/nodes")
            .header("authorization", format!("Basic {token}"))
            .body(Body::empty())
            .unwrap();
        Site::send(&site.operator, request).await.status.as_u16()
    };
    assert_eq!(login("wrong").await, 401);
    assert_eq!(login("right").await, 200);
    assert_eq!(login("right").await, 200);
}
