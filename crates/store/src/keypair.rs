//! Keypairs.

use crate::record::{Query, Record};
use crate::select::Column;
use crate::{Result, Store, StoreError};
use model::compute::Keypair;
use uuid::Uuid;

impl Record for Keypair {
    const TABLE: &'static str = "keypairs";
    const WHAT: &'static str = "Keypair";
    // A name is one of a user's, not of all.
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "id"), ("name", "name")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("name", Column::text(Some(&self.name))), ("user_id", Column::text(Some(&self.user_id)))]
    }
}

impl Store {
    /// A user's keypair of that name; [`StoreError::NotFound`] names it.
    pub async fn keypair(&self, user: &str, name: &str) -> Result<Keypair> {
        let found = self.list(&Query::equal("user_id", user).and("name", name).limit(1)).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| StoreError::NotFound { what: Keypair::WHAT, ident: name.to_owned() })
    }

    /// A user's keypairs, by name.
    pub async fn keypairs(&self, user: &str) -> Result<Vec<Keypair>> {
        let query = Query { sort: Some("name"), ..Query::equal("user_id", user) };
        self.list(&query).await
    }
}
