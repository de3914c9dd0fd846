//! The ramdisk's side: lookup, token, heartbeat (`api.md` §8).

use crate::Conductor;
use crate::request::{HeartbeatRequest, LookupRequest, RequestError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use model::Secret;
use model::event::{EventKind, LogEvent};
use model::node::Node;
use model::secret::MASK;
use model::state::Kind;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use store::Guard;
use telemetry::table;
use uuid::Uuid;

/// Octets of randomness in a token; 43 characters of text.
const TOKEN_BYTES: usize = 32;

impl Conductor {
    /// Finds the node that a ramdisk belongs to, by its UUID or by its MAC addresses, and gives out its token once a boot.
    ///
    /// 404 for unknown nodes and for states in which no ramdisk is expected; which of the two is not told to the caller but is in
    /// the event log.
    pub async fn lookup(&self, request: LookupRequest) -> Result<(Node, Option<Secret>), RequestError> {
        let hidden = || RequestError::NotFound("The requested resource could not be found.".to_owned());
        let uuid = match request.node_uuid {
            Some(uuid) => uuid,
            None => {
                let port = self.store().port_by_addresses(&request.addresses).await?;
                port.ok_or_else(hidden)?.node_uuid
            }
        };
        let now = Timestamp::now();
        let fresh = new_token()?;
        let (token, node) = self
            .store()
            .edit_node(uuid, Guard::Any, now, |edit| {
                let state = edit.node.provision_state;
                let mut event = LogEvent::new(Some(uuid), now, EventKind::Agent, "lookup", "");
                if !state.answers_lookup() {
                    table::LOOKUPS.count(["refused"]);
                    event.detail = format!("refused: no ramdisk is expected in state \"{state}\"");
                    edit.events.push(event.failed());
                    return Ok::<_, RequestError>(None);
                }
                table::LOOKUPS.count(["ok"]);
                let token = hand_out(&mut edit.node, fresh);
                if token.expose() == MASK {
                    event.detail = "the token was given out before; this caller gets a mask".into();
                }
                edit.events.push(event);
                Ok(Some(token))
            })
            .await
            .map_err(|error| match error {
                RequestError::Store(store::StoreError::NotFound { .. }) => hidden(),
                other => other,
            })?;
        match token {
            Some(token) => Ok((node, Some(token))),
            None => Err(hidden()),
        }
    }

    /// Takes an agent's heartbeat, and lets the conductor look at the node at once.
    pub async fn heartbeat(&self, uuid: Uuid, request: HeartbeatRequest) -> Result<(), RequestError> {
        let now = Timestamp::now();
        let require_tls = self.settings().require_agent_tls;
        let (refused, _) = self
            .store()
            .edit_node(uuid, Guard::Any, now, |edit| {
                let refusal = refusal(&edit.node, &request, require_tls);
                let mut event = LogEvent::new(
                    Some(uuid),
                    now,
                    EventKind::Agent,
                    "heartbeat",
                    request.callback_url.clone(),
                );
                if let Some(text) = &refusal {
                    event.detail = format!("refused: {text}");
                    edit.events.push(event.failed());
                    return Ok::<_, RequestError>(refusal);
                }
                let agent = &mut edit.node.agent;
                if agent.url.is_none() {
                    event.name = "first heartbeat".into();
                }
                agent.url = Some(request.callback_url.clone());
                agent.server = request.arrived_at.or(agent.server.take());
                agent.version = request.agent_version.or(agent.version.take());
                agent.verify_ca = request.agent_verify_ca.or(agent.verify_ca.take());
                agent.status = request.agent_status;
                agent.status_message = request.agent_status_message;
                agent.last_heartbeat = Some(now);
                let shown = &mut edit.node.driver_internal_info;
                shown.insert("agent_url".into(), request.callback_url.into());
                shown.insert("agent_last_heartbeat".into(), now.to_string().into());
                if let Some(version) = &edit.node.agent.version {
                    shown.insert("agent_version".into(), version.clone().into());
                }
                edit.node.nudge(now);
                edit.events.push(event);
                Ok(None)
            })
            .await?;
        table::HEARTBEATS.count([if refused.is_some() { "refused" } else { "ok" }]);
        match refused {
            Some(text) => Err(RequestError::Invalid(text)),
            None => Ok(()),
        }
    }
}

/// The node's token: `fresh` becomes it if there was none; who comes later gets a mask.
pub fn hand_out(node: &mut Node, fresh: Secret) -> Secret {
    match &node.agent.token {
        Some(_) => Secret::new(MASK),
        None => {
            node.agent.token = Some(fresh.clone());
            fresh
        }
    }
}

/// Why this heartbeat is not to be believed.
fn refusal(node: &Node, request: &HeartbeatRequest, require_tls: bool) -> Option<String> {
    let token = node.agent.token.as_ref().map(Secret::expose);
    let given = request.agent_token.as_ref().map(Secret::expose);
    match (token, given) {
        (_, None) => {
            return Some("Agent token is required for heartbeat processing.".to_owned());
        }
        (Some(token), Some(given)) if same(token, given) => {}
        _ => return Some("Invalid or missing agent token received.".to_owned()),
    }
    // Behind a hold the work goes on with the ramdisk that runs.
    if !node.provision_state.answers_lookup() && node.provision_state.kind() != Kind::Hold {
        return Some(format!(
            "Node is in state \"{}\", in which no ramdisk is expected.",
            node.provision_state
        ));
    }
    if let Some(known) = &node.agent.url
        && *known != request.callback_url
    {
        return Some("Detected change in ramdisk provided \"callback_url\"".to_owned());
    }
    if require_tls && !request.callback_url.starts_with("https://") {
        return Some("TLS is required by configuration".to_owned());
    }
    // The conductor trusts this certificate alone, so it must not be exchanged under way.
    if let (Some(known), Some(brought)) = (&node.agent.verify_ca, &request.agent_verify_ca)
        && known.trim() != brought.trim()
    {
        return Some("Detected change in ramdisk provided \"agent_verify_ca\"".to_owned());
    }
    if let Some(brought) = &request.agent_verify_ca
        && let Err(error) = CertificateDer::from_pem_slice(brought.as_bytes())
    {
        return Some(format!("agent_verify_ca must be a certificate in PEM: {error}"));
    }
    None
}

/// Compares without telling by time where two tokens differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// A token that nobody has.
pub fn new_token() -> Result<Secret, RequestError> {
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| RequestError::Busy("no randomness for a token; try again".to_owned()))?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::state::Event;

    fn node() -> Node {
        let mut node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        for event in [Event::Manage, Event::Done, Event::Provide, Event::Wait] {
            node.apply(event, Timestamp::UNIX_EPOCH).unwrap();
        }
        node.agent.token = Some(Secret::new("right"));
        node
    }

    fn beat(token: Option<&str>, url: &str) -> HeartbeatRequest {
        HeartbeatRequest {
            callback_url: url.into(),
            agent_version: None,
            agent_token: token.map(Secret::new),
            agent_verify_ca: None,
            agent_status: None,
            agent_status_message: None,
            arrived_at: None,
        }
    }

    #[test]
    fn only_the_right_token_over_tls_from_the_same_place_is_believed() {
        let mut node = node();
        assert_eq!(refusal(&node, &beat(Some("right"), "https://10.0.0.1:9999"), true), None);
        assert!(refusal(&node, &beat(Some("wrong"), "https://10.0.0.1:9999"), true).is_some());
        assert!(refusal(&node, &beat(None, "https://10.0.0.1:9999"), true).is_some());
        assert!(refusal(&node, &beat(Some("right"), "http://10.0.0.1:9999"), true).is_some());
        node.agent.url = Some("https://10.0.0.1:9999".into());
        assert!(refusal(&node, &beat(Some("right"), "https://10.0.0.2:9999"), true).is_some());
        node.agent.url = None;
        let pem = |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----");
        let with_certificate = |text: String| HeartbeatRequest {
            agent_verify_ca: Some(text),
            ..beat(Some("right"), "https://10.0.0.1:9999")
        };
        assert!(refusal(&node, &with_certificate("prose".into()), true).unwrap().contains("PEM"));
        assert_eq!(refusal(&node, &with_certificate(pem("Zmlyc3Q=")), true), None);
        node.agent.verify_ca = Some(pem("Zmlyc3Q=") + "\n");
        assert_eq!(refusal(&node, &with_certificate(pem("Zmlyc3Q=")), true), None);
        assert!(refusal(&node, &with_certificate(pem("c2Vjb25k")), true).unwrap().contains("change"));
        node.agent.token = None;
        assert!(
            refusal(&node, &beat(Some(""), "https://10.0.0.1:9999"), true).is_some(),
            "no token was given out"
        );
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let (a, b) = (new_token().unwrap(), new_token().unwrap());
        assert!(a.expose().len() >= 32);
        assert_ne!(a, b);
    }
}
