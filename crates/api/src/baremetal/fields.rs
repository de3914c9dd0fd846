//! What lists and single resources have in common: chosen fields, pages, masks, times.

use crate::args::Args;
use crate::call::Call;
use crate::error::ApiError;
use crate::wording::{is_falsy, repr};
use jiff::Timestamp;
use jiff::tz::Offset;
use model::node::Object;
use model::secret::{MASK, is_secret_key};
use model::version::{DETAIL, FIELDS, Microversion};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt::Write;
use store::SortDirection;

/// A field of a resource and the microversion that it came with.
pub type Field = (&'static str, Microversion);

/// How a resource refuses a field that it doesn't have: nodes have a wording of their own.
pub type Unknown = fn(&str) -> String;

/// Most resources' wording.
pub fn unknown_field(name: &str) -> String {
    format!("Field(s) \"{name}\" are not valid")
}

/// Nodes' wording.
pub fn unknown_node_field(name: &str) -> String {
    format!("Field {name} is not a valid field.")
}

/// Which fields of a resource are shown.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// All that the microversion has.
    All,
    /// These.
    Some(Vec<String>),
}

impl Chosen {
    /// Is the field shown?
    pub fn has(&self, field: &str) -> bool {
        match self {
            Chosen::All => true,
            Chosen::Some(list) => list.iter().any(|name| name == field),
        }
    }

    /// Reads `fields=` of a single resource.
    pub fn of_one(
        args: &Args,
        version: Microversion,
        known: &[Field],
        unknown: Unknown,
    ) -> Result<Self, ApiError> {
        match args.list("fields")? {
            None => Ok(Chosen::All),
            Some(list) => Self::check(list, version, known, unknown),
        }
    }

    /// Reads `fields=` and `detail=` of a list.
    pub fn of_list(
        args: &Args,
        version: Microversion,
        known: &[Field],
        default: &[&str],
        unknown: Unknown,
    ) -> Result<Self, ApiError> {
        let fields = args.list("fields")?;
        let detail = args.boolean("detail")?;
        let chosen = match fields {
            Some(list) => Some(Self::check(list, version, known, unknown)?),
            None => None,
        };
        if let Some(detail) = detail
            && !version.has(DETAIL)
        {
            return Err(ApiError::invalid(format!(
                "Invalid query parameter ?detail={} received.",
                repr(&Value::from(detail))
            )));
        }
        match (chosen, detail) {
            (Some(_), Some(true)) => {
                Err(ApiError::invalid("Can not specify ?detail=True and fields in the same request."))
            }
            (Some(chosen), _) => Ok(chosen),
            (None, Some(true)) => Ok(Chosen::All),
            (None, _) => Ok(Chosen::Some(default.iter().map(|name| (*name).to_owned()).collect())),
        }
    }

    fn check(
        list: Vec<String>,
        version: Microversion,
        known: &[Field],
        unknown: Unknown,
    ) -> Result<Self, ApiError> {
        if !version.has(FIELDS) {
            return Err(ApiError::not_acceptable());
        }
        let since = |name: &str| known.iter().find(|(own, _)| *own == name).map(|(_, since)| *since);
        if list.iter().filter_map(|name| since(name)).any(|since| !version.has(since)) {
            return Err(ApiError::not_acceptable());
        }
        if let Some(name) = list.iter().find(|name| since(name).is_none()) {
            let name: String = name.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
            return Err(ApiError::invalid(unknown(&name)));
        }
        Ok(Chosen::Some(list))
    }
}

/// Which part of a list is asked for.
#[derive(Debug)]
pub struct Page {
    /// At most so many.
    pub limit: i64,
    /// API's name of the field to sort by.
    pub sort_key: String,
    /// Column of that field.
    pub sort: &'static str,
    /// Direction.
    pub direction: SortDirection,
    /// Start behind this one.
    pub marker: Option<uuid::Uuid>,
}

impl Page {
    /// Reads `limit`, `marker`, `sort_key` and `sort_dir`.
    pub fn read(
        call: &Call,
        args: &Args,
        known: &[Field],
        columns: &'static [(&'static str, &'static str)],
    ) -> Result<Self, ApiError> {
        let limit = match args.integer("limit")? {
            None => call.state.settings.max_limit,
            Some(limit) if limit <= 0 => return Err(ApiError::invalid("Limit must be positive")),
            Some(limit) => limit.min(call.state.settings.max_limit),
        };
        let direction = match args.text("sort_dir")? {
            None | Some("asc") => SortDirection::Ascending,
            Some("desc") => SortDirection::Descending,
            Some(other) => {
                return Err(ApiError::invalid(format!(
                    "Invalid sort direction: {}. Acceptable values are 'asc' or 'desc'",
                    other.chars().take(crate::limits::QUOTED_CHARACTERS).collect::<String>()
                )));
            }
        };
        let sort_key = args.text("sort_key")?.filter(|key| !key.is_empty()).unwrap_or("id");
        let since = known.iter().find(|(own, _)| *own == sort_key).map(|(_, since)| *since);
        if since.is_some_and(|since| !call.version.has(since)) {
            return Err(ApiError::not_acceptable());
        }
        // Shown, but computed: not to be sorted by either.
        const NO_COLUMN: &[&str] = &["links", "nodes", "ports", "node_uuid", "portgroup_uuid"];
        let sort = columns.iter().find(|(name, _)| *name == sort_key).map(|(_, column)| *column);
        let Some(sort) = sort else {
            let shown: String = sort_key.chars().take(crate::limits::QUOTED_CHARACTERS).collect();
            // Ironic quotes the name only where it is no column at all.
            let quoted = if since.is_some() && !NO_COLUMN.contains(&sort_key) {
                shown
            } else {
                format!("\"{shown}\"")
            };
            return Err(ApiError::invalid(format!(
                "The sort_key value {quoted} is an invalid field for sorting"
            )));
        };
        Ok(Self { limit, sort_key: sort_key.to_owned(), sort, direction, marker: args.uuid("marker")? })
    }

    /// The page of a list of records; filters are added to it.
    pub fn query(&self) -> store::Query {
        store::Query {
            sort: Some(self.sort),
            direction: self.direction,
            marker: self.marker,
            limit: Some(self.limit),
            ..store::Query::default()
        }
    }

    /// The link to the next page, if this one is full.
    ///
    /// `extra` are further arguments that it repeats, in Ironic's notation.
    pub fn next(
        &self,
        call: &Call,
        url: &str,
        chosen: &Chosen,
        extra: &[(&str, bool)],
        shown: usize,
        last: Option<uuid::Uuid>,
    ) -> Option<String> {
        let last = last?;
        if i64::try_from(shown).ok()? != self.limit {
            return None;
        }
        let direction = match self.direction {
            SortDirection::Ascending => "asc",
            SortDirection::Descending => "desc",
        };
        let mut next = format!("{}?sort_key={}&sort_dir={direction}", call.url(url), self.sort_key);
        for (name, value) in extra {
            // Writing to a String can't fail.
            let _ = write!(next, "&{name}={}", if *value { "True" } else { "False" });
        }
        if let Chosen::Some(list) = chosen {
            let _ = write!(next, "&fields={}", list.join(","));
        }
        let _ = write!(next, "&limit={}&marker={last}", self.limit);
        Some(next)
    }
}

/// A time as Ironic writes it: `2026-11-22T13:04:17.146799+00:00`.
pub fn time(at: Timestamp) -> String {
    let at = Offset::UTC.to_datetime(at);
    let micros = at.subsec_nanosecond() / 1000;
    let mut text = String::with_capacity(32);
    // By hand: a list of a thousand nodes has thousands of times, and a format that is parsed for each costs more than all else.
    for (lead, number, digits) in [
        ("", i32::from(at.year()), 4),
        ("-", i32::from(at.month()), 2),
        ("-", i32::from(at.day()), 2),
        ("T", i32::from(at.hour()), 2),
        (":", i32::from(at.minute()), 2),
        (":", i32::from(at.second()), 2),
        (".", micros, 6),
    ] {
        if lead == "." && micros == 0 {
            break;
        }
        text.push_str(lead);
        push_digits(&mut text, number.unsigned_abs(), digits);
    }
    text.push_str("+00:00");
    text
}

/// The number's last `digits` digits.
fn push_digits(text: &mut String, number: u32, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        text.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

/// The same of a time that may be missing.
pub fn maybe_time(at: Option<Timestamp>) -> Option<String> {
    at.map(time)
}

/// An object with every secret as a mask: whatever way it came here, it is safe to show.
pub struct Masked<'a>(pub &'a Object);

impl Serialize for Masked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, MaskedValue { key, value })))
    }
}

struct MaskedValue<'a> {
    key: &'a str,
    value: &'a Value,
}

impl Serialize for MaskedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.value.is_null() && is_secret_key(self.key) {
            return serializer.serialize_str(MASK);
        }
        MaskedItem(self.value).serialize(serializer)
    }
}

/// A value that is no secret itself; within it may be some.
struct MaskedItem<'a>(&'a Value);

impl Serialize for MaskedItem<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(inner) => Masked(inner).serialize(serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(MaskedItem)),
            other => other.serialize(serializer),
        }
    }
}

/// `instance_info`: also the config drive and the image's URL are secret.
pub fn masked_instance_info(info: &Object) -> Value {
    let mut shown = json!(Masked(info));
    for key in ["configdrive", "image_url"] {
        if let Some(value) = shown.get_mut(key)
            && !is_falsy(value)
        {
            *value = Value::from(MASK);
        }
    }
    shown
}

/// Where a client wrote exactly the mask back, what is stored stays (`docs/DIFFERENCES.md`: Ironic would store the stars).
pub fn keep_masked(new: &mut Object, stored: &Object) {
    for (key, value) in new.iter_mut() {
        if let Some(old) = stored.get(key) {
            keep_masked_value(value, old);
        }
    }
}

fn keep_masked_value(new: &mut Value, stored: &Value) {
    match (new, stored) {
        (value @ Value::String(_), old) if value.as_str() == Some(MASK) => *value = old.clone(),
        (Value::Object(inner), Value::Object(old)) => keep_masked(inner, old),
        (Value::Array(items), Value::Array(old)) => {
            for (item, old) in items.iter_mut().zip(old) {
                keep_masked_value(item, old);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn times_are_written_as_python_does() {
        assert_eq!(time(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00+00:00");
        assert_eq!(
            time(Timestamp::from_microsecond(1_700_000_000_001_002).unwrap()),
            "2023-11-14T22:13:20.001002+00:00"
        );
        let mut moment = Timestamp::UNIX_EPOCH;
        for _ in 0..1000 {
            moment += jiff::SignedDuration::new(1_234_567, 891_234_567);
            let expected = moment.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
            assert_eq!(time(moment), expected);
        }
    }

    #[test]
    fn secrets_are_masked_at_any_depth() {
        let info = object(json!({
            "ipmi_address": "a", "ipmi_password": "p", "deep": {"auth_token": {"x": 1}, "y": 2}, "none_secret": null,
            "configdrive": {"meta_data": {}}, "image_url": "http://temp"
        }));
        let shown = masked_instance_info(&info);
        assert_eq!(
            shown,
            json!({
                "ipmi_address": "a", "ipmi_password": MASK, "deep": {"auth_token": MASK, "y": 2}, "none_secret": null,
                "configdrive": MASK, "image_url": MASK
            })
        );
    }

    #[test]
    fn a_mask_that_comes_back_keeps_the_secret_and_only_where_one_was() {
        let stored = object(json!({"ipmi_password": "p", "deep": {"token": "t"}, "plain": "x"}));
        let mut new = object(json!({
            "ipmi_password": MASK, "deep": {"token": MASK, "other_token": MASK}, "plain": "y", "new_password": MASK
        }));
        keep_masked(&mut new, &stored);
        assert_eq!(
            Value::Object(new),
            json!({
                "ipmi_password": "p", "deep": {"token": "t", "other_token": MASK}, "plain": "y", "new_password": MASK
            })
        );
    }
}
