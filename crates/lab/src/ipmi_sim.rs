//! A BMC simulator that answers IPMI 2.0 over LAN.
//!
//! The sessions are [`wire::ipmi::managed`]'s, the deeds are a [`Chassis`]'s; in here are the socket, the commands and the faults that
//! tests ask for. `ipmitool -I lanplus` and FreeIPMI take it for a BMC.

mod boot_options;
mod commands;
mod faults;

pub use faults::{Faults, WrongReply};
pub use wire::ipmi::CipherSuite;
pub use wire::ipmi::managed::User;
pub use wire::ipmi::message::Privilege;

use crate::chassis::Chassis;
use boot_options::BootOptions;
use futures_util::FutureExt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wire::ipmi::CompletionCode;
use wire::ipmi::managed::{Pending, Policy, Reaction, Sessions};
use wire::ipmi::packet::MAX_DATAGRAM;

/// Commands carried out at one time; more are answered "busy".
const MOST_COMMANDS: usize = 32;

/// Who may log in.
pub type Users = Vec<User>;

/// One user who may do everything.
#[must_use]
pub fn administrator(name: &str, password: &str) -> Users {
    vec![User { name: name.to_owned(), password: password.to_owned(), privilege: Privilege::Administrator }]
}

/// What kind of BMC to simulate.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who may log in.
    pub users: Users,
    /// K_g for two-key logins.
    pub kg: Option<Vec<u8>>,
    /// Cipher suites; 0 only if it is listed.
    pub suites: Vec<CipherSuite>,
    /// Sessions at one time.
    pub max_sessions: usize,
    /// A silent session is dropped after this.
    pub inactivity: Duration,
    /// The machine's GUID.
    pub guid: [u8; 16],
    /// IANA enterprise number that Get Device ID tells; 0 is "unspecified".
    pub manufacturer: u32,
}

impl Config {
    /// A BMC with suites 3 and 17, eight sessions and the specification's minute of inactivity.
    #[must_use]
    pub fn new(users: Users) -> Self {
        Self {
            users,
            kg: None,
            suites: vec![CipherSuite::Three, CipherSuite::Seventeen],
            max_sessions: 8,
            inactivity: Duration::from_secs(60),
            guid: *b"billet-lab-bmc\0\0",
            manufacturer: 0,
        }
    }
}

/// A simulated BMC. Clones are handles to the same one.
#[derive(Clone)]
pub struct IpmiSim {
    shared: Arc<Shared>,
}

struct Shared {
    /// Until it is served.
    socket: Mutex<Option<std::net::UdpSocket>>,
    address: SocketAddr,
    manufacturer: u32,
    chassis: Arc<dyn Chassis>,
    sessions: Mutex<Sessions>,
    boot: Mutex<BootOptions>,
    faults: Mutex<Faults>,
    room: Semaphore,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The operating system's random numbers. Without them there are no sessions worth the name, so that failing here ends the simulator's task.
fn entropy(out: &mut [u8]) {
    if let Err(error) = getrandom::fill(out) {
        panic!("the operating system gives no random numbers: {error}");
    }
}

impl IpmiSim {
    /// Binds a BMC with [`Config::new`]'s properties to a UDP address. The socket belongs to the calling thread's network namespace.
    ///
    /// # Errors
    /// What binding the socket gives.
    pub fn bind(address: SocketAddr, users: Users, chassis: Arc<dyn Chassis>) -> io::Result<Self> {
        Self::with_config(std::net::UdpSocket::bind(address)?, Config::new(users), chassis)
    }

    /// A BMC on a socket that is bound already.
    ///
    /// # Errors
    /// What the socket gives on being made non-blocking.
    pub fn with_config(
        socket: std::net::UdpSocket,
        config: Config,
        chassis: Arc<dyn Chassis>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let policy = Policy {
            guid: config.guid,
            users: config.users,
            kg: config.kg,
            suites: config.suites,
            max_sessions: config.max_sessions,
            inactivity: config.inactivity,
        };
        let shared = Shared {
            address: socket.local_addr()?,
            socket: Mutex::new(Some(socket)),
            manufacturer: config.manufacturer,
            boot: Mutex::new(BootOptions::new(chassis.boots())),
            chassis,
            sessions: Mutex::new(Sessions::new(policy)),
            faults: Mutex::default(),
            room: Semaphore::new(MOST_COMMANDS),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Changes the faults it shows from now on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.shared.faults));
    }

    /// Drops all sessions without a word, as a BMC does that restarts.
    pub fn forget_sessions(&self) {
        lock(&self.shared.sessions).clear();
    }

    /// Number of open sessions.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        lock(&self.shared.sessions).open_count()
    }

    /// Number of datagrams received so far, in whatever state.
    #[must_use]
    pub fn received(&self) -> u64 {
        lock(&self.shared.faults).received
    }

    /// Serves until cancelled; once, since the socket goes then.
    ///
    /// # Errors
    /// What the socket gives; refused or unreachable clients are no error.
    pub async fn run(&self, cancel: CancellationToken) -> io::Result<()> {
        let socket = lock(&self.shared.socket).take();
        let socket = socket.ok_or_else(|| io::Error::other("the simulator is served already"))?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let mut buffer = [0; MAX_DATAGRAM + 1];
        let mut cancelled = std::pin::pin!(cancel.cancelled());
        loop {
            let (length, peer) = tokio::select! {
                () = &mut cancelled => return Ok(()),
                received = socket.recv_from(&mut buffer) => match received {
                    Ok(received) => received,
                    // An ICMP message about an earlier answer: the client has gone.
                    Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => continue,
                    Err(e) => return Err(e),
                },
            };
            if lock(&self.shared.faults).loses_next() {
                continue;
            }
            let reaction =
                lock(&self.shared.sessions).receive(Instant::now(), &mut entropy, &buffer[..length]);
            match reaction {
                Reaction::Silence(reason) => tracing::debug!(%peer, %reason, "no answer"),
                Reaction::Reply(reply) => self.send(&socket, peer, reply),
                Reaction::Handle(_) if lock(&self.shared.faults).hangs_in_session => {}
                Reaction::Handle(pending) => self.handle(&socket, peer, pending),
            }
        }
    }

    /// Carries a request out; where that takes time, beside the others, so that a slow chassis delays nobody else.
    fn handle(&self, socket: &Arc<UdpSocket>, peer: SocketAddr, pending: Pending) {
        let (sim, socket) = (self.clone(), socket.clone());
        let mut work = Box::pin(async move {
            let (completion, data) = match sim.shared.room.try_acquire() {
                Ok(_permit) => {
                    let forced = lock(&sim.shared.faults).wrong_reply(&pending.request);
                    match forced {
                        Some((completion, data)) => (completion, data),
                        None => commands::answer(&sim.shared, &pending).await,
                    }
                }
                Err(_) => (CompletionCode::BUSY, Vec::new()),
            };
            tracing::debug!(
                %peer, netfn = pending.request.netfn, command = pending.request.command, %completion, "command"
            );
            let reply = lock(&sim.shared.sessions).respond(&mut entropy, &pending, completion, data);
            if let Some(reply) = reply {
                sim.send(&socket, peer, reply);
            }
            if commands::is_reset(&pending.request) && completion == CompletionCode::OK {
                sim.forget_sessions();
            }
        });
        if work.as_mut().now_or_never().is_none() {
            tokio::spawn(work);
        }
    }

    /// Sends an answer, spoilt and delayed as the faults say.
    fn send(&self, socket: &Arc<UdpSocket>, peer: SocketAddr, reply: Vec<u8>) {
        let (packets, delay) = {
            let mut faults = lock(&self.shared.faults);
            (faults.spoil(reply), faults.delay)
        };
        if delay.is_zero() && packets.iter().all(|packet| socket.try_send_to(packet, peer).is_ok()) {
            return;
        }
        let socket = socket.clone();
        let send = async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            for packet in packets {
                if let Err(error) = socket.send_to(&packet, peer).await {
                    tracing::debug!(%peer, %error, "answer not sent");
                }
            }
        };
        tokio::spawn(send);
    }
}

impl std::fmt::Debug for IpmiSim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IpmiSim").field("address", &self.shared.address).finish_non_exhaustive()
    }
}
