//! What is kept for logging in: digests of passwords and secrets, sealed, and since when tokens count.

use super::record::{self, missing};
use super::{Identity, IdentityRecord};
use crate::{Result, micros};
use jiff::Timestamp;
use model::Secret;
use model::identity::{ApplicationCredential, User};
use sqlx::{AssertSqlSafe, Row};

impl Identity<'_> {
    /// The digest of a user's password; none where nobody can know one.
    pub async fn password(&self, user: &str) -> Result<Option<Secret>> {
        let row = sqlx::query("SELECT password FROM identity_users WHERE uuid = $1")
            .bind(user.to_owned())
            .fetch_optional(self.store.read())
            .await?
            .ok_or_else(|| missing::<User>(user))?;
        self.open::<User>(user, row.try_get("password")?)
    }

    /// Since when a user's tokens are valid.
    pub async fn valid_since(&self, user: &str) -> Result<Timestamp> {
        let row = sqlx::query("SELECT valid_since_us FROM identity_users WHERE uuid = $1")
            .bind(user.to_owned())
            .fetch_optional(self.store.read())
            .await?
            .ok_or_else(|| missing::<User>(user))?;
        Ok(time(row.try_get("valid_since_us")?))
    }

    /// Stores a new user with the digest of its password.
    pub async fn create_user(&self, user: &User, password: Option<&Secret>) -> Result<()> {
        let mut tx = self.store.write().await?;
        record::insert(&mut tx, user).await?;
        if let Some(digest) = password {
            self.put_digest::<User>(&mut tx, "password", &user.id, digest).await?;
        }
        self.commit(tx).await
    }

    /// Changes a user, and its password if one is given. A new password, and disabling the user, end every token that it had.
    pub async fn edit_user<E: From<crate::StoreError>>(
        self,
        id: &str,
        password: Option<&Secret>,
        now: Timestamp,
        change: impl FnOnce(&mut User) -> Result<(), E>,
    ) -> Result<User, E> {
        let mut tx = self.store.write().await?;
        let mut user: User = record::read(&mut tx, id).await?;
        let was_enabled = user.enabled;
        change(&mut user)?;
        record::overwrite(&mut tx, &user).await?;
        if let Some(digest) = password {
            self.put_digest::<User>(&mut tx, "password", id, digest).await?;
        }
        if password.is_some() || (was_enabled && !user.enabled) {
            sqlx::query("UPDATE identity_users SET valid_since_us = $1 WHERE uuid = $2")
                .bind(micros(now))
                .bind(id.to_owned())
                .execute(&mut *tx)
                .await
                .map_err(crate::StoreError::from)?;
        }
        self.commit(tx).await?;
        Ok(user)
    }

    /// Stores an application credential with the digest of its secret.
    pub async fn create_application_credential(
        &self,
        credential: &ApplicationCredential,
        secret: &Secret,
    ) -> Result<()> {
        let mut tx = self.store.write().await?;
        record::insert(&mut tx, credential).await?;
        self.put_digest::<ApplicationCredential>(&mut tx, "secret", &credential.id, secret).await?;
        self.commit(tx).await
    }

    /// The digest of an application credential's secret.
    pub async fn application_credential_secret(&self, id: &str) -> Result<Option<Secret>> {
        let row = sqlx::query("SELECT secret FROM identity_application_credentials WHERE uuid = $1")
            .bind(id.to_owned())
            .fetch_optional(self.store.read())
            .await?
            .ok_or_else(|| missing::<ApplicationCredential>(id))?;
        self.open::<ApplicationCredential>(id, row.try_get("secret")?)
    }

    /// Seals a digest into a row.
    pub(super) async fn put_digest<R: IdentityRecord>(
        &self,
        tx: &mut crate::transaction::Write,
        column: &'static str,
        id: &str,
        digest: &Secret,
    ) -> Result<()> {
        let sealed = self.store.sealer().seal(&place::<R>(id), digest.expose().as_bytes())?;
        let sql = format!("UPDATE {} SET {column} = $1 WHERE uuid = $2", R::TABLE);
        sqlx::query(AssertSqlSafe(sql)).bind(sealed).bind(id.to_owned()).execute(&mut **tx).await?;
        Ok(())
    }

    fn open<R: IdentityRecord>(&self, id: &str, sealed: Option<Vec<u8>>) -> Result<Option<Secret>> {
        let Some(sealed) = sealed else { return Ok(None) };
        let place = place::<R>(id);
        let plain = self.store.sealer().open_sealed(&place, &sealed)?;
        let digest = String::from_utf8(plain).map_err(|_| crate::StoreError::Seal { what: place })?;
        Ok(Some(Secret::new(digest)))
    }
}

/// What a digest is sealed for.
fn place<R: IdentityRecord>(id: &str) -> String {
    format!("{} {id}", R::WHAT)
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}
