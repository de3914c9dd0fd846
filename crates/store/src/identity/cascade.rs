//! Deleting, with all that goes with it.

use super::record::{self, delete};
use super::{Identity, assignment};
use crate::transaction::Write;
use crate::{Result, StoreError};
use model::identity::{
    Actor, ApplicationCredential, Domain, Endpoint, Group, Project, Region, Role, Scope, Service, User,
};
use sqlx::Row;

impl Identity<'_> {
    /// Forgets a user with its roles, memberships and application credentials.
    pub async fn delete_user(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        delete::<User>(&mut tx, id).await?;
        assignment::forget_actor(&mut tx, &Actor::User(id.to_owned())).await?;
        self.commit(tx).await
    }

    /// Forgets a group with its roles.
    pub async fn delete_group(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        delete::<Group>(&mut tx, id).await?;
        assignment::forget_actor(&mut tx, &Actor::Group(id.to_owned())).await?;
        self.commit(tx).await
    }

    /// Forgets a project with its roles and application credentials; [`StoreError::InUse`] while there are projects below it.
    pub async fn delete_project(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        refuse_while(&mut tx, "SELECT 1 FROM identity_projects WHERE parent_id = $1 LIMIT 1", "project", id)
            .await?;
        delete::<Project>(&mut tx, id).await?;
        assignment::forget_scope(&mut tx, &Scope::Project(id.to_owned())).await?;
        self.commit(tx).await
    }

    /// Forgets a domain with everybody and everything in it, if `allow` agrees.
    pub async fn delete_domain<E: From<StoreError>>(
        self,
        id: &str,
        allow: impl FnOnce(&Domain) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.store.write().await?;
        allow(&record::read(&mut tx, id).await?)?;
        for user in ids(&mut tx, "SELECT uuid FROM identity_users WHERE domain_id = $1", id).await? {
            assignment::forget_actor(&mut tx, &Actor::User(user)).await?;
        }
        for group in ids(&mut tx, "SELECT uuid FROM identity_groups WHERE domain_id = $1", id).await? {
            assignment::forget_actor(&mut tx, &Actor::Group(group)).await?;
        }
        for project in ids(&mut tx, "SELECT uuid FROM identity_projects WHERE domain_id = $1", id).await? {
            assignment::forget_scope(&mut tx, &Scope::Project(project)).await?;
        }
        assignment::forget_scope(&mut tx, &Scope::Domain(id.to_owned())).await?;
        for role in ids(&mut tx, "SELECT uuid FROM identity_roles WHERE domain_id = $1", id).await? {
            delete::<Role>(&mut tx, &role).await?;
        }
        delete::<Domain>(&mut tx, id).await?;
        self.commit(tx).await?;
        Ok(())
    }

    /// Forgets a role; whoever had it has it no more.
    pub async fn delete_role(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        delete::<Role>(&mut tx, id).await?;
        self.commit(tx).await
    }

    /// Forgets a service with its endpoints.
    pub async fn delete_service(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        delete::<Service>(&mut tx, id).await?;
        self.commit(tx).await
    }

    /// Forgets an endpoint.
    pub async fn delete_endpoint(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        delete::<Endpoint>(&mut tx, id).await?;
        self.commit(tx).await
    }

    /// Forgets a region; [`StoreError::InUse`] while it has endpoints or regions.
    pub async fn delete_region(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        let regions = "SELECT 1 FROM identity_regions WHERE parent_region_id = $1 LIMIT 1";
        refuse_while(&mut tx, regions, "region", id).await?;
        let endpoints = "SELECT 1 FROM identity_endpoints WHERE region_id = $1 LIMIT 1";
        refuse_while(&mut tx, endpoints, "region", id).await?;
        delete::<Region>(&mut tx, id).await?;
        self.commit(tx).await
    }

    /// Forgets an application credential; its tokens are void.
    pub async fn delete_application_credential(&self, id: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        delete::<ApplicationCredential>(&mut tx, id).await?;
        self.commit(tx).await
    }
}

async fn refuse_while(tx: &mut Write, sql: &'static str, what: &'static str, id: &str) -> Result<()> {
    if sqlx::query(sql).bind(id.to_owned()).fetch_optional(&mut **tx).await?.is_some() {
        return Err(StoreError::InUse { what, ident: id.to_owned(), parts: "others that belong to it" });
    }
    Ok(())
}

async fn ids(tx: &mut Write, sql: &'static str, id: &str) -> Result<Vec<String>> {
    let rows = sqlx::query(sql).bind(id.to_owned()).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Ok(row.try_get("uuid")?)).collect()
}
