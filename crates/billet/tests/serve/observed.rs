//! What an operator can see of a server from outside: numbers, lines of its log, traces, and refusals where it is full.

use super::{LIMIT, Server, configuration};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const FAKE: &str = "[api]\nenabled_hardware_types = [\"fake-hardware\"]\n";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A collector of traces that keeps what it gets.
#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), spans: Arc::default() };
        let own = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                own.take(stream.unwrap());
            }
        });
        collector
    }

    /// Takes what comes on one connection.
    fn take(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let (mut length, mut line) = (0, String::new());
            let mut first = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if first.is_empty() {
                    first.clone_from(&line);
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            if first.is_empty() {
                return;
            }
            assert!(first.starts_with("POST /v1/traces "), "{first}");
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
            let spans = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            self.spans.lock().unwrap().extend(spans.flat_map(|scope| scope.spans));
            stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n",
                )
                .unwrap();
        }
    }
}

impl Server {
    fn put(&self, path: &str, json: &str, headers: &str) -> String {
        self.exchange(&format!(
            "PUT {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-OpenStack-Ironic-API-Version: latest\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        ))
    }

    fn show(&self) -> String {
        self.exchange(
            "GET /v1/nodes/n1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-OpenStack-Ironic-API-Version: latest\r\n\r\n",
        )
    }

    /// Asks for a verb and waits for the state that it leads to; out comes the identifier of the request.
    fn go(&self, verb: &str, state: &str, headers: &str) -> String {
        let path = "/v1/nodes/n1/states/provision";
        let answer = self.put(path, &format!("{{\"target\": \"{verb}\"}}"), headers);
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        let deadline = Instant::now() + LIMIT;
        while !self.show().contains(&format!("\"provision_state\":\"{state}\"")) {
            assert!(Instant::now() < deadline, "{}", self.show());
            std::thread::yield_now();
        }
        let id = answer.lines().find_map(|line| line.strip_prefix("x-openstack-request-id: "));
        id.unwrap().trim().to_owned()
    }

    /// A node on pretended hardware is deployed, in the trace [`TRACE`]; out come the identifiers of the requests by verb.
    fn deploy(&self) -> HashMap<&'static str, String> {
        let node = r#"{"driver": "fake-hardware", "name": "n1", "deploy_interface": "fake"}"#;
        assert!(self.post("/v1/nodes", node).starts_with("HTTP/1.1 201"));
        let traced = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n");
        HashMap::from([
            ("manage", self.go("manage", "manageable", "")),
            ("provide", self.go("provide", "available", "")),
            ("active", self.go("active", "active", &traced)),
        ])
    }
}

#[test]
fn a_deployment_is_one_trace_from_its_request_to_its_last_step() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let section = format!("{FAKE}[tracing]\notlp = \"http://{}\"", collector.address);
    let mut server = Server::start(&configuration(dir.path(), &section), &dir.path().join("state"));
    server.deploy();
    server.signal("TERM");
    let (code, said) = server.wait();
    assert_eq!(code, Some(0), "{said}");

    let spans = collector.spans.lock().unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let of_trace: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    let find = |name: &str| {
        let found = of_trace.iter().find(|span| span.name == name);
        *found.unwrap_or_else(|| {
            panic!("no {name} in {:?}", of_trace.iter().map(|span| &span.name).collect::<Vec<_>>())
        })
    };
    let request = find("PUT /v1/nodes/{node}/states/provision");
    assert_eq!(hex(&request.parent_span_id), "b7ad6b7169203331", "the client's span is its parent");
    let visit = find("visit deploying");
    assert_eq!(visit.parent_span_id, request.span_id);
    let step = find("deploy.deploy");
    assert_eq!(step.parent_span_id, visit.span_id);
    let has = |span: &Span, key: &str| span.attributes.iter().any(|attribute| attribute.key == key);
    assert!(has(request, "request_id") && has(request, "http.response.status_code") && has(visit, "node"));
    assert!(visit.events.iter().chain(&step.events).next().is_some(), "what happened stands in the span");
    let of_bmc = spans.iter().any(|span| span.name == "power status" && has(span, "interface"));
    assert!(of_bmc, "verifying asks the BMC");
}

#[test]
fn each_event_is_one_line_that_names_node_and_request() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&configuration(dir.path(), FAKE), &dir.path().join("state"));
    let requests = server.deploy();
    let answer = server.get("/billet/v1/nodes/n1/events");
    server.signal("TERM");
    let (_, said) = server.wait();

    let shown: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let node = shown["node_uuid"].as_str().unwrap();
    assert_eq!(shown["request_id"], requests["active"]);
    let key = |event: &Value| (event["kind"].to_string(), event["name"].to_string());
    let mut recorded = BTreeMap::new();
    for event in shown["events"].as_array().unwrap() {
        *recorded.entry(key(event)).or_insert(0) += 1;
    }
    let lines: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["target"] == "event" && line["node"] == node)
        .collect();
    let mut told = BTreeMap::new();
    for line in &lines {
        *told.entry(key(line)).or_insert(0) += 1;
    }
    assert_eq!(told, recorded);
    let of = |name: &str| {
        let line = lines.iter().find(|line| line["name"] == name);
        line.unwrap_or_else(|| panic!("no {name} in {said}"))
    };
    for (name, verb) in [
        ("enroll → verifying", "manage"),
        ("power status", "manage"),
        ("verifying → manageable", "manage"),
        ("cleaning → available", "provide"),
        ("active", "active"),
        ("deploy.deploy", "active"),
        ("deploying → active", "active"),
    ] {
        assert_eq!(of(name)["request_id"], requests[verb], "{name}");
        assert_eq!(of(name)["ok"], true);
    }
    assert!(of("power status")["duration_ms"].as_f64().unwrap() >= 0.0);
}

#[test]
fn numbers_have_a_port_of_their_own_if_one_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let section = format!("[metrics]\nlisten = \"{own}\"");
    let server = Server::start(&configuration(dir.path(), &section), &dir.path().join("state"));
    server.get("/v1/nodes");
    let at = |address, path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for address in [own, server.address] {
        let answer = at(address, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.contains("billet_build_info{version=") && answer.contains("process_cpu_seconds_total")
        );
        assert!(answer.contains("billet_http_connections{listener=\"api\"}"));
    }
    assert!(at(own, "/v1/nodes").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_connection_too_many_is_told_so_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::start(&configuration(dir.path(), "[api]\nmax_connections = 2"), &dir.path().join("state"));
    let connect = || {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    };
    // Each is let in once its first answer has come.
    let ask = |stream: &mut TcpStream| {
        stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        String::from_utf8(start.to_vec()).unwrap()
    };
    let (mut first, mut second) = (connect(), connect());
    assert_eq!([ask(&mut first), ask(&mut second)], ["HTTP/1.1 200", "HTTP/1.1 200"]);
    let began = Instant::now();
    let refused = server.get("/v1");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("Retry-After: 5"), "{refused}");
    assert!(refused.contains("error_message"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(first);
    let deadline = Instant::now() + LIMIT;
    while !server.get("/v1").starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "a place that came free is given to the next");
    }
}

#[test]
fn headers_without_end_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&configuration(dir.path(), ""), &dir.path().join("state"));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: here\r\nX: ").unwrap();
    let mut sent = 0;
    // Sooner or later the connection is closed, whatever is on its way.
    while stream.write_all(&[b'x'; 8 << 10]).is_ok() {
        sent += 8 << 10;
        assert!(sent < 64 << 20, "it takes all of it");
    }
    assert!(server.get("/v1").starts_with("HTTP/1.1 200"));
}
