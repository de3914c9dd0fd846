//! The TFTP server of one segment.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::Mac;
use wire::tftp::{ErrorCode, Limits, Packet, ReadRequest, SERVER_PORT, Sender, Step, TftpError};

use crate::dhcp::pause;
use crate::directory::unpoisoned;
use crate::flood::Bucket;
use crate::server::Shared;
use crate::{Boot, Machine, NetbootError, Observation, Seen, Segment};

/// Transfers that run together.
const AT_ONCE: usize = 64;
/// Of these, to one address. A ROM asks for the size first and may still hold that when it asks for the file.
const AT_ONCE_PER_PEER: usize = 4;
/// The longest transfer; firmware gives up earlier.
const TRANSFER_LIMIT: Duration = Duration::from_secs(120);
/// Requests looked at: this many at once, and this many a second.
const REQUEST_BURST: u32 = 200;
const REQUEST_RATE: u32 = 100;
/// Refusals told: this many at once, and one a second.
const REPORT_BURST: u32 = 10;

/// One segment's server.
pub(crate) struct Server {
    socket: UdpSocket,
    segment: Segment,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) async fn bind(segment: Segment, shared: Arc<Shared>) -> Result<Self, NetbootError> {
        let place = SocketAddr::from((segment.address, SERVER_PORT));
        let socket = UdpSocket::bind(place)
            .await
            .map_err(|error| NetbootError::bind("TFTP", format!("{place} (UDP)"), error))?;
        Ok(Self { socket, segment, shared })
    }

    pub(crate) async fn run(self, stop: CancellationToken, cut: CancellationToken, tasks: TaskTracker) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let active: Arc<Mutex<HashSet<SocketAddr>>> = Arc::default();
        let mut requests = Bucket::full(REQUEST_BURST, Instant::now());
        let mut reports = Bucket::full(REPORT_BURST, Instant::now());
        let mut buffer = [0; 1024];
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return,
                received = self.socket.recv_from(&mut buffer) => received,
            };
            let (length, peer) = match received {
                Ok(received) => received,
                Err(error) => {
                    tracing::warn!(interface = &*self.segment.interface, %error, "TFTP can't receive");
                    pause(&stop).await;
                    continue;
                }
            };
            if !requests.take(REQUEST_BURST, REQUEST_RATE, Instant::now()) {
                continue;
            }
            let request = match Packet::parse(&buffer[..length]) {
                Ok(Packet::Read(request)) => Ok(request),
                Err(TftpError::Unsupported { code, what }) => Err((code, what)),
                Ok(_) | Err(_) => continue,
            };
            let holder = match peer.ip() {
                IpAddr::V4(address) => self.shared.directory.holder(address),
                IpAddr::V6(_) => None,
            };
            let Some(mac) = holder else {
                if let Ok(request) = request
                    && reports.take(REPORT_BURST, 1, Instant::now())
                {
                    self.refused_stranger(peer.ip(), &request);
                }
                continue;
            };
            let request = match request {
                Ok(request) => request,
                Err((code, text)) => {
                    let error = encode(&Packet::Error { code, text: text.to_owned() });
                    drop(self.socket.send_to(&error, peer).await);
                    continue;
                }
            };
            // A request that comes again while it is being served is a copy.
            let Some(visit) = Visit::begin(&active, peer) else { continue };
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let told = reports.take(REPORT_BURST, 1, Instant::now());
            let attendant = Attendant {
                segment: self.segment.clone(),
                shared: self.shared.clone(),
                mac,
                peer,
                may_report_refusal: told,
            };
            let cut = cut.clone();
            tasks.spawn(async move {
                attendant.serve(request, cut).await;
                drop((visit, place));
            });
        }
    }

    fn refused_stranger(&self, peer: IpAddr, request: &ReadRequest) {
        self.shared.observe(Observation {
            mac: None,
            node: None,
            interface: Some(self.segment.interface.clone()),
            seen: Seen::Refused {
                peer,
                what: format!("TFTP of {:?}", request.file),
                reason: "the address is leased to no known machine".into(),
            },
        });
    }
}

/// A peer's place in the set of those being served.
struct Visit {
    active: Arc<Mutex<HashSet<SocketAddr>>>,
    peer: SocketAddr,
}

impl Visit {
    /// `None` when this very request is being served, or the peer has enough.
    fn begin(active: &Arc<Mutex<HashSet<SocketAddr>>>, peer: SocketAddr) -> Option<Self> {
        let mut all = unpoisoned(active);
        let is_full = all.iter().filter(|other| other.ip() == peer.ip()).count() >= AT_ONCE_PER_PEER;
        if is_full || !all.insert(peer) {
            return None;
        }
        Some(Self { active: active.clone(), peer })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        unpoisoned(&self.active).remove(&self.peer);
    }
}

/// Serves one request.
struct Attendant {
    segment: Segment,
    shared: Arc<Shared>,
    mac: Mac,
    peer: SocketAddr,
    may_report_refusal: bool,
}

impl Attendant {
    async fn serve(&self, request: ReadRequest, cut: CancellationToken) {
        let machine = match self.shared.boot(self.mac).await {
            Ok(Some(machine)) => machine,
            // Its address is still in the pool, but it is known no longer: silence.
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(mac = %self.mac, %error, "TFTP request not answered");
                return;
            }
        };
        let socket = match self.connect().await {
            Ok(socket) => socket,
            Err(error) => {
                let reason = format!("no TFTP socket to {}: {error}", self.peer);
                return self.saw(&machine, Seen::Unanswered { reason });
            }
        };
        let refusal = match (&machine.boot, self.shared.programs.get(&request.file)) {
            (Boot::LocalDisk, _) => (ErrorCode::AccessViolation, "the machine is to boot from its disk"),
            (Boot::Ramdisk { .. }, None) => (ErrorCode::FileNotFound, "no such boot program"),
            (Boot::Ramdisk { .. }, Some((name, bytes))) => {
                return self.transfer(&machine, &request, name, &bytes, &socket, cut).await;
            }
        };
        let (code, reason) = refusal;
        drop(socket.send(&encode(&Packet::Error { code, text: reason.to_owned() })).await);
        if self.may_report_refusal {
            let what = format!("TFTP of {:?}", request.file);
            self.saw(&machine, Seen::Refused { peer: self.peer.ip(), what, reason: reason.into() });
        }
    }

    /// A transfer has its own port here (RFC 1350 §4), at the address that the request was sent to.
    async fn connect(&self) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((self.segment.address, 0)).await?;
        socket.connect(self.peer).await?;
        Ok(socket)
    }

    async fn transfer(
        &self,
        machine: &Machine,
        request: &ReadRequest,
        file: &str,
        bytes: &Bytes,
        socket: &UdpSocket,
        cut: CancellationToken,
    ) {
        let started = Instant::now();
        let size = bytes.len() as u64;
        let (mut sender, mut step) = Sender::new(request, size, Limits::default());
        let mut is_told = false;
        let mut deadline = time::Instant::now();
        let mut buffer = [0; 1024];
        let ended = loop {
            match &step {
                Step::SendOptions(options) => {
                    deadline = time::Instant::now() + sender.timeout();
                    if let Err(error) = socket.send(&encode(&Packet::OptionAck(*options))).await {
                        break Some(error.to_string());
                    }
                }
                Step::SendBlocks(blocks) => {
                    if !is_told {
                        is_told = true;
                        self.saw(machine, Seen::TftpStarted { file: file.into(), size });
                    }
                    deadline = time::Instant::now() + sender.timeout();
                    if let Err(error) = send_blocks(&sender, blocks.clone(), bytes, socket).await {
                        break Some(error.to_string());
                    }
                }
                Step::Wait => {}
                Step::Done => break None,
                Step::Declined => return,
                Step::Aborted(reason) => break Some(format!("the machine gave up: {reason}")),
                Step::GaveUp => break Some("the machine answers no longer".into()),
            }
            if started.elapsed() >= TRANSFER_LIMIT {
                break Some(format!("not done within {} s", TRANSFER_LIMIT.as_secs()));
            }
            let received = tokio::select! {
                () = cut.cancelled() => {
                    let text = "the server is stopping".to_owned();
                    drop(socket.send(&encode(&Packet::Error { code: ErrorCode::NotDefined, text: text.clone() })).await);
                    break Some(text);
                }
                received = time::timeout_at(deadline, socket.recv(&mut buffer)) => received,
            };
            step = match received {
                Err(_) => sender.on_timeout(),
                Ok(Ok(length)) => match Packet::parse(&buffer[..length]) {
                    Ok(packet) => sender.on_packet(&packet),
                    Err(_) => Step::Wait,
                },
                // The machine's port is closed: it went on without saying so.
                Ok(Err(error)) => break Some(format!("the machine is gone: {error}")),
            };
        };
        let took = started.elapsed();
        let file = file.to_owned();
        self.saw(
            machine,
            match ended {
                None => Seen::TftpFinished { file, size, took },
                Some(reason) => Seen::TftpAborted { file, sent: sender.acknowledged_bytes(), took, reason },
            },
        );
    }

    fn saw(&self, machine: &Machine, seen: Seen) {
        self.shared.saw(self.mac, machine, Some(&self.segment.interface), seen);
    }
}

async fn send_blocks(
    sender: &Sender,
    blocks: std::ops::Range<u64>,
    bytes: &Bytes,
    socket: &UdpSocket,
) -> io::Result<()> {
    let mut packet = Vec::with_capacity(1500);
    for index in blocks {
        let (block, range) = sender.block(index);
        // Both ends are within the file, whose length is a usize.
        let bytes = &bytes[range.start as usize..range.end as usize];
        packet.clear();
        Packet::Data { block, bytes }.encode(&mut packet);
        socket.send(&packet).await?;
    }
    Ok(())
}

fn encode(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(&mut bytes);
    bytes
}
