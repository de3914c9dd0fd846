//! A client that knows several addresses and what was promised to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::fleet::Api;

/// Machines that are asked for at one time.
const AT_ONCE: usize = 32;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const TRY_AGAIN: Duration = Duration::from_millis(300);
/// A request that no process takes within this time is lost.
const PATIENCE: Duration = Duration::from_secs(120);
const PAGE: usize = 500;

/// What is to be on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub name: String,
    pub image: String,
    pub checksum: String,
    /// Written into `extra` with the same request.
    pub mark: String,
}

/// How a machine gets its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is available.
    Deploy,
    /// It is active with another one.
    Rebuild,
}

impl Order {
    pub fn new(name: &str) -> Self {
        let mark = uuid::Uuid::new_v4().simple().to_string();
        Self {
            name: name.to_owned(),
            image: format!("http://127.0.0.1:9/{name}-{mark}.img"),
            checksum: mark.chars().rev().collect(),
            mark,
        }
    }
}

/// Requests and what came of them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Requests {
    pub acknowledged: u64,
    pub repeated: u64,
}

#[derive(Default)]
struct Tally {
    acknowledged: AtomicU64,
    repeated: AtomicU64,
}

/// Takes every machine to `available`, in peace.
pub(super) async fn make_available(api: &Api, orders: &[Order]) -> Result<()> {
    let tally = Tally::default();
    for (target, from, goal) in [("manage", "enroll", "manageable"), ("provide", "manageable", "available")] {
        let asked = orders.iter().map(|order| verb(api, order, target, from, &tally));
        stream::iter(asked).buffer_unordered(AT_ONCE).try_collect::<()>().await.map_err(Error::Invalid)?;
        until_all(api, goal, PATIENCE).await?;
    }
    Ok(())
}

/// Orders every machine and waits until all are active.
pub(super) async fn deploy_all(api: &Api, orders: &[Order], wish: Wish, limit: Duration) -> Result<Requests> {
    let tally = Tally::default();
    let began = Instant::now();
    let asked = orders.iter().map(|order| deploy(api, order, wish, &tally));
    stream::iter(asked).buffer_unordered(AT_ONCE).try_collect::<()>().await.map_err(Error::Invalid)?;
    until_all(api, "active", limit.saturating_sub(began.elapsed())).await?;
    Ok(Requests {
        acknowledged: tally.acknowledged.load(Ordering::Relaxed),
        repeated: tally.repeated.load(Ordering::Relaxed),
    })
}

async fn deploy(api: &Api, order: &Order, wish: Wish, tally: &Tally) -> Result<(), String> {
    let path = format!("/v1/nodes/{}", order.name);
    let patch = json!([
        {"op": "add", "path": "/instance_info",
         "value": {"image_source": order.image, "image_checksum": order.checksum}},
        {"op": "add", "path": "/extra/mark", "value": order.mark},
    ]);
    persist(tally, || async {
        match api.ask("PATCH", &path, Some(&patch), None).await {
            Ok((status, _)) if status == 200 => Ok(true),
            other => retryable(&path, other),
        }
    })
    .await?;
    match wish {
        Wish::Deploy => verb(api, order, "active", "available", tally).await,
        Wish::Rebuild => verb(api, order, "rebuild", "active", tally).await,
    }
}

/// Gives a verb until it is taken. Where an answer got lost, the node tells by its state whether it was.
async fn verb(api: &Api, order: &Order, target: &str, from: &str, tally: &Tally) -> Result<(), String> {
    let path = format!("/v1/nodes/{}", order.name);
    let provision = format!("{path}/states/provision");
    let body = json!({"target": target});
    let is_sure = std::cell::Cell::new(true);
    persist(tally, || async {
        if !is_sure.get() {
            let (status, node) = match api.ask("GET", &path, None, None).await {
                Ok(answer) => answer,
                Err(_) => return Ok(false),
            };
            if status == 200 && node["provision_state"] != from {
                return Ok(true);
            }
        }
        is_sure.set(false);
        match api.ask("PUT", &provision, Some(&body), None).await {
            Ok((status, _)) if status == 202 => Ok(true),
            // It was taken before, and its answer got lost.
            Ok((status, _)) if status == 400 => Ok(false),
            other => retryable(&provision, other),
        }
    })
    .await
}

/// Repeats until it says `true`.
async fn persist<F>(tally: &Tally, attempt: impl Fn() -> F) -> Result<(), String>
where
    F: Future<Output = Result<bool, String>>,
{
    let began = Instant::now();
    while !attempt().await? {
        tally.repeated.fetch_add(1, Ordering::Relaxed);
        if began.elapsed() > PATIENCE {
            return Err(format!("no process took a request within {} s", PATIENCE.as_secs()));
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    tally.acknowledged.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Is it to be tried again? No connection, no answer, 409 and 503 are what a client bears; that something failed inside, which 500 says,
/// is no answer to a site's troubles.
fn retryable(path: &str, answer: Result<(hyper::StatusCode, Value), String>) -> Result<bool, String> {
    match answer {
        Err(_) => Ok(false),
        Ok((status, _)) if status == 409 || status == 503 => Ok(false),
        Ok((status, body)) => Err(format!("{path}: {status}: {body}")),
    }
}

/// Every node, with these fields.
pub(super) async fn nodes(api: &Api, fields: &str) -> Result<Vec<Value>, String> {
    let mut nodes: Vec<Value> = Vec::new();
    loop {
        let marker = nodes.last().and_then(|node| node["uuid"].as_str());
        let marker = marker.map_or_else(String::new, |uuid| format!("&marker={uuid}"));
        let path = format!("/v1/nodes?limit={PAGE}&fields=uuid,{fields}{marker}");
        let (status, mut body) = api.ask("GET", &path, None, None).await?;
        if status != 200 {
            return Err(format!("{path}: {status}: {body}"));
        }
        let Value::Array(page) = body["nodes"].take() else { return Err(format!("{path}: no list")) };
        let is_last = page.len() < PAGE;
        nodes.extend(page);
        if is_last {
            return Ok(nodes);
        }
    }
}

/// Waits until every node is in this state; one that failed ends it.
async fn until_all(api: &Api, goal: &str, limit: Duration) -> Result<()> {
    let until = Instant::now() + limit;
    let mut left = Vec::new();
    loop {
        if let Ok(nodes) = nodes(api, "name,provision_state,last_error").await {
            let failed =
                |node: &&Value| node["provision_state"].as_str().is_some_and(|s| s.ends_with("failed"));
            if let Some(node) = nodes.iter().find(failed) {
                return Err(Error::Invalid(format!("a node failed: {node}")));
            }
            left = nodes.into_iter().filter(|node| node["provision_state"] != goal).collect();
            if left.is_empty() {
                return Ok(());
            }
        }
        if Instant::now() > until {
            return Err(Error::Timeout {
                what: format!("{} nodes to be {goal}", left.len()),
                seconds: limit.as_secs(),
                hint: format!("the first is {}", left.first().unwrap_or(&Value::Null)),
            });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
