//! What the scheduler reads of nodes.

use crate::node::decode_row;
use crate::{Column, NodeRow, Result, Store};
use model::compute::scheduler::{Glimpse, Sizes};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use std::collections::HashMap;
use uuid::Uuid;

impl Store {
    /// What columns tell of every node, in the order of their registration. No document is read.
    pub async fn glimpses(&self) -> Result<Vec<Glimpse>> {
        let rows = sqlx::query(
            "SELECT uuid, name, provision_state, maintenance, retired, resource_class, conductor_group, instance_uuid, lessee, \
             parent_node, cpus, memory_mb, local_gb FROM nodes ORDER BY id",
        )
        .fetch_all(self.read())
        .await?;
        let mut glimpses = Vec::with_capacity(rows.len());
        for row in &rows {
            glimpses.extend(glimpse(row)?);
        }
        Ok(glimpses)
    }

    /// Nodes that are available and without an instance, of a resource class or of any, and not known to be too small: the smallest
    /// first where sizes are asked for, at most `limit`. Those that somebody holds are among them.
    pub async fn free_nodes(&self, class: Option<&str>, sizes: Sizes, limit: usize) -> Result<Vec<NodeRow>> {
        let mut sql = "SELECT doc, lease_holder FROM nodes WHERE provision_state = 'available' \
                       AND instance_uuid IS NULL AND maintenance = 0 AND retired = 0 AND parent_node IS NULL"
            .to_owned();
        let mut values = Vec::new();
        let Sizes { cpus, memory_mb, local_gb } = sizes;
        for (column, least) in [("cpus", cpus), ("memory_mb", memory_mb), ("local_gb", local_gb)] {
            if least > 0 {
                values.push(Column::Number(Some(i64::try_from(least).unwrap_or(i64::MAX))));
                sql.push_str(&format!(" AND ({column} IS NULL OR {column} >= ${})", values.len()));
            }
        }
        if let Some(class) = class {
            values.push(Column::text(Some(class)));
            sql.push_str(&format!(" AND resource_class = ${}", values.len()));
        }
        let order = if sizes == Sizes::default() {
            "id".to_owned()
        } else {
            format!(
                "COALESCE(cpus, 0) * {} + COALESCE(memory_mb, 0) + COALESCE(local_gb, 0) * {}, id",
                Sizes::OF_CPU,
                Sizes::OF_GB
            )
        };
        values.push(Column::Number(Some(i64::try_from(limit).unwrap_or(i64::MAX))));
        sql.push_str(&format!(" ORDER BY {order} LIMIT ${}", values.len()));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = value.bind(query);
        }
        query.fetch_all(self.read()).await?.iter().map(decode_row).collect()
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
    let mut sizes = Sizes::PROPERTIES.map(|what| (what, None));
    for (what, has) in &mut sizes {
        *has = row.try_get::<Option<i64>, _>(*what)?.and_then(|size| u64::try_from(size).ok());
    }
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
        sizes,
    }))
}
