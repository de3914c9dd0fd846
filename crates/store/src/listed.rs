//! Nodes for lists: what is only carried is not read.
//!
//! Most of a node's document are objects that a list writes out as they were written in. Reading them into maps of values, to write
//! the same text again, costs several times what reading the rest does. So they are kept as text beside a node without them.

use crate::cells::Cells;
use crate::{Result, StoreError};
use model::node::Node;
use serde::de::value::{BorrowedStrDeserializer, MapDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;
use std::iter;

/// Objects that nothing but their reader looks into. Secrets in them are masks in the document already.
const CARRIED: &[&str] =
    &["driver_info", "properties", "extra", "network_data", "raid_config", "target_raid_config"];

/// A node of a list.
#[derive(Debug)]
pub struct ListedNode {
    /// The node without the objects that are in `carried`: there it has empty ones.
    pub node: Node,
    /// Those objects.
    pub carried: Carried,
    /// Who holds it now.
    pub reservation: Option<String>,
}

impl ListedNode {
    /// Reads a row that has a node's `doc` and `lease_holder` in these columns.
    pub fn read(row: &dyn Cells, doc: usize, lease_holder: usize) -> Result<Self> {
        let (node, carried) = decode(row.text(doc)?.unwrap_or_default())?;
        Ok(Self { node, carried, reservation: row.text(lease_holder)?.map(str::to_owned) })
    }
}

/// Objects of a node as JSON text.
#[derive(Debug, Default)]
pub struct Carried(Vec<(&'static str, Box<RawValue>)>);

impl Carried {
    /// The object of that name, unless it is empty or not carried.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, raw)| &**raw)
    }
}

/// Reads a stored document.
fn decode(doc: &str) -> Result<(Node, Carried)> {
    let mut carried = Carried::default();
    let mut reader = serde_json::Deserializer::from_str(doc);
    let node = serde::Deserialize::deserialize(Apart { reader: &mut reader, carried: &mut carried })
        .map_err(|source| StoreError::Corrupt { what: "node".to_owned(), source })?;
    Ok((node, carried))
}

/// Reads a struct out of JSON and sets the carried fields apart.
struct Apart<'a, D> {
    reader: D,
    carried: &'a mut Carried,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Apart<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.reader.deserialize_any(Fields { visitor, carried: self.carried })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Fields<'a, V> {
    visitor: V,
    carried: &'a mut Carried,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Fields<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Entries { map, carried: self.carried, current: None })
    }
}

struct Entries<'a, A> {
    map: A,
    carried: &'a mut Carried,
    /// The carried field whose value comes next.
    current: Option<&'static str>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        // Names of fields need no escapes, so each is a piece of the document.
        let Some(key) = self.map.next_key::<&'de str>()? else { return Ok(None) };
        self.current = CARRIED.iter().find(|name| **name == key).copied();
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let Some(name) = self.current.take() else { return self.map.next_value_seed(seed) };
        let raw: &'de RawValue = self.map.next_value()?;
        if raw.get() != "{}" {
            self.carried.0.push((name, raw.to_owned()));
        }
        seed.deserialize(MapDeserializer::new(iter::empty::<(&str, &str)>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use model::node::InterfaceKind;
    use serde_json::{Value, json};
    use uuid::Uuid;

    #[test]
    fn a_listed_node_is_the_node_with_some_objects_apart() {
        let mut node = Node::new(Uuid::new_v4(), "ipmi", Timestamp::now());
        node.interfaces.set(InterfaceKind::Deploy, "direct");
        node.traits.insert("CUSTOM_X".into());
        node.instance_info.insert("image_source".into(), "http://x".into());
        for (place, value) in [
            (&mut node.driver_info, json!({"ipmi_address": "10.0.0.1", "deep": {"er": [1, 2.50, null]}})),
            (&mut node.properties, json!({"a \"quoted\" name": "ü\n"})),
            (&mut node.raid_config, json!({"logical_disks": []})),
        ] {
            *place = value.as_object().cloned().unwrap();
        }
        let (mut listed, carried) = decode(&serde_json::to_string(&node).unwrap()).unwrap();
        assert_eq!(carried.get("extra").map(RawValue::get), None);
        assert_eq!(carried.get("instance_info").map(RawValue::get), None);
        for (name, place) in [
            ("driver_info", &mut listed.driver_info),
            ("properties", &mut listed.properties),
            ("raid_config", &mut listed.raid_config),
        ] {
            assert!(place.is_empty(), "{name}");
            let Value::Object(object) = serde_json::from_str(carried.get(name).unwrap().get()).unwrap()
            else {
                panic!("{name}")
            };
            *place = object;
        }
        assert_eq!(listed, node);
    }

    #[test]
    fn a_damaged_document_is_an_error() {
        for doc in ["", "[]", "{\"uuid\": 7}", "{\"driver_info\": {", "{\"\\u0075uid\": null}"] {
            assert!(matches!(decode(doc), Err(StoreError::Corrupt { .. })), "{doc}");
        }
    }
}
