//! Allocations: the wish and the node are written together, and go together.

use crate::record::Record;
use crate::select::Column;
use model::allocation::Allocation;
use uuid::Uuid;

impl Record for Allocation {
    const TABLE: &'static str = "allocations";
    const WHAT: &'static str = "Allocation";
    const IS_NAMED: bool = true;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("name", "name"),
        ("state", "state"),
        ("resource_class", "resource_class"),
        ("owner", "owner"),
        ("last_error", "last_error"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("name", Column::text(self.name.as_deref())),
            ("node_uuid", Column::id(self.node_uuid)),
            ("state", Column::text(Some(self.state.as_str()))),
            ("resource_class", Column::text(self.resource_class.as_deref())),
            ("owner", Column::text(self.owner.as_deref())),
            ("last_error", Column::text(self.last_error.as_deref())),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }

    fn parent(&self) -> (&'static str, String) {
        ("Node", self.node_uuid.map(|uuid| uuid.to_string()).unwrap_or_default())
    }
}
