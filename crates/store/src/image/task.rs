//! Tasks of the image service.

use crate::record::{Query, Record};
use crate::select::{Column, SortDirection};
use crate::{Result, Store, micros};
use jiff::Timestamp;
use model::image::Task;
use uuid::Uuid;

impl Record for Task {
    const TABLE: &'static str = "image_tasks";
    const WHAT: &'static str = "Task";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] =
        &[("id", "uuid"), ("status", "status"), ("created_at", "created_us"), ("updated_at", "updated_us")];

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        vec![
            ("image_uuid", Column::id(Some(self.image))),
            ("owner", Column::text(self.owner.as_deref())),
            ("status", Column::text(Some(self.status.as_str()))),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(Some(self.updated_at))),
        ]
    }
}

impl Store {
    /// The tasks of an image, the newest first.
    pub async fn tasks_of_image(&self, image: Uuid) -> Result<Vec<Task>> {
        let query =
            Query { direction: SortDirection::Descending, ..Query::equal("image_uuid", image.to_string()) };
        self.list(&query).await
    }

    /// Forgets the tasks that last changed before `before`.
    pub async fn purge_image_tasks(&self, before: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM image_tasks WHERE updated_us < $1")
            .bind(micros(before))
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }
}
