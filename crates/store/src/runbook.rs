//! Runbooks.

use crate::record::Record;
use crate::select::Column;
use model::runbook::Runbook;
use uuid::Uuid;

impl Record for Runbook {
    const TABLE: &'static str = "runbooks";
    const WHAT: &'static str = "Runbook";
    const IS_NAMED: bool = true;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("id", "id"),
        ("uuid", "uuid"),
        ("name", "name"),
        ("description", "description"),
        ("owner", "owner"),
        ("public", "public"),
        ("disable_ramdisk", "disable_ramdisk"),
        ("created_at", "created_us"),
        ("updated_at", "updated_us"),
    ];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("name", Column::text(Some(&self.name))),
            ("description", Column::text(self.description.as_deref())),
            ("owner", Column::text(self.owner.as_deref())),
            ("public", Column::flag(self.public)),
            ("disable_ramdisk", Column::flag(self.disable_ramdisk)),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(self.updated_at)),
        ]
    }
}
