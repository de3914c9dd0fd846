//! Looks at a node while others wait for it: what it does is shown, and on demand the server is killed in the middle of it.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;

use super::screen::Step;
use super::server::{Server, get};
use crate::error::{Error, Result};
use crate::process;

/// Between two looks at a node.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A moment of a node's life: its provision state and, unless empty, the step under way.
pub type Moment = (&'static str, &'static str);

/// Moments at which a story that is to survive crashes kills the server: while the ramdisk boots for cleaning, while it boots for the
/// deployment, and while it writes.
pub const CRASHES: &[Moment] =
    &[("clean wait", ""), ("wait call-back", "deploy"), ("wait call-back", "write_image")];

/// The API itself, where a look at a node is all that is wanted.
#[derive(Debug, Clone)]
pub struct Api {
    endpoint: String,
    token: Option<String>,
}

impl Api {
    /// The API at `endpoint` (no slash at the end), asked with a token, or without where it wants none.
    #[must_use]
    pub fn new(endpoint: &str, token: Option<String>) -> Self {
        Self { endpoint: endpoint.to_string(), token }
    }

    /// `GET PATH`, as a JSON document.
    ///
    /// # Errors
    /// [`Error::Io`] when the server can't be reached, [`Error::Invalid`] for another status than 200 or a body that is no JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = get(&self.endpoint, path, self.token.as_deref()).await?;
        if status != 200 {
            return Err(Error::Invalid(format!(
                "GET {path}: {status}: {}",
                process::tail(&String::from_utf8_lossy(&body))
            )));
        }
        serde_json::from_slice(&body).map_err(|error| Error::Invalid(format!("GET {path}: {error}")))
    }
}

/// The eyes on one node.
#[derive(Debug)]
pub struct Watch<'a> {
    api: Api,
    node: String,
    server: &'a Mutex<Server>,
    /// Moments at which the server is killed, each once, as long as [`Watch::until`] looks.
    pub crash_at: Vec<Moment>,
}

impl<'a> Watch<'a> {
    /// Watches the node of that name.
    #[must_use]
    pub fn new(api: Api, node: &str, server: &'a Mutex<Server>) -> Self {
        Self { api, node: node.to_string(), server, crash_at: Vec::new() }
    }

    /// The node's name or UUID.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The API that it asks.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Looks until the node has come to the state `target` and rests there.
    ///
    /// A client's own `--wait` looks every ten seconds, which is too coarse for a story of one minute.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the node's `last_error`, [`Error::Timeout`] after `limit`; those of restarting the server.
    pub async fn until(&mut self, step: &Step, target: &str, limit: Duration) -> Result<()> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut last = "not seen".to_string();
        loop {
            look.tick().await;
            if tokio::time::Instant::now() > deadline {
                let (what, node) = (format!("node {} to become {target}", self.node), &self.node);
                let hint = format!("it is {last}; `billet why {node}` and its console say how far it came");
                return Err(Error::Timeout { what, seconds: limit.as_secs(), hint });
            }
            // A server that was killed on purpose is away for a moment.
            let Ok(node) = self.api.get(&format!("/v1/nodes/{}", self.node)).await else { continue };
            last = describe(&node);
            step.progress(&last);
            if let Some(moment) = self.crash_at.iter().position(|moment| is_at(&node, *moment)) {
                let (state, doing) = self.crash_at.remove(moment);
                self.server.lock().await.crash_and_restart().await?;
                step.progress(&format!("killed and restarted the server in {state} {doing}"));
                continue;
            }
            if node["provision_state"] == target {
                return Ok(());
            }
            if let Some(reason) = node["last_error"].as_str() {
                return Err(Error::Invalid(format!(
                    "node {} is {last}; its last error: {reason}",
                    self.node
                )));
            }
        }
    }

    /// Shows what the node does while `work` goes on.
    pub async fn during<T>(&self, step: &Step, work: impl Future<Output = T>) -> T {
        let look = async {
            let mut look = tokio::time::interval(LOOK_EVERY);
            loop {
                look.tick().await;
                if let Ok(node) = self.api.get(&format!("/v1/nodes/{}", self.node)).await {
                    step.progress(&describe(&node));
                }
            }
        };
        tokio::select! {
            done = work => done,
            never = look => never,
        }
    }
}

/// Has the node come to this moment?
fn is_at(node: &Value, (state, doing): Moment) -> bool {
    let step =
        ["clean_step", "deploy_step"].iter().find_map(|key| node[*key]["step"].as_str()).unwrap_or_default();
    node["provision_state"] == state && (doing.is_empty() || doing == step)
}

/// A node's state in a few words.
fn describe(node: &Value) -> String {
    let text = |key: &str| node[key].as_str().filter(|text| !text.is_empty());
    let mut words = vec![text("provision_state").unwrap_or("?").to_string()];
    if let Some(target) = text("target_provision_state") {
        words.push(format!("-> {target}"));
    }
    if let Some(step) = ["clean_step", "deploy_step"].iter().find_map(|key| node[*key]["step"].as_str()) {
        words.push(format!("[{step}]"));
    }
    if let Some(power) = text("power_state") {
        words.push(format!("({power})"));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_described_in_a_line() {
        let node = json!({
            "provision_state": "clean wait", "target_provision_state": "available", "power_state": "power on",
            "clean_step": { "step": "erase_devices_metadata", "interface": "deploy" }, "deploy_step": {},
        });
        assert_eq!(describe(&node), "clean wait -> available [erase_devices_metadata] (power on)");
        assert_eq!(
            describe(&json!({ "provision_state": "active", "target_provision_state": null })),
            "active"
        );
    }

    #[test]
    fn a_moment_is_a_state_and_perhaps_a_step() {
        let node = json!({ "provision_state": "wait call-back", "clean_step": {}, "deploy_step": { "step": "deploy" } });
        assert!(is_at(&node, ("wait call-back", "deploy")) && is_at(&node, ("wait call-back", "")));
        assert!(!is_at(&node, ("wait call-back", "write_image")) && !is_at(&node, ("clean wait", "")));
    }
}
