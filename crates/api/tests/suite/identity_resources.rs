//! Users, projects, groups, roles, the catalog and application credentials, as their clients use them.

use crate::identity_site::{IdentitySite, by_password, fault, project};
use serde_json::{Value, json};

#[tokio::test]
async fn users_are_kept_as_they_are_written_but_for_their_passwords() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let body = json!({"name": "Ada", "email": "a@b.c", "description": "d", "options": {"x": 1}, "password": "s3cr3t"});
    let made = site.by(&operator, "POST", "/v3/users", Some(json!({"user": body}))).await.is(201);
    assert!(!made.text.contains("s3cr3t"));
    let user = made.json()["user"].clone();
    let id = user["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(user["links"]["self"], format!("http://h:1/identity/v3/users/{id}"));
    assert_eq!((user["email"].clone(), user["domain_id"].clone()), (json!("a@b.c"), json!("default")));
    let path = format!("/v3/users/{id}");
    let change =
        json!({"user": {"email": null, "name": "ada", "password": "fresh-pass", "original_password": "x"}});
    let changed = site.by(&operator, "PATCH", &path, Some(change)).await.is(200).json()["user"].clone();
    assert_eq!((changed["name"].clone(), changed["email"].clone()), (json!("ada"), Value::Null));
    let listed = site.by(&operator, "GET", "/v3/users?name__icontains=AD&enabled=true", None).await.is(200);
    assert!(!listed.text.contains("fresh") && !listed.text.contains("password\":\""), "{}", listed.text);
    assert_eq!(listed.json()["users"].as_array().unwrap().len(), 2, "ada and admin");
    site.log_in(by_password("ada", "fresh-pass"), Value::Null).await.is(201);

    let again = site.by(&operator, "POST", "/v3/users", Some(json!({"user": {"name": "ada"}}))).await.is(409);
    assert!(fault(&again).contains("name ada"), "{}", fault(&again));
    for bad in [
        json!({}),
        json!({"user": {}}),
        json!({"user": {"name": " "}}),
        json!({"user": {"name": "x".repeat(256)}}),
        json!({"user": {"name": 1}}),
        json!({"user": {"name": "x", "enabled": "perhaps"}}),
        json!({"user": {"name": "x", "password": "y".repeat(5000)}}),
        json!({"user": {"name": "x", "password": ""}}),
    ] {
        let refused = site.by(&operator, "POST", "/v3/users", Some(bad)).await.is(400);
        assert!(!fault(&refused).contains("yyy"));
    }
    let lost = json!({"user": {"name": "x", "domain_id": "nowhere"}});
    site.by(&operator, "POST", "/v3/users", Some(lost)).await.is(404);
}

#[tokio::test]
async fn projects_lie_below_one_another_and_have_tags() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let mut parent = Value::Null;
    let mut ids = Vec::new();
    for n in 0..api::limits::PROJECT_DEPTH {
        let body = json!({"name": format!("p{n}"), "parent_id": parent, "tags": ["t", format!("t{n}")]});
        let id = site.make(&operator, "projects", "project", body).await;
        parent = json!(id);
        ids.push(id);
    }
    let deeper = json!({"project": {"name": "deep", "parent_id": parent}});
    site.by(&operator, "POST", "/v3/projects", Some(deeper)).await.is(403);
    let path = |n: usize| format!("/v3/projects/{}", ids[n]);
    let tree = site.by(&operator, "GET", &format!("{}?subtree_as_ids", path(2)), None).await.is(200).json();
    assert_eq!(tree["project"]["subtree"], json!({ids[3].as_str(): {ids[4].as_str(): null}}));
    let tree = site.by(&operator, "GET", &format!("{}?parents_as_ids", path(1)), None).await.is(200).json();
    assert_eq!(tree["project"]["parents"], json!({ids[0].as_str(): {"default": null}}));
    site.by(&operator, "DELETE", &path(3), None).await.is(403);
    site.by(&operator, "DELETE", &path(4), None).await.is(204);
    let moved = json!({"project": {"parent_id": ids[0]}});
    site.by(&operator, "PATCH", &path(3), Some(moved)).await.is(400);

    let count = async |filter: &str| {
        let listed = site.by(&operator, "GET", &format!("/v3/projects?{filter}"), None).await.is(200).json();
        listed["projects"].as_array().unwrap().len()
    };
    assert_eq!(count("tags=t").await, 4);
    assert_eq!(count("tags=t,t1").await, 1);
    assert_eq!(count("tags-any=t1,t2").await, 2);
    assert_eq!(count("not-tags=t").await, 4);
    assert_eq!(count(&format!("parent_id={}", ids[0])).await, 1);
    let tags = format!("{}/tags", path(0));
    site.by(&operator, "PUT", &format!("{tags}/new"), None).await.is(201);
    site.by(&operator, "GET", &format!("{tags}/new"), None).await.is(204);
    site.by(&operator, "DELETE", &format!("{tags}/new"), None).await.is(204);
    site.by(&operator, "GET", &format!("{tags}/new"), None).await.is(404);
    site.by(&operator, "PUT", &tags, Some(json!({"tags": ["a", "b"]}))).await.is(200);
    site.by(&operator, "PUT", &tags, Some(json!({"tags": ["a,b"]}))).await.is(400);
    let listed = site.by(&operator, "GET", &tags, None).await.is(200).json();
    assert_eq!(listed["tags"], json!(["a", "b"]));

    let freeze = |on: bool| Some(json!({"project": {"options": {"immutable": on}}}));
    site.by(&operator, "PATCH", &path(3), freeze(true)).await.is(200);
    site.by(&operator, "PATCH", &path(3), Some(json!({"project": {"name": "x"}}))).await.is(403);
    site.by(&operator, "DELETE", &path(3), None).await.is(403);
    site.by(&operator, "PATCH", &path(3), freeze(false)).await.is(200);
    site.by(&operator, "DELETE", &path(3), None).await.is(204);
    let off = Some(json!({"domain": {"enabled": false}}));
    site.by(&operator, "PATCH", "/v3/domains/default", off).await.is(403);
}

#[tokio::test]
async fn roles_come_by_groups_inheritance_and_implication() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let ada = site.user(&operator, "ada", json!({})).await;
    let top = site.make(&operator, "projects", "project", json!({"name": "top"})).await;
    let low = site.make(&operator, "projects", "project", json!({"name": "low", "parent_id": top})).await;
    let group = site.make(&operator, "groups", "group", json!({"name": "crew"})).await;
    let manager = site.id(&operator, "roles", "manager").await;
    let token = async || site.log_in(by_password("ada", "pass"), project("low")).await;
    token().await.is(401);

    let inherit =
        format!("/v3/OS-INHERIT/projects/{top}/groups/{group}/roles/{manager}/inherited_to_projects");
    site.by(&operator, "PUT", &inherit, None).await.is(204);
    site.by(&operator, "HEAD", &inherit, None).await.is(204);
    site.by(&operator, "PUT", &format!("/v3/groups/{group}/users/{ada}"), None).await.is(204);
    let roles: Vec<_> = token().await.is(201).json()["token"]["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["name"].clone())
        .collect();
    assert_eq!(json!(roles), json!(["manager", "member", "reader"]));
    site.log_in(by_password("ada", "pass"), project("top")).await.is(401);
    let scoped = token().await.header("x-subject-token").to_owned();
    let own = site.by(&scoped, "GET", "/v3/auth/projects", None).await.is(200).json();
    assert_eq!(own["projects"].as_array().unwrap().len(), 1);
    assert_eq!(own["projects"][0]["id"], json!(low));

    let list = async |query: &str| {
        let listed =
            site.by(&operator, "GET", &format!("/v3/role_assignments?{query}"), None).await.is(200).json();
        listed["role_assignments"].as_array().unwrap().clone()
    };
    let made = list(&format!("group.id={group}&include_names")).await;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["scope"]["OS-INHERIT:inherited_to"], "projects");
    assert_eq!(made[0]["group"]["name"], "crew");
    let effective = list(&format!("user.id={ada}&effective&include_names=true")).await;
    assert_eq!(effective.len(), 3);
    assert!(
        effective
            .iter()
            .all(|one| one["scope"]["project"]["name"] == "low" && one["links"]["membership"].is_string())
    );
    assert_eq!(list(&format!("scope.project.id={top}&include_subtree&effective")).await.len(), 3);
    assert_eq!(list("scope.system=all").await.len(), 1);
    for bad in [
        "user.id=a&group.id=b",
        "scope.project.id=a&scope.system=all",
        "effective&group.id=a",
        "include_subtree=1",
    ] {
        site.by(&operator, "GET", &format!("/v3/role_assignments?{bad}"), None).await.is(400);
    }

    site.by(&operator, "DELETE", &format!("/v3/groups/{group}/users/{ada}"), None).await.is(204);
    assert!(!site.counts(&scoped).await);
    let (reader, admin) =
        (site.id(&operator, "roles", "reader").await, site.id(&operator, "roles", "admin").await);
    for circle in [format!("{reader}/implies/{manager}"), format!("{reader}/implies/{admin}")] {
        site.by(&operator, "PUT", &format!("/v3/roles/{circle}"), None).await.is(403);
    }
    let extra = site.make(&operator, "roles", "role", json!({"name": "extra"})).await;
    let rule = format!("/v3/roles/{extra}/implies/{reader}");
    site.by(&operator, "PUT", &rule, None).await.is(201);
    site.by(&operator, "HEAD", &rule, None).await.is(204);
    site.by(&operator, "DELETE", &format!("/v3/roles/{extra}"), None).await.is(204);
    site.by(&operator, "GET", &rule, None).await.is(404);
    site.by(&operator, "DELETE", &format!("/v3/roles/{admin}"), None).await.is(403);
}

#[tokio::test]
async fn the_catalog_shows_what_was_put_into_it() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let service =
        site.make(&operator, "services", "service", json!({"type": "volumev3", "name": "cinder"})).await;
    let endpoint = |url: &str, region: &str| json!({"endpoint": {"service_id": service, "interface": "publicURL", "region": region, "url": url}});
    for bad in ["/mine", "ftp://x", ""] {
        site.by(&operator, "POST", "/v3/endpoints", Some(endpoint(bad, "RegionOne"))).await.is(400);
    }
    let made = endpoint("https://c.example/v3/%(project_id)s", "Elsewhere");
    let made =
        site.by(&operator, "POST", "/v3/endpoints", Some(made)).await.is(201).json()["endpoint"].clone();
    assert_eq!(made["interface"], "public");
    let shown = async |token: &str| {
        let catalog = site.by(token, "GET", "/v3/auth/catalog", None).await.is(200).json()["catalog"].clone();
        catalog.as_array().unwrap().iter().find(|one| one["type"] == "volumev3").cloned()
    };
    let demo = site.token("demo").await;
    let project = site.id(&operator, "projects", "demo").await;
    let in_catalog = shown(&demo).await.unwrap();
    assert_eq!(in_catalog["endpoints"][0]["url"], format!("https://c.example/v3/{project}"));
    site.by(&operator, "DELETE", "/v3/regions/Elsewhere", None).await.is(403);
    let path = format!("/v3/services/{service}");
    site.by(&operator, "PATCH", &path, Some(json!({"service": {"enabled": false}}))).await.is(200);
    assert!(shown(&demo).await.is_none());
    site.by(&operator, "DELETE", &path, None).await.is(204);
    site.by(&operator, "GET", &format!("/v3/endpoints/{}", made["id"].as_str().unwrap()), None).await.is(404);
    site.by(&operator, "DELETE", "/v3/regions/Elsewhere", None).await.is(204);

    // What a client reads it may write back; the endpoints of this process go on following the caller.
    let listed = site.by(&operator, "GET", "/v3/endpoints?interface=public", None).await.is(200).json();
    let own = listed["endpoints"][0].clone();
    let path = format!("/v3/endpoints/{}", own["id"].as_str().unwrap());
    site.by(&operator, "PATCH", &path, Some(json!({"endpoint": {"url": own["url"]}}))).await.is(200);
    let elsewhere = site.ask(&operator, "GET", &path, &[("host", "other:2")], None).await;
    assert!(elsewhere.is(200).json()["endpoint"]["url"].as_str().unwrap().starts_with("http://"));
    let stored: model::identity::Endpoint =
        site.site.store.identity().get(own["id"].as_str().unwrap()).await.unwrap();
    assert!(stored.url.starts_with('/'), "{}", stored.url);
    let circle = json!({"region": {"parent_region_id": "RegionOne"}});
    site.by(&operator, "PATCH", "/v3/regions/RegionOne", Some(circle)).await.is(400);
}

#[tokio::test]
async fn application_credentials_do_what_their_user_may_in_one_project() {
    let site = IdentitySite::new().await;
    let operator = site.token("admin").await;
    let demo = site.token("demo").await;
    let (me, home) =
        (site.id(&operator, "users", "demo").await, site.id(&operator, "projects", "demo").await);
    let path = format!("/v3/users/{me}/application_credentials");
    let make = async |token: &str, body: Value| {
        site.by(token, "POST", &path, Some(json!({"application_credential": body}))).await
    };
    let made = make(&demo, json!({"name": "ci", "roles": [{"name": "reader"}]})).await.is(201).json();
    let made = made["application_credential"].clone();
    assert_eq!((made["project_id"].clone(), made["expires_at"].clone()), (json!(home), Value::Null));
    let with = |id: &Value, secret: &Value| json!({"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}});
    let login = with(&made["id"], &made["secret"]);
    let answer = site.log_in(login.clone(), Value::Null).await.is(201);
    let token = answer.json()["token"].clone();
    assert_eq!(token["project"]["id"], json!(home));
    assert_eq!(token["roles"].as_array().unwrap().len(), 1);
    assert_eq!(token["application_credential"]["restricted"], true);
    let robot = answer.header("x-subject-token").to_owned();
    let by_name = json!({"methods": ["application_credential"], "application_credential": {
        "name": "ci", "secret": made["secret"], "user": {"name": "demo", "domain": {"id": "default"}}}});
    site.log_in(by_name, Value::Null).await.is(201);
    site.log_in(with(&made["id"], &json!("wrong")), Value::Null).await.is(401);
    site.log_in(login.clone(), project("alt_demo")).await.is(401);

    // It makes no further ones, and its token is not exchanged for one that may more.
    make(&robot, json!({"name": "worm"})).await.is(403);
    let exchange = json!({"methods": ["token"], "token": {"id": robot}});
    site.log_in(exchange, project("demo")).await.is(403);
    let shown = site.by(&robot, "GET", &path, None).await.is(200);
    assert!(!shown.text.contains("secret"));

    for (bad, status) in [
        (json!({"name": "ci"}), 409),
        (json!({"name": "x", "roles": [{"name": "admin"}]}), 400),
        (json!({"name": "x", "roles": "reader"}), 400),
        (json!({"name": "x", "expires_at": "2020-01-01T00:00:00"}), 400),
        (json!({"name": "x", "expires_at": "tomorrow"}), 400),
        (
            json!({"name": "x", "access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}),
            400,
        ),
        (json!({}), 400),
    ] {
        make(&demo, bad).await.is(status);
    }
    // Not even an operator makes one for somebody else; but it sees and removes them.
    make(&operator, json!({"name": "x"})).await.is(403);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let other = site.token("alt_demo").await;
    site.by(&other, "GET", &one, None).await.is(403);
    let stranger = site.id(&operator, "users", "alt_demo").await;
    let through = one.replace(&me, &stranger);
    site.by(&other, "DELETE", &through, None).await.is(404);
    site.by(&operator, "GET", &one, None).await.is(200);

    // A chosen secret, one that ends soon, and the end by losing the role or the credential.
    let own = make(
        &demo,
        json!({"name": "own", "secret": "hush", "unrestricted": true, "expires_at": "2100-01-01T00:00:00"}),
    );
    let own = own.await.is(201).json()["application_credential"].clone();
    assert_eq!(own["expires_at"], "2100-01-01T00:00:00.000000");
    let free = site.token_with(with(&own["id"], &json!("hush")), Value::Null).await;
    make(&free, json!({"name": "next"})).await.is(201);
    site.by(&operator, "DELETE", &one, None).await.is(204);
    assert!(!site.counts(&robot).await && site.counts(&free).await);
    site.log_in(login, Value::Null).await.is(401);
    let member = site.id(&operator, "roles", "member").await;
    site.by(&operator, "DELETE", &format!("/v3/projects/{home}/users/{me}/roles/{member}"), None)
        .await
        .is(204);
    assert!(!site.counts(&free).await);
}
