//! Who may call what of the identity service: operators everything, everybody something about itself, admins of a domain their domain.

use crate::identity_site::{IdentitySite, by_password, fault};
use api::cloud::{Access, SERVICES};
use serde_json::{Value, json};

/// Rows that a caller without any say may use, about itself or about nothing in particular. It may only shrink.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/v3/auth/projects"),
    ("GET", "/v3/auth/domains"),
    ("GET", "/v3/auth/system"),
    ("GET", "/v3/auth/catalog"),
    ("GET", "/v3/regions"),
    ("GET", "/v3/regions/{region}"),
    // One's own domain.
    ("GET", "/v3/domains/{domain}"),
];

#[tokio::test]
async fn nobody_without_a_say_gets_through_anywhere_and_nothing_changes() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let demo = site.token("demo").await;
    let group = site.make(&operator, "groups", "group", json!({"name": "g"})).await;
    let first = |collection: &'static str| {
        let (site, operator) = (&site, &operator);
        async move {
            let listed = site.by(operator, "GET", &format!("/v3/{collection}"), None).await.is(200).json();
            listed[collection][0]["id"].as_str().unwrap().to_owned()
        }
    };
    let reader = site.id(&operator, "roles", "reader").await;
    let values = [
        ("user", site.id(&operator, "users", "admin").await),
        ("project", site.id(&operator, "projects", "admin").await),
        ("domain", "default".to_owned()),
        ("group", group),
        ("role", site.id(&operator, "roles", "admin").await),
        ("prior", site.id(&operator, "roles", "member").await),
        ("implied", reader),
        ("service", first("services").await),
        ("endpoint", first("endpoints").await),
        ("region", "RegionOne".to_owned()),
        ("tag", "t".to_owned()),
        ("credential", "0".repeat(32)),
    ];
    let before = site.site.store.identity().generation();
    let identity = SERVICES.iter().find(|service| service.kind == "identity").unwrap();
    let mut walked = 0;
    for route in identity.table.routes().filter(|route| route.access != Access::Public) {
        let mut path = route.path.to_owned();
        for (name, value) in &values {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        assert!(!path.contains('{'), "{path}: give the test a value");
        let verb = route.verb.as_str();
        site.by("", verb, &path, None).await.is(401);
        let subject = [("x-subject-token", operator.as_str())];
        let status = site.ask(&demo, verb, &path, &subject, None).await.status.as_u16();
        let expected = if OPEN.contains(&(verb, route.path)) { 200 } else { 403 };
        assert_eq!(status, expected, "{verb} {path}");
        walked += 1;
    }
    assert!(walked > 90, "{walked}");
    assert_eq!(
        site.site.store.identity().generation(),
        before,
        "somebody without a say has changed something"
    );
}

#[tokio::test]
async fn everybody_sees_itself_and_its_projects() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let demo = site.token("demo").await;
    let me = site.id(&operator, "users", "demo").await;
    let project = site.id(&operator, "projects", "demo").await;
    let own = site.by(&demo, "GET", &format!("/v3/users/{me}"), None).await.is(200).json();
    assert_eq!(own["user"]["name"], "demo");
    site.by(&demo, "PATCH", &format!("/v3/users/{me}"), Some(json!({"user": {"name": "boss"}})))
        .await
        .is(403);
    site.by(&demo, "GET", &format!("/v3/projects/{project}"), None).await.is(200);
    let projects = site.by(&demo, "GET", &format!("/v3/users/{me}/projects"), None).await.is(200).json();
    assert_eq!(projects["projects"].as_array().unwrap().len(), 1);
    for (path, list, found) in [
        ("/v3/projects?name=demo", "projects", 1),
        ("/v3/users?name=demo", "users", 1),
        ("/v3/users?name=admin", "users", 0),
    ] {
        let listed = site.by(&demo, "GET", path, None).await.is(200).json();
        assert_eq!(listed[list].as_array().unwrap().len(), found, "{path}");
    }
    // Nobody's project and another's are the same; on 403 the client takes the name for an id.
    for name in ["admin", "no-such-project"] {
        site.by(&demo, "GET", &format!("/v3/projects?name={name}"), None).await.is(403);
    }
}

#[tokio::test]
async fn a_reader_of_the_system_looks_and_does_not_touch() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let auditor = site.user(&operator, "auditor", json!({})).await;
    site.grant(&operator, "system", &auditor, "reader").await;
    let token = site.token_with(by_password("auditor", "pass"), json!({"system": {"all": true}})).await;
    for path in ["users", "projects", "domains", "roles", "role_assignments", "services", "groups"] {
        site.by(&token, "GET", &format!("/v3/{path}"), None).await.is(200);
    }
    for (collection, member) in
        [("users", "user"), ("projects", "project"), ("roles", "role"), ("groups", "group")]
    {
        let body = json!({ member: {"name": "x"} });
        site.by(&token, "POST", &format!("/v3/{collection}"), Some(body)).await.is(403);
    }
    let role = site.id(&operator, "roles", "admin").await;
    site.by(&token, "PUT", &format!("/v3/system/users/{auditor}/roles/{role}"), None).await.is(403);
}

#[tokio::test]
async fn an_admin_of_a_domain_has_that_domain_and_no_other() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let domain = site.make(&operator, "domains", "domain", json!({"name": "acme"})).await;
    let boss = site.user(&operator, "boss", json!({"domain_id": domain})).await;
    site.grant(&operator, &format!("domains/{domain}"), &boss, "admin").await;
    let login = json!({"methods": ["password"], "password": {"user": {"id": boss, "password": "pass"}}});
    let token = site.token_with(login, json!({"domain": {"id": domain}})).await;

    // Without a domain named, it is the own one.
    let worker = site.user(&token, "worker", json!({})).await;
    let project = site.make(&token, "projects", "project", json!({"name": "admin"})).await;
    let shown = site.by(&token, "GET", &format!("/v3/projects/{project}"), None).await.is(200).json();
    assert_eq!(shown["project"]["domain_id"], json!(domain));
    for (list, count) in [("users", 2), ("projects", 1), ("domains", 1), ("groups", 0)] {
        let listed = site.by(&token, "GET", &format!("/v3/{list}"), None).await.is(200).json();
        assert_eq!(listed[list].as_array().unwrap().len(), count, "{list}");
    }
    let assignments = site.by(&token, "GET", "/v3/role_assignments", None).await.is(200).json();
    assert_eq!(assignments["role_assignments"].as_array().unwrap().len(), 1);
    let admin = site.id(&operator, "roles", "admin").await;
    let grant = |place: &str, user: &str| format!("/v3/{place}/users/{user}/roles/{admin}");
    site.by(&token, "PUT", &grant(&format!("projects/{project}"), &worker), None).await.is(204);

    // A project that is called like the operators' makes nobody an operator.
    let login = json!({"methods": ["password"], "password": {"user": {"id": worker, "password": "pass"}}});
    let tenant = site.token_with(login, json!({"project": {"id": project}})).await;
    site.by(&tenant, "GET", "/v3/users", None).await.is(403);
    site.by(&tenant, "GET", "/v1/drivers", None).await.is(403);

    // What is elsewhere is not there.
    let (foreign, home) = (
        site.id(&operator, "users", "demo").await,
        site.id(&operator, "projects", "admin&domain_id=default").await,
    );
    let missing = site.by(&token, "GET", &format!("/v3/users/{}", "0".repeat(32)), None).await.is(404);
    let hidden = site.by(&token, "GET", &format!("/v3/users/{foreign}"), None).await.is(404);
    assert_eq!(fault(&missing).replace(&"0".repeat(32), &foreign), fault(&hidden));
    let password = json!({"user": {"password": "mine"}});
    for (verb, path, body) in [
        ("PATCH", format!("/v3/users/{foreign}"), Some(password)),
        ("DELETE", format!("/v3/projects/{home}"), None),
        ("PUT", grant(&format!("projects/{home}"), &worker), None),
        ("PUT", grant(&format!("projects/{project}"), &foreign), None),
        ("PUT", grant("domains/default", &worker), None),
        ("POST", "/v3/users".to_owned(), Some(json!({"user": {"name": "x", "domain_id": "default"}}))),
        ("POST", "/v3/projects".to_owned(), Some(json!({"project": {"name": "x", "parent_id": home}}))),
    ] {
        site.by(&token, verb, &path, body).await.is(404);
    }
    for (verb, path, body) in [
        ("PUT", grant("system", &worker), None),
        ("POST", "/v3/domains".to_owned(), Some(json!({"domain": {"name": "x"}}))),
        ("POST", "/v3/roles".to_owned(), Some(json!({"role": {"name": "x"}}))),
        ("POST", "/v3/services".to_owned(), Some(json!({"service": {"type": "x"}}))),
    ] {
        site.by(&token, verb, &path, body).await.is(403);
    }
    // Gone with all that is in it, once it is disabled.
    let path = format!("/v3/domains/{domain}");
    site.by(&operator, "DELETE", &path, None).await.is(403);
    site.by(&operator, "PATCH", &path, Some(json!({"domain": {"enabled": false}}))).await.is(200);
    assert!(!site.counts(&tenant).await && !site.counts(&token).await);
    site.by(&operator, "DELETE", &path, None).await.is(204);
    for path in [format!("/v3/users/{worker}"), format!("/v3/projects/{project}")] {
        site.by(&operator, "GET", &path, None).await.is(404);
    }
    let left = site.by(&operator, "GET", "/v3/role_assignments", None).await.is(200).text;
    assert!(!left.contains(&worker) && !left.contains(&domain));
    let _: Value = site.by(&operator, "GET", "/v3/domains/default", None).await.is(200).json();
}
