//! What was done with a server, and how it went: Nova's instance actions and their events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One request of a user that did something with a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerAction {
    /// Identity of the row.
    pub uuid: Uuid,
    /// Server.
    pub server_uuid: Uuid,
    /// `create`, `delete`, `reboot`, `stop` … in Nova's words.
    pub action: String,
    /// The request's identifier, `req-…`.
    pub request_id: String,
    /// Project of the user.
    pub project_id: String,
    /// User.
    pub user_id: String,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When something last happened in it.
    pub updated_at: Timestamp,
    /// `Error` where it failed.
    pub message: Option<String>,
    /// What was done for it, in the order of time.
    #[serde(default)]
    pub events: Vec<ActionEvent>,
}

/// One step of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionEvent {
    /// Short name: `schedule`, `networking`, `spawning` …
    pub event: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it is under way.
    pub finished_at: Option<Timestamp>,
    /// `Success` or `Error`; none while it is under way.
    pub result: Option<String>,
    /// What came of it, for people: Nova's `details`, and `traceback` for operators.
    pub details: Option<String>,
    /// Conductor that did it.
    pub host: Option<String>,
}

/// Events that are kept of one action; the oldest but the first go.
pub const EVENTS_KEPT: usize = 50;

impl ServerAction {
    /// An action that was just asked for.
    pub fn new(
        uuid: Uuid,
        server_uuid: Uuid,
        action: impl Into<String>,
        request_id: impl Into<String>,
        by: (&str, &str),
        now: Timestamp,
    ) -> Self {
        let (user_id, project_id) = by;
        Self {
            uuid,
            server_uuid,
            action: action.into(),
            request_id: request_id.into(),
            project_id: project_id.to_owned(),
            user_id: user_id.to_owned(),
            started_at: now,
            updated_at: now,
            message: None,
            events: Vec::new(),
        }
    }

    /// Adds an event. One of the same name that is under way is ended by it.
    pub fn note(&mut self, event: ActionEvent) {
        self.updated_at = event.finished_at.unwrap_or(event.started_at);
        if event.result.as_deref() == Some("Error") {
            self.message = Some("Error".to_owned());
        }
        let open = self.events.iter_mut().find(|there| there.event == event.event && there.result.is_none());
        match open {
            Some(there) => *there = ActionEvent { started_at: there.started_at, ..event },
            None => self.events.push(event),
        }
        if self.events.len() > EVENTS_KEPT {
            self.events.remove(1);
        }
    }
}

impl ActionEvent {
    /// A step that begins now.
    pub fn begun(event: impl Into<String>, host: &str, now: Timestamp) -> Self {
        Self {
            event: event.into(),
            started_at: now,
            finished_at: None,
            result: None,
            details: None,
            host: Some(host.to_owned()),
        }
    }

    /// A step that went well.
    pub fn done(event: impl Into<String>, host: &str, details: Option<String>, now: Timestamp) -> Self {
        Self {
            finished_at: Some(now),
            result: Some("Success".to_owned()),
            details,
            ..Self::begun(event, host, now)
        }
    }

    /// A step that failed.
    pub fn failed(event: impl Into<String>, host: &str, why: impl Into<String>, now: Timestamp) -> Self {
        Self {
            finished_at: Some(now),
            result: Some("Error".to_owned()),
            details: Some(why.into()),
            ..Self::begun(event, host, now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_the_one_of_its_name() {
        let now = Timestamp::UNIX_EPOCH;
        let later = Timestamp::from_second(5).unwrap();
        let mut action = ServerAction::new(Uuid::nil(), Uuid::nil(), "create", "req-1", ("u", "p"), now);
        action.note(ActionEvent::begun("spawning", "here", now));
        action.note(ActionEvent::failed("spawning", "here", "no", later));
        action.note(ActionEvent::begun("spawning", "here", later));
        assert_eq!(action.events.len(), 2);
        assert_eq!((action.events[0].started_at, action.events[0].finished_at), (now, Some(later)));
        assert_eq!(action.message.as_deref(), Some("Error"));
        for _ in 0..100 {
            action.note(ActionEvent::done("look", "here", None, later));
        }
        assert_eq!((action.events.len(), action.events[0].event.as_str()), (EVENTS_KEPT, "spawning"));
    }
}
