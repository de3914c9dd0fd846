//! The object store: containers, objects of every kind, and who may read them.

use crate::cloud::Cloud;
use crate::stub_keystone::project_id;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};

/// A site with the account of project `a`.
struct Objects {
    cloud: Cloud,
    account: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Answer {
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| std::str::from_utf8(value.as_bytes()).unwrap())
    }
}

impl Objects {
    async fn new() -> Self {
        Self { cloud: Cloud::new().await, account: format!("/object-store/v1/AUTH_{}", project_id("a")) }
    }

    /// With a container `c`.
    async fn with_container() -> Self {
        let site = Self::new().await;
        site.alice("PUT", "/c", &[], "").await.is(201);
        site
    }

    async fn by(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("{}{path}", self.account));
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let (parts, body) = self.cloud.send(token, request.body(body.into()).unwrap()).await.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    async fn alice(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        self.by("alice", method, path, headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.alice("GET", path, &[], "").await
    }

    /// Names of files in the backend.
    async fn files(&self) -> usize {
        self.cloud.site.conductor.storage().unwrap().list("objects").await.unwrap().len()
    }
}

#[tokio::test]
async fn an_account_counts_what_it_has_and_keeps_what_is_said_about_it() {
    let site = Objects::new().await;
    let empty = site.alice("HEAD", "", &[], "").await.is(204);
    assert_eq!(empty.header("x-account-container-count"), "0");
    assert!(empty.header("x-trans-id").starts_with("req-"));
    site.get("").await.is(204);
    assert_eq!(site.get("?format=json").await.is(200).json(), json!([]));
    site.alice("PUT", "/c", &[], "").await.is(201);
    site.alice("PUT", "/c/o", &[], "12345").await.is(201);
    site.alice("POST", "", &[("x-account-meta-color", "blue"), ("x-account-meta-temp-url-key", "k")], "")
        .await
        .is(204);
    site.alice("POST", "", &[("x-account-meta-size", "1"), ("x-remove-account-meta-color", "x")], "")
        .await
        .is(204);
    let full = site.alice("HEAD", "", &[], "").await.is(204);
    for (name, value) in [
        ("x-account-container-count", "1"),
        ("x-account-object-count", "1"),
        ("x-account-bytes-used", "5"),
        ("x-account-meta-size", "1"),
        ("x-account-meta-color", ""),
        ("x-account-meta-temp-url-key", "k"),
    ] {
        assert_eq!(full.header(name), value, "{name}");
    }
    // A key lets in whoever knows it, so those who may only read don't get to know it.
    assert_eq!(
        site.by("reader", "HEAD", "", &[], "").await.is(204).header("x-account-meta-temp-url-key"),
        ""
    );
    let listed = site.get("?format=json").await.is(200).json();
    assert_eq!(
        (&listed[0]["name"], &listed[0]["count"], &listed[0]["bytes"]),
        (&json!("c"), &json!(1), &json!(5))
    );
    assert_eq!(site.get("").await.text(), "c\n");
    let xml = site.get("?format=xml").await;
    assert!(
        xml.text().contains("<container><name>c</name><count>1</count><bytes>5</bytes>"),
        "{}",
        xml.text()
    );
}

#[tokio::test]
async fn containers_are_made_described_and_deleted() {
    let site = Objects::new().await;
    let headers = [("x-container-meta-owner", "grün"), ("x-container-read", ".r:*")];
    site.alice("PUT", "/c", &headers, "").await.is(201);
    site.alice("PUT", "/c", &[("x-container-meta-more", "1")], "").await.is(202);
    site.alice("POST", "/c", &[("x-container-read", ""), ("x-container-meta-more", "")], "").await.is(204);
    let shown = site.alice("HEAD", "/c", &[], "").await.is(204);
    assert_eq!(shown.header("x-container-meta-owner"), "grün");
    assert_eq!((shown.header("x-container-meta-more"), shown.header("x-container-read")), ("", ""));
    assert_eq!(shown.header("x-container-object-count"), "0");
    site.alice("PUT", "/c/o", &[], "x").await.is(201);
    let told = site.alice("DELETE", "/c", &[], "").await.is(409);
    assert!(told.text().contains("not empty"));
    site.alice("DELETE", "/c/o", &[], "").await.is(204);
    site.alice("DELETE", "/c", &[], "").await.is(204);
    for (method, path) in
        [("HEAD", "/c"), ("GET", "/c"), ("DELETE", "/c"), ("POST", "/c"), ("PUT", "/c/o"), ("GET", "/c/o")]
    {
        site.alice(method, path, &[], "").await.is(404);
    }
    let long = "x".repeat(257);
    site.alice("PUT", &format!("/{long}"), &[], "").await.is(400);
    site.alice("PUT", "/a%2Fb", &[], "").await.is(400);
    site.alice("PUT", "/c", &[("x-container-meta-a", long.as_str())], "").await.is(400);
    site.alice("PUT", "/c", &[("x-storage-policy", "gold")], "").await.is(400);
    site.alice("HEAD", "/c", &[], "").await.is(404);
}

#[tokio::test]
async fn listings_fold_and_page() {
    let site = Objects::with_container().await;
    for name in ["a", "b/1", "b/2", "%C3%BC", "z"] {
        site.alice("PUT", &format!("/c/{name}"), &[], "").await.is(201);
    }
    let names = async |query: &str| site.get(&format!("/c?{query}")).await.text().replace('\n', " ");
    assert_eq!(names("").await, "a b/1 b/2 z ü ");
    assert_eq!(names("delimiter=/").await, "a b/ z ü ");
    assert_eq!(names("prefix=b/&delimiter=/").await, "b/1 b/2 ");
    assert_eq!(names("path=b").await, "b/1 b/2 ");
    assert_eq!(names("limit=2&marker=a").await, "b/1 b/2 ");
    assert_eq!(names("end_marker=b/2").await, "a b/1 ");
    assert_eq!(names("reverse=true&limit=2").await, "ü z ");
    let listed = site.get("/c?format=json&delimiter=/&limit=2").await.json();
    assert_eq!(listed[0]["hash"], "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(listed[0]["content_type"], "application/octet-stream");
    assert_eq!(listed[1], json!({"subdir": "b/"}));
    let accept = [("accept", "application/json")];
    assert_eq!(site.alice("GET", "/c", &accept, "").await.json().as_array().unwrap().len(), 5);
    site.get("/c?limit=10001").await.is(412);
}

#[tokio::test]
async fn an_object_is_stored_read_changed_and_deleted() {
    let site = Objects::with_container().await;
    let headers = [
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("x-object-meta-color", "blue"),
        ("etag", "827CCB0EEA8A706C4C34A16891F84E7B"),
    ];
    let put = site.alice("PUT", "/c/a%20b/%E2%98%83//x", &headers, "12345").await.is(201);
    assert_eq!(put.header("etag"), "827ccb0eea8a706c4c34a16891f84e7b");
    let path = "/c/a b/☃//x".replace(' ', "%20").replace('☃', "%E2%98%83");
    let got = site.get(&path).await.is(200);
    assert_eq!(got.text(), "12345");
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("content-length", "5"),
        ("x-object-meta-color", "blue"),
        ("etag", "827ccb0eea8a706c4c34a16891f84e7b"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(got.header(name), value, "{name}");
    }
    let head = site.alice("HEAD", &path, &[], "").await.is(200);
    assert_eq!((head.header("content-length"), head.bytes.len()), ("5", 0));
    assert_eq!(site.get("/c").await.text(), "a b/☃//x\n");

    // Metadata is replaced as a whole, unless items are named for removal.
    site.alice("POST", &path, &[("x-object-meta-a", "1"), ("x-object-meta-b", "2")], "").await.is(202);
    site.alice("POST", &path, &[("x-remove-object-meta-a", "x")], "").await.is(202);
    let changed = site.alice("HEAD", &path, &[], "").await;
    assert_eq!(
        ["x-object-meta-color", "x-object-meta-a", "x-object-meta-b"].map(|name| changed.header(name)),
        ["", "", "2"]
    );
    site.alice("DELETE", &path, &[], "").await.is(204);
    site.alice("DELETE", &path, &[], "").await.is(404);
    site.get(&path).await.is(404);
    assert_eq!(site.files().await, 0);
}

#[tokio::test]
async fn what_is_written_over_or_refused_leaves_no_bytes() {
    let site = Objects::with_container().await;
    site.alice("PUT", "/c/o", &[], "old").await.is(201);
    site.alice("PUT", "/c/o", &[], "new").await.is(201);
    assert_eq!((site.get("/c/o").await.text(), site.files().await), ("new", 1));
    site.alice("PUT", "/c/o", &[("etag", "00000000000000000000000000000000")], "other").await.is(422);
    site.alice("PUT", "/c/o", &[("if-none-match", "*")], "other").await.is(412);
    site.alice("PUT", "/c/o", &[("content-length", "9")], "other").await.is(400);
    site.alice("PUT", "/c/o", &[("content-length", "5368709123")], "other").await.is(413);
    site.alice("PUT", "/c/o", &[("x-delete-at", "1")], "other").await.is(400);
    site.alice("PUT", &format!("/c/{}", "x".repeat(1025)), &[], "other").await.is(400);
    site.alice("PUT", "/nowhere/o", &[], "other").await.is(404);
    let broken =
        futures_util::stream::iter([Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))]);
    site.alice("PUT", "/c/o", &[], Body::from_stream(broken)).await.is(400);
    assert_eq!((site.get("/c/o").await.text(), site.files().await), ("new", 1));
    let counted = site.alice("HEAD", "/c", &[], "").await;
    assert_eq!(
        (counted.header("x-container-object-count"), counted.header("x-container-bytes-used")),
        ("1", "3")
    );
    assert!(site.cloud.site.store.doomed_object_bodies().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_crash_left_behind_is_removed_by_the_next_start() {
    let site = Objects::with_container().await;
    let state = &site.cloud.site.state;
    let body = uuid::Uuid::new_v4();
    state.store.expect_object_body(body, uuid::Uuid::new_v4(), Timestamp::now()).await.unwrap();
    let name = images::Name::new("objects", &body.to_string()).unwrap();
    let mut upload = state.conductor.storage().unwrap().upload(&name, None, 100, &[]).await.unwrap();
    upload.write(Bytes::from_static(b"lost")).await.unwrap();
    upload.finish().await.unwrap();
    api::object_store::round(state, Timestamp::now()).await.unwrap();
    assert_eq!(site.files().await, 1, "it may be on its way still");
    api::object_store::recover(state).await.unwrap();
    api::object_store::round(state, Timestamp::now()).await.unwrap();
    assert_eq!(site.files().await, 0);
}

#[tokio::test]
async fn ranges_and_conditions_are_served() {
    let site = Objects::with_container().await;
    site.alice("PUT", "/c/o", &[], "0123456789").await.is(201);
    let etag = "781e5e245d69b566979b86e28d23f2c7";
    let ranged = async |range: &str| site.alice("GET", "/c/o", &[("range", range)], "").await;
    let part = ranged("bytes=2-4").await.is(206);
    assert_eq!(
        (part.text(), part.header("content-range"), part.header("content-length")),
        ("234", "bytes 2-4/10", "3")
    );
    assert_eq!(ranged("bytes=-2").await.is(206).text(), "89");
    assert_eq!(ranged("bytes=nonsense").await.is(200).text(), "0123456789");
    assert_eq!(ranged("bytes=10-").await.is(416).header("content-range"), "bytes */10");
    let several = ranged("bytes=0-1,8-").await.is(206);
    let boundary = several.header("content-type").split_once("boundary=").unwrap().1;
    let expected = format!(
        "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--{boundary}\r\n\
         Content-Type: application/octet-stream\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--{boundary}--"
    );
    assert_eq!(several.text(), expected);
    assert_eq!(several.header("content-length"), expected.len().to_string());
    for (name, value, status) in [
        ("if-match", etag, 200),
        ("if-match", "x", 412),
        ("if-none-match", etag, 304),
        ("if-none-match", "x", 200),
        ("if-modified-since", "Tue, 05 Dec 2017 21:16:03 GMT", 200),
        ("if-unmodified-since", "Tue, 05 Dec 2017 21:16:03 GMT", 412),
    ] {
        let answer = site.alice("GET", "/c/o", &[(name, value)], "").await.is(status);
        assert_eq!(answer.bytes.len(), if status == 200 { 10 } else { answer.bytes.len() });
    }
    let other = site.alice("GET", "/c/o", &[("range", "bytes=0-0"), ("if-range", "x")], "").await.is(200);
    assert_eq!(other.bytes.len(), 10);
    site.alice("DELETE", "/c/o", &[("if-match", "x")], "").await.is(412);
}

#[tokio::test]
async fn objects_expire() {
    let site = Objects::with_container().await;
    site.alice("PUT", "/c/o", &[("x-delete-after", "60")], "x").await.is(201);
    let at: i64 = site.alice("HEAD", "/c/o", &[], "").await.header("x-delete-at").parse().unwrap();
    let now = Timestamp::now().as_second();
    assert!((now + 50..=now + 60).contains(&at));
    let later = Timestamp::from_second(at).unwrap();
    api::object_store::round(&site.cloud.site.state, later).await.unwrap();
    assert_eq!(site.files().await, 0);
    site.get("/c/o").await.is(404);
}

#[tokio::test]
async fn copies_are_objects_of_their_own() {
    let site = Objects::with_container().await;
    let headers = [("x-object-meta-a", "1"), ("content-type", "text/plain")];
    site.alice("PUT", "/c/o", &headers, "bytes").await.is(201);
    let copied =
        site.alice("COPY", "/c/o", &[("destination", "c/p%20q"), ("x-object-meta-b", "2")], "").await.is(201);
    assert_eq!(copied.header("x-copied-from"), "c/o");
    site.alice("PUT", "/c/r", &[("x-copy-from", "/c/o"), ("x-fresh-metadata", "true")], "").await.is(201);
    site.alice("DELETE", "/c/o", &[], "").await.is(204);
    let one = site.get("/c/p%20q").await.is(200);
    assert_eq!(
        (one.text(), one.header("x-object-meta-a"), one.header("x-object-meta-b")),
        ("bytes", "1", "2")
    );
    assert_eq!(one.header("content-type"), "text/plain");
    let other = site.get("/c/r").await.is(200);
    assert_eq!((other.text(), other.header("x-object-meta-a")), ("bytes", ""));
    site.alice("COPY", "/c/r", &[("destination", "nowhere")], "").await.is(412);
    site.alice("COPY", "/c/r", &[("destination", "nowhere/x")], "").await.is(404);
    site.alice("COPY", "/c/r", &[("destination", "c/x"), ("destination-account", "AUTH_b")], "")
        .await
        .is(403);
    assert_eq!(site.files().await, 2);
}

#[tokio::test]
async fn a_static_large_object_is_what_its_manifest_names() {
    let site = Objects::with_container().await;
    site.alice("PUT", "/c/s/1", &[], "12345").await.is(201);
    site.alice("PUT", "/c/s/2", &[], "67890").await.is(201);
    let manifest = json!([
        {"path": "/c/s/1", "size_bytes": 5, "etag": "827ccb0eea8a706c4c34a16891f84e7b"},
        {"path": "/c/s/2", "range": "1-3"},
    ]);
    let put = site
        .alice(
            "PUT",
            "/c/big?multipart-manifest=put",
            &[("content-type", "text/plain")],
            manifest.to_string(),
        )
        .await
        .is(201);
    assert!(put.header("etag").starts_with('"'));
    let got = site.get("/c/big").await.is(200);
    assert_eq!(
        (got.text(), got.header("content-length"), got.header("x-static-large-object")),
        ("12345789", "8", "True")
    );
    assert_eq!(got.header("etag"), put.header("etag"));
    assert_eq!(site.alice("GET", "/c/big", &[("range", "bytes=3-6")], "").await.is(206).text(), "4578");
    // One of large ones.
    let nested = json!([{"path": "c/big", "range": "4-"}, {"path": "c/s/1"}]);
    site.alice("PUT", "/c/bigger?multipart-manifest=put", &[], nested.to_string()).await.is(201);
    assert_eq!(site.get("/c/bigger").await.is(200).text(), "578912345");
    let shown = site.get("/c/big?multipart-manifest=get").await.is(200);
    assert_eq!(shown.json()[1]["range"], "1-3");
    let raw = site.get("/c/big?multipart-manifest=get&format=raw").await.is(200);
    site.alice("PUT", "/c/again?multipart-manifest=put", &[], raw.bytes).await.is(201);
    assert_eq!(site.get("/c/again").await.text(), "12345789");
    site.alice("COPY", "/c/big", &[("destination", "c/flat")], "").await.is(201);
    let told =
        json!([{"path": "/c/s/1", "etag": "x"}, {"path": "/c/none"}, {"path": "/c/s/2", "size_bytes": 6}]);
    let told = site.alice("PUT", "/c/bad?multipart-manifest=put", &[], told.to_string()).await.is(400);
    for problem in ["/c/s/1, Etag Mismatch", "/c/none, 404 Not Found", "/c/s/2, Size Mismatch"] {
        assert!(told.text().contains(problem), "{}", told.text());
    }
    site.alice("PUT", "/c/s/2", &[], "other").await.is(201);
    assert!(site.get("/c/big").await.is(409).text().contains("written over"));
    assert_eq!(site.get("/c/flat").await.is(200).text(), "12345789");
    let deleted = site.alice("DELETE", "/c/big?multipart-manifest=delete", &[], "").await.is(200).json();
    assert_eq!(deleted["Number Deleted"], 3);
    assert!(site.get("/c/again").await.is(409).text().contains("not there any more"));
}

#[tokio::test]
async fn a_dynamic_large_object_is_whatever_has_its_prefix() {
    let site = Objects::with_container().await;
    for (name, bytes) in [("big_1", "ab"), ("big_2", "cd"), ("other", "x")] {
        site.alice("PUT", &format!("/c/{name}"), &[], bytes).await.is(201);
    }
    site.alice("PUT", "/c/all", &[("x-object-manifest", "c/big_")], "").await.is(201);
    let got = site.get("/c/all").await.is(200);
    assert_eq!((got.text(), got.header("x-object-manifest")), ("abcd", "c/big_"));
    site.alice("PUT", "/c/big_3", &[], "ef").await.is(201);
    assert_eq!(site.alice("GET", "/c/all", &[("range", "bytes=1-4")], "").await.is(206).text(), "bcde");
    assert_eq!(site.alice("HEAD", "/c/all", &[], "").await.is(200).header("content-length"), "6");
    site.get("/c/all?multipart-manifest=get").await.is(200);
    site.alice("PUT", "/c/bad", &[("x-object-manifest", "c")], "").await.is(400);
}

#[tokio::test]
async fn many_objects_are_deleted_by_one_request() {
    let site = Objects::with_container().await;
    for name in ["a", "b%20c"] {
        site.alice("PUT", &format!("/c/{name}"), &[], "x").await.is(201);
    }
    let list = "/c/a\nc/b%20c\n/c/none\n/c\n/other\n";
    let told =
        site.alice("POST", "?bulk-delete=1", &[("content-type", "text/plain")], list).await.is(200).json();
    assert_eq!((&told["Number Deleted"], &told["Number Not Found"]), (&json!(3), &json!(2)), "{told}");
    assert_eq!(site.files().await, 0);
}

#[tokio::test]
async fn an_account_is_its_projects() {
    let site = Objects::with_container().await;
    site.alice("PUT", "/c/o", &[], "x").await.is(201);
    for (method, path) in [
        ("GET", ""),
        ("POST", ""),
        ("GET", "/c"),
        ("PUT", "/d"),
        ("POST", "/c"),
        ("DELETE", "/c"),
        ("GET", "/c/o"),
        ("PUT", "/c/o"),
        ("POST", "/c/o"),
        ("DELETE", "/c/o"),
        ("COPY", "/c/o"),
        ("GET", "/none/o"),
    ] {
        for (token, status) in [("", 401), ("bob", 403), ("nobody", 403), ("forged", 401)] {
            site.by(token, method, path, &[], "").await.is(status);
        }
        let by_reader = site.by("reader", method, path, &[], "").await.status.as_u16();
        assert_eq!(by_reader == 403, method != "GET", "{method} {path}: {by_reader}");
    }
    site.by("operator", "PUT", "/c/p", &[], "x").await.is(201);
    assert_eq!(site.by("operator", "GET", "/c", &[], "").await.is(200).text(), "o\np\n");
    let foreign = Objects { account: "/object-store/v1/KEY_x".into(), ..site };
    foreign.alice("GET", "", &[], "").await.is(403);
}

#[tokio::test]
async fn the_public_reads_what_is_open_to_it() {
    let site = Objects::with_container().await;
    site.alice("PUT", "/c/o", &[], "x").await.is(201);
    site.alice("PUT", "/closed", &[], "").await.is(201);
    site.alice("PUT", "/closed/s", &[], "y").await.is(201);
    site.alice("PUT", "/c/through", &[("x-object-manifest", "closed/s")], "").await.is(201);
    let read = async |token: &'static str, path: &'static str| {
        site.by(token, "GET", path, &[], "").await.status.as_u16()
    };
    assert_eq!(read("", "/c/o").await, 401);
    site.alice("POST", "/c", &[("x-container-read", ".r:*")], "").await.is(204);
    assert_eq!([read("", "/c/o").await, read("", "/c").await, read("bob", "/c/o").await], [200, 401, 200]);
    assert_eq!(read("", "/c/through").await, 403, "what it is made of is not open");
    site.alice("POST", "/c", &[("x-container-read", ".r:*,.rlistings")], "").await.is(204);
    assert_eq!([read("", "/c").await, read("", "").await], [200, 401]);
    assert_eq!(site.by("", "GET", "/c", &[], "").await.header("x-container-read"), "");
    site.by("", "PUT", "/c/p", &[], "x").await.is(401);
    let other = format!("{}:*", project_id("b"));
    site.alice("POST", "/c", &[("x-container-read", other.as_str())], "").await.is(204);
    assert_eq!([read("bob", "/c/o").await, read("", "/c/o").await], [200, 401]);
}

#[tokio::test]
async fn a_temporary_url_opens_one_object_for_one_deed() {
    let site = Objects::with_container().await;
    let said = [("x-object-meta-color", "blue"), ("x-object-meta-public-name", "O")];
    site.alice("PUT", "/c/o", &said, "bytes").await.is(201);
    site.alice("PUT", "/c/p", &[], "other").await.is(201);
    site.alice("POST", "", &[("x-account-meta-temp-url-key-2", "secret")], "").await.is(204);
    site.alice("POST", "/c", &[("x-container-meta-temp-url-key", "local")], "").await.is(204);
    let expires = Timestamp::now().as_second() + 60;
    let signed = |key: &str, method: &str, path: &str, digest: hmac::Algorithm| {
        let root = site.account.strip_prefix("/object-store").unwrap();
        let text = format!("{method}\n{expires}\n{root}{path}");
        let tag = hmac::sign(&hmac::Key::new(digest, key.as_bytes()), text.as_bytes());
        let sig: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("temp_url_sig={sig}&temp_url_expires={expires}")
    };
    let get = signed("secret", "GET", "/c/o", hmac::HMAC_SHA256);
    let answer = site.by("", "GET", &format!("/c/o?{get}"), &[], "").await.is(200);
    assert_eq!(answer.text(), "bytes");
    let told = ["x-object-meta-color", "x-object-meta-public-name"].map(|name| answer.header(name));
    assert_eq!(told, ["", "O"]);
    assert!(answer.header("content-disposition").starts_with("attachment; filename=\"o\""));
    site.by("", "HEAD", &format!("/c/o?{get}"), &[], "").await.is(200);
    site.by("", "GET", &format!("/c/p?{get}"), &[], "").await.is(401);
    site.by("", "PUT", &format!("/c/o?{get}"), &[], "x").await.is(401);
    // What a bad one asks for is refused whoever brings it.
    site.alice("GET", &format!("/c/o?{}", get.replace("temp_url_sig=", "temp_url_sig=00")), &[], "")
        .await
        .is(401);
    let by_2017 = signed("local", "GET", "/c/o", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY);
    site.by("", "GET", &format!("/c/o?{by_2017}"), &[], "").await.is(200);
    let wrong = signed("wrong", "GET", "/c/o", hmac::HMAC_SHA256);
    site.by("", "GET", &format!("/c/o?{wrong}"), &[], "").await.is(401);
    let put = signed("secret", "PUT", "/c/new", hmac::HMAC_SHA512);
    site.by("", "PUT", &format!("/c/new?{put}"), &[("x-object-manifest", "c/")], "x").await.is(400);
    site.by("", "PUT", &format!("/c/new?{put}"), &[], "came").await.is(201);
    assert_eq!(site.get("/c/new").await.text(), "came");
    // A container's key reaches its own container only.
    site.alice("PUT", "/d", &[], "").await.is(201);
    site.alice("PUT", "/d/s", &[], "far").await.is(201);
    site.alice("PUT", "/c/far", &[("x-object-manifest", "d/s")], "").await.is(201);
    let far = signed("local", "GET", "/c/far", hmac::HMAC_SHA256);
    site.by("", "GET", &format!("/c/far?{far}"), &[], "").await.is(403);
    let far = signed("secret", "GET", "/c/far", hmac::HMAC_SHA256);
    assert_eq!(site.by("", "GET", &format!("/c/far?{far}"), &[], "").await.is(200).text(), "far");
}

#[tokio::test]
async fn what_the_store_can_do_is_told_to_everybody() {
    let site = Objects::new().await;
    let info = site.cloud.by("", "GET", "/object-store/info", None).await.is(200).json();
    assert_eq!(info["swift"]["max_file_size"], 5_368_709_122_i64);
    assert_eq!(info["slo"]["max_manifest_segments"], 1000);
    assert_eq!(info["tempurl"]["allowed_digests"], json!(["sha1", "sha256", "sha512"]));
}
