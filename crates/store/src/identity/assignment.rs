//! Who has which role where, and which role implies which.

use super::Identity;
use crate::Result;
use crate::transaction::Write;
use model::identity::{Actor, Assignment, ImpliedRole, Scope};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

/// What stands as the id of the one system.
const ALL: &str = "all";

/// An actor as columns.
fn actor(actor: &Actor) -> (&'static str, &str) {
    match actor {
        Actor::User(id) => ("user", id),
        Actor::Group(id) => ("group", id),
    }
}

/// A scope as columns.
fn scope(scope: &Scope) -> (&'static str, &str) {
    match scope {
        Scope::Project(id) => ("project", id),
        Scope::Domain(id) => ("domain", id),
        Scope::System => ("system", ALL),
    }
}

fn decode(row: &AnyRow) -> Result<Assignment> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let actor = match text("actor")?.as_str() {
        "group" => Actor::Group(text("actor_id")?),
        _ => Actor::User(text("actor_id")?),
    };
    let scope = match text("scope")?.as_str() {
        "project" => Scope::Project(text("scope_id")?),
        "domain" => Scope::Domain(text("scope_id")?),
        _ => Scope::System,
    };
    let inherited: i64 = row.try_get("inherited")?;
    Ok(Assignment { actor, scope, role_id: text("role_id")?, inherited: inherited != 0 })
}

const COLUMNS: &str = "actor, actor_id, scope, scope_id, role_id, inherited";

impl Identity<'_> {
    /// Every assignment.
    pub async fn assignments(&self) -> Result<Vec<Assignment>> {
        let sql = format!("SELECT {COLUMNS} FROM identity_assignments ORDER BY id");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(self.store.read()).await?;
        rows.iter().map(decode).collect()
    }

    /// The assignments of an actor itself.
    pub async fn assignments_of(&self, who: &Actor) -> Result<Vec<Assignment>> {
        let (kind, id) = actor(who);
        let sql = format!(
            "SELECT {COLUMNS} FROM identity_assignments WHERE actor = $1 AND actor_id = $2 ORDER BY id"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(kind).bind(id.to_owned());
        query.fetch_all(self.store.read()).await?.iter().map(decode).collect()
    }

    /// The assignments of a user and of the groups that it is in.
    pub async fn assignments_of_user(&self, user: &str) -> Result<Vec<Assignment>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM identity_assignments WHERE (actor = 'user' AND actor_id = $1) OR (actor = 'group' AND \
             actor_id IN (SELECT group_id FROM identity_members WHERE user_id = $2)) ORDER BY id"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(user.to_owned()).bind(user.to_owned());
        query.fetch_all(self.store.read()).await?.iter().map(decode).collect()
    }

    /// Gives a role; once more is no error.
    pub async fn assign(&self, assignment: &Assignment) -> Result<()> {
        let mut tx = self.store.write().await?;
        insert(&mut tx, assignment).await?;
        self.commit(tx).await
    }

    /// Takes a role away; out comes whether it was there.
    pub async fn unassign(&self, assignment: &Assignment) -> Result<bool> {
        let ((kind, id), (place, place_id)) = (actor(&assignment.actor), scope(&assignment.scope));
        let mut tx = self.store.write().await?;
        let done = sqlx::query(
            "DELETE FROM identity_assignments WHERE actor = $1 AND actor_id = $2 AND scope = $3 AND scope_id = $4 \
             AND role_id = $5 AND inherited = $6",
        )
        .bind(kind)
        .bind(id.to_owned())
        .bind(place)
        .bind(place_id.to_owned())
        .bind(assignment.role_id.clone())
        .bind(i64::from(assignment.inherited))
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    /// The rules by which roles imply others.
    pub async fn implied_roles(&self) -> Result<Vec<ImpliedRole>> {
        let rows = sqlx::query("SELECT prior, implied FROM identity_implied_roles ORDER BY prior, implied")
            .fetch_all(self.store.read())
            .await?;
        rows.iter()
            .map(|row| Ok(ImpliedRole { prior: row.try_get("prior")?, implied: row.try_get("implied")? }))
            .collect()
    }

    /// Adds a rule; once more is no error.
    pub async fn imply(&self, rule: &ImpliedRole) -> Result<()> {
        let mut tx = self.store.write().await?;
        insert_rule(&mut tx, rule).await?;
        self.commit(tx).await
    }

    /// Takes a rule away; out comes whether it was there.
    pub async fn stop_implying(&self, rule: &ImpliedRole) -> Result<bool> {
        let mut tx = self.store.write().await?;
        let done = sqlx::query("DELETE FROM identity_implied_roles WHERE prior = $1 AND implied = $2")
            .bind(rule.prior.clone())
            .bind(rule.implied.clone())
            .execute(&mut *tx)
            .await?;
        self.commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }
}

/// Gives a role within a transaction.
pub(super) async fn insert(tx: &mut Write, assignment: &Assignment) -> Result<()> {
    let ((kind, id), (place, place_id)) = (actor(&assignment.actor), scope(&assignment.scope));
    sqlx::query(
        "INSERT INTO identity_assignments (actor, actor_id, scope, scope_id, role_id, inherited) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(kind)
    .bind(id.to_owned())
    .bind(place)
    .bind(place_id.to_owned())
    .bind(assignment.role_id.clone())
    .bind(i64::from(assignment.inherited))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Adds a rule within a transaction.
pub(super) async fn insert_rule(tx: &mut Write, rule: &ImpliedRole) -> Result<()> {
    sqlx::query("INSERT INTO identity_implied_roles (prior, implied) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(rule.prior.clone())
        .bind(rule.implied.clone())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Takes every role of an actor away, within a transaction.
pub(super) async fn forget_actor(tx: &mut Write, who: &Actor) -> Result<()> {
    let (kind, id) = actor(who);
    sqlx::query("DELETE FROM identity_assignments WHERE actor = $1 AND actor_id = $2")
        .bind(kind)
        .bind(id.to_owned())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Takes every role at a place away, within a transaction.
pub(super) async fn forget_scope(tx: &mut Write, place: &Scope) -> Result<()> {
    let (kind, id) = scope(place);
    sqlx::query("DELETE FROM identity_assignments WHERE scope = $1 AND scope_id = $2")
        .bind(kind)
        .bind(id.to_owned())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
