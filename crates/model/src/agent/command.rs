//! `POST /v1/commands/` and its results: the calls that go from the conductor to the ramdisk.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// Body of `POST /v1/commands/?wait=…&agent_token=…`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommandRequest {
    /// `extension.command`, such as `standby.prepare_image`.
    pub name: String,
    /// Named arguments; must be there, may be empty.
    pub params: Map<String, Value>,
}

/// State of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandStatus {
    /// It runs still.
    #[serde(rename = "RUNNING")]
    Running,
    /// It ended well; the result is there.
    #[serde(rename = "SUCCEEDED")]
    Succeeded,
    /// It failed; the error is there.
    #[serde(rename = "FAILED")]
    Failed,
    /// The agent's version is another than when the steps were listed: list again, start again.
    #[serde(rename = "CLEAN_VERSION_MISMATCH")]
    VersionMismatch,
    /// A word of a later release.
    #[serde(other, rename = "UNKNOWN")]
    Unknown,
}

/// A command as the agent shows it; parameters are never echoed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommandResult {
    /// UUID of this run.
    pub id: String,
    /// The command without its extension: `prepare_image`.
    pub command_name: String,
    /// Its state.
    pub command_status: CommandStatus,
    /// Why it failed.
    #[serde(default)]
    pub command_error: Option<CommandError>,
    /// What it returned: an object, or `null`.
    #[serde(default)]
    pub command_result: Option<Value>,
}

/// Body of `GET /v1/commands/`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CommandList {
    /// All commands since the agent's start, oldest first.
    pub commands: Vec<CommandResult>,
}

/// Body of `GET /v1/status`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentStatus {
    /// When the agent started, in seconds since 1970.
    pub started_at: Option<f64>,
    /// The agent's version.
    pub version: Option<String>,
}

/// Why a command failed. Read from an object, from `{"error": text}`, or from a bare text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CommandError {
    /// Class name, such as `ImageChecksumError`.
    #[serde(rename = "type")]
    pub kind: String,
    /// An HTTP status: 4xx is the request's fault, 5xx the machine's.
    pub code: u16,
    /// The class in words.
    pub message: String,
    /// What was tried and what came back.
    pub details: String,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message.is_empty(), self.details.is_empty()) {
            (false, false) => write!(f, "{}: {}", self.message, self.details),
            (false, true) => f.write_str(&self.message),
            (true, false) => f.write_str(&self.details),
            (true, true) => f.write_str("the agent gave no reason"),
        }
    }
}

impl<'de> Deserialize<'de> for CommandError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |object: &Map<String, Value>, key: &str| match object.get(key) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        Ok(match Value::deserialize(deserializer)? {
            Value::Object(object) => Self {
                kind: text(&object, "type"),
                code: object
                    .get("code")
                    .and_then(Value::as_u64)
                    .and_then(|c| c.try_into().ok())
                    .unwrap_or(500),
                message: text(&object, "message"),
                details: match text(&object, "details") {
                    details if details.is_empty() => text(&object, "error"),
                    details => details,
                },
            },
            Value::String(details) => Self { details, code: 500, ..Self::default() },
            other => Self { details: other.to_string(), code: 500, ..Self::default() },
        })
    }
}
