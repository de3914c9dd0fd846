//! What the conductor counts of its work, in the words of the table ([`telemetry::table`]).

use crate::agent::AgentError;
use crate::hardware::implementation;
use bmc::BmcError;
use jiff::Timestamp;
use model::node::{InterfaceKind, Node};
use model::state::ProvisionState;
use model::step::Step;
use netboot::{Observation, Seen};
use std::future::Future;
use std::time::Duration;
use telemetry::request::Origin;
use telemetry::{SPANS, Timer, Vocabulary, table};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use uuid::Uuid;

/// Steps that agents offer are named by agents: so many get a label of their own.
static STEPS: Vocabulary = Vocabulary::new(256);

/// Asks a node's BMC something, and measures it: `doing` in the words of the event log, which are few.
pub async fn bmc<T>(
    node: &Node,
    doing: &'static str,
    call: impl Future<Output = Result<T, BmcError>>,
) -> Result<T, BmcError> {
    bmc_of(node.uuid, implementation(node, InterfaceKind::Power), doing, call).await
}

/// The same of a node that is not at hand; `interface` is what drives its power.
pub async fn bmc_of<T>(
    node: Uuid,
    interface: &str,
    doing: &'static str,
    call: impl Future<Output = Result<T, BmcError>>,
) -> Result<T, BmcError> {
    let span = tracing::info_span!(
        target: SPANS, "bmc", otel.name = doing, otel.kind = "client", node = %node, interface,
        otel.status_code = Empty, otel.status_message = Empty
    );
    let began = Timer::start();
    let answer = call.instrument(span.clone()).await;
    if let Err(error) = &answer {
        failed_span(&span, error);
    }
    let outcome = answer.as_ref().map_or_else(BmcError::kind, |_| "ok");
    table::BMC_REQUESTS.count([interface, doing, outcome]);
    table::BMC_TIME.observe_time([interface, doing], began.elapsed());
    answer
}

/// Calls an agent, and measures it.
pub async fn agent<T>(
    command: &str,
    call: impl Future<Output = Result<T, AgentError>>,
) -> Result<T, AgentError> {
    let span = tracing::info_span!(
        target: SPANS, "agent", otel.name = command, otel.kind = "client",
        otel.status_code = Empty, otel.status_message = Empty
    );
    let began = Timer::start();
    let answer = call.instrument(span.clone()).await;
    if let Err(error) = &answer {
        failed_span(&span, error);
    }
    let outcome = match &answer {
        Ok(_) => "ok",
        Err(AgentError::Unknown(_)) => "unknown",
        Err(AgentError::Unreachable { .. }) => "unreachable",
        Err(AgentError::Busy { .. }) => "busy",
        Err(AgentError::Refused { .. }) => "refused",
    };
    table::AGENT_TIME.observe_time([STEPS.admit(command), outcome], began.elapsed());
    answer
}

/// The span of one go at a step.
pub fn step_span(node: &Node, step: &Step) -> Span {
    let name = step.full_name();
    tracing::info_span!(
        target: SPANS, "step", otel.name = %name, node = %node.uuid,
        otel.status_code = Empty, otel.status_message = Empty
    )
}

/// The span of a visit, which belongs to the trace of the request that the node's work began with.
pub fn visit_span(node: &Node) -> Span {
    tracing::info_span!(
        target: SPANS, "visit", otel.name = %format_args!("visit {}", node.provision_state), node = %node.uuid,
        provision_state = %node.provision_state,
        request_id = node.origin.as_ref().map(|origin| origin.request_id.as_str())
    )
}

/// On whose behalf the node is visited: of the request that its work began with.
pub fn origin_of(node: &Node, span: &Span) -> Option<Origin> {
    let origin = node.origin.as_ref()?;
    let traceparent = origin.traceparent.as_deref();
    if let Some(traceparent) = traceparent {
        telemetry::span::follow(span, traceparent);
    }
    Some(Origin { id: origin.request_id.as_str().into(), traceparent: traceparent.map(Into::into) })
}

/// A node while it is attended to.
pub struct Visited {
    state: ProvisionState,
    began: Timer,
}

impl Visited {
    /// From now until this is dropped.
    pub fn begin(node: &Node) -> Self {
        table::VISITS.add([], 1.0);
        Self { state: node.provision_state, began: Timer::start() }
    }
}

impl Drop for Visited {
    fn drop(&mut self) {
        table::VISITS.add([], -1.0);
        table::VISIT_TIME.observe_time([self.state.as_str()], self.began.elapsed());
    }
}

/// Says in a span what failed.
pub fn failed_span(span: &Span, error: &dyn std::fmt::Display) {
    if !span.is_disabled() {
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_message", tracing::field::display(error));
    }
}

/// A step came to its end.
pub fn step(name: &str, started: Timestamp, now: Timestamp, outcome: &str) {
    let took = Duration::try_from(now.duration_since(started)).unwrap_or_default();
    table::STEP_TIME.observe_time([STEPS.admit(name), outcome], took);
}

/// The name of the step that runs on a node, and when it began.
pub fn running_step(node: &Node) -> Option<(String, Timestamp)> {
    let work = &node.work;
    Some((work.steps.get(work.next)?.full_name(), work.started_at?))
}

/// A boot server saw something, which the event log calls so.
pub fn seen(observation: &Observation, protocol: &str, event: &str, ok: bool) {
    table::NETBOOT.count([protocol, event, if ok { "ok" } else { "failed" }]);
    match &observation.seen {
        Seen::TftpFinished { size: sent, .. } | Seen::TftpAborted { sent, .. } => {
            table::NETBOOT_BYTES.add(["tftp"], *sent);
        }
        Seen::FetchFinished { size: sent, .. } | Seen::FetchCut { sent, .. } => {
            table::NETBOOT_BYTES.add(["http"], *sent);
        }
        _ => {}
    }
}
