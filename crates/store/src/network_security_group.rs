//! Security groups, each with its rules in one document.

use crate::network::NetworkError;
use crate::record::{Query, Record, insert, overwrite, read};
use crate::select::Column;
use crate::{Result, Store, StoreError};
use jiff::Timestamp;
use model::network::{DEFAULT_GROUP, NetworkPort, SecurityGroup};
use uuid::Uuid;

impl Record for SecurityGroup {
    const TABLE: &'static str = "security_groups";
    const WHAT: &'static str = "Security group";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "uuid"), ("name", "name")];

    fn uuid(&self) -> Uuid {
        self.id
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        let default_of = (self.name == DEFAULT_GROUP).then_some(self.project_id.as_str());
        vec![
            ("name", Column::text(Some(&self.name))),
            ("owner", Column::text(Some(&self.project_id))),
            ("default_of", Column::text(default_of)),
            ("rules", Column::Number(Some(i64::try_from(self.rules.len()).unwrap_or(i64::MAX)))),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(Some(self.updated_at))),
        ]
    }
}

impl Store {
    /// The group `default` of a project, which is made when it is first asked for.
    pub async fn default_security_group(&self, project: &str, now: Timestamp) -> Result<SecurityGroup> {
        let query = Query::equal("default_of", project);
        if let Some(group) = self.list(&query).await?.pop() {
            return Ok(group);
        }
        let ids = std::array::from_fn(|_| Uuid::new_v4());
        let group = SecurityGroup::default_of(ids, project, now);
        match self.create(&group).await {
            Ok(()) => Ok(group),
            // Somebody else has asked at the same time.
            Err(error @ StoreError::Duplicate { .. }) => self.list(&query).await?.pop().ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Stores a new group, within its project's quotas.
    pub async fn create_security_group(&self, group: &SecurityGroup) -> Result<(), NetworkError> {
        let mut tx = self.write().await?;
        tx.check_quota(&group.project_id, "security_group", 1).await?;
        insert(&mut tx, group).await?;
        Ok(tx.commit().await?)
    }

    /// Changes a group as it is stored now; rules that are added must be within its project's quota.
    pub async fn edit_security_group<E: From<NetworkError>>(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut SecurityGroup) -> Result<(), E>,
    ) -> Result<SecurityGroup, E> {
        let mut tx = self.write().await.map_err(NetworkError::from)?;
        let mut group: SecurityGroup = read(&mut tx, id).await.map_err(NetworkError::from)?;
        let before = group.rules.len();
        change(&mut group)?;
        if let Some(more) = group.rules.len().checked_sub(before).filter(|more| *more > 0) {
            let more = i64::try_from(more).unwrap_or(i64::MAX);
            tx.check_quota(&group.project_id, "security_group_rule", more).await?;
        }
        overwrite(&mut tx, &group).await.map_err(NetworkError::from)?;
        tx.commit().await.map_err(NetworkError::from)?;
        Ok(group)
    }

    /// Forgets a group that no port is in.
    pub async fn delete_security_group(&self, group: &SecurityGroup) -> Result<(), NetworkError> {
        let ports: Vec<NetworkPort> = self.list(&Query::equal("owner", group.project_id.as_str())).await?;
        if ports.iter().any(|port| port.security_groups.contains(&group.id)) {
            return Err(NetworkError::GroupInUse(group.id));
        }
        Ok(self.delete::<SecurityGroup>(group.id).await?)
    }
}
