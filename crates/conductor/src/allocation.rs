//! Finds nodes for allocations.
//!
//! Like the runner this is a reconciler without input: it is woken by a nudge or by the clock and takes up whatever is `allocating`, so
//! that an allocation whose process was killed goes on as one that has just been made. A node and its allocation are written in one
//! transaction that checks again what was read before, so nobody has to be kept out while it looks around.

use crate::Conductor;
use crate::claim::{LOCK_PAUSE, LOCK_TRIES, patiently};
use crate::request::RequestError;
use jiff::Timestamp;
use model::allocation::{Allocation, AllocationState, Objection, in_sum};
use model::node::Node;
use model::state::ProvisionState;
use std::collections::HashMap;
use std::time::Duration;
use store::{NodeQuery, Query, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Allocations that are taken up in one round.
const ROUND: i64 = 256;
/// Longest sleep: a look around in case an allocation was made elsewhere.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

impl Conductor {
    /// Stores an allocation and has a node found for it.
    pub async fn create_allocation(&self, allocation: &Allocation) -> Result<(), RequestError> {
        self.store().create(allocation).await?;
        self.wishes().notify_one();
        Ok(())
    }

    /// Stores an allocation for a node that is deployed already. Nothing is stored where they don't go together.
    pub async fn backfill_allocation(
        &self,
        allocation: &Allocation,
        node: Uuid,
    ) -> Result<Allocation, RequestError> {
        let store = self.store();
        patiently(|| store.backfill(allocation.clone(), node, Timestamp::now(), check_backfill)).await
    }

    /// Forgets an allocation and frees its node, unless the node is in use.
    pub async fn delete_allocation(&self, uuid: Uuid) -> Result<(), RequestError> {
        patiently(|| self.store().delete_allocation(uuid, Timestamp::now(), check_deallocation)).await
    }
}

fn check_backfill(allocation: &Allocation, node: &Node) -> Result<(), RequestError> {
    let mut errors = Vec::new();
    if node.provision_state != ProvisionState::Active {
        errors.push(format!(
            "Node must be in the \"active\" state, but the current state is \"{}\"",
            node.provision_state
        ));
    }
    if node.resource_class != allocation.resource_class {
        errors.push(format!(
            "Resource class {} does not match the requested resource class {}",
            node.resource_class.as_deref().unwrap_or("None"),
            allocation.resource_class.as_deref().unwrap_or("None")
        ));
    }
    let list = |names: &[&str]| format!("['{}']", names.join("', '")).replace("['']", "[]");
    if allocation.traits.iter().any(|name| !node.traits.contains(name)) {
        let of_node: Vec<_> = node.traits.iter().map(String::as_str).collect();
        let wanted: Vec<_> = allocation.traits.iter().map(String::as_str).collect();
        errors.push(format!(
            "List of traits {} does not match the requested traits {}",
            list(&of_node),
            list(&wanted)
        ));
    }
    if !allocation.candidate_nodes.is_empty() && !allocation.candidate_nodes.contains(&node.uuid) {
        let candidates: Vec<_> = allocation.candidate_nodes.iter().map(Uuid::to_string).collect();
        let candidates: Vec<_> = candidates.iter().map(String::as_str).collect();
        errors.push(format!(
            "Candidate nodes must be empty or contain the target node, but got {}",
            list(&candidates)
        ));
    }
    if !errors.is_empty() {
        return Err(RequestError::Invalid(failed(
            allocation,
            &format!("Cannot backfill an allocation for node {}: {}", node.uuid, errors.join("; ")),
        )));
    }
    match &node.instance_uuid {
        Some(instance) if *instance != allocation.uuid.to_string() => {
            Err(RequestError::Conflict(format!("Node {} is associated with instance {instance}.", node.uuid)))
        }
        _ => Ok(()),
    }
}

fn check_deallocation(allocation: &Allocation, node: &Node) -> Result<(), RequestError> {
    if node.maintenance {
        return Ok(());
    }
    let why = if node.target_provision_state.is_some() && !node.provision_state.allows_update() {
        format!("is in state {} where updates are not allowed", node.provision_state)
    } else if node.provision_state == ProvisionState::Active {
        "is active".to_owned()
    } else {
        return Ok(());
    };
    Err(RequestError::Conflict(format!(
        "Cannot remove allocation {} for node {}, because the node {why} (and maintenance mode is off)",
        allocation.uuid, node.uuid
    )))
}

fn failed(allocation: &Allocation, why: &str) -> String {
    format!("Failed to process allocation {}: {why}.", allocation.uuid)
}

/// Runs until `stop`.
pub async fn run(conductor: Conductor, stop: CancellationToken) {
    let mut held = HashMap::new();
    while !stop.is_cancelled() {
        let sleep = match round(&conductor, &mut held).await {
            Ok(Rest::Nothing) => LONGEST_SLEEP,
            Ok(Rest::Held) => LOCK_PAUSE,
            Ok(Rest::More) => continue,
            Err(error) => {
                tracing::error!(%error, "the database failed those who look for nodes");
                LOCK_PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = conductor.wishes().notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// What a round left undone.
enum Rest {
    /// Nothing.
    Nothing,
    /// Allocations whose nodes are all held by somebody.
    Held,
    /// Allocations that had no place in the round.
    More,
}

/// Takes up the oldest allocations that still look for a node. `held` counts the rounds in which they met held nodes only.
async fn round(conductor: &Conductor, held: &mut HashMap<Uuid, u32>) -> Result<Rest, StoreError> {
    let query = Query::equal("state", AllocationState::Allocating.as_str()).limit(ROUND);
    let wishes: Vec<Allocation> = conductor.store().list(&query).await?;
    held.retain(|uuid, _| wishes.iter().any(|wish| wish.uuid == *uuid));
    let mut classes = HashMap::new();
    for wish in &wishes {
        let nodes = match classes.get_mut(&wish.resource_class) {
            Some(nodes) => nodes,
            None => {
                let nodes = nodes_of_class(conductor, wish.resource_class.as_deref()).await?;
                classes.entry(wish.resource_class.clone()).or_insert(nodes)
            }
        };
        match seek(conductor, wish, nodes).await? {
            Sought::Done => {}
            Sought::Held(count) => {
                let tries = held.entry(wish.uuid).or_default();
                *tries += 1;
                if *tries >= LOCK_TRIES {
                    let why = format!(
                        "could not reserve any of {count} suitable nodes, because other work held them all the time"
                    );
                    fail(conductor, wish, failed(wish, &why)).await?;
                }
            }
        }
    }
    Ok(if held.is_empty() {
        if wishes.len() as i64 == ROUND { Rest::More } else { Rest::Nothing }
    } else {
        Rest::Held
    })
}

/// Every node of a resource class, in random order, so that several conductors don't run after the same ones.
async fn nodes_of_class(conductor: &Conductor, class: Option<&str>) -> Result<Vec<Node>, StoreError> {
    let Some(class) = class else { return Ok(Vec::new()) };
    let query = NodeQuery {
        equal: vec![("resource_class", class.to_owned())],
        include_children: true,
        limit: i64::MAX,
        ..NodeQuery::default()
    };
    let mut nodes: Vec<_> = conductor.store().nodes(&query).await?.into_iter().map(|row| row.node).collect();
    nodes.sort_by_cached_key(|_| Uuid::new_v4());
    Ok(nodes)
}

/// How the search for one allocation ended.
enum Sought {
    /// It has its node, or there is none, or it is gone.
    Done,
    /// So many nodes fit, and all of them are held.
    Held(usize),
}

/// Tries the nodes that fit, first the one of the allocation's own name. What is learned of nodes is kept in `nodes`, for the next.
async fn seek(conductor: &Conductor, wish: &Allocation, nodes: &mut [Node]) -> Result<Sought, StoreError> {
    let mut fitting: Vec<usize> =
        (0..nodes.len()).filter(|index| wish.objection(&nodes[*index]).is_none()).collect();
    fitting.sort_by_key(|index| wish.name.is_none() || nodes[*index].name != wish.name);
    let mut held = 0;
    for index in fitting {
        let node = nodes[index].uuid;
        match take(conductor, wish, node).await? {
            Taken::Yes(node) => {
                tracing::info!(allocation = %wish.uuid, node = %node.uuid, "allocated");
                nodes[index] = node;
                return Ok(Sought::Done);
            }
            Taken::Unwanted => return Ok(Sought::Done),
            Taken::Held => held += 1,
            Taken::Unfit(node) => nodes[index] = node,
            Taken::Gone => nodes[index].resource_class = None,
        }
    }
    if held > 0 {
        return Ok(Sought::Held(held));
    }
    fail(conductor, wish, refusal(wish, nodes)).await?;
    Ok(Sought::Done)
}

/// What came of trying one node.
enum Taken {
    /// It is the allocation's now.
    Yes(Node),
    /// The allocation needs none any more.
    Unwanted,
    /// Somebody holds it.
    Held,
    /// It does not fit any more.
    Unfit(Node),
    /// It is not there any more.
    Gone,
}

/// Why a node was not taken.
enum Missed {
    Unfit(Box<Node>),
    Store(StoreError),
}

impl From<StoreError> for Missed {
    fn from(error: StoreError) -> Self {
        Missed::Store(error)
    }
}

async fn take(conductor: &Conductor, wish: &Allocation, node: Uuid) -> Result<Taken, StoreError> {
    let taken = conductor.store().allocate(wish.uuid, node, Timestamp::now(), |wish, node| {
        match wish.objection(node) {
            None => Ok(()),
            Some(_) => Err(Missed::Unfit(Box::new(node.clone()))),
        }
    });
    match taken.await {
        Ok(Some((_, node))) => Ok(Taken::Yes(node)),
        Ok(None) => Ok(Taken::Unwanted),
        Err(Missed::Unfit(node)) => Ok(Taken::Unfit(*node)),
        Err(Missed::Store(StoreError::Locked { .. })) => Ok(Taken::Held),
        Err(Missed::Store(StoreError::NotFound { .. })) => Ok(Taken::Gone),
        Err(Missed::Store(error)) => Err(error),
    }
}

/// Why no node could be had: Ironic's text, and what became of each node of the class.
fn refusal(wish: &Allocation, nodes: &[Node]) -> String {
    let lacks_traits = nodes.iter().any(|node| matches!(wish.objection(node), Some(Objection::Lacks(_))));
    let class = wish.resource_class.as_deref().unwrap_or("None");
    let why = if lacks_traits {
        format!("no suitable nodes have the requested traits {}", wish.traits.join(", "))
    } else if wish.candidate_nodes.is_empty() {
        format!("no available nodes match the resource class {class}")
    } else {
        format!("none of the requested nodes are available and match the resource class {class}")
    };
    [failed(wish, &why), in_sum(wish, nodes.iter())].join(" ").trim_end().to_owned()
}

/// Ends the search without a node, unless the allocation is gone or has one after all.
async fn fail(conductor: &Conductor, wish: &Allocation, why: String) -> Result<(), StoreError> {
    tracing::warn!(allocation = %wish.uuid, %why, "no node");
    let edited = conductor.store().edit(wish.uuid, |allocation: &mut Allocation| {
        if allocation.state == AllocationState::Allocating {
            allocation.state = AllocationState::Error;
            allocation.last_error = Some(why);
            allocation.updated_at = Some(Timestamp::now());
        }
        Ok::<_, StoreError>(())
    });
    match edited.await {
        Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
