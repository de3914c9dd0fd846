//! A small client of the QEMU Machine Protocol: one JSON object a line (QEMU's `docs/interop/qmp-spec.txt`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

/// Longest line believed, in bytes. The greeting and all answers we ask for are far shorter.
const MAX_LINE: u64 = 1 << 20;
/// How long QEMU may take to answer. Under emulation on a busy machine its main loop is late by seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Events kept for a reader that is late; further ones are dropped.
const EVENTS_KEPT: usize = 256;

/// Why a QMP exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// QEMU refused the command; the text is its own.
    #[error("QEMU refused {command}: {description}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's description.
        description: String,
    },
    /// The connection ended: QEMU has exited.
    #[error("QEMU closed its QMP connection")]
    Closed,
    /// No answer within the limit.
    #[error("QEMU did not answer {0} within its limit")]
    Silent(String),
    /// Something that is not QMP came.
    #[error("not QMP: {0}")]
    Protocol(String),
}

/// Something that QEMU reports unasked.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name: `SHUTDOWN`, `RESET`, …
    pub name: String,
    /// Its data; null when it has none.
    pub data: Value,
}

type Pending = Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>;

/// A connection to one QEMU process. Closing: drop it.
#[derive(Debug)]
pub struct Qmp {
    writer: tokio::sync::Mutex<(u64, OwnedWriteHalf)>,
    pending: Arc<Pending>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Qmp {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Qmp {
    /// Reads the greeting, negotiates, and returns the client with the events that follow. The event channel closes when QEMU exits.
    ///
    /// # Errors
    /// [`QmpError::Protocol`] when the other side does not greet as QEMU does; [`QmpError::Silent`] when it says nothing.
    pub async fn handshake(stream: UnixStream) -> Result<(Self, mpsc::Receiver<Event>), QmpError> {
        let (read, write) = stream.into_split();
        let mut lines = BufReader::new(read);
        let greeting = tokio::time::timeout(ANSWER_LIMIT, next_object(&mut lines))
            .await
            .map_err(|_| QmpError::Silent("the connection".into()))??
            .ok_or(QmpError::Closed)?;
        if !greeting.contains_key("QMP") {
            return Err(QmpError::Protocol("the greeting has no \"QMP\"".into()));
        }
        let pending = Arc::new(Pending::default());
        let (sender, events) = mpsc::channel(EVENTS_KEPT);
        let reader = tokio::spawn(read_on(lines, pending.clone(), sender));
        let qmp = Self { writer: tokio::sync::Mutex::new((0, write)), pending, reader };
        qmp.execute("qmp_capabilities", Value::Null).await?;
        Ok((qmp, events))
    }

    /// Runs a command and returns what it returns. `arguments`: an object, or null for none.
    ///
    /// # Errors
    /// Any [`QmpError`].
    pub async fn execute(&self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let (sender, answer) = oneshot::channel();
        let id = {
            let mut writer = self.writer.lock().await;
            writer.0 += 1;
            let id = writer.0;
            let mut request = json!({ "execute": command, "id": id });
            if !arguments.is_null() {
                request["arguments"] = arguments;
            }
            lock(&self.pending).insert(id, sender);
            let line = format!("{request}\n");
            if writer.1.write_all(line.as_bytes()).await.is_err() {
                lock(&self.pending).remove(&id);
                return Err(QmpError::Closed);
            }
            id
        };
        let outcome = tokio::time::timeout(ANSWER_LIMIT, answer).await;
        lock(&self.pending).remove(&id);
        match outcome {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(description))) => Err(QmpError::Refused { command: command.to_string(), description }),
            Ok(Err(_)) => Err(QmpError::Closed),
            Err(_) => Err(QmpError::Silent(command.to_string())),
        }
    }
}

fn lock(
    pending: &Pending,
) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<Value, String>>>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands answers to their callers and events to the channel until the connection ends or speaks nonsense.
async fn read_on(mut lines: BufReader<OwnedReadHalf>, pending: Arc<Pending>, events: mpsc::Sender<Event>) {
    loop {
        match next_object(&mut lines).await {
            Ok(Some(object)) => dispatch(object, &pending, &events),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "dropping the QMP connection");
                break;
            }
        }
    }
    // Dropping the senders tells every caller that is still waiting.
    lock(&pending).clear();
}

fn dispatch(mut object: Map<String, Value>, pending: &Pending, events: &mpsc::Sender<Event>) {
    if let Some(Value::String(name)) = object.remove("event") {
        let event = Event { name, data: object.remove("data").unwrap_or(Value::Null) };
        if let Err(error) = events.try_send(event) {
            tracing::debug!(%error, "dropping a QMP event");
        }
        return;
    }
    let Some(sender) = object.get("id").and_then(Value::as_u64).and_then(|id| lock(pending).remove(&id))
    else {
        tracing::debug!("a QMP answer that nobody waits for");
        return;
    };
    let answer = match object.remove("return") {
        Some(value) => Ok(value),
        None => Err(object
            .get("error")
            .and_then(|error| error.get("desc"))
            .and_then(Value::as_str)
            .unwrap_or("an answer with neither return nor error")
            .to_string()),
    };
    // The caller may have given up; then nobody wants the answer.
    let _ = sender.send(answer);
}

/// The next line as an object; `None` at the end of the stream.
async fn next_object(
    lines: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<Map<String, Value>>, QmpError> {
    let mut line = Vec::new();
    let read = lines.take(MAX_LINE).read_until(b'\n', &mut line).await.map_err(|_| QmpError::Closed)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(QmpError::Protocol(format!("a line without an end after {read} bytes")));
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(|error| QmpError::Protocol(format!("a line that is no JSON object: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays QEMU's side: greets, then for each line received writes what `answer` says.
    async fn peer(stream: UnixStream, mut answer: impl FnMut(Value) -> String) {
        let (read, mut write) = stream.into_split();
        write.write_all(b"{\"QMP\": {\"version\": {}}}\r\n").await.unwrap();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let text = answer(serde_json::from_str(&line).unwrap());
            if text.is_empty() || write.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn done(request: &Value) -> String {
        json!({ "return": {}, "id": request["id"] }).to_string() + "\n"
    }

    #[tokio::test]
    async fn answers_find_their_question_and_events_their_channel() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let play = tokio::spawn(peer(theirs, |request| match request["execute"].as_str() {
            Some("query-status") => format!(
                "{}\n{}\n",
                json!({ "event": "RESET", "data": { "guest": true } }),
                json!({ "return": { "status": "running" }, "id": request["id"] })
            ),
            Some("nonsense") => {
                json!({ "error": { "class": "CommandNotFound", "desc": "not found" }, "id": request["id"] })
                    .to_string()
                    + "\n"
            }
            _ => done(&request),
        }));
        let (qmp, mut events) = Qmp::handshake(ours).await.unwrap();
        assert_eq!(qmp.execute("query-status", Value::Null).await.unwrap()["status"], "running");
        assert_eq!(
            events.recv().await.unwrap(),
            Event { name: "RESET".into(), data: json!({ "guest": true }) }
        );
        let error = qmp.execute("nonsense", json!({ "x": 1 })).await.unwrap_err();
        assert!(
            matches!(&error, QmpError::Refused { description, .. } if description == "not found"),
            "{error}"
        );
        drop(qmp);
        play.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_ends_fails_the_caller_and_the_events() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        tokio::spawn(peer(
            theirs,
            |request| if request["execute"] == "quit" { String::new() } else { done(&request) },
        ));
        let (qmp, mut events) = Qmp::handshake(ours).await.unwrap();
        assert!(matches!(qmp.execute("quit", Value::Null).await, Err(QmpError::Closed)));
        assert_eq!(events.recv().await, None);
        assert!(matches!(qmp.execute("stop", Value::Null).await, Err(QmpError::Closed)));
    }

    #[tokio::test]
    async fn strangers_are_refused() {
        for greeting in ["SSH-2.0-OpenSSH_9.2\r\n", "[]\n", "{\"hello\": 1}\n", "{\"QMP\": {}}"] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(greeting.as_bytes()).await.unwrap();
            drop(theirs);
            assert!(matches!(Qmp::handshake(ours).await, Err(QmpError::Protocol(_))), "{greeting:?}");
        }
    }

    #[tokio::test]
    async fn an_endless_line_is_cut_off() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let flood = tokio::spawn(async move {
            let chunk = vec![b'x'; 1 << 16];
            while theirs.write_all(&chunk).await.is_ok() {}
        });
        assert!(matches!(Qmp::handshake(ours).await, Err(QmpError::Protocol(_))));
        flood.await.unwrap();
    }
}
