//! Who is in which group.

use super::record::{decode, missing};
use super::{Identity, IdentityRecord};
use crate::Result;
use model::identity::{Group, User};
use sqlx::AssertSqlSafe;

impl Identity<'_> {
    /// Puts a user into a group; once more is no error.
    pub async fn add_member(&self, group: &str, user: &str) -> Result<()> {
        let mut tx = self.store.write().await?;
        let done = sqlx::query(
            "INSERT INTO identity_members (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(group.to_owned())
        .bind(user.to_owned())
        .execute(&mut *tx)
        .await;
        match done {
            // The caller has seen both; one of them went in between.
            Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
                return Err(missing::<User>(user));
            }
            other => other?,
        };
        self.commit(tx).await
    }

    /// Takes a user out of a group; out comes whether it was in there.
    pub async fn remove_member(&self, group: &str, user: &str) -> Result<bool> {
        let mut tx = self.store.write().await?;
        let done = sqlx::query("DELETE FROM identity_members WHERE group_id = $1 AND user_id = $2")
            .bind(group.to_owned())
            .bind(user.to_owned())
            .execute(&mut *tx)
            .await?;
        self.commit(tx).await?;
        Ok(done.rows_affected() > 0)
    }

    /// The users in a group.
    pub async fn members(&self, group: &str) -> Result<Vec<User>> {
        self.across::<User>("user_id", "group_id", group).await
    }

    /// The groups that a user is in.
    pub async fn groups_of(&self, user: &str) -> Result<Vec<Group>> {
        self.across::<Group>("group_id", "user_id", user).await
    }

    async fn across<R: IdentityRecord>(&self, wanted: &str, given: &str, id: &str) -> Result<Vec<R>> {
        let sql = format!(
            "SELECT doc FROM {} WHERE uuid IN (SELECT {wanted} FROM identity_members WHERE {given} = $1) ORDER BY id",
            R::TABLE
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned());
        query.fetch_all(self.store.read()).await?.iter().map(decode).collect()
    }
}
