//! Lists of images: who sees what, filters, several sort keys, and the page behind a marker.

use crate::record;
use crate::select::{Column, SortDirection};
use crate::{Result, Store};
use model::image::{Image, MemberStatus, Visibility};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// API field, and what sorts by it: an expression without nulls, so that a marker within them has a place.
pub(super) const SORT_COLUMNS: &[(&str, &str)] = &[
    ("name", "COALESCE(name, '')"),
    ("status", "status"),
    ("container_format", "COALESCE(container_format, '')"),
    ("disk_format", "COALESCE(disk_format, '')"),
    ("size", "COALESCE(size, -1)"),
    ("id", "uuid"),
    ("created_at", "created_us"),
    ("updated_at", "updated_us"),
    ("visibility", "visibility"),
    ("owner", "COALESCE(owner, '')"),
    ("min_disk", "min_disk"),
    ("min_ram", "min_ram"),
];

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The same.
    Equal,
    /// Another, or none.
    NotEqual,
    /// Less.
    Less,
    /// Less, or the same.
    AtMost,
    /// More.
    Greater,
    /// More, or the same.
    AtLeast,
}

/// A filter on one column of `images`. The column's name is the program's own.
#[derive(Debug, Clone)]
pub struct Condition {
    /// Column.
    pub column: &'static str,
    /// Comparison.
    pub operator: Operator,
    /// What it is compared with: several values only with [`Operator::Equal`], one of which it must be.
    pub values: Vec<Column>,
}

impl Condition {
    /// The column has this value.
    pub fn equal(column: &'static str, value: Column) -> Self {
        Self { column, operator: Operator::Equal, values: vec![value] }
    }
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Viewer {
    /// An operator: everything.
    #[default]
    Operator,
    /// Somebody of this project.
    Project(String),
}

/// Filters, order and page of a list of images. Everything given must hold.
#[derive(Debug, Clone, Default)]
pub struct ImageQuery {
    /// Who asks.
    pub viewer: Viewer,
    /// Only of this visibility. None: all but other projects' community images.
    pub visibility: Option<Visibility>,
    /// Other projects' community images too.
    pub with_community: bool,
    /// Which shared images are there beside one's own: those whose membership has this status. None: whatever it has.
    pub member_status: Option<MemberStatus>,
    /// Filters.
    pub conditions: Vec<Condition>,
    /// It has all these tags.
    pub tags: Vec<String>,
    /// It has these properties with these values.
    pub properties: Vec<(String, String)>,
    /// Expressions out of the record's `SORT_COLUMNS`, with directions.
    pub sort: Vec<(&'static str, SortDirection)>,
    /// Start behind this image.
    pub marker: Option<Uuid>,
    /// At most so many.
    pub limit: i64,
}

/// A statement being built; values are bound.
struct Sql {
    text: String,
    values: Vec<Column>,
}

impl Sql {
    fn place(&mut self, value: Column) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn text(&mut self, value: &str) -> String {
        self.place(Column::text(Some(value)))
    }

    fn and(&mut self, condition: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    fn viewer(&mut self, query: &ImageQuery) {
        if let Some(visibility) = query.visibility {
            let mark = self.text(visibility.as_str());
            self.and(&format!("visibility = {mark}"));
        }
        let Viewer::Project(project) = &query.viewer else { return };
        let mark = self.text(project);
        let status = match query.member_status {
            Some(status) => {
                let mark = self.text(status.as_str());
                format!(" AND status = {mark}")
            }
            None => String::new(),
        };
        let foreign = if query.with_community || query.visibility == Some(Visibility::Community) {
            "visibility IN ('public', 'community')"
        } else {
            "visibility = 'public'"
        };
        self.and(&format!(
            "({foreign} OR owner = {mark} OR (visibility = 'shared' AND uuid IN \
             (SELECT image_uuid FROM image_members WHERE project = {mark}{status})))"
        ));
    }

    fn condition(&mut self, condition: &Condition) {
        let column = condition.column;
        let marks: Vec<_> = condition.values.iter().map(|value| self.place(value.clone())).collect();
        let text = match (condition.operator, marks.as_slice()) {
            (_, []) => "1 = 0".to_owned(),
            (Operator::Equal, marks) => format!("{column} IN ({})", marks.join(", ")),
            (Operator::NotEqual, [mark, ..]) => format!("({column} IS NULL OR {column} <> {mark})"),
            (Operator::Less, [mark, ..]) => format!("{column} < {mark}"),
            (Operator::AtMost, [mark, ..]) => format!("{column} <= {mark}"),
            (Operator::Greater, [mark, ..]) => format!("{column} > {mark}"),
            (Operator::AtLeast, [mark, ..]) => format!("{column} >= {mark}"),
        };
        self.and(&text);
    }

    /// Order, and what lies behind the marker in it: behind in the first key, or equal in it and behind in the second, and so on.
    fn page(&mut self, query: &ImageQuery) {
        let mut keys = query.sort.clone();
        let last = keys.last().map_or(SortDirection::Descending, |(_, direction)| *direction);
        // The key that decides between equals.
        keys.push(("id", last));
        if let Some(marker) = query.marker {
            let mark = self.text(&marker.to_string());
            let of_marker = |key: &str| format!("(SELECT {key} FROM images WHERE uuid = {mark})");
            let mut ways = Vec::new();
            for (n, (key, direction)) in keys.iter().enumerate() {
                let mut parts: Vec<_> =
                    keys[..n].iter().map(|(key, _)| format!("{key} = {}", of_marker(key))).collect();
                let compare = if *direction == SortDirection::Ascending { ">" } else { "<" };
                parts.push(format!("{key} {compare} {}", of_marker(key)));
                ways.push(format!("({})", parts.join(" AND ")));
            }
            self.and(&format!("({})", ways.join(" OR ")));
        }
        let order: Vec<_> = keys
            .iter()
            .map(|(key, direction)| {
                format!("{key} {}", if *direction == SortDirection::Ascending { "ASC" } else { "DESC" })
            })
            .collect();
        let limit = self.place(Column::Number(Some(query.limit)));
        self.text.push_str(&format!(" ORDER BY {} LIMIT {limit}", order.join(", ")));
    }
}

impl Store {
    /// Lists images. A marker that is no image has nothing behind it.
    pub async fn images(&self, query: &ImageQuery) -> Result<Vec<Image>> {
        let mut sql = Sql { text: "SELECT doc FROM images WHERE 1 = 1".to_owned(), values: Vec::new() };
        sql.viewer(query);
        for condition in &query.conditions {
            sql.condition(condition);
        }
        for tag in &query.tags {
            let mark = sql.text(tag);
            sql.and(&format!("uuid IN (SELECT image_uuid FROM image_tags WHERE tag = {mark})"));
        }
        for (name, value) in &query.properties {
            let (name, value) = (sql.text(name), sql.text(value));
            sql.and(&format!(
                "uuid IN (SELECT image_uuid FROM image_properties WHERE name = {name} AND value = {value})"
            ));
        }
        sql.page(query);
        let mut statement = sqlx::query(AssertSqlSafe(sql.text));
        for value in sql.values {
            statement = value.bind(statement);
        }
        statement.fetch_all(self.read()).await?.iter().map(record::decode).collect()
    }
}
