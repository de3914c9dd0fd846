//! What requests carry, as JSON Schema.

use super::{SINCE, resources};
use crate::baremetal::schema::{ARRAY, BOOLEAN, INTEGER, NULL, NUMBER, OBJECT, Property, STRING};
use crate::route::{Route, Takes};
use model::version::{BASE, Microversion};
use serde_json::{Map, Value, json};

/// Words that are read as a boolean.
const FLAG_WORDS: &[&str] = &["1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no"];

/// The request's body.
pub fn request(route: &Route) -> Option<Value> {
    let (schema, required) = match route.takes? {
        Takes::Nothing => return None,
        Takes::Object(properties, required) => (object(properties, required, route), !required.is_empty()),
        // They may come in the query.
        Takes::Arguments(properties, required) => (object(properties, required, route), false),
        Takes::Patch(attributes) => (patch(attributes, route), true),
        Takes::Anything => (json!(true), false),
    };
    Some(json!({"required": required, "content": {"application/json": {"schema": schema}}}))
}

fn object(properties: &[Property], required: &[&str], route: &Route) -> Value {
    keys(properties, required, |name| resources::since(route, name))
}

/// An object's keys. `since` says the microversion of those that don't say it themselves.
fn keys(properties: &[Property], required: &[&str], since: impl Fn(&str) -> Option<Microversion>) -> Value {
    let mut described = Map::new();
    for property in properties {
        let mut schema = schema(property);
        let version =
            if property.since > BASE { property.since } else { since(property.name).unwrap_or(BASE) };
        if version > BASE {
            schema[SINCE] = version.to_string().into();
        }
        described.insert(property.name.to_owned(), schema);
    }
    let mut schema = json!({"type": "object", "properties": described, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A JSON patch of these attributes.
fn patch(attributes: &[&str], route: &Route) -> Value {
    let newer: Map<String, Value> = attributes
        .iter()
        .filter_map(|name| Some((*name, resources::since(route, name)?)))
        .filter(|(_, since)| *since > BASE)
        .map(|(name, since)| (name.to_owned(), since.to_string().into()))
        .collect();
    json!({
        "type": "array",
        "maxItems": crate::limits::PATCH_OPERATIONS,
        "items": {
            "type": "object",
            "properties": {
                "op": {"type": "string", "enum": ["add", "replace", "remove"]},
                "path": {"type": "string", "pattern": format!("^/({})(/[\\w~-]+)*$", attributes.join("|"))},
                "value": {},
            },
            "required": ["op", "path"],
            "additionalProperties": false,
        },
        "x-openstack-min-microversions": newer,
    })
}

/// One value.
pub fn schema(property: &Property) -> Value {
    let types = property.types;
    let mut schema = Map::new();
    let names: Vec<_> = types.names().collect();
    let kind = match names.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    if types.has(STRING.or(BOOLEAN)) {
        // A boolean, or a word for one.
        let mut words: Vec<Value> = FLAG_WORDS.iter().map(|word| json!(word)).collect();
        words.extend([true.into(), false.into()]);
        if types.has(NULL) {
            words.push(Value::Null);
        }
        return json!({"type": kind, "enum": words});
    }
    schema.insert("type".into(), kind);
    if types.has(STRING) {
        text(property, &mut schema);
    }
    if types.has(INTEGER) || types.has(NUMBER) {
        let (least, most) = property.range;
        if least != i64::MIN {
            schema.insert("minimum".into(), least.into());
        }
        if most != i64::MAX {
            schema.insert("maximum".into(), most.into());
        }
    }
    if types.has(ARRAY) {
        limits(property, "minItems", "maxItems", &mut schema);
        if let Some(item) = property.items {
            schema.insert("items".into(), self::schema(item));
        }
        if property.unique {
            schema.insert("uniqueItems".into(), true.into());
        }
    }
    if types.has(OBJECT)
        && let Some((properties, required)) = property.keys
        && let Value::Object(keys) = keys(properties, required, |_| None)
    {
        schema.extend(keys.into_iter().filter(|(name, _)| name != "type"));
    }
    if let Some(value) = property.values {
        schema.insert("additionalProperties".into(), self::schema(value));
    }
    Value::Object(schema)
}

fn text(property: &Property, schema: &mut Map<String, Value>) {
    if !property.types.has(ARRAY) {
        limits(property, "minLength", "maxLength", schema);
    }
    if !property.one_of.is_empty() {
        let mut words: Vec<Value> = property.one_of.iter().map(|word| json!(word)).collect();
        if property.types.has(NULL) {
            words.push(Value::Null);
        }
        schema.insert("enum".into(), words.into());
    }
    if let Some(pattern) = property.pattern {
        schema.insert("pattern".into(), pattern.text.into());
    }
    if let Some(format) = property.format {
        schema.insert("format".into(), format.into());
    }
}

fn limits(property: &Property, least: &str, most: &str, schema: &mut Map<String, Value>) {
    if property.length.0 > 0 {
        schema.insert(least.into(), property.length.0.into());
    }
    if property.length.1 < usize::MAX {
        schema.insert(most.into(), property.length.1.into());
    }
}
