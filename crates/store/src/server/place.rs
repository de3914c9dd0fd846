//! What the scheduler reads of nodes.

use crate::{NodeQuery, NodeRow, Result, Store};
use model::compute::scheduler::Glimpse;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::HashMap;
use uuid::Uuid;

impl Store {
    /// What columns tell of every node, in the order of their registration. No document is read.
    pub async fn glimpses(&self) -> Result<Vec<Glimpse>> {
        let rows = sqlx::query(
            "SELECT uuid, name, provision_state, maintenance, retired, resource_class, conductor_group, instance_uuid, lessee, \
             parent_node FROM nodes ORDER BY id",
        )
        .fetch_all(self.read())
        .await?;
        let mut glimpses = Vec::with_capacity(rows.len());
        for row in &rows {
            glimpses.extend(glimpse(row)?);
        }
        Ok(glimpses)
    }

    /// Nodes that are available and without an instance, those of some resource classes or all, oldest first, at most `limit` of each
    /// class; those that somebody holds are among them.
    pub async fn free_nodes(&self, resource_classes: Option<&[String]>, limit: i64) -> Result<Vec<NodeRow>> {
        let mut nodes = Vec::new();
        let classes: Vec<Option<&String>> =
            resource_classes.map_or_else(|| vec![None], |classes| classes.iter().map(Some).collect());
        for class in classes {
            let mut equal = vec![("provision_state", "available".to_owned())];
            equal.extend(class.map(|class| ("resource_class", class.clone())));
            let query = NodeQuery {
                equal,
                associated: Some(false),
                maintenance: Some(false),
                retired: Some(false),
                limit,
                ..NodeQuery::default()
            };
            nodes.extend(self.nodes(&query).await?);
        }
        Ok(nodes)
    }

    /// Every resource class that a node has.
    pub async fn resource_classes(&self) -> Result<Vec<String>> {
        let rows = sqlx::query("SELECT DISTINCT resource_class FROM nodes WHERE resource_class IS NOT NULL")
            .fetch_all(self.read())
            .await?;
        rows.iter().map(|row| Ok(row.try_get("resource_class")?)).collect()
    }

    /// How many ports each node has.
    pub async fn port_counts(&self) -> Result<HashMap<Uuid, usize>> {
        let rows = sqlx::query("SELECT node_uuid, COUNT(*) AS ports FROM ports GROUP BY node_uuid")
            .fetch_all(self.read())
            .await?;
        let mut counts = HashMap::with_capacity(rows.len());
        for row in &rows {
            if let Ok(node) = Uuid::parse_str(row.try_get("node_uuid")?) {
                counts.insert(node, usize::try_from(row.try_get::<i64, _>("ports")?).unwrap_or(0));
            }
        }
        Ok(counts)
    }
}

/// One row; none where a word in it is of another version.
fn glimpse(row: &AnyRow) -> Result<Option<Glimpse>> {
    let state: String = row.try_get("provision_state")?;
    let uuid: String = row.try_get("uuid")?;
    let parent: Option<String> = row.try_get("parent_node")?;
    let (Ok(uuid), Ok(provision_state)) = (Uuid::parse_str(&uuid), state.parse()) else { return Ok(None) };
    Ok(Some(Glimpse {
        uuid,
        name: row.try_get("name")?,
        provision_state,
        maintenance: row.try_get::<i64, _>("maintenance")? != 0,
        retired: row.try_get::<i64, _>("retired")? != 0,
        resource_class: row.try_get("resource_class")?,
        conductor_group: row.try_get("conductor_group")?,
        instance_uuid: row.try_get("instance_uuid")?,
        lessee: row.try_get("lessee")?,
        parent_node: parent.and_then(|text| Uuid::parse_str(&text).ok()),
    }))
}
