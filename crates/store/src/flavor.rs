//! Flavors.

use crate::record::{Query, Record};
use crate::select::Column;
use crate::{Result, Store, StoreError};
use model::compute::Flavor;
use uuid::Uuid;

impl Record for Flavor {
    const TABLE: &'static str = "flavors";
    const WHAT: &'static str = "Flavor";
    // By its name only where it is looked for so: a flavor's id may be any text, another one's name too.
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] =
        &[("id", "id"), ("flavorid", "flavor_id"), ("name", "name")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![("flavor_id", Column::text(Some(&self.id))), ("name", Column::text(Some(&self.name)))]
    }
}

impl Store {
    /// The flavor that clients call by this id; [`StoreError::NotFound`] names it.
    pub async fn flavor(&self, id: &str) -> Result<Flavor> {
        let found = self.list(&Query::equal("flavor_id", id).limit(1)).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| StoreError::NotFound { what: Flavor::WHAT, ident: id.to_owned() })
    }

    /// All of them, in order of creation: operators make few.
    pub async fn flavors(&self) -> Result<Vec<Flavor>> {
        self.list(&Query::default()).await
    }
}
