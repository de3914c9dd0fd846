//! The whole life of nodes on fake hardware: registered, managed, provided, deployed, taken back, cleaned, forgotten.

use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use super::connection::Connection;
use super::server::pause;
use super::{crowd, fleet};
use crate::bench::server::Server;
use crate::error::{Error, Result};

/// What is asked for in turn, and the state that it leads to.
const VERBS: &[(&str, &str)] =
    &[("manage", "manageable"), ("provide", "available"), ("active", "active"), ("deleted", "available")];
/// Nodes that one client has under way: together they stay below the limits of `[conductor] max_concurrent_*`.
pub(super) const AT_ONCE: usize = 5;
/// All cycles of a round must have ended by then.
const LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at nodes that are all still on their way.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Takes `nodes` nodes through the whole cycle, so many of each client at once; out comes how long it took.
///
/// # Errors
/// [`Error::Invalid`] when a node fails or a request is refused, [`Error::Timeout`].
pub(super) fn round(server: &Server, connections: usize, nodes: usize) -> Result<Duration> {
    let (took, _) = crowd::each(server, connections, |connection, client| {
        let mut next = (client..nodes).step_by(connections).map(|_| Life::begin());
        let mut lives: Vec<_> = next.by_ref().take(AT_ONCE).collect();
        let deadline = Instant::now() + LIMIT;
        while !lives.is_empty() {
            let mut has_moved = false;
            for life in &mut lives {
                has_moved |= life.go_on(connection)?;
            }
            lives.retain(|life| !life.is_over);
            lives.extend(next.by_ref().take(AT_ONCE - lives.len()));
            if !has_moved {
                pause(LOOK_AGAIN);
            }
            if Instant::now() > deadline {
                let (what, hint) = (format!("{} cycles", lives.len()), "the server's log".to_owned());
                return Err(Error::Timeout { what, seconds: LIMIT.as_secs(), hint });
            }
        }
        Ok(())
    })?;
    Ok(took)
}

/// One node's.
struct Life {
    uuid: Uuid,
    path: String,
    exists: bool,
    /// Index in [`VERBS`] of the one under way, or to be asked for next.
    verb: usize,
    is_asked: bool,
    is_over: bool,
}

impl Life {
    fn begin() -> Self {
        let uuid = Uuid::new_v4();
        Self {
            uuid,
            path: format!("/v1/nodes/{uuid}"),
            exists: false,
            verb: 0,
            is_asked: false,
            is_over: false,
        }
    }

    /// The next request. `false`: the node is still on its way.
    fn go_on(&mut self, connection: &mut Connection) -> Result<bool> {
        if !self.exists {
            let mut body = fleet::node(0);
            body["uuid"] = json!(self.uuid);
            body["name"] = json!(format!("cycle-{}", self.uuid));
            connection.succeed("POST", "/v1/nodes", body.to_string().as_bytes())?;
            self.exists = true;
            return Ok(true);
        }
        let Some((verb, state)) = VERBS.get(self.verb) else {
            connection.succeed("DELETE", &self.path, b"")?;
            self.is_over = true;
            return Ok(true);
        };
        if !self.is_asked {
            let body = format!("{{\"target\": \"{verb}\"}}");
            connection.succeed("PUT", &format!("{}/states/provision", self.path), body.as_bytes())?;
            self.is_asked = true;
            return Ok(true);
        }
        let shown = connection.succeed("GET", &format!("{}?fields=provision_state", self.path), b"")?;
        let text = String::from_utf8_lossy(shown.body);
        if text.contains(" failed\"") {
            return Err(Error::Invalid(format!("{} came to {text}", self.path)));
        }
        let has_come = text.contains(&format!("\"{state}\""));
        if has_come {
            self.verb += 1;
            self.is_asked = false;
        }
        Ok(has_come)
    }
}
