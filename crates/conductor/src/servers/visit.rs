//! One look at a server: the doors to the store that check again what was read.

use crate::Conductor;
use crate::request::RequestError;
use jiff::{SignedDuration, Timestamp};
use model::compute::{ActionEvent, Server, TaskState};
use model::node::Node;
use store::{MachineEdit, ServerEdit, StoreError};
use uuid::Uuid;

/// Pause before a node that is held for a moment, or a site that is busy, is tried again.
pub const PAUSE: SignedDuration = SignedDuration::from_millis(250);

/// What comes next for a server.
pub enum Next {
    /// Something was written; look again.
    Again,
    /// Nothing to do before this time, or before it is nudged.
    Rest(Option<Timestamp>),
    /// There is no such server any more.
    Gone,
}

/// In a moment.
pub fn soon() -> Option<Timestamp> {
    Some(Timestamp::now().saturating_add(PAUSE).unwrap_or(Timestamp::MAX))
}

/// When a site at which too much is under way is asked again, if nobody says before that there is room ([`Visit::wake`]).
const ROOM_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// Servers that are told when one has made room.
const WOKEN: i64 = 2;

/// When there is room, at the latest in a while.
pub fn when_there_is_room() -> Option<Timestamp> {
    Some(Timestamp::now().saturating_add(ROOM_PAUSE).unwrap_or(Timestamp::MAX))
}

/// Why a step came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The server, or its node, is not as it was read: look again.
    #[error("it has changed meanwhile")]
    Moved,
    /// The node says no.
    #[error(transparent)]
    Refused(RequestError),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Store(error)
    }
}

impl From<RequestError> for Trouble {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Store(error) => Trouble::Store(error),
            other => Trouble::Refused(other),
        }
    }
}

/// A server while a handler works on it.
pub struct Visit<'a> {
    /// The conductor at work.
    pub conductor: &'a Conductor,
    /// The server as it was read.
    pub server: Server,
}

impl Visit<'_> {
    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The conductor's name, for events.
    pub fn host(&self) -> &str {
        self.conductor.hostname()
    }

    /// Changes the server, unless it has moved on since it was read.
    pub async fn edit(&mut self, change: impl FnOnce(&mut ServerEdit)) -> Result<Next, Trouble> {
        let now = self.now();
        let before = &self.server;
        let edited = self.conductor.store().edit_server(before.uuid, now, |edit| {
            same(before, &edit.server)?;
            change(edit);
            Ok::<_, Trouble>(())
        });
        let (_, server) = edited.await?;
        self.server = server;
        Ok(Next::Again)
    }

    /// Changes the server and a node in one transaction, unless either has moved on: `change` looks at the node.
    pub async fn edit_with_node(
        &mut self,
        node: Uuid,
        change: impl FnOnce(&mut ServerEdit, &mut MachineEdit) -> Result<(), Trouble>,
    ) -> Result<Next, Trouble> {
        let now = self.now();
        let before = &self.server;
        let edited = self.conductor.store().edit_server_with_node(before.uuid, node, now, |edit, machine| {
            same(before, &edit.server)?;
            change(edit, machine)
        });
        let (_, server) = edited.await?;
        self.server = server;
        Ok(Next::Again)
    }

    /// This server has made room: the oldest of those that wait with this task look again.
    pub async fn wake(&self, task: TaskState) -> Result<Next, Trouble> {
        self.conductor.store().wake_servers(task, self.now(), WOKEN).await?;
        Ok(Next::Again)
    }

    /// The node of the server, if it is there and is the server's still. Secrets stay masked.
    pub async fn node(&self) -> Result<Option<Node>, Trouble> {
        let Some(uuid) = self.server.node else { return Ok(None) };
        match self.conductor.store().node(&uuid.to_string()).await {
            Ok(row) if is_of(&row.node, &self.server) => Ok(Some(row.node)),
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// An event of something that ended well.
    pub fn done(&self, event: &str, details: Option<String>) -> ActionEvent {
        ActionEvent::done(event, self.host(), details, self.now())
    }

    /// An event of something that begins.
    pub fn begun(&self, event: &str) -> ActionEvent {
        ActionEvent::begun(event, self.host(), self.now())
    }

    /// An event of something that failed.
    pub fn failed(&self, event: &str, why: impl Into<String>) -> ActionEvent {
        ActionEvent::failed(event, self.host(), why, self.now())
    }
}

/// Does a node carry this server?
pub fn is_of(node: &Node, server: &Server) -> bool {
    node.instance_uuid.as_deref() == Some(server.uuid.to_string().as_str())
}

/// What a reconciler's step builds on must be as it was read; names and metadata may change under it.
fn same(read: &Server, stored: &Server) -> Result<(), Trouble> {
    let is_same = read.task_state == stored.task_state
        && read.vm_state == stored.vm_state
        && read.node == stored.node
        && read.work == stored.work;
    if is_same { Ok(()) } else { Err(Trouble::Moved) }
}
