//! Quotas of the compute service.

use crate::record::{self, Query, Record};
use crate::select::Column;
use crate::{Result, Store};
use model::compute::Quota;
use model::compute::quota::{DEFAULTS, Limits, QuotaResource};
use std::collections::BTreeMap;
use uuid::Uuid;

impl Record for Quota {
    const TABLE: &'static str = "compute_quotas";
    const WHAT: &'static str = "Quota";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "id")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("holder", Column::text(Some(&self.holder)))]
    }
}

impl Store {
    /// The limits that hold for a project; without one, those of every project that has none of its own.
    pub async fn compute_limits(&self, project: Option<&str>) -> Result<Limits> {
        let own = match project {
            Some(project) => self.compute_quota(project).await?,
            None => None,
        };
        let class = self.compute_quota(DEFAULTS).await?;
        Ok(Limits::of(own.as_ref(), class.as_ref()))
    }

    /// Sets some limits of a project, or of [`DEFAULTS`]; the others stay as they are.
    pub async fn set_compute_quota(&self, holder: &str, limits: &BTreeMap<QuotaResource, i64>) -> Result<()> {
        let known = self.compute_quota(holder).await?;
        let uuid = known.as_ref().map_or_else(Uuid::new_v4, |quota| quota.uuid);
        let mut tx = self.write().await?;
        if known.is_none() {
            let quota = Quota { uuid, holder: holder.to_owned(), limits: limits.clone() };
            record::insert(&mut tx, &quota).await?;
        } else {
            let mut quota: Quota = record::read(&mut tx, uuid).await?;
            quota.limits.extend(limits);
            record::overwrite(&mut tx, &quota).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Forgets what was set for a project; nothing set is no error.
    pub async fn delete_compute_quota(&self, holder: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM compute_quotas WHERE holder = $1")
            .bind(holder.to_owned())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn compute_quota(&self, holder: &str) -> Result<Option<Quota>> {
        Ok(self.list(&Query::equal("holder", holder).limit(1)).await?.into_iter().next())
    }
}
