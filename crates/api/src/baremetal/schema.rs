//! The shape of bodies: which keys there are and of what type. Refusals are worded as Python's jsonschema words them.

use crate::error::ApiError;
use crate::wording::{repr, repr_text};
use model::version::{BASE, Microversion};
use serde_json::{Map, Value};

/// JSON types that a property may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types(u8);

/// A text.
pub const STRING: Types = Types(1);
/// A boolean; texts are converted where one is meant.
pub const BOOLEAN: Types = Types(2);
/// An object.
pub const OBJECT: Types = Types(4);
/// `null`.
pub const NULL: Types = Types(8);
/// A list.
pub const ARRAY: Types = Types(16);
/// A number without a fraction.
pub const INTEGER: Types = Types(32);
/// Any number.
pub const NUMBER: Types = Types(64);

impl Types {
    /// Either.
    pub const fn or(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    /// Is every one of `other` among these?
    pub const fn has(self, other: Types) -> bool {
        self.0 & other.0 == other.0
    }

    fn allows(self, value: &Value) -> bool {
        match value {
            Value::String(_) => self.has(STRING),
            Value::Bool(_) => self.has(BOOLEAN),
            Value::Object(_) => self.has(OBJECT),
            Value::Null => self.has(NULL),
            Value::Array(_) => self.has(ARRAY),
            // As in JSON Schema 1.0 is an integer too.
            Value::Number(number) => {
                let whole = || !number.is_f64() || number.as_f64().is_some_and(|float| float.fract() == 0.0);
                self.has(NUMBER) || self.has(INTEGER) && whole()
            }
        }
    }

    /// JSON Schema's names of them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let names = [
            (STRING, "string"),
            (BOOLEAN, "boolean"),
            (OBJECT, "object"),
            (ARRAY, "array"),
            (INTEGER, "integer"),
            (NUMBER, "number"),
            (NULL, "null"),
        ];
        names.into_iter().filter(move |(own, _)| self.has(*own)).map(|(_, name)| name)
    }
}

/// A text or nothing: what most properties are.
pub const TEXT: Types = STRING.or(NULL);
/// A boolean, a word for one, or nothing.
pub const FLAG: Types = STRING.or(BOOLEAN).or(NULL);
/// An object or nothing.
pub const BAG: Types = OBJECT.or(NULL);

/// A list or nothing.
pub const LIST: Types = ARRAY.or(NULL);

/// What a text must match.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// As a regular expression, for refusals and for the OpenAPI document.
    pub text: &'static str,
    /// The same as code.
    pub fits: fn(&str) -> bool,
}

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Key.
    pub name: &'static str,
    /// Types.
    pub types: Types,
    /// Fewest and most characters of a text, or items of a list.
    pub length: (usize, usize),
    /// Words that a text may be; none: any.
    pub one_of: &'static [&'static str],
    /// What a text must match.
    pub pattern: Option<Pattern>,
    /// JSON Schema's name of what the text is (`uuid`, `uri`, `date-time`). It describes; handlers read such texts themselves.
    pub format: Option<&'static str>,
    /// Least and most of a number.
    pub range: (i64, i64),
    /// What each item of a list is; the name doesn't count.
    pub items: Option<&'static Property>,
    /// May a list have the same item twice?
    pub unique: bool,
    /// What the values of an object are, whatever their keys; the name doesn't count.
    pub values: Option<&'static Property>,
    /// Keys of an object, and those of them that must be there. None: any.
    pub keys: Option<(&'static [Property], &'static [&'static str])>,
    /// The microversion that it came with; handlers refuse it below.
    pub since: Microversion,
}

impl Property {
    /// A text that is one of these words.
    pub const fn one_of(mut self, words: &'static [&'static str]) -> Self {
        self.one_of = words;
        self
    }

    /// A text of this form.
    pub const fn pattern(mut self, text: &'static str, fits: fn(&str) -> bool) -> Self {
        self.pattern = Some(Pattern { text, fits });
        self
    }

    /// A text that is such a thing, by JSON Schema's name.
    pub const fn format(mut self, name: &'static str) -> Self {
        self.format = Some(name);
        self
    }

    /// A number from here to there.
    pub const fn range(mut self, least: i64, most: i64) -> Self {
        self.range = (least, most);
        self
    }

    /// A list of these.
    pub const fn items(mut self, item: &'static Property) -> Self {
        self.items = Some(item);
        self
    }

    /// A list without doubles.
    pub const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// An object of these values, whatever the keys.
    pub const fn values(mut self, value: &'static Property) -> Self {
        self.values = Some(value);
        self
    }

    /// The same under a name.
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// An object of these keys, some of which must be there.
    pub const fn keys(mut self, keys: &'static [Property], required: &'static [&'static str]) -> Self {
        self.keys = Some((keys, required));
        self
    }

    /// Came with this microversion.
    pub const fn since(mut self, version: Microversion) -> Self {
        self.since = version;
        self
    }
}

/// A property without limits of its own (the body's limit holds).
pub const fn property(name: &'static str, types: Types) -> Property {
    Property {
        name,
        types,
        length: (0, usize::MAX),
        one_of: &[],
        pattern: None,
        format: None,
        range: (i64::MIN, i64::MAX),
        items: None,
        unique: false,
        values: None,
        keys: None,
        since: BASE,
    }
}

/// A text of so many characters, or a list of so many items.
pub const fn limited(name: &'static str, types: Types, least: usize, most: usize) -> Property {
    Property { length: (least, most), ..property(name, types) }
}

/// Checks an object: required keys, unknown keys, then what each property says of its value, at any depth.
pub fn check(
    what: &str,
    object: &Map<String, Value>,
    properties: &[Property],
    required: &[&str],
) -> Result<(), ApiError> {
    check_object(object, properties, required, None).map_err(|reason| refusal(what, &reason))
}

/// A refusal in jsonschema's words. Ironic's newer routes don't say what the schema is for: `what` is empty there.
pub fn refusal(what: &str, reason: &str) -> ApiError {
    let of = if what.is_empty() { String::new() } else { format!(" for {what}") };
    ApiError::invalid(format!("Schema error{of}: {reason}"))
}

fn check_object(
    object: &Map<String, Value>,
    properties: &[Property],
    required: &[&str],
    others: Option<&Property>,
) -> Result<(), String> {
    if let Some(missing) = required.iter().find(|key| !object.contains_key(**key)) {
        return Err(format!("'{missing}' is a required property"));
    }
    let is_known = |key: &str| properties.iter().any(|property| property.name == key);
    match others {
        None => unknown_keys(object, is_known)?,
        Some(other) => {
            let values = object.iter().filter(|(key, _)| !is_known(key)).map(|(_, value)| value);
            for value in values {
                check_value(value, other)?;
            }
        }
    }
    for property in properties {
        if let Some(value) = object.get(property.name) {
            check_value(value, property)?;
        }
    }
    Ok(())
}

/// Checks one value against what its property says.
pub fn check_value(value: &Value, property: &Property) -> Result<(), String> {
    if !property.types.allows(value) {
        let names: Vec<_> = property.types.names().map(|name| format!("'{name}'")).collect();
        return Err(format!("{} is not of type {}", repr(value), names.join(", ")));
    }
    match value {
        // Texts are stored in columns too, and not every database takes it there.
        Value::String(text) if text.contains('\0') => Err(format!("{} has a NUL character", repr(value))),
        Value::String(text) => {
            check_length(value, text.chars().count(), property)?;
            if !property.one_of.is_empty() && !property.one_of.contains(&text.as_str()) {
                return Err(format!("{} is not one of ['{}']", repr(value), property.one_of.join("', '")));
            }
            match property.pattern {
                Some(pattern) if !(pattern.fits)(text) => {
                    Err(format!("{} does not match {}", repr(value), repr_text(pattern.text)))
                }
                _ => Ok(()),
            }
        }
        Value::Number(number) => check_range(value, number, property),
        Value::Array(list) => {
            check_length(value, list.len(), property)?;
            if let Some(item) = property.items {
                list.iter().try_for_each(|value| check_value(value, item))?;
            }
            if property.unique && has_doubles(list) {
                return Err(format!("{} has non-unique elements", repr(value)));
            }
            Ok(())
        }
        Value::Object(map) => match (property.keys, property.values) {
            (None, None) => Ok(()),
            (keys, others) => {
                let (keys, required) = keys.unwrap_or_default();
                check_object(map, keys, required, others)
            }
        },
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

fn check_length(value: &Value, length: usize, property: &Property) -> Result<(), String> {
    let (least, most) = property.length;
    if length > most {
        return Err(format!("{} is too long", repr(value)));
    }
    if length < least {
        let fault = if least == 1 { "should be non-empty" } else { "is too short" };
        return Err(format!("{} {fault}", repr(value)));
    }
    Ok(())
}

fn check_range(value: &Value, number: &serde_json::Number, property: &Property) -> Result<(), String> {
    // What is beyond an i64 is beyond every range that has an end on that side.
    let (least, most) = property.range;
    #[expect(clippy::cast_precision_loss, reason = "only compared with a float that lost it already")]
    let (below, above) = match (number.as_i64(), number.as_f64()) {
        (Some(number), _) => (number < least, number > most),
        (None, Some(float)) => (float < least as f64, float > most as f64),
        (None, None) => (true, true),
    };
    if below && least != i64::MIN {
        return Err(format!("{} is less than the minimum of {least}", repr(value)));
    }
    if above && most != i64::MAX {
        return Err(format!("{} is greater than the maximum of {most}", repr(value)));
    }
    Ok(())
}

/// Compared as texts, so that a long list costs no more than sorting it.
fn has_doubles(list: &[Value]) -> bool {
    let mut texts: Vec<String> = list.iter().map(Value::to_string).collect();
    texts.sort_unstable();
    texts.windows(2).any(|pair| pair[0] == pair[1])
}

/// Refuses keys that aren't in `known`.
pub fn check_keys(what: &str, object: &Map<String, Value>, known: &[&str]) -> Result<(), ApiError> {
    unknown_keys(object, |key| known.contains(&key)).map_err(|reason| refusal(what, &reason))
}

fn unknown_keys(object: &Map<String, Value>, is_known: impl Fn(&str) -> bool) -> Result<(), String> {
    let unknown: Vec<String> =
        object.keys().filter(|key| !is_known(key)).take(16).map(|key| repr_text(key)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let verb = if unknown.len() == 1 { "was" } else { "were" };
    Err(format!("Additional properties are not allowed ({} {verb} unexpected)", unknown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PROPERTIES: &[Property] =
        &[property("driver", STRING), property("extra", BAG), limited("name", TEXT, 1, 3)];

    fn refusal(value: Value) -> String {
        check("node", value.as_object().unwrap(), PROPERTIES, &["driver"]).unwrap_err().text
    }

    #[test]
    fn refusals_read_as_jsonschemas() {
        assert_eq!(refusal(json!({})), "Schema error for node: 'driver' is a required property");
        assert_eq!(refusal(json!({"driver": 1})), "Schema error for node: 1 is not of type 'string'");
        assert_eq!(
            refusal(json!({"driver": "x", "extra": []})),
            "Schema error for node: [] is not of type 'object', 'null'"
        );
        assert_eq!(
            refusal(json!({"driver": "x", "foo": 1})),
            "Schema error for node: Additional properties are not allowed ('foo' was unexpected)"
        );
        assert_eq!(
            refusal(json!({"driver": "x", "b": 1, "a": 1})),
            "Schema error for node: Additional properties are not allowed ('a', 'b' were unexpected)"
        );
        assert_eq!(
            refusal(json!({"driver": "x", "name": "long"})),
            "Schema error for node: 'long' is too long"
        );
        assert_eq!(
            refusal(json!({"driver": "x", "name": ""})),
            "Schema error for node: '' should be non-empty"
        );
        assert!(
            check("node", json!({"driver": "x", "name": null}).as_object().unwrap(), PROPERTIES, &[]).is_ok()
        );
    }

    const STEP: Property = property("", OBJECT).keys(
        &[
            property("interface", STRING).one_of(&["bios", "raid"]),
            limited("step", STRING, 1, 255),
            property("priority", INTEGER).range(0, 99),
        ],
        &["interface"],
    );
    const NESTED: &[Property] = &[
        property("limits", OBJECT)
            .keys(&[property("name", STRING)], &["name"])
            .values(&property("", INTEGER)),
        limited("steps", ARRAY, 1, 2).items(&STEP),
        property("traits", LIST)
            .items(&property("", STRING).pattern("^CUSTOM_", |text| text.starts_with("CUSTOM_")))
            .unique(),
        property("share", NUMBER),
    ];

    fn nested(value: Value) -> String {
        check("x", value.as_object().unwrap(), NESTED, &[])
            .err()
            .map(|error| error.text.replace("Schema error for x: ", ""))
            .unwrap_or_default()
    }

    #[test]
    fn what_is_nested_is_checked_too() {
        let step = json!({"interface": "bios", "step": "s", "priority": 1.0});
        assert_eq!(nested(json!({"steps": [step], "traits": ["CUSTOM_A"], "share": 0.5})), "");
        assert_eq!(nested(json!({"steps": []})), "[] should be non-empty");
        assert_eq!(
            nested(json!({"steps": [step, step, step]})),
            format!("{} is too long", repr(&json!([step, step, step])))
        );
        assert_eq!(nested(json!({"steps": [1]})), "1 is not of type 'object'");
        assert_eq!(nested(json!({"steps": [{}]})), "'interface' is a required property");
        assert_eq!(nested(json!({"steps": [{"interface": "x"}]})), "'x' is not one of ['bios', 'raid']");
        assert_eq!(
            nested(json!({"steps": [{"interface": "bios", "x": 1}]})),
            "Additional properties are not allowed ('x' was unexpected)"
        );
        let priority = |value: Value| nested(json!({"steps": [{"interface": "bios", "priority": value}]}));
        assert_eq!(priority(json!(-1)), "-1 is less than the minimum of 0");
        assert_eq!(priority(json!(100)), "100 is greater than the maximum of 99");
        assert_eq!(priority(json!(u64::MAX)), format!("{} is greater than the maximum of 99", u64::MAX));
        assert_eq!(priority(json!(1.5)), "1.5 is not of type 'integer'");
        assert_eq!(priority(json!(true)), "True is not of type 'integer'");
        assert_eq!(nested(json!({"traits": null})), "");
        assert_eq!(nested(json!({"traits": ["x"]})), "'x' does not match '^CUSTOM_'");
        assert_eq!(
            nested(json!({"traits": ["CUSTOM_A", "CUSTOM_A"]})),
            "['CUSTOM_A', 'CUSTOM_A'] has non-unique elements"
        );
        assert_eq!(nested(json!({"traits": ["CUSTOM_\0"]})), "'CUSTOM_\\x00' has a NUL character");
        assert_eq!(nested(json!({"limits": {"name": "x", "a": 1, "b": 2}})), "");
        assert_eq!(nested(json!({"limits": {"a": 1}})), "'name' is a required property");
        assert_eq!(nested(json!({"limits": {"name": "x", "a": "y"}})), "'y' is not of type 'integer'");
        assert_eq!(nested(json!({"share": "x"})), "'x' is not of type 'number'");
    }
}
