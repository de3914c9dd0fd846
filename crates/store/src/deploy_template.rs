//! Deploy templates.

use crate::record::{Query, Record};
use crate::select::Column;
use crate::{Result, Store};
use model::deploy_template::DeployTemplate;
use uuid::Uuid;

impl Record for DeployTemplate {
    const TABLE: &'static str = "deploy_templates";
    const WHAT: &'static str = "Deploy template";
    const IS_NAMED: bool = true;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("name", "name"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("name", Column::text(Some(&self.name))),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }
}

impl Store {
    /// The deploy templates of these names, which are traits of an instance, in the order of their creation.
    pub async fn deploy_templates_named(&self, names: &[String]) -> Result<Vec<DeployTemplate>> {
        self.list(&Query { one_of: vec![("name", names.to_vec())], ..Query::default() }).await
    }
}
