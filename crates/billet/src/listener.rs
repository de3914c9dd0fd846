//! An HTTP listener with limits in time: whoever connects and sends nothing, or half a request, loses the connection.
//!
//! `axum::serve` sets no such limit, so that a few thousand idle connections would take all file descriptors, and with them the
//! API, the database and the BMCs.

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
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// Where a connection can't be accepted for want of file descriptors, some may have been closed after this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves, with TLS or without, until `stop`; then idle connections are closed, and requests under way are answered.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, stop: CancellationToken) {
    let router = if tls.is_some() { router.layer(Extension(api::OverTls)) } else { router };
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stop) = (arriving(&router, &stream), stop.clone());
                match tls.clone() {
                    Some(tls) => connections.spawn(serve_over_tls(tls, stream, peer, router, stop)),
                    None => connections.spawn(serve_connection(stream, peer, router, stop)),
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
    stop: CancellationToken,
) {
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)) => shaken,
        () = stop.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve_connection(stream, peer, router, stop).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake was not ended in time"),
    }
}

async fn serve_connection<S>(stream: S, peer: SocketAddr, router: Router, stop: CancellationToken)
where
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
        .serve_connection(TokioIo::new(stream), service);
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

/// Takes as many file descriptors as the system allows: the usual soft limit of 1024 is for programs that use `select`.
pub fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, ?current, "the limit of open files could not be raised");
    }
}
