//! What the synchronisation of power reads: a few columns of each node that rests, never a document.

use crate::{Result, Store};
use model::node::{Fault, PowerState};
use model::state::{Kind, ProvisionState};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

/// A node whose power may be asked for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerRow {
    /// Its place in the walk.
    pub id: i64,
    /// The node.
    pub uuid: Uuid,
    /// Which conductors may manage it.
    pub conductor_group: String,
    /// Its hardware type.
    pub driver: String,
    /// Power as recorded.
    pub power_state: Option<PowerState>,
    /// When it last changed, in microseconds since 1970: settings that were read then are still good.
    pub updated_us: i64,
    /// It is in maintenance because its BMC failed, and waits for it to come back.
    pub is_failed: bool,
}

/// Does nobody but a user act on a node in this state? Machines that wait for their ramdisk are left alone: their power is part of
/// what is going on. So are those that were never verified or adopted.
#[must_use]
pub fn rests(state: ProvisionState) -> bool {
    !matches!(state, ProvisionState::Enroll | ProvisionState::AdoptFailed)
        && matches!(state.kind(), Kind::Stable | Kind::Failure | Kind::Hold)
}

impl Store {
    /// The next `limit` nodes behind `after` (0 for the first) whose power is to be known: at rest, free, with nothing to be done, and
    /// not in maintenance but for a failed BMC.
    ///
    /// # Errors
    /// As every read.
    pub async fn power_rows(&self, after: i64, limit: i64) -> Result<Vec<PowerRow>> {
        // The others are named, so that no database takes up its index of states, and sorts what it finds there for each page.
        let states: Vec<_> =
            ProvisionState::ALL.iter().filter(|state| !rests(**state)).map(|state| state.as_str()).collect();
        let marks: Vec<_> = (4..4 + states.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT id, uuid, conductor_group, driver, power_state, updated_us, maintenance FROM nodes \
             WHERE id > $1 AND due_us IS NULL AND lease_holder IS NULL \
             AND (maintenance = 0 OR fault = $2) AND provision_state NOT IN ({}) ORDER BY id LIMIT $3",
            marks.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(Fault::Power.as_str()).bind(limit);
        for state in states {
            query = query.bind(state);
        }
        let rows = query.fetch_all(self.read()).await?;
        let mut nodes = Vec::with_capacity(rows.len());
        for row in rows {
            let Ok(uuid) = Uuid::parse_str(row.try_get("uuid")?) else { continue };
            nodes.push(PowerRow {
                id: row.try_get("id")?,
                uuid,
                conductor_group: row.try_get("conductor_group")?,
                driver: row.try_get("driver")?,
                power_state: row
                    .try_get::<Option<&str>, _>("power_state")?
                    .and_then(|word| word.parse().ok()),
                updated_us: row.try_get::<Option<i64>, _>("updated_us")?.unwrap_or(0),
                is_failed: row.try_get::<i64, _>("maintenance")? != 0,
            });
        }
        Ok(nodes)
    }
}
