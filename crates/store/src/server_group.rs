//! Groups of servers.

use crate::record::Record;
use crate::select::Column;
use model::compute::ServerGroup;
use uuid::Uuid;

impl Record for ServerGroup {
    const TABLE: &'static str = "server_groups";
    const WHAT: &'static str = "Server group";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[("id", "id")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("project_id", Column::text(Some(&self.project_id))),
            ("user_id", Column::text(Some(&self.user_id))),
        ]
    }
}
