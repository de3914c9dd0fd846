//! A statement whose words depend on what it is about: its text and its values as they are put together.

use crate::select::Column;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, Arguments, AssertSqlSafe, Encode, Type};

/// A statement in the making. Names of tables and columns are the program's own, never a client's; values are bound.
#[derive(Default)]
pub(crate) struct Draft {
    sql: String,
    values: AnyArguments,
}

impl Draft {
    /// A statement that begins so.
    pub fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: AnyArguments::default() }
    }

    /// Goes on with text of the program's own.
    pub fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Goes on with a value.
    pub fn bind<'v>(&mut self, value: impl Encode<'v, Any> + Type<Any>) -> sqlx::Result<()> {
        self.values.add(value).map_err(sqlx::Error::Encode)?;
        self.sql.push_str(&format!("${}", self.values.len()));
        Ok(())
    }

    /// Goes on with a column's value.
    pub fn column(&mut self, value: Column) -> sqlx::Result<()> {
        match value {
            Column::Text(text) => self.bind(text),
            Column::Number(number) => self.bind(number),
        }
    }

    /// Goes on with an `INSERT` of rows that all have the same columns, of which there is one at least. With `from` they are inserted if that
    /// table, which PostgreSQL knows from earlier in the statement, has a row.
    pub fn insert(
        &mut self,
        table: &str,
        rows: Vec<Vec<(&'static str, Column)>>,
        from: Option<&str>,
    ) -> sqlx::Result<()> {
        for (index, row) in rows.into_iter().enumerate() {
            if index == 0 {
                let names: Vec<_> = row.iter().map(|(name, _)| *name).collect();
                self.push(&format!(" INSERT INTO {table} ({}) ", names.join(", ")));
                if let Some(from) = from {
                    self.push(&format!("SELECT added.* FROM {from}, ("));
                }
                self.push("VALUES ");
            } else {
                self.push(", ");
            }
            let mut separator = "(";
            for (_, value) in row {
                self.push(separator);
                // Values that are not inserted where they stand are taken for texts unless something is said.
                let cast = if from.is_some() { value.cast() } else { "" };
                self.column(value)?;
                self.push(cast);
                separator = ", ";
            }
            self.push(")");
        }
        if from.is_some() {
            self.push(") AS added");
        }
        Ok(())
    }

    /// The statement.
    pub fn query(self) -> Query<'static, Any, AnyArguments> {
        sqlx::query_with(AssertSqlSafe(self.sql), self.values)
    }
}
