//! What a new site begins with, in one transaction.

use super::{Identity, assignment, record};
use crate::Result;
use model::Secret;
use model::identity::{
    Assignment, DEFAULT_DOMAIN, Domain, Endpoint, ImpliedRole, Project, Region, Role, Service, User,
};
use sqlx::Row;

/// All that is written at a site's first start.
#[derive(Debug)]
pub struct FirstData {
    /// The default domain.
    pub domain: Domain,
    /// Projects.
    pub projects: Vec<Project>,
    /// Users, some with the digest of a password.
    pub users: Vec<(User, Option<Secret>)>,
    /// Roles.
    pub roles: Vec<Role>,
    /// Which implies which.
    pub implied: Vec<ImpliedRole>,
    /// Who has which where.
    pub assignments: Vec<Assignment>,
    /// Regions.
    pub regions: Vec<Region>,
    /// Services.
    pub services: Vec<Service>,
    /// Endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl Identity<'_> {
    /// Was the first data written?
    pub async fn has_first_data(&self) -> Result<bool> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM identity_domains WHERE uuid = $1")
            .bind(DEFAULT_DOMAIN)
            .fetch_one(self.store.read())
            .await?;
        let count: i64 = row.try_get("count")?;
        Ok(count > 0)
    }

    /// Writes the first data, all or nothing; out comes false where some process has been faster.
    pub async fn write_first_data(&self, data: &FirstData) -> Result<bool> {
        let mut tx = self.store.write().await?;
        if record::read::<Domain>(&mut tx, DEFAULT_DOMAIN).await.is_ok() {
            return Ok(false);
        }
        record::insert(&mut tx, &data.domain).await?;
        for project in &data.projects {
            record::insert(&mut tx, project).await?;
        }
        for (user, digest) in &data.users {
            record::insert(&mut tx, user).await?;
            if let Some(digest) = digest {
                self.put_digest::<User>(&mut tx, "password", &user.id, digest).await?;
            }
        }
        for role in &data.roles {
            record::insert(&mut tx, role).await?;
        }
        for rule in &data.implied {
            assignment::insert_rule(&mut tx, rule).await?;
        }
        for one in &data.assignments {
            assignment::insert(&mut tx, one).await?;
        }
        for region in &data.regions {
            record::insert(&mut tx, region).await?;
        }
        for service in &data.services {
            record::insert(&mut tx, service).await?;
        }
        for endpoint in &data.endpoints {
            record::insert(&mut tx, endpoint).await?;
        }
        self.commit(tx).await?;
        Ok(true)
    }
}
