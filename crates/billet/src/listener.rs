//! An HTTP listener with limits in time: whoever connects and sends nothing, or half a request, loses the connection.
//!
//! `axum::serve` sets no such limit, so that a few thousand idle connections would take all file descriptors, and with them the
//! API, the database and the BMCs.

use crate::patient::Patient;
use api::limits::{HANDSHAKE_TIME, HEADER_TIME};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use telemetry::table;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// Where a connection can't be accepted for want of file descriptors, some may have been closed after this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Those for whom there is no room and who are told so at once; more are cut off.
const TURNED_AWAY: usize = 64;
/// Being told takes no longer than this.
const FAREWELL: Duration = Duration::from_secs(1);
/// What they are told: in Ironic's words, since which service they wanted is not known yet.
const FULL: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Type: application/json\r\n",
    "Content-Length: 170\r\n\r\n",
    r#"{"error_message": "{\"faultcode\": \"Server\", \"faultstring\": \"The service is busy: as many connections are open as may be. Try again in 5 s.\", \"debuginfo\": null}"}"#,
);
/// A request's line and headers, in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// Connections of the operators' listener, and of all that machines reach, if there are file descriptors for them.
const CONNECTIONS: (usize, usize) = (4096, 16384);

/// What a listener lets in: so many connections at once, shared by all of its sockets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Door {
    name: &'static str,
    room: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

impl Door {
    /// A door for `most` connections; `name` is what the metrics call it.
    pub fn new(name: &'static str, most: usize) -> Self {
        let room = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { name, room, turned_away: Arc::new(Semaphore::new(TURNED_AWAY)) }
    }
}

/// Somebody who came in.
struct Guest {
    name: &'static str,
    _place: OwnedSemaphorePermit,
}

impl Guest {
    fn new(name: &'static str, place: OwnedSemaphorePermit) -> Self {
        table::CONNECTIONS.add([name], 1.0);
        Self { name, _place: place }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        table::CONNECTIONS.add([self.name], -1.0);
    }
}

/// Serves, with TLS or without, until `stop`; then idle connections are closed, and requests under way are answered.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    door: Door,
    stop: CancellationToken,
) {
    let router = if tls.is_some() { router.layer(Extension(api::OverTls)) } else { router };
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(&door.room).try_acquire_owned() else {
                    turn_away(&door, stream, tls.is_some(), &connections);
                    continue;
                };
                let guest = Guest::new(door.name, place);
                let (router, stop) = (arriving(&router, &stream), stop.clone());
                match tls.clone() {
                    Some(tls) => connections.spawn(serve_over_tls(tls, stream, peer, router, guest, stop)),
                    None => connections.spawn(serve_connection(stream, peer, router, guest, stop)),
                };
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Tells a client for whom there is no room so, where that can be said without a handshake.
fn turn_away(door: &Door, mut stream: TcpStream, is_tls: bool, connections: &TaskTracker) {
    table::CONNECTIONS_REFUSED.count([door.name, "full"]);
    let Ok(place) = Arc::clone(&door.turned_away).try_acquire_owned() else { return };
    if is_tls {
        return;
    }
    connections.spawn(async move {
        let _place = place;
        let said = async {
            stream.write_all(FULL.as_bytes()).await?;
            stream.shutdown().await?;
            // What was sent and not read would have the kernel take the answer back.
            let mut rest = [0; 4096];
            for _ in 0..16 {
                if stream.read(&mut rest).await? == 0 {
                    break;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        // Whether it heard is its own business.
        let _ = tokio::time::timeout(FAREWELL, said).await;
    });
}

/// Handlers are told which of this host's addresses was called: it is the one by which the caller reaches us.
fn arriving(router: &Router, stream: &TcpStream) -> Router {
    match stream.local_addr() {
        Ok(address) => {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            router.clone().layer(Extension(api::ArrivedAt(address)))
        }
        Err(_) => router.clone(),
    }
}

/// Whoever does not end the handshake in time loses the connection too.
async fn serve_over_tls(
    tls: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    guest: Guest,
    stop: CancellationToken,
) {
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)) => shaken,
        () = stop.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve_connection(stream, peer, router, guest, stop).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake was not ended in time"),
    }
}

async fn serve_connection<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    guest: Guest,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        // A router is always ready.
        router.clone().call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream, guest.name)), service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Takes as many file descriptors as the system allows: the usual soft limit of 1024 is for programs that use `select`. Out comes how
/// many connections there are for operators and for machines by default: a quarter of them each, within reason.
pub fn raise_file_limit() -> (usize, usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, ?current, "the limit of open files could not be raised");
    }
    let share = getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |files| usize::try_from(files / 4).unwrap_or(usize::MAX));
    (CONNECTIONS.0.min(share), CONNECTIONS.1.min(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_those_are_told_for_whom_there_is_no_room_is_whole() {
        let (head, body) = FULL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let fault: serde_json::Value = serde_json::from_str(body["error_message"].as_str().unwrap()).unwrap();
        assert!(fault["faultstring"].as_str().unwrap().contains("busy"));
    }
}
