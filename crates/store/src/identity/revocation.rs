//! Tokens that were ended before their time.

use super::Identity;
use crate::{Result, micros};
use jiff::Timestamp;

impl Identity<'_> {
    /// Ends a token, which would have lived `until` then; forgets those whose time has passed meanwhile.
    pub async fn revoke(&self, audit_id: &str, until: Timestamp, now: Timestamp) -> Result<()> {
        let mut tx = self.store.write().await?;
        sqlx::query("DELETE FROM identity_revocations WHERE until_us < $1")
            .bind(micros(now))
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO identity_revocations (audit_id, until_us) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(audit_id.to_owned())
        .bind(micros(until))
        .execute(&mut *tx)
        .await?;
        self.commit(tx).await
    }

    /// Was the token ended?
    pub async fn is_revoked(&self, audit_id: &str) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM identity_revocations WHERE audit_id = $1")
            .bind(audit_id.to_owned())
            .fetch_optional(self.store.read())
            .await?;
        Ok(row.is_some())
    }
}
