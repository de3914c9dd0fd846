//! HTTP boot: the script, the kernel, the ramdisk and, for UEFI's own HTTP boot, the first program.

use std::net::{IpAddr, SocketAddr};
use std::path::Path as FilePath;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;
use wire::Mac;

use crate::server::Shared;
use crate::{Artifact, Boot, Machine, Seen, script};

/// `/boot/{mac}/…`. The source is asked for each request.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/boot/{mac}/script.ipxe", get(send_script))
        .route("/boot/{mac}/kernel", get(send_kernel))
        .route("/boot/{mac}/initramfs", get(send_initramfs))
        .route("/boot/{mac}/{program}", get(send_program))
        .with_state(shared)
}

async fn send_script(state: State<Arc<Shared>>, Path(mac): Path<String>, request: Request) -> Response {
    let visit = match Visit::begin(state, &mac, peer(&request)).await {
        Ok(visit) => visit,
        Err(refusal) => return refusal,
    };
    match script::render(visit.mac, &visit.machine) {
        Ok(text) => {
            let text = visit.with_own_address(&request, text);
            if *request.method() == Method::GET {
                visit.saw(Seen::ScriptServed);
            }
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
        }
        Err(error) => visit.failed(error.to_string()),
    }
}

async fn send_kernel(state: State<Arc<Shared>>, Path(mac): Path<String>, request: Request) -> Response {
    send_artifact(state, &mac, request, "kernel").await
}

async fn send_initramfs(state: State<Arc<Shared>>, Path(mac): Path<String>, request: Request) -> Response {
    send_artifact(state, &mac, request, "initramfs").await
}

async fn send_artifact(
    state: State<Arc<Shared>>,
    mac: &str,
    request: Request,
    what: &'static str,
) -> Response {
    let visit = match Visit::begin(state, mac, peer(&request)).await {
        Ok(visit) => visit,
        Err(refusal) => return refusal,
    };
    match &visit.machine.boot {
        Boot::LocalDisk => visit.refuse(what, "the machine is to boot from its disk"),
        Boot::Ramdisk { kernel, initramfs, .. } => match if what == "kernel" { kernel } else { initramfs } {
            Artifact::Url(url) => Redirect::temporary(url).into_response(),
            Artifact::File(path) => send_file(&visit, what, path, request).await,
        },
    }
}

async fn send_program(
    state: State<Arc<Shared>>,
    Path((mac, program)): Path<(String, String)>,
    request: Request,
) -> Response {
    let visit = match Visit::begin(state, &mac, peer(&request)).await {
        Ok(visit) => visit,
        Err(refusal) => return refusal,
    };
    match (&visit.machine.boot, visit.shared.programs.get(&program)) {
        (Boot::LocalDisk, _) => visit.refuse(&program, "the machine is to boot from its disk"),
        (Boot::Ramdisk { .. }, None) => visit.refuse(&program, "no such boot program"),
        (Boot::Ramdisk { .. }, Some((name, bytes))) => {
            let size = bytes.len() as u64;
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("application/efi")),
                (header::CONTENT_LENGTH, size.into()),
            ];
            let body = match *request.method() {
                Method::GET => Body::new(Watched::new(Body::from(bytes), &visit, name, size)),
                _ => Body::empty(),
            };
            (headers, body).into_response()
        }
    }
}

/// Streams a file, whole or a range of it.
async fn send_file(visit: &Visit, what: &'static str, path: &FilePath, request: Request) -> Response {
    let is_get = *request.method() == Method::GET;
    let is_file = match tokio::fs::metadata(path).await {
        Ok(about) if about.is_file() => Ok(()),
        Ok(_) => Err("it is not a file".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(reason) = is_file {
        return visit.failed(format!("the {what} {} can't be read: {reason}", path.display()));
    }
    let response = match ServeFile::new(path).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if !is_get || !response.status().is_success() {
        return response.map(Body::new);
    }
    let size = response
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    response.map(|body| Body::new(Watched::new(Body::new(body), visit, what, size)))
}

/// Where a request comes from, if the server was asked to keep that.
fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical())
}

/// A request that is for a known machine and may come from where it came.
struct Visit {
    shared: Arc<Shared>,
    mac: Mac,
    machine: Machine,
    peer: Option<IpAddr>,
}

impl Visit {
    async fn begin(
        State(shared): State<Arc<Shared>>,
        mac: &str,
        peer: Option<IpAddr>,
    ) -> Result<Self, Response> {
        let Ok(mac) = mac.parse::<Mac>() else {
            return Err(not_found("the path names no Ethernet address"));
        };
        let machine = match shared.boot(mac).await {
            Ok(Some(machine)) => machine,
            Ok(None) => return Err(not_found(&format!("no machine with port {mac} is known"))),
            Err(error) => {
                tracing::warn!(%mac, %error, "HTTP boot request not answered");
                let text = format!("{error}; try again\n");
                return Err(
                    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], text).into_response()
                );
            }
        };
        let visit = Self { shared, mac, machine, peer };
        if visit.is_another_machine().await {
            return Err(visit.refuse("HTTP boot", "the address is leased to another machine"));
        }
        Ok(visit)
    }

    /// Whether the request comes from an address that we leased to another node. One that we leased to nobody may be behind
    /// a relay or another DHCP server, and can't be told.
    async fn is_another_machine(&self) -> bool {
        let Some(IpAddr::V4(address)) = self.peer else { return false };
        match self.shared.directory.holder(address) {
            Some(holder) if holder != self.mac => match self.shared.boot(holder).await {
                Ok(Some(other)) => other.node != self.machine.node,
                // Whoever had the address is no machine of ours any more.
                Ok(None) => false,
                Err(_) => true,
            },
            _ => false,
        }
    }

    /// What a script calls the DHCP server is us, also where another server gives the addresses: there our address is written out, as the
    /// machine has asked for it.
    fn with_own_address(&self, request: &Request, text: String) -> String {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let address = host.and_then(|host| host.split(':').next()?.parse().ok());
        match address.filter(|address| self.shared.proxies.contains(address)) {
            Some(address) => text.replace("${netX/dhcp-server}", &address.to_string()),
            None => text,
        }
    }

    fn saw(&self, seen: Seen) {
        self.shared.saw(self.mac, &self.machine, None, seen);
    }

    fn refuse(&self, what: &str, reason: &str) -> Response {
        if let Some(peer) = self.peer {
            let what: String = what.chars().take(100).collect();
            self.saw(Seen::Refused { peer, what, reason: reason.into() });
        }
        not_found(reason)
    }

    fn failed(&self, reason: String) -> Response {
        let response = (StatusCode::INTERNAL_SERVER_ERROR, format!("{reason}\n")).into_response();
        self.saw(Seen::Unanswered { reason });
        response
    }
}

fn not_found(reason: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("{reason}\n")).into_response()
}

/// A body that tells when it began and how it ended: when all its octets were taken by the connection, or when it was
/// dropped before.
struct Watched {
    body: Body,
    shared: Arc<Shared>,
    mac: Mac,
    machine: Machine,
    what: String,
    size: u64,
    sent: u64,
    started: Instant,
}

impl Watched {
    fn new(body: Body, visit: &Visit, what: &str, size: u64) -> Self {
        visit.saw(Seen::FetchStarted { what: what.to_owned(), size });
        Self {
            body,
            shared: visit.shared.clone(),
            mac: visit.mac,
            machine: visit.machine.clone(),
            what: what.to_owned(),
            size,
            sent: 0,
            started: Instant::now(),
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.sent += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let took: Duration = self.started.elapsed();
        let (what, size, sent) = (std::mem::take(&mut self.what), self.size, self.sent);
        let seen = if sent >= size {
            Seen::FetchFinished { what, size, took }
        } else {
            Seen::FetchCut { what, sent, size, took }
        };
        self.shared.saw(self.mac, &self.machine, None, seen);
    }
}
