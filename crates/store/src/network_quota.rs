//! How many of each resource of the network service a project may have, and has.

use crate::network::NetworkError;
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use model::network::QuotaResource;
use sqlx::{AssertSqlSafe, Row};
use std::collections::BTreeMap;

/// Where a resource is counted: an expression over a table; none: there are none here.
fn counted(resource: &str) -> Option<(&'static str, &'static str)> {
    match resource {
        "network" => Some(("COUNT(*)", "networks")),
        "subnet" => Some(("COUNT(*)", "subnets")),
        "port" => Some(("COUNT(*)", "network_ports")),
        "security_group" => Some(("COUNT(*)", "security_groups")),
        "security_group_rule" => Some(("COALESCE(SUM(rules), 0)", "security_groups")),
        _ => None,
    }
}

fn count_sql(resource: &str) -> Option<String> {
    let (count, table) = counted(resource)?;
    Some(format!("SELECT CAST({count} AS BIGINT) AS count FROM {table} WHERE owner = $1"))
}

impl Store {
    /// The quotas that somebody has set for a project, by resource.
    pub async fn network_quotas(&self, project: &str) -> Result<BTreeMap<String, i64>> {
        let sql = "SELECT resource, most FROM network_quotas WHERE project_id = $1";
        let rows = sqlx::query(sql).bind(project).fetch_all(self.read()).await?;
        rows.iter().map(|row| Ok((row.try_get("resource")?, row.try_get("most")?))).collect()
    }

    /// The projects for which somebody has set quotas.
    pub async fn network_quota_projects(&self) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT project_id FROM network_quotas ORDER BY project_id";
        let rows = sqlx::query(sql).fetch_all(self.read()).await?;
        rows.iter().map(|row| Ok(row.try_get("project_id")?)).collect()
    }

    /// Sets quotas of a project; -1: any number.
    pub async fn put_network_quotas(&self, project: &str, quotas: &[(&str, i64)]) -> Result<()> {
        let mut tx = self.write().await?;
        for (resource, most) in quotas {
            sqlx::query(
                "INSERT INTO network_quotas (project_id, resource, most) VALUES ($1, $2, $3) \
                 ON CONFLICT (project_id, resource) DO UPDATE SET most = excluded.most",
            )
            .bind(project)
            .bind((*resource).to_owned())
            .bind(*most)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await
    }

    /// Goes back to the defaults for a project.
    pub async fn delete_network_quotas(&self, project: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let sql = "DELETE FROM network_quotas WHERE project_id = $1";
        sqlx::query(sql).bind(project).execute(&mut *tx).await?;
        tx.commit().await
    }

    /// How many of a resource a project has.
    pub async fn network_usage(&self, project: &str, resource: &str) -> Result<i64> {
        let Some(sql) = count_sql(resource) else { return Ok(0) };
        let row = sqlx::query(AssertSqlSafe(sql)).bind(project).fetch_one(self.read()).await?;
        Ok(row.try_get("count")?)
    }
}

impl Write {
    /// May the project have `more` of a resource?
    pub(crate) async fn check_quota(
        &mut self,
        project: &str,
        resource: &'static str,
        more: i64,
    ) -> Result<(), NetworkError> {
        let failed = StoreError::from;
        let sql = "SELECT most FROM network_quotas WHERE project_id = $1 AND resource = $2";
        let row = sqlx::query(sql)
            .bind(project)
            .bind(resource)
            .fetch_optional(&mut **self)
            .await
            .map_err(failed)?;
        let most = match row {
            Some(row) => row.try_get("most").map_err(failed)?,
            None => QuotaResource::named(resource).map_or(-1, |resource| resource.default),
        };
        let Some(sql) = count_sql(resource).filter(|_| most >= 0) else { return Ok(()) };
        let row =
            sqlx::query(AssertSqlSafe(sql)).bind(project).fetch_one(&mut **self).await.map_err(failed)?;
        let used: i64 = row.try_get("count").map_err(failed)?;
        if used.saturating_add(more) > most {
            return Err(NetworkError::OverQuota { resource, used, most });
        }
        Ok(())
    }
}
