//! Ports.

use crate::node::{Column, SortDirection};
use crate::{Result, Store, StoreError, micros};
use model::port::Port;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// Filters of a list of ports.
#[derive(Debug, Clone, Default)]
pub struct PortQuery {
    /// Of this node.
    pub node: Option<Uuid>,
    /// With this MAC address (lower case).
    pub address: Option<String>,
    /// Sort column; see [`PortQuery::SORT_COLUMNS`]. None: order of creation.
    pub sort: Option<&'static str>,
    /// Direction.
    pub direction: SortDirection,
    /// Start behind this port.
    pub marker: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

impl PortQuery {
    /// API field and the column that sorts by it.
    pub const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("address", "address"),
        ("name", "name"),
        ("description", "description"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];
}

impl Store {
    /// Registers a port; [`StoreError::Duplicate`] names the field that is taken, [`StoreError::NotFound`] a missing node.
    pub async fn create_port(&self, port: &Port) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO ports (uuid, node_uuid, address, name, description, created_us, updated_us, doc) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(port.uuid.to_string())
        .bind(port.node_uuid.to_string())
        .bind(&port.address)
        .bind(&port.name)
        .bind(&port.description)
        .bind(micros(port.created_at))
        .bind(port.updated_at.map(micros))
        .bind(encode(port)?)
        .execute(&mut *tx)
        .await
        .map_err(|error| conflict(error, port))?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes a changed port over the stored one.
    pub async fn update_port(&self, port: &Port) -> Result<()> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE ports SET node_uuid = $1, address = $2, name = $3, description = $4, updated_us = $5, doc = $6 \
             WHERE uuid = $7",
        )
        .bind(port.node_uuid.to_string())
        .bind(&port.address)
        .bind(&port.name)
        .bind(&port.description)
        .bind(port.updated_at.map(micros))
        .bind(encode(port)?)
        .bind(port.uuid.to_string())
        .execute(&mut *tx)
        .await
        .map_err(|error| conflict(error, port))?;
        tx.commit().await?;
        if done.rows_affected() == 0 { Err(missing(&port.uuid.to_string())) } else { Ok(()) }
    }

    /// Reads a port by UUID or name.
    pub async fn port(&self, ident: &str) -> Result<Port> {
        let row = sqlx::query("SELECT doc FROM ports WHERE uuid = $1 OR name = $2")
            .bind(ident.to_ascii_lowercase())
            .bind(ident)
            .fetch_optional(self.read())
            .await?
            .ok_or_else(|| missing(ident))?;
        decode(&row)
    }

    /// Forgets a port.
    pub async fn delete_port(&self, uuid: Uuid) -> Result<()> {
        let mut tx = self.write().await?;
        let done =
            sqlx::query("DELETE FROM ports WHERE uuid = $1").bind(uuid.to_string()).execute(&mut *tx).await?;
        tx.commit().await?;
        if done.rows_affected() == 0 { Err(missing(&uuid.to_string())) } else { Ok(()) }
    }

    /// Lists ports.
    pub async fn ports(&self, query: &PortQuery) -> Result<Vec<Port>> {
        let mut sql = String::from("SELECT doc FROM ports WHERE 1 = 1");
        let mut values = Vec::new();
        if let Some(node) = query.node {
            values.push(Column::Text(Some(node.to_string())));
            sql.push_str(&format!(" AND node_uuid = ${}", values.len()));
        }
        if let Some(address) = &query.address {
            values.push(Column::Text(Some(address.clone())));
            sql.push_str(&format!(" AND address = ${}", values.len()));
        }
        let sort = query.sort.unwrap_or("id");
        let (compare, order) = match query.direction {
            SortDirection::Ascending => (">", "ASC"),
            SortDirection::Descending => ("<", "DESC"),
        };
        if let Some(marker) = query.marker {
            values.push(Column::Text(Some(marker.to_string())));
            let of_marker =
                |column: &str| format!("(SELECT {column} FROM ports WHERE uuid = ${})", values.len());
            sql.push_str(&format!(
                " AND (COALESCE({sort}, '') {compare} {key} OR (COALESCE({sort}, '') = {key} AND id {compare} {id}))",
                key = of_marker(&format!("COALESCE({sort}, '')")),
                id = of_marker("id"),
            ));
        }
        values.push(Column::Number(Some(query.limit)));
        sql.push_str(&format!(" ORDER BY COALESCE({sort}, '') {order}, id {order} LIMIT ${}", values.len()));
        let mut statement = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            statement = value.bind(statement);
        }
        statement.fetch_all(self.read()).await?.iter().map(decode).collect()
    }

    /// The port with one of these MAC addresses (lower case), the first found in their order.
    pub async fn port_by_addresses(&self, addresses: &[String]) -> Result<Option<Port>> {
        for address in addresses {
            let query = PortQuery { address: Some(address.clone()), limit: 1, ..PortQuery::default() };
            if let Some(port) = self.ports(&query).await?.pop() {
                return Ok(Some(port));
            }
        }
        Ok(None)
    }
}

fn encode(port: &Port) -> Result<String> {
    serde_json::to_string(port)
        .map_err(|source| StoreError::Corrupt { what: format!("port {}", port.uuid), source })
}

fn decode(row: &AnyRow) -> Result<Port> {
    serde_json::from_str(row.try_get("doc")?)
        .map_err(|source| StoreError::Corrupt { what: "port".to_owned(), source })
}

fn missing(ident: &str) -> StoreError {
    StoreError::NotFound { what: "Port", ident: ident.to_owned() }
}

fn conflict(error: sqlx::Error, port: &Port) -> StoreError {
    let Some(database) = error.as_database_error() else { return error.into() };
    if database.is_foreign_key_violation() {
        return StoreError::NotFound { what: "Node", ident: port.node_uuid.to_string() };
    }
    if !database.is_unique_violation() {
        return error.into();
    }
    let (field, value) = if database.message().contains("address") {
        ("address", Some(port.address.clone()))
    } else if database.message().contains("name") {
        ("name", port.name.clone())
    } else {
        ("uuid", Some(port.uuid.to_string()))
    };
    StoreError::Duplicate { what: "port", field, value: value.unwrap_or_default() }
}
