//! Rows that are looked at where they lie: what a list writes out at once is not copied first.

use crate::Result;
use sqlx::Row;
use sqlx::any::AnyRow;

/// A row's values, by the place of their column in the statement.
pub trait Cells {
    /// A text, if there is one; an error where the column is no text.
    fn text(&self, column: usize) -> Result<Option<&str>>;

    /// A number, a boolean (0, 1), or a time in microseconds since 1970, if there is one; an error where the column is no number.
    fn number(&self, column: usize) -> Result<Option<i64>>;
}

impl Cells for AnyRow {
    fn text(&self, column: usize) -> Result<Option<&str>> {
        Ok(self.try_get(column)?)
    }

    fn number(&self, column: usize) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }
}

/// Looks at one row after the other.
pub(crate) type Visit<'a> = &'a mut (dyn FnMut(&dyn Cells) -> Result<()> + Send);
