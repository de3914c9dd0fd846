//! Nodes written as their rows are read, for lists: nothing is looked at but what is shown.
//!
//! Two ways, by what is asked for. Fields that have a column each ([`Brief`]) are written from their columns, and the document is
//! not touched. Whole nodes ([`Whole`]) are written from what was made of their documents before ([`ShownNodes`]), where that is of
//! date. Everything else is read and shown as [`NodeView`] does, which both agree with.

use super::fields::{Chosen, time};
use super::node_fields::{BESIDE, Context, DocumentView, NodeView, SUBRESOURCES, provision_state};
use super::shown_nodes::ShownNodes;
use jiff::Timestamp;
use model::version as v;
use serde::Serialize;
use store::{Cells, ListedNode, StoreError};
use uuid::Uuid;

/// How a column's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    Time,
    /// A provision state, which older clients know by other names.
    State,
}

/// Fields that have a column, and the column.
const COLUMNS: &[(&str, &str, Kind)] = &[
    ("uuid", "uuid", Kind::Text),
    ("name", "name", Kind::Text),
    ("instance_uuid", "instance_uuid", Kind::Text),
    ("instance_name", "instance_name", Kind::Text),
    ("power_state", "power_state", Kind::Text),
    ("provision_state", "provision_state", Kind::State),
    ("provision_updated_at", "provision_updated_us", Kind::Time),
    ("maintenance", "maintenance", Kind::Flag),
    ("retired", "retired", Kind::Flag),
    ("fault", "fault", Kind::Text),
    ("driver", "driver", Kind::Text),
    ("resource_class", "resource_class", Kind::Text),
    ("conductor_group", "conductor_group", Kind::Text),
    ("chassis_uuid", "chassis_uuid", Kind::Text),
    ("owner", "owner", Kind::Text),
    ("lessee", "lessee", Kind::Text),
    ("shard", "shard", Kind::Text),
    ("parent_node", "parent_node", Kind::Text),
    ("description", "description", Kind::Text),
    ("reservation", "lease_holder", Kind::Text),
];

/// The bytes that links of one node are made of.
struct Links {
    /// Up to the node's path, in JSON.
    own: Vec<u8>,
    bookmark: Vec<u8>,
}

impl Links {
    fn of(base_url: &str) -> Self {
        let quoted = |url: String| {
            let mut text = serde_json::Value::from(url).to_string().into_bytes();
            text.pop();
            text
        };
        Self { own: quoted(format!("{base_url}/v1/nodes/")), bookmark: quoted(format!("{base_url}/nodes/")) }
    }

    /// Writes `,"name":[…]`: the links of a node, or of what is `below` it.
    fn write(&self, out: &mut Vec<u8>, name: &str, uuid: &str, below: &str) {
        let slash = if below.is_empty() { "" } else { "/" };
        let link = |out: &mut Vec<u8>, begin: &[u8], end: &str| {
            out.extend_from_slice(b"{\"href\":");
            out.extend_from_slice(begin);
            for piece in [uuid, slash, below, end] {
                out.extend_from_slice(piece.as_bytes());
            }
        };
        key(out, name);
        out.push(b'[');
        link(out, &self.own, "\",\"rel\":\"self\"},");
        link(out, &self.bookmark, "\",\"rel\":\"bookmark\"}]");
    }
}

/// Writes nodes' rows with the fields that are asked for, each from its column.
pub(super) struct Brief<'a> {
    fields: Vec<(&'static str, Kind)>,
    columns: Vec<&'static str>,
    context: &'a Context<'a>,
    links: Links,
}

impl<'a> Brief<'a> {
    /// Unless a field is asked for that has no column, or the viewer does not see everything.
    pub fn of(context: &'a Context<'a>) -> Option<Self> {
        let Chosen::Some(_) = context.chosen else { return None };
        if context.viewer.is_some() {
            return None;
        }
        // The first one is for the links.
        let (mut fields, mut columns) = (Vec::new(), vec!["uuid"]);
        let (beside, document): (Vec<_>, Vec<_>) =
            context.fields().map(|(name, _)| *name).partition(|name| BESIDE.contains(name));
        for field in document.into_iter().chain(beside) {
            let (name, column, kind) = COLUMNS.iter().find(|(own, ..)| *own == field)?;
            fields.push((*name, *kind));
            columns.push(*column);
        }
        // A node of links alone is not worth a way of its own.
        (!fields.is_empty()).then(|| Self { fields, columns, context, links: Links::of(context.base_url) })
    }

    /// The columns that [`Brief::write`] expects.
    pub fn columns(&self) -> &[&'static str] {
        &self.columns
    }

    /// Writes a row; out comes the node's UUID.
    pub fn write(&self, row: &dyn Cells, out: &mut Vec<u8>) -> store::Result<Uuid> {
        let (text, uuid) = identity(row, 0)?;
        out.push(b'{');
        for (column, (name, kind)) in (1..).zip(&self.fields) {
            if column > 1 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            match kind {
                Kind::Text => json(out, &row.text(column)?)?,
                Kind::Flag => json(out, &(row.number(column)? == Some(1)))?,
                Kind::Time => json(out, &row.number(column)?.and_then(micros).map(time))?,
                Kind::State => {
                    let state = row.text(column)?.and_then(|state| state.parse().ok());
                    json(out, &state.and_then(|state| provision_state(state, self.context.version)))?;
                }
            }
        }
        self.links.write(out, "links", text, "");
        out.push(b'}');
        Ok(uuid)
    }
}

/// Writes whole nodes.
pub(super) struct Whole<'a> {
    context: &'a Context<'a>,
    shown: &'a ShownNodes,
    links: Links,
}

impl<'a> Whole<'a> {
    /// The columns that [`Whole::write`] expects.
    pub const COLUMNS: &'static [&'static str] =
        &["uuid", "id", "revision", "lease_holder", "conductor_group", "driver", "doc"];

    /// Unless not all is asked for, or the viewer does not see everything.
    pub fn of(context: &'a Context<'a>, shown: &'a ShownNodes) -> Option<Self> {
        let is_whole = matches!(context.chosen, Chosen::All) && context.viewer.is_none();
        is_whole.then(|| Self { context, shown, links: Links::of(context.base_url) })
    }

    /// Writes a row; out comes the node's UUID.
    pub fn write(&self, row: &dyn Cells, out: &mut Vec<u8>) -> store::Result<Uuid> {
        let context = self.context;
        let (text, uuid) = identity(row, 0)?;
        let number = |column| row.number(column).map(Option::unwrap_or_default);
        let identity = (number(1)?, number(2)?, context.version);
        out.push(b'{');
        if !self.shown.write(identity, out) {
            let listed = ListedNode::read(row, 6, 3)?;
            let document = DocumentView(NodeView::of_listed(&listed, context));
            let start = out.len();
            json(out, &document)?;
            // Without its braces it is a part of the node.
            out.remove(start);
            out.pop();
            self.shown.keep(identity, &out[start..]);
        }
        key(out, "reservation");
        json(out, &row.text(3)?)?;
        if context.version.has(v::CONDUCTORS) {
            let [group, driver] = [row.text(4)?.unwrap_or_default(), row.text(5)?.unwrap_or_default()];
            key(out, "conductor");
            json(out, &context.share.conductor_of(uuid, group, driver))?;
        }
        self.links.write(out, "links", text, "");
        for (name, _) in SUBRESOURCES.iter().filter(|(_, since)| context.version.has(*since)) {
            self.links.write(out, name, text, name);
        }
        out.push(b'}');
        Ok(uuid)
    }
}

fn identity(row: &dyn Cells, column: usize) -> store::Result<(&str, Uuid)> {
    let text = row.text(column)?.unwrap_or_default();
    let damaged = |error: uuid::Error| corrupt(serde::de::Error::custom(error));
    Ok((text, Uuid::parse_str(text).map_err(damaged)?))
}

/// Writes `,"name":`.
fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) -> store::Result<()> {
    serde_json::to_writer(out, value).map_err(corrupt)
}

fn micros(time: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(time).ok()
}

fn corrupt(source: serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: "node".to_owned(), source }
}
