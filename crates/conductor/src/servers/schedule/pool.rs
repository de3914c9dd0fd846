//! What a round knows of the nodes: those that are free, read whole, and columns of all the others once somebody must be told why not.

use crate::Conductor;
use crate::hardware;
use model::compute::Server;
use model::compute::scheduler::{Glimpse, Objection, Request, Sizes, Tally, custom_class};
use model::node::{InterfaceKind, Node};
use std::collections::{BTreeSet, HashMap, HashSet};
use store::{NodeRow, StoreError};
use uuid::Uuid;

/// Free nodes that are read beyond the number of servers, in case that some don't fit.
const SPARE: usize = 64;

/// A node that is free.
struct Candidate {
    node: Node,
    /// Other work holds it.
    held: bool,
    /// A server of this round takes it, or it is gone.
    out: bool,
    /// Servers that it did not do for, for reasons that are not in the node itself.
    refused: Vec<(Uuid, Objection)>,
}

pub struct Pool {
    candidates: Vec<Candidate>,
    known: HashSet<Uuid>,
    /// Not every free node is among them.
    is_partial: bool,
    /// How many ports nodes have.
    ports: HashMap<Uuid, usize>,
    /// Columns of every node, once they are read.
    glimpses: Option<Vec<Glimpse>>,
}

impl Pool {
    /// Reads free nodes for these servers: of the classes that they ask for, and no more than they are likely to need.
    pub async fn read<'a>(
        conductor: &Conductor,
        servers: impl Iterator<Item = &'a Server>,
    ) -> Result<Self, StoreError> {
        let servers: Vec<_> = servers.collect();
        let mut pool = Self {
            candidates: Vec::new(),
            known: HashSet::new(),
            is_partial: true,
            ports: HashMap::new(),
            glimpses: None,
        };
        let limit = servers.len() + SPARE;
        let all = pool.fill(conductor, &servers, limit).await?;
        pool.is_partial = !all;
        if servers.iter().any(|server| Request::new(server, "").ports() > 0) {
            pool.ports = conductor.store().port_counts().await?;
        }
        Ok(pool)
    }

    /// Reads the rest of the free nodes; `false` where there is none.
    pub async fn read_all<'a>(
        &mut self,
        conductor: &Conductor,
        servers: impl Iterator<Item = &'a Server>,
    ) -> Result<bool, StoreError> {
        if !self.is_partial {
            return Ok(false);
        }
        self.is_partial = false;
        let servers: Vec<_> = servers.collect();
        self.fill(conductor, &servers, usize::MAX).await?;
        Ok(true)
    }

    /// Adds free nodes that these servers may want. `true`: these are all.
    async fn fill(
        &mut self,
        conductor: &Conductor,
        servers: &[&Server],
        limit: usize,
    ) -> Result<bool, StoreError> {
        let store = conductor.store();
        let mut of_class: Option<Vec<String>> = None;
        let mut asked: HashSet<(Option<String>, Sizes)> = HashSet::new();
        let mut is_all = true;
        for server in servers {
            let request = Request::new(server, "");
            if let Some(pin) = request.pin() {
                match store.node(pin).await {
                    Ok(row) => self.add(row),
                    Err(StoreError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            let classes = if request.classes().is_empty() {
                vec![None]
            } else {
                if of_class.is_none() {
                    of_class = Some(store.resource_classes().await?);
                }
                let is_wanted = |class: &&String| request.classes().contains(&custom_class(class));
                of_class.iter().flatten().filter(is_wanted).cloned().map(Some).collect()
            };
            for class in classes {
                if !asked.insert((class.clone(), request.sizes())) {
                    continue;
                }
                let rows = store.free_nodes(class.as_deref(), request.sizes(), limit).await?;
                is_all &= rows.len() < limit;
                rows.into_iter().for_each(|row| self.add(row));
            }
        }
        Ok(is_all)
    }

    fn add(&mut self, row: NodeRow) {
        if !self.known.insert(row.node.uuid) {
            return;
        }
        let held = row.reservation.is_some();
        self.candidates.push(Candidate { node: row.node, held, out: false, refused: Vec::new() });
    }

    /// The node that fits a server best, which nobody else of the round gets: its place in the pool, and its UUID.
    pub fn choose(&mut self, server: &Server, request: &Request<'_>) -> Option<(usize, Uuid)> {
        let mut best: Option<(usize, u64)> = None;
        for (index, candidate) in self.candidates.iter().enumerate() {
            if candidate.out || candidate.held || self.objection(candidate, server, request).is_some() {
                continue;
            }
            let surplus = request.surplus(&candidate.node);
            if best.is_none_or(|(_, least)| surplus < least) {
                best = Some((index, surplus));
            }
            if surplus == 0 {
                break;
            }
        }
        let (index, _) = best?;
        self.candidates[index].out = true;
        Some((index, self.candidates[index].node.uuid))
    }

    fn objection(&self, candidate: &Candidate, server: &Server, request: &Request<'_>) -> Option<Objection> {
        let refused = candidate.refused.iter().find(|(of, _)| *of == server.uuid);
        refused
            .map(|(_, objection)| objection.clone())
            .or_else(|| request.objection(&candidate.node))
            .or_else(|| self.few_ports(&candidate.node, request))
    }

    /// A first look at the number of ports; whether they are free is seen when the node is taken.
    fn few_ports(&self, node: &Node, request: &Request<'_>) -> Option<Objection> {
        if !uses_ports(node) {
            return None;
        }
        let (has, wanted) = (self.ports.get(&node.uuid).copied().unwrap_or(0), request.ports());
        (has < wanted).then_some(Objection::FewPorts { has, wanted })
    }

    /// A node was not taken after all.
    pub fn put_back(&mut self, index: usize) {
        self.candidates[index].out = false;
    }

    /// Other work holds a node.
    pub fn hold(&mut self, index: usize) {
        self.candidates[index].held = true;
        self.candidates[index].out = false;
    }

    /// A node is not as it was read, or does not do for a server.
    pub fn object(&mut self, index: usize, node: Node, server: &Server, objection: Objection) {
        let candidate = &mut self.candidates[index];
        candidate.node = node;
        candidate.out = false;
        candidate.refused.push((server.uuid, objection));
    }

    /// A node is not there any more.
    pub fn forget(&mut self, index: usize) {
        self.candidates[index].out = true;
    }

    /// Would a node do that is held at the moment?
    pub fn has_held(&self, server: &Server, request: &Request<'_>) -> bool {
        let held = self.candidates.iter().filter(|candidate| candidate.held && !candidate.out);
        held.into_iter().any(|candidate| self.objection(candidate, server, request).is_none())
    }

    /// Why each node is not had.
    pub async fn tally(
        &mut self,
        conductor: &Conductor,
        server: &Server,
        request: &Request<'_>,
    ) -> Result<Tally, StoreError> {
        let mut tally = Tally::default();
        let mut told = BTreeSet::new();
        for candidate in &self.candidates {
            // What a server of this round has taken is told by its row, below.
            if candidate.out {
                continue;
            }
            told.insert(candidate.node.uuid);
            let objection = self.objection(candidate, server, request).unwrap_or(Objection::Held);
            tally.add(&candidate.node.label(), objection);
        }
        if self.glimpses.is_none() {
            self.glimpses = Some(conductor.store().glimpses().await?);
        }
        for glimpse in self.glimpses.iter().flatten().filter(|glimpse| !told.contains(&glimpse.uuid)) {
            let objection = request
                .objection_to_glimpse(glimpse)
                .unwrap_or_else(|| Objection::Taken { instance: String::new() });
            tally.add(&glimpse.label(), objection);
        }
        Ok(tally)
    }
}

/// Does a node's network interface look after virtual interfaces at all?
pub fn uses_ports(node: &Node) -> bool {
    hardware::implementation(node, InterfaceKind::Network) != "noop"
}
