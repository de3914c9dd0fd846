//! Images, and the two tables that mirror their tags and properties for lists.

mod list;
mod member;
mod task;

pub use list::{Condition, ImageQuery, Operator, Viewer};

use crate::node;
use crate::record::{self, Record};
use crate::select::Column;
use crate::transaction::Write;
use crate::{Result, Store, StoreError};
use model::image::{Image, Status};
use model::node::Node;
use uuid::Uuid;

impl Record for Image {
    const TABLE: &'static str = "images";
    const WHAT: &'static str = "Image";
    const IS_NAMED: bool = false;
    const SORT_COLUMNS: &'static [(&'static str, &'static str)] = list::SORT_COLUMNS;

    fn uuid(&self) -> Uuid {
        self.uuid
    }

    fn columns(&self) -> Vec<(&'static str, Column)> {
        // Sizes above the largest column value can't come: the API bounds them.
        let number = |value: u64| Column::Number(i64::try_from(value).ok());
        vec![
            ("name", Column::text(self.name.as_deref())),
            ("status", Column::text(Some(self.status.as_str()))),
            ("visibility", Column::text(Some(self.visibility.as_str()))),
            ("owner", Column::text(self.owner.as_deref())),
            ("container_format", Column::text(self.container_format.as_deref())),
            ("disk_format", Column::text(self.disk_format.as_deref())),
            ("size", self.size.map_or(Column::Number(None), number)),
            ("checksum", Column::text(self.checksum.as_deref())),
            ("os_hash_algo", Column::text(self.os_hash_algo.as_deref())),
            ("os_hash_value", Column::text(self.os_hash_value.as_deref())),
            ("min_disk", number(self.min_disk)),
            ("min_ram", number(self.min_ram)),
            ("protected", Column::flag(self.protected)),
            ("os_hidden", Column::flag(self.os_hidden)),
            ("created_us", Column::time(Some(self.created_at))),
            ("updated_us", Column::time(Some(self.updated_at))),
        ]
    }
}

impl Store {
    /// Stores a new image; [`StoreError::Duplicate`] where its identity is taken.
    pub async fn create_image(&self, image: &Image) -> Result<()> {
        let mut tx = self.write().await?;
        record::insert(&mut tx, image).await?;
        mirror(&mut tx, image).await?;
        tx.commit().await
    }

    /// Changes an image as it is stored now, in one transaction, and returns it as written. If `change` fails, nothing is written.
    pub async fn edit_image<E: From<StoreError>>(
        &self,
        uuid: Uuid,
        change: impl FnOnce(&mut Image) -> Result<(), E>,
    ) -> Result<Image, E> {
        let mut tx = self.write().await?;
        let mut image: Image = record::read(&mut tx, uuid).await?;
        let before = image.clone();
        change(&mut image)?;
        record::overwrite(&mut tx, &image).await?;
        if (&before.tags, &before.properties) != (&image.tags, &image.properties) {
            mirror(&mut tx, &image).await?;
        }
        tx.commit().await?;
        Ok(image)
    }

    /// Forgets an image with its tags, properties and members, if `may` agrees to it as it is stored now, and to the nodes whose documents
    /// have its identity anywhere. Returns it: its bytes are the caller's to delete.
    pub async fn delete_image<E: From<StoreError>>(
        &self,
        uuid: Uuid,
        may: impl FnOnce(&Image, &[Node]) -> Result<(), E>,
    ) -> Result<Image, E> {
        let mut tx = self.write().await?;
        let image: Image = record::read(&mut tx, uuid).await?;
        let nodes = node::naming(&mut tx, &uuid.to_string()).await?;
        may(&image, &nodes)?;
        sqlx::query("DELETE FROM images WHERE uuid = $1")
            .bind(uuid.to_string())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::from)?;
        tx.commit().await?;
        Ok(image)
    }

    /// The images in one of these states: what a start looks at, for uploads and imports that ended with the process before.
    pub async fn images_in(&self, states: &[Status]) -> Result<Vec<Image>> {
        let states = states.iter().map(|status| status.as_str().to_owned()).collect();
        self.list(&record::Query { one_of: vec![("status", states)], ..record::Query::default() }).await
    }
}

/// Writes tags and properties of an image into their tables.
async fn mirror(tx: &mut Write, image: &Image) -> Result<()> {
    let uuid = image.uuid.to_string();
    for table in
        ["DELETE FROM image_tags WHERE image_uuid = $1", "DELETE FROM image_properties WHERE image_uuid = $1"]
    {
        sqlx::query(table).bind(&uuid).execute(&mut **tx).await?;
    }
    for tag in &image.tags {
        sqlx::query("INSERT INTO image_tags (image_uuid, tag) VALUES ($1, $2)")
            .bind(&uuid)
            .bind(tag)
            .execute(&mut **tx)
            .await?;
    }
    for (name, value) in &image.properties {
        sqlx::query("INSERT INTO image_properties (image_uuid, name, value) VALUES ($1, $2, $3)")
            .bind(&uuid)
            .bind(name)
            .bind(value)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
