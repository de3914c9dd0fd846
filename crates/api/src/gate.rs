//! Overload is an answer: how much is worked on at once, and what is said to the rest.
//!
//! Each request belongs to a [`Class`], and each class has a [`Gate`]: so many at work, so many waiting for so long, and everybody
//! else is told 503 with `Retry-After` at once. What was not let in was not begun. Classes don't share room, so that a flood of
//! listings leaves heartbeats, changes and calls that wait for a BMC alone. Behind the gates they don't share connections to the database either
//! ([`Class::lane`]).
//!
//! Bodies are bounded by bytes, not by number ([`Budget`]): those of requests while they are read and worked on, those of answers until
//! the client has taken them.

use crate::error::ApiError;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use http_body_util::BodyExt;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use store::Lane;
use telemetry::{Timer, table};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What kind of request it is, by what it costs and who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Ramdisks of machines under way: lookups, heartbeats, what an inspection found.
    Machine,
    /// Changes.
    Change,
    /// Listings and details.
    Look,
    /// What spends its time waiting for a BMC, or on a password.
    Slow,
    /// Uploads, which last as long as their client likes.
    Transfer,
    /// What costs nothing: the versions, the health check.
    Free,
}

impl Class {
    /// Every class with a gate.
    pub const GATED: [Self; 5] = [Class::Machine, Class::Change, Class::Look, Class::Slow, Class::Transfer];

    /// Its name as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Machine => "machine",
            Class::Change => "change",
            Class::Look => "look",
            Class::Slow => "slow",
            Class::Transfer => "transfer",
            Class::Free => "free",
        }
    }

    /// Whose connections to the database it uses.
    pub(crate) const fn lane(self) -> Lane {
        match self {
            Class::Machine => Lane::Machine,
            Class::Look => Lane::Look,
            Class::Change | Class::Slow | Class::Transfer | Class::Free => Lane::Change,
        }
    }

    /// Lets everybody else come to their gates before a listing begins, which is then written without a pause: a crowd queues up at its
    /// gate, and not on the runtime's threads, where changes and heartbeats would stand behind it.
    ///
    /// Whoever asks for one thing does not step back: that wakes a second thread, which costs more than the answer.
    pub(crate) async fn step_back(self, lists: bool) {
        if lists && self == Class::Look {
            tokio::task::yield_now().await;
        }
    }

    /// Its name for people.
    const fn in_words(self) -> &'static str {
        match self {
            Class::Machine => "calls of ramdisks",
            Class::Change => "changes",
            Class::Look => "listings and details",
            Class::Slow => "requests that wait for BMCs or passwords",
            Class::Transfer => "uploads",
            Class::Free => "requests",
        }
    }
}

/// What a class has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// At work at once; at least one.
    pub at_once: usize,
    /// Waiting beside them.
    pub waiting: usize,
    /// They wait at most so long.
    pub patience: Duration,
}

/// What all have room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rooms {
    /// See [`Class::Machine`].
    pub machine: Room,
    /// See [`Class::Change`].
    pub change: Room,
    /// See [`Class::Look`].
    pub look: Room,
    /// See [`Class::Slow`].
    pub slow: Room,
    /// See [`Class::Transfer`].
    pub transfer: Room,
    /// Bytes of requests' bodies in memory.
    pub request_bytes: usize,
    /// Bytes of answers that clients have not taken yet; beyond it there are no listings.
    pub answer_bytes: usize,
}

impl Rooms {
    /// What suits this many cores: as much at once as keeps them busy, and a queue that they are through with within its patience.
    pub fn for_cores(cores: usize) -> Self {
        let room =
            |at_once, waiting, seconds| Room { at_once, waiting, patience: Duration::from_secs(seconds) };
        Self {
            // A rack that is switched on heartbeats at once, and nobody repeats a heartbeat sooner than the next one is due.
            machine: room(256, 8192, 30),
            // One commit takes 64 along.
            change: room(64 * cores, 256 * cores, 5),
            look: room(4 * cores, 64 * cores, 2),
            slow: room(1024, 0, 0),
            transfer: room(64, 0, 0),
            request_bytes: 192 << 20,
            answer_bytes: 128 << 20,
        }
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Self::for_cores(std::thread::available_parallelism().map_or(1, NonZero::get))
    }
}

/// The gates of all classes, and the budgets of bodies. One of them for the whole process.
#[derive(Debug)]
pub struct Gates {
    gates: [Gate; 5],
    /// Bodies of requests.
    pub requests: Arc<Budget>,
    /// Bodies of answers.
    pub answers: Arc<Budget>,
}

impl Default for Gates {
    fn default() -> Self {
        Self::new(Rooms::default())
    }
}

impl Gates {
    /// Gates with this room.
    pub fn new(rooms: Rooms) -> Self {
        let gates = Class::GATED.map(|class| {
            let room = match class {
                Class::Machine => rooms.machine,
                Class::Change => rooms.change,
                Class::Look | Class::Free => rooms.look,
                Class::Slow => rooms.slow,
                Class::Transfer => rooms.transfer,
            };
            Gate::new(class, room)
        });
        Self {
            gates,
            requests: Arc::new(Budget::new(rooms.request_bytes)),
            answers: Arc::new(Budget::new(rooms.answer_bytes)),
        }
    }

    fn gate(&self, class: Class) -> Option<&Gate> {
        self.gates.iter().find(|gate| gate.class == class)
    }

    /// Would the class refuse whoever comes now? For those who have yet to send a body.
    pub fn look(&self, class: Class) -> Result<(), Refused> {
        if class == Class::Look && self.answers.is_spent() {
            return Err(Refused::new(class, Reason::Memory));
        }
        match self.gate(class) {
            Some(gate) if gate.is_full() => Err(Refused::new(class, Reason::Full)),
            _ => Ok(()),
        }
    }

    /// Waits to be let in; keep what comes out for as long as the request is worked on.
    pub async fn enter(&self, class: Class) -> Result<Pass, Refused> {
        match self.gate(class) {
            Some(gate) => gate.enter().await,
            None => Ok(Pass { _permit: None }),
        }
    }

    /// An answer whose body counts until the client has taken it.
    pub fn counted(&self, mut response: Response) -> Response {
        let size = response.body().size_hint();
        if size.upper().is_some_and(|size| size <= SMALL) {
            return response;
        }
        // The wrapping hides the size, and the answer would go out in chunks, which Ironic's never does.
        if let Some(size) = size.exact() {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert(size.into());
        }
        let budget = Arc::clone(&self.answers);
        response.map(|body| {
            Body::new(body.map_frame(move |frame| frame.map_data(|data| Held::keep(&budget, data))))
        })
    }

    /// Tells how full everything is.
    pub fn measure(&self) {
        for gate in &self.gates {
            table::HTTP_RUNNING.set([gate.class.as_str()], gate.at_work() as f64);
            table::HTTP_WAITING.set([gate.class.as_str()], gate.waiting.load(Ordering::Relaxed) as f64);
        }
        table::HTTP_BODIES.set(["in"], self.requests.used() as f64);
        table::HTTP_BODIES.set(["out"], self.answers.used() as f64);
    }
}

/// Bodies of up to so many bytes are not worth counting.
const SMALL: u64 = 16 << 10;

/// The room of one class.
#[derive(Debug)]
struct Gate {
    class: Class,
    room: Room,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Leave to work on one request.
#[derive(Debug)]
pub struct Pass {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Gate {
    fn new(class: Class, room: Room) -> Self {
        let at_once = room.at_once.clamp(1, Semaphore::MAX_PERMITS);
        let room = Room { at_once, ..room };
        Self { class, room, permits: Arc::new(Semaphore::new(at_once)), waiting: AtomicUsize::new(0) }
    }

    fn at_work(&self) -> usize {
        self.room.at_once - self.permits.available_permits()
    }

    fn is_full(&self) -> bool {
        self.permits.available_permits() == 0 && self.waiting.load(Ordering::Relaxed) >= self.room.waiting
    }

    async fn enter(&self) -> Result<Pass, Refused> {
        // Permits that come free go to those who wait, so that this overtakes nobody.
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Pass { _permit: Some(permit) });
        }
        let Some(_place) = Place::take(self) else { return Err(Refused::new(self.class, Reason::Full)) };
        let waited = Timer::start();
        let acquired =
            tokio::time::timeout(self.room.patience, Arc::clone(&self.permits).acquire_owned()).await;
        table::HTTP_QUEUE.observe_time([self.class.as_str()], waited.elapsed());
        match acquired {
            Ok(Ok(permit)) => Ok(Pass { _permit: Some(permit) }),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Refused::new(self.class, Reason::Late)),
        }
    }
}

/// A place in a gate's queue; whoever is dropped while waiting leaves it.
struct Place<'a>(&'a Gate);

impl<'a> Place<'a> {
    fn take(gate: &'a Gate) -> Option<Self> {
        let most = gate.room.waiting;
        let more = |waiting| (waiting < most).then_some(waiting + 1);
        gate.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(gate))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a request was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// As many wait as may.
    Full,
    /// It waited for as long as it may.
    Late,
    /// Bodies take all the memory that they may.
    Memory,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Reason::Full => "full",
            Reason::Late => "late",
            Reason::Memory => "memory",
        }
    }
}

/// A request that was not let in; nothing of it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Its class.
    pub class: Class,
    /// Why.
    pub reason: Reason,
    /// When to come again, in seconds.
    pub retry_after: u32,
}

impl Refused {
    /// Counts the refusal, and spreads those who come again over a few seconds.
    pub fn new(class: Class, reason: Reason) -> Self {
        table::HTTP_REFUSED.count([class.as_str(), reason.as_str()]);
        Self { class, reason, retry_after: soon() }
    }
}

/// When to come again, in seconds: another one each time, so that they don't come together.
pub(crate) fn soon() -> u32 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    1 + TURN.fetch_add(1, Ordering::Relaxed) % 3
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let Refused { class, reason, retry_after } = refused;
        let what = class.in_words();
        let why = match reason {
            Reason::Full => format!("there are as many {what} under way as this server takes on at once"),
            Reason::Late => format!("there are too many {what} before this one"),
            Reason::Memory => {
                "requests and answers take all the memory that this server has for them".to_owned()
            }
        };
        ApiError::busy(
            format!("The service is busy: {why}. Nothing was done; try again in {retry_after} s."),
            retry_after,
        )
    }
}

/// Bytes that may be in memory for one purpose.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    most: usize,
}

impl Budget {
    /// So many.
    pub fn new(most: usize) -> Self {
        Self { used: AtomicUsize::new(0), most }
    }

    /// In use now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn is_spent(&self) -> bool {
        self.used() >= self.most
    }
}

/// Bytes taken from a budget, given back when this is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Nothing yet.
    pub fn nothing(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Takes more; `false` where there isn't as much left.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        let most = self.budget.most;
        let add = |used: usize| used.checked_add(more).filter(|used| *used <= most);
        let grown = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok();
        if grown {
            self.bytes += more;
        }
        grown
    }

    /// Bytes that count, whatever is left, until their last user drops them.
    fn keep(budget: &Arc<Budget>, data: Bytes) -> Bytes {
        budget.used.fetch_add(data.len(), Ordering::Relaxed);
        let held = Self { budget: Arc::clone(budget), bytes: data.len() };
        held.with(data)
    }

    /// Gives itself to bytes, to be dropped with them.
    pub fn with(self, data: Bytes) -> Bytes {
        Bytes::from_owner(Kept { data, _held: self })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Kept {
    data: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

#[cfg(test)]
mod tests;
