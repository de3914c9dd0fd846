//! Where the rules of [`crate::policy`] are asked: once for each call before its handler runs, and again by handlers where only they
//! know what the call is aimed at.
//!
//! * A rule that looks at no target is asked of the route's row.
//! * A path with `{node}` is held to the rule with that node: a node that the caller may not see isn't there (404), whatever is done
//!   with it; one that can be seen and not used so is refused (403).
//! * A list is confined to the caller's project where the rule for all (`…:list_all`) refuses: [`Call::confined_to`].
//! * Everything else is found by one function of its resource, which asks. `tests/suite/ratchet.rs` walks every row with a caller who may
//!   do nothing, so that none is forgotten.
//!
//! Only Keystone's callers have rules; see [`crate::auth`].

use crate::call::Call;
use crate::error::ApiError;
use crate::policy::{self, Target};
use crate::route::Route;
use crate::wording::display;
use axum::http::StatusCode;
use model::node::Node;
use serde_json::Value;
use store::{NodeRow, Scope};
use uuid::Uuid;

impl Call {
    /// Holds the call to its route's rule, as far as that can be done before the handler runs.
    pub(crate) async fn authorize(&self, route: &Route) -> Result<(), ApiError> {
        if self.caller.identity.is_none() || route.public {
            return Ok(());
        }
        let aims_at_node = self.parameters.iter().any(|(name, _)| *name == "node");
        // A node that isn't there and one that can't be seen must read the same, so neither is left to the handler.
        let row = if aims_at_node { Some(self.node().await?) } else { None };
        if route.own_check {
            return Ok(());
        }
        let is_part_of_another = !self.parameters.is_empty() && !aims_at_node;
        if policy::find(&list_all(route.policy)).is_some() {
            // What a path names besides a node is found by the handler, and may be hidden.
            if is_part_of_another {
                return Ok(());
            }
            return self.confined_to(route.policy).map(|_| ());
        }
        match &row {
            Some(row) => self.check(route.policy, &Target::node(&row.node)),
            // Whose it is, is known once it is found.
            None if is_part_of_another && looks_at_target(route.policy) => Ok(()),
            None => self.check(route.policy, &Target::NONE),
        }
    }

    /// May the caller do what the rule guards to this target?
    pub fn may(&self, rule: &str, target: &Target<'_>) -> bool {
        self.caller
            .identity
            .as_ref()
            .is_none_or(|identity| policy::admits(rule, &identity.credentials, target))
    }

    /// Refuses with 403 what the caller may not do.
    pub fn check(&self, rule: &str, target: &Target<'_>) -> Result<(), ApiError> {
        if self.may(rule, target) {
            return Ok(());
        }
        Err(ApiError::forbidden(format!("Access was denied to the following resource: {rule}")))
    }

    /// Refuses with 404 a node that the caller may not see.
    pub fn see_node(&self, node: &Node, ident: &str) -> Result<(), ApiError> {
        if self.may("baremetal:node:get", &Target::node(node)) {
            return Ok(());
        }
        Err(ApiError::not_found(format!("Node {ident} could not be found.")))
    }

    /// Holds the call to its rule with a thing that belongs to a node. Where the caller may not see the node, the thing isn't there, as
    /// `missing` says.
    pub async fn check_part(&self, node: Uuid, missing: impl Fn() -> String) -> Result<(), ApiError> {
        if self.caller.identity.is_none() {
            return Ok(());
        }
        let gone = |error: ApiError| match error.status {
            StatusCode::NOT_FOUND => ApiError::not_found(missing()),
            _ => error,
        };
        let row = self.find_node(&node.to_string()).await.map_err(gone)?;
        self.check(self.rule, &Target::node(&row.node))
    }

    /// The project that a list shows the things of; none where the caller sees all. `rule` is the list's, `…:list`.
    pub fn confined_to(&self, rule: &str) -> Result<Option<&str>, ApiError> {
        let all = list_all(rule);
        if self.may(&all, &Target::NONE) {
            return Ok(None);
        }
        match self.project() {
            None => Err(self.check(&all, &Target::NONE).err().unwrap_or_else(|| ApiError::forbidden(all))),
            Some(project) => self.check(rule, &Target::NONE).map(|()| Some(project)),
        }
    }

    /// The same for a list of things that belong to nodes: those of the nodes that the project owns or uses.
    pub fn node_scope(&self) -> Result<Option<Scope>, ApiError> {
        let project = self.confined_to(self.rule)?;
        Ok(project.map(|project| Scope::OfNodes("node_uuid", project.to_owned())))
    }

    /// The project that the caller acts in.
    pub fn project(&self) -> Option<&str> {
        self.caller.identity.as_ref()?.credentials.project.as_deref()
    }

    /// Does the caller act for the whole system? Who is held to no rules does.
    pub fn is_operator(&self) -> bool {
        self.caller.identity.as_ref().is_none_or(|identity| identity.credentials.system)
    }

    /// The node that a new thing is to belong to, if the call's rule lets the caller. Who may not is not told whether there is such a
    /// node.
    pub async fn parent_node(&self, ident: &str) -> Result<NodeRow, ApiError> {
        match self.any_node(ident).await {
            Ok(row) => self.check(self.rule, &Target::node(&row.node)).map(|()| row),
            Err(error) if error.status == StatusCode::NOT_FOUND => {
                self.check(self.rule, &Target::NONE)?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The node that something of `owner` is to be linked to by `field`: one that the caller sees and that has the same owner. Otherwise
    /// the refusal does not tell whether there is such a node.
    pub async fn linked_node(
        &self,
        owner: Option<&str>,
        field: &str,
        value: &Value,
    ) -> Result<NodeRow, ApiError> {
        let found = match value {
            Value::String(ident) => self.find_node(ident).await.ok(),
            _ => None,
        };
        found.filter(|row| row.node.owner.as_deref() == owner).ok_or_else(|| {
            ApiError::invalid(format!(
                "Unable to apply the requested {field} '{}'. Requested value was invalid.",
                display(value)
            ))
        })
    }
}

fn looks_at_target(rule: &str) -> bool {
    policy::find(rule).is_some_and(policy::Rule::looks_at_target)
}

fn list_all(rule: &str) -> String {
    format!("{rule}_all")
}
