//! Members of images.

use crate::{Result, Store, StoreError, micros};
use jiff::Timestamp;
use model::image::{Member, MemberStatus};
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

const WHAT: &str = "Image member";

impl Store {
    /// The members of an image, in the order of their coming.
    pub async fn image_members(&self, image: Uuid) -> Result<Vec<Member>> {
        let rows = sqlx::query(
            "SELECT image_uuid, project, status, created_us, updated_us FROM image_members WHERE image_uuid = $1 \
             ORDER BY created_us, project",
        )
        .bind(image.to_string())
        .fetch_all(self.read())
        .await?;
        rows.iter().map(member).collect()
    }

    /// One member of an image.
    pub async fn image_member(&self, image: Uuid, project: &str) -> Result<Option<Member>> {
        let row = sqlx::query(
            "SELECT image_uuid, project, status, created_us, updated_us FROM image_members \
             WHERE image_uuid = $1 AND project = $2",
        )
        .bind(image.to_string())
        .bind(project.to_owned())
        .fetch_optional(self.read())
        .await?;
        row.as_ref().map(member).transpose()
    }

    /// Makes a project a member. [`StoreError::Duplicate`] where it is one; [`StoreError::InUse`] where the image has `limit` members.
    pub async fn create_image_member(&self, new: &Member, limit: i64) -> Result<()> {
        let mut tx = self.write().await?;
        let count: i64 = sqlx::query("SELECT COUNT(*) AS count FROM image_members WHERE image_uuid = $1")
            .bind(new.image.to_string())
            .fetch_one(&mut *tx)
            .await?
            .try_get("count")?;
        if count >= limit {
            let ident = new.image.to_string();
            return Err(StoreError::InUse { what: "Image", ident, parts: "as many members as it may have" });
        }
        sqlx::query(
            "INSERT INTO image_members (image_uuid, project, status, created_us, updated_us) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(new.image.to_string())
        .bind(new.project.clone())
        .bind(new.status.as_str())
        .bind(micros(new.created_at))
        .bind(micros(new.updated_at))
        .execute(&mut *tx)
        .await
        .map_err(|error| {
            let database = error.as_database_error();
            if database.is_some_and(|error| error.is_unique_violation()) {
                StoreError::Duplicate { what: WHAT, field: "member", value: new.project.clone() }
            } else if database.is_some_and(|error| error.is_foreign_key_violation()) {
                StoreError::NotFound { what: "Image", ident: new.image.to_string() }
            } else {
                error.into()
            }
        })?;
        tx.commit().await
    }

    /// Writes down what a member says.
    pub async fn update_image_member(
        &self,
        image: Uuid,
        project: &str,
        status: MemberStatus,
        now: Timestamp,
    ) -> Result<Member> {
        let mut tx = self.write().await?;
        let done = sqlx::query(
            "UPDATE image_members SET status = $1, updated_us = $2 WHERE image_uuid = $3 AND project = $4",
        )
        .bind(status.as_str())
        .bind(micros(now))
        .bind(image.to_string())
        .bind(project.to_owned())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let missing = || StoreError::NotFound { what: WHAT, ident: project.to_owned() };
        if done.rows_affected() == 0 {
            return Err(missing());
        }
        self.image_member(image, project).await?.ok_or_else(missing)
    }

    /// Takes a project from an image's members.
    pub async fn delete_image_member(&self, image: Uuid, project: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let done = sqlx::query("DELETE FROM image_members WHERE image_uuid = $1 AND project = $2")
            .bind(image.to_string())
            .bind(project.to_owned())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: WHAT, ident: project.to_owned() });
        }
        Ok(())
    }
}

fn member(row: &AnyRow) -> Result<Member> {
    let time = |column: &str| -> Result<Timestamp> {
        Ok(Timestamp::from_microsecond(row.try_get(column)?).unwrap_or_default())
    };
    let text = |column: &str| -> Result<String> { Ok(row.try_get(column)?) };
    Ok(Member {
        // Only this file writes these columns.
        image: Uuid::try_parse(&text("image_uuid")?).unwrap_or_default(),
        project: text("project")?,
        status: MemberStatus::parse(&text("status")?).unwrap_or(MemberStatus::Pending),
        created_at: time("created_us")?,
        updated_at: time("updated_us")?,
    })
}
