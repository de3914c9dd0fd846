//! Building a list's `SELECT`: filters, order, and the page behind a marker, for every table alike.

use crate::cells::Visit;
use crate::readers::Readers;
use crate::record::Scope;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query as Statement;
use sqlx::{Any, AssertSqlSafe, Execute};
use uuid::Uuid;

/// A value for a column, in the only types that both databases share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// A text.
    Text(Option<String>),
    /// A number, a boolean (0, 1), or a time in microseconds since 1970.
    Number(Option<i64>),
}

impl Column {
    /// A text that may be missing.
    pub fn text(value: Option<&str>) -> Self {
        Column::Text(value.map(str::to_owned))
    }

    /// An identifier that may be missing.
    pub fn id(value: Option<Uuid>) -> Self {
        Column::Text(value.map(|uuid| uuid.to_string()))
    }

    /// A boolean.
    pub fn flag(value: bool) -> Self {
        Column::Number(Some(i64::from(value)))
    }

    /// A time that may be missing.
    pub fn time(value: Option<jiff::Timestamp>) -> Self {
        Column::Number(value.map(crate::micros))
    }

    pub(crate) fn bind(self, query: Statement<'_, Any, AnyArguments>) -> Statement<'_, Any, AnyArguments> {
        match self {
            Column::Text(value) => query.bind(value),
            Column::Number(value) => query.bind(value),
        }
    }

    /// What says its type to PostgreSQL.
    pub(crate) fn cast(&self) -> &'static str {
        match self {
            Column::Text(_) => "::text",
            Column::Number(_) => "::bigint",
        }
    }

    /// The value in words, for errors.
    pub(crate) fn shown(&self) -> String {
        match self {
            Column::Text(value) => value.clone().unwrap_or_default(),
            Column::Number(value) => value.map(|number| number.to_string()).unwrap_or_default(),
        }
    }
}

/// Direction of a sorted list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortDirection {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// Columns that lists are sorted by and that are numbers, none of them negative, beside the times, whose names end in `_us`.
const NUMBERS: &[&str] = &[
    "available_for_dynamic_portgroup",
    "boot_index",
    "disable_ramdisk",
    "dynamic_portgroup",
    "is_smartnic",
    "locked",
    "maintenance",
    "min_disk",
    "min_ram",
    "number",
    "priority",
    "protected",
    "public",
    "pxe_enabled",
    "retired",
    "sensitive",
    "size",
    "standalone_ports_supported",
];

fn is_number(column: &str) -> bool {
    column.ends_with("_us") || NUMBERS.contains(&column)
}

/// A `SELECT` being built. Names of tables and columns are the program's own, never a client's; values are bound.
pub(crate) struct Select {
    table: &'static str,
    sql: String,
    values: Vec<Column>,
}

impl Select {
    /// `SELECT columns FROM table`.
    pub(crate) fn new(columns: &str, table: &'static str) -> Self {
        Self { table, sql: format!("SELECT {columns} FROM {table} WHERE 1 = 1"), values: Vec::new() }
    }

    fn place(&mut self, value: Column) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// The column has this value.
    pub(crate) fn equal(&mut self, column: &str, value: Column) {
        let mark = self.place(value);
        self.sql.push_str(&format!(" AND {column} = {mark}"));
    }

    /// The column has one of these values; none of them fit an empty list.
    pub(crate) fn one_of(&mut self, column: &str, values: &[String]) {
        let marks: Vec<_> =
            values.iter().map(|value| self.place(Column::Text(Some(value.clone())))).collect();
        let list = if marks.is_empty() { "NULL".to_owned() } else { marks.join(", ") };
        self.sql.push_str(&format!(" AND {column} IN ({list})"));
    }

    /// The column has a value, or has none.
    pub(crate) fn is_set(&mut self, column: &str, set: bool) {
        self.sql.push_str(&format!(" AND {column} IS {}NULL", if set { "NOT " } else { "" }));
    }

    /// The column's text has this text within it.
    pub(crate) fn contains(&mut self, column: &str, text: &str) {
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let mark = self.place(Column::Text(Some(format!("%{escaped}%"))));
        // LIKE heeds case in one database and not in the other.
        self.sql.push_str(&format!(" AND LOWER({column}) LIKE LOWER({mark}) ESCAPE '\\'"));
    }

    /// Either column has this value.
    pub(crate) fn either_equal(&mut self, columns: [&str; 2], value: Column) {
        let mark = self.place(value);
        self.sql.push_str(&format!(" AND ({} = {mark} OR {} = {mark})", columns[0], columns[1]));
    }

    /// The column's value is that of a row of another table which meets a condition on one text column.
    pub(crate) fn whose(&mut self, column: &str, other: &str, other_column: &str, values: &[String]) {
        let marks: Vec<_> =
            values.iter().map(|value| self.place(Column::Text(Some(value.clone())))).collect();
        let list = if marks.is_empty() { "NULL".to_owned() } else { marks.join(", ") };
        self.sql.push_str(&format!(
            " AND {column} IN (SELECT uuid FROM {other} WHERE {other_column} IN ({list}))"
        ));
    }

    /// The record is one of this scope's.
    pub(crate) fn within(&mut self, scope: &Scope) {
        let (Scope::OfNodes(_, project)
        | Scope::OwnedBy(project)
        | Scope::OwnedOrPublic(project)
        | Scope::OwnedThere(project)) = scope;
        let mark = self.place(Column::Text(Some(project.clone())));
        let condition = match scope {
            Scope::OfNodes(column, _) => {
                format!("{column} IN (SELECT uuid FROM nodes WHERE owner = {mark} OR lessee = {mark})")
            }
            Scope::OwnedBy(_) => format!("owner = {mark}"),
            Scope::OwnedOrPublic(_) => format!("(owner = {mark} OR public = 1)"),
            Scope::OwnedThere(_) => format!("(owner = {mark} OR network_owner = {mark})"),
        };
        self.sql.push_str(&format!(" AND {condition}"));
    }

    /// Order, the page behind `marker`, and its length.
    ///
    /// Nulls sort before everything else, and as a value, so that a marker within them has a place; `id` decides between equals.
    pub(crate) fn page(
        &mut self,
        sort: Option<&'static str>,
        direction: SortDirection,
        marker: Option<Uuid>,
        limit: i64,
    ) {
        let sort = sort.unwrap_or("id");
        let (compare, order) = match direction {
            SortDirection::Ascending => (">", "ASC"),
            SortDirection::Descending => ("<", "DESC"),
        };
        let key = match sort {
            "id" => "id".to_owned(),
            number if is_number(number) => format!("COALESCE({number}, -1)"),
            text => format!("COALESCE({text}, '')"),
        };
        if let Some(marker) = marker {
            let mark = self.place(Column::id(Some(marker)));
            let table = self.table;
            let of_marker = |column: &str| format!("(SELECT {column} FROM {table} WHERE uuid = {mark})");
            let (value, id) = (of_marker(&key), of_marker("id"));
            let behind = if sort == "id" {
                format!("id {compare} {id}")
            } else {
                format!("({key} {compare} {value} OR ({key} = {value} AND id {compare} {id}))")
            };
            self.sql.push_str(&format!(" AND {behind}"));
        }
        let second = if sort == "id" { String::new() } else { format!(", id {order}") };
        let mark = self.place(Column::Number(Some(limit)));
        self.sql.push_str(&format!(" ORDER BY {key} {order}{second} LIMIT {mark}"));
    }

    /// Runs it.
    pub(crate) async fn fetch(self, readers: &Readers) -> crate::Result<Vec<AnyRow>> {
        Ok(self.statement().fetch_all(readers).await?)
    }

    /// Runs it and shows its rows to a visitor.
    pub(crate) async fn visit(self, readers: &Readers, visit: Visit<'_>) -> crate::Result<()> {
        let mut statement = self.statement();
        let arguments = statement.take_arguments().map_err(sqlx::Error::Encode)?;
        readers.visit(statement.sql(), arguments.unwrap_or_default(), visit).await
    }

    fn statement(self) -> Statement<'static, Any, AnyArguments> {
        let statement = sqlx::query(AssertSqlSafe(self.sql));
        self.values.into_iter().fold(statement, |statement, value| value.bind(statement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NodeQuery, Record, Store};
    use model::{allocation, chassis, compute, deploy_template, history, inspection_rule, network, port};
    use model::{portgroup, runbook, volume};
    use sqlx::Row;

    async fn assert_kinds(store: &Store, table: &str, columns: &[(&str, &str)]) {
        let rows = sqlx::query("SELECT name, type FROM pragma_table_info($1)").bind(table.to_owned());
        let rows = rows.fetch_all(store.read()).await.unwrap();
        for (_, column) in columns.iter().filter(|(_, column)| *column != "id") {
            let row = rows.iter().find(|row| row.try_get::<&str, _>("name").unwrap() == *column);
            let declared: &str = row.unwrap_or_else(|| panic!("{table}.{column}")).try_get("type").unwrap();
            assert_eq!(is_number(column), declared == "BIGINT", "{table}.{column} is {declared}");
        }
    }

    #[tokio::test]
    async fn columns_that_lists_are_sorted_by_are_known_for_what_they_hold() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        assert_kinds(&store, "nodes", NodeQuery::SORT_COLUMNS).await;
        macro_rules! records {
            ($($record:ty),*) => { $(assert_kinds(&store, <$record>::TABLE, <$record>::SORT_COLUMNS).await;)* };
        }
        records!(
            allocation::Allocation,
            chassis::Chassis,
            compute::Server,
            compute::ServerAction,
            deploy_template::DeployTemplate,
            history::HistoryEntry,
            inspection_rule::InspectionRule,
            network::Network,
            network::NetworkPort,
            network::SecurityGroup,
            network::Subnet,
            port::Port,
            portgroup::Portgroup,
            runbook::Runbook,
            volume::VolumeConnector,
            volume::VolumeTarget
        );
    }
}
