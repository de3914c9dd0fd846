//! Accounts: there for every project, with a row once something is said about one.

use super::{decode, encode};
use crate::transaction::Write;
use crate::{Result, Store, StoreError, micros};
use jiff::Timestamp;
use model::object_store::Account;
use sqlx::Row;
use sqlx::any::AnyRow;

const SELECT: &str = "SELECT metadata, sealed, created_us FROM object_accounts WHERE project = $1";

fn what(project: &str) -> String {
    format!("account AUTH_{project}")
}

impl Store {
    /// A project's account.
    pub async fn object_account(&self, project: &str) -> Result<Account> {
        let row = sqlx::query(SELECT).bind(project.to_owned()).fetch_optional(self.read()).await?;
        let mut account = self.read_account(project, row)?;
        // PostgreSQL's sum of integers is a NUMERIC, which the two have no common type for.
        let totals = sqlx::query(
            "SELECT COUNT(*) AS containers, CAST(COALESCE(SUM(object_count), 0) AS BIGINT) AS objects, \
             CAST(COALESCE(SUM(bytes_used), 0) AS BIGINT) AS bytes FROM object_containers WHERE project = $1",
        )
        .bind(project.to_owned())
        .fetch_optional(self.read())
        .await?;
        if let Some(totals) = totals {
            account.container_count = totals.try_get("containers")?;
            account.object_count = totals.try_get("objects")?;
            account.bytes_used = totals.try_get("bytes")?;
        }
        Ok(account)
    }

    /// Changes what is said about an account, in one transaction. If `change` fails, nothing is written.
    pub async fn edit_object_account<E: From<StoreError>>(
        &self,
        project: &str,
        now: Timestamp,
        change: impl FnOnce(&mut Account) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.write().await?;
        let mut account = self.account_in(&mut tx, project).await?;
        change(&mut account)?;
        self.write_account(&mut tx, &account, now).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn account_in(&self, tx: &mut Write, project: &str) -> Result<Account> {
        let row = sqlx::query(SELECT).bind(project.to_owned()).fetch_optional(&mut **tx).await?;
        self.read_account(project, row)
    }

    async fn write_account(&self, tx: &mut Write, account: &Account, now: Timestamp) -> Result<()> {
        let of = what(&account.project);
        sqlx::query(
            "INSERT INTO object_accounts (project, metadata, sealed, created_us) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (project) DO UPDATE SET metadata = excluded.metadata, sealed = excluded.sealed",
        )
        .bind(account.project.clone())
        .bind(encode(&of, &account.metadata)?)
        .bind(self.seal_keys(&of, &account.keys)?)
        .bind(micros(now))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    fn read_account(&self, project: &str, row: Option<AnyRow>) -> Result<Account> {
        let mut account = Account {
            project: project.to_owned(),
            metadata: Default::default(),
            keys: Default::default(),
            container_count: 0,
            object_count: 0,
            bytes_used: 0,
            created_at: None,
        };
        if let Some(row) = row {
            let of = what(project);
            account.metadata = decode(&of, row.try_get("metadata")?)?;
            account.keys = self.open_keys(&of, row.try_get("sealed")?)?;
            account.created_at = Timestamp::from_microsecond(row.try_get("created_us")?).ok();
        }
        Ok(account)
    }
}
