//! A node as a resource provider.

use super::filters::Amounts;
use crate::cloud::{Call, CloudError};
use jiff::Timestamp;
use model::node::Node;
use model::state::ProvisionState;
use serde_json::{Map, Value, json};
use store::{ListedNode, NodeQuery, StoreError};
use uuid::Uuid;

/// What Placement keeps of a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Provider {
    /// The node's UUID; the provider's name is the same in text, as Nova names it.
    pub uuid: Uuid,
    /// The node's resource class as Placement writes it; none: the node has none, and nothing to give.
    pub class: Option<String>,
    /// The server that has the node.
    pub consumer: Option<String>,
    /// Can't be given to anybody, whether it is taken or not.
    pub reserved: bool,
    /// Traits.
    pub traits: Vec<String>,
    /// Whose server it is, as far as the node tells.
    pub project: Option<String>,
    /// When the node last changed.
    pub changed_at: Timestamp,
}

impl Provider {
    /// As Nova's driver reports a node: a node that is taken is reserved too, so that nobody is given it between the end of its server
    /// and the end of its cleaning.
    pub fn of(node: &Node) -> Self {
        let unusable = node.maintenance
            || node.retired
            || node.provision_state != ProvisionState::Available
            || node.resource_class.is_none();
        Self {
            uuid: node.uuid,
            class: node.resource_class.as_deref().map(class_name),
            consumer: node.instance_uuid.clone(),
            reserved: unusable || node.instance_uuid.is_some(),
            traits: node.traits.iter().cloned().collect(),
            project: node.lessee.clone().or_else(|| node.owner.clone()),
            changed_at: node.updated_at.unwrap_or(node.created_at),
        }
    }

    /// Grows with every change of the node.
    pub fn generation(&self) -> i64 {
        self.changed_at.as_second()
    }

    /// What it has, by resource class.
    pub fn inventories(&self) -> Value {
        let mut inventories = Map::new();
        if let Some(class) = &self.class {
            inventories.insert(class.clone(), self.inventory());
        }
        Value::Object(inventories)
    }

    /// What it has of its class.
    pub fn inventory(&self) -> Value {
        json!({
            "total": 1,
            "reserved": i32::from(self.reserved),
            "min_unit": 1,
            "max_unit": 1,
            "step_size": 1,
            "allocation_ratio": 1.0,
        })
    }

    /// How much of its class is taken.
    pub fn used(&self) -> i64 {
        i64::from(self.consumer.is_some())
    }

    /// What is taken, by resource class.
    pub fn usages(&self) -> Value {
        let mut usages = Map::new();
        if let Some(class) = &self.class {
            usages.insert(class.clone(), json!(self.used()));
        }
        Value::Object(usages)
    }

    /// What its server has of it.
    pub fn allocated(&self) -> Value {
        let mut resources = Map::new();
        if let Some(class) = &self.class {
            resources.insert(class.clone(), json!(1));
        }
        Value::Object(resources)
    }

    /// Could it give all of this now?
    pub fn can_give(&self, amounts: &Amounts) -> bool {
        amounts.iter().all(|(class, amount)| {
            self.class.as_ref() == Some(class) && *amount == 1 && !self.reserved && self.consumer.is_none()
        })
    }
}

/// A node's resource class as Placement writes it: `CUSTOM_`, capitals, and an underscore for everything else.
///
/// Source: os-resource-classes' `normalize_name`, by which Nova asks for what a flavor names.
pub(super) fn class_name(class: &str) -> String {
    let plain = class
        .to_uppercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect::<String>();
    match plain.strip_prefix("CUSTOM_") {
        Some(_) => plain,
        None => format!("CUSTOM_{plain}"),
    }
}

/// Every provider, in the order in which their nodes were made.
pub(super) async fn all(call: &Call) -> Result<Vec<Provider>, CloudError> {
    let query = NodeQuery { limit: i64::MAX, include_children: true, ..NodeQuery::default() };
    let nodes = call.state.store.listed_nodes(&query).await?;
    Ok(nodes.iter().map(|ListedNode { node, .. }| Provider::of(node)).collect())
}

/// The provider that the path names.
pub(super) async fn named(call: &Call) -> Result<Provider, CloudError> {
    let ident = call.parameter("provider");
    let missing = || {
        CloudError::not_found(format!("No resource provider with uuid {ident} found"))
            .kind("placement.resource_provider.not_found")
    };
    // A node's name is no provider's.
    let uuid = Uuid::try_parse(ident).map_err(|_| missing())?;
    match call.state.store.node(&uuid.to_string()).await {
        Ok(row) => Ok(Provider::of(&row.node)),
        Err(StoreError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_as_flavors_ask_for_them() {
        for (class, name) in [
            ("baremetal", "CUSTOM_BAREMETAL"),
            ("Big-iron.2", "CUSTOM_BIG_IRON_2"),
            ("CUSTOM_X", "CUSTOM_X"),
            ("ß", "CUSTOM_SS"),
        ] {
            assert_eq!(class_name(class), name);
        }
    }

    #[test]
    fn a_node_is_to_be_had_while_it_is_available_and_nobodys() {
        let mut node = Node::new(Uuid::new_v4(), "ipmi", Timestamp::now());
        node.resource_class = Some("x".into());
        node.provision_state = ProvisionState::Available;
        let wish = Amounts::from([("CUSTOM_X".to_owned(), 1)]);
        assert!(Provider::of(&node).can_give(&wish));
        assert!(!Provider::of(&node).can_give(&Amounts::from([("CUSTOM_X".to_owned(), 2)])));
        assert!(!Provider::of(&node).can_give(&Amounts::from([("VCPU".to_owned(), 1)])));
        let spoil: [fn(&mut Node); 4] = [
            |node| node.maintenance = true,
            |node| node.retired = true,
            |node| node.provision_state = ProvisionState::Enroll,
            |node| node.instance_uuid = Some("i".into()),
        ];
        for spoil in spoil {
            let mut spoilt = node.clone();
            spoil(&mut spoilt);
            let provider = Provider::of(&spoilt);
            assert!(provider.reserved && !provider.can_give(&wish));
        }
    }
}
