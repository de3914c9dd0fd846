//! Conditions: their operators over filled-in arguments, with Python's notion of equal, less and true.

use crate::wording::text;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::net::IpAddr;

/// Largest compiled form of a regular expression, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// Does the condition hold? The error is why that can't be said.
pub fn holds(op: &str, args: &Map<String, Value>, force_strings: bool) -> Result<bool, String> {
    let value = args.get("value").unwrap_or(&Value::Null);
    match op {
        "eq" | "lt" | "gt" => {
            let forced = force_strings || args.get("force_strings").is_some_and(is_truthy);
            in_order(op, args.get("values").unwrap_or(&Value::Null), forced)
        }
        "is-empty" => Ok(matches!(text(value).as_str(), "" | "None" | "[]" | "{}")),
        "is-none" => Ok(value.is_null()),
        "is-true" => Ok(as_flag(value, &["yes", "true"]).unwrap_or(false)),
        "is-false" => Ok(match value {
            Value::Null => true,
            Value::String(word) => ["no", "false"].contains(&word.to_lowercase().as_str()),
            other => as_flag(other, &[]).is_some_and(|flag| !flag),
        }),
        "one-of" => one_of(value, args.get("values")),
        "in-net" => in_net(argument(args, "address"), argument(args, "subnet")),
        "matches" => Ok(regex(&argument(args, "regex"), true)?.is_match(&text(value))),
        "contains" => Ok(regex(&argument(args, "regex"), false)?.is_match(&text(value))),
        _ => Err(format!("Unsupported operator: '{op}'.")),
    }
}

fn argument(args: &Map<String, Value>, name: &str) -> String {
    args.get(name).map(text).unwrap_or_default()
}

/// The truth of a boolean, a number, or one of these words.
fn as_flag(value: &Value, words: &[&str]) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        Value::String(word) => Some(words.contains(&word.to_lowercase().as_str())),
        _ => None,
    }
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        other => as_flag(other, &[]).unwrap_or(false),
    }
}

/// Are all neighbours equal, or less, or greater? Fewer than two values are in any order.
fn in_order(op: &str, values: &Value, force_strings: bool) -> Result<bool, String> {
    let Value::Array(values) = values else {
        return Err(format!(
            "Failed to check condition: '{op}' on values: {}: Expected list for 'values'",
            text(values)
        ));
    };
    for pair in values.windows(2) {
        let (left, right) = (&pair[0], &pair[1]);
        let holds = match (op, force_strings) {
            ("eq", true) => text(left) == text(right),
            ("eq", false) => equal(left, right),
            (_, true) => text(left).cmp(&text(right)) == wanted(op),
            (_, false) => compare(left, right)? == Some(wanted(op)),
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn wanted(op: &str) -> Ordering {
    if op == "lt" { Ordering::Less } else { Ordering::Greater }
}

/// The number that a value counts as: booleans are 0 and 1.
fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// Python's `==`: `1 == 1.0 == True`, and never a number equal to a text.
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        // Whole numbers beyond a float's precision are told apart.
        (Value::Number(left), Value::Number(right)) if !left.is_f64() && !right.is_f64() => left == right,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => match (as_number(left), as_number(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
    }
}

/// Python's `<` and `>`: numbers, texts and lists have an order among their own.
fn compare(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) if left.is_i64() && right.is_i64() => {
            Ok(Some(left.as_i64().cmp(&right.as_i64())))
        }
        (Value::String(left), Value::String(right)) => Ok(Some(left.cmp(right))),
        (Value::Array(left), Value::Array(right)) => {
            for (left, right) in left.iter().zip(right) {
                if !equal(left, right) {
                    return compare(left, right);
                }
            }
            Ok(Some(left.len().cmp(&right.len())))
        }
        _ => match (as_number(left), as_number(right)) {
            (Some(left), Some(right)) => Ok(left.partial_cmp(&right)),
            _ => Err(format!("{} and {} have no order", text(left), text(right))),
        },
    }
}

/// Python's `in`: an element of a list, a key of an object, a part of a text. No values: never.
fn one_of(value: &Value, values: Option<&Value>) -> Result<bool, String> {
    match (values, value) {
        (None, _) => Ok(false),
        (Some(Value::Array(list)), _) => Ok(list.iter().any(|other| equal(value, other))),
        (Some(Value::Object(map)), Value::String(key)) => Ok(map.contains_key(key)),
        (Some(Value::Object(_)), _) => Ok(false),
        (Some(Value::String(whole)), Value::String(part)) => Ok(whole.contains(part.as_str())),
        (Some(other), _) => Err(format!("{} is no list to look for {} in", text(other), text(value))),
    }
}

/// Is an address in a subnet: `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `fd00::/8`, or a single address?
fn in_net(address: String, subnet: String) -> Result<bool, String> {
    let invalid = |what: &str| format!("invalid value: invalid IPNetwork {what}");
    let address: IpAddr =
        address.trim().parse().map_err(|_| format!("invalid value: {address} is no IP address"))?;
    let (net, length) = match subnet.trim().split_once('/') {
        Some((net, length)) => (net, Some(length)),
        None => (subnet.trim(), None),
    };
    let net: IpAddr = net.parse().map_err(|_| invalid(&subnet))?;
    let (bits, width) = bits_of(net);
    let length = match length {
        None => width,
        Some(length) => prefix(length, net).ok_or_else(|| invalid(&subnet))?,
    };
    let (own, own_width) = bits_of(address);
    // Compared from the left: shifting away what is beyond the prefix. A shift by the whole width leaves nothing to compare.
    let shift = width - length;
    let head = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
    Ok(own_width == width && head(own) == head(bits))
}

fn bits_of(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

/// The length of a prefix that is written as a number or as a mask.
fn prefix(length: &str, net: IpAddr) -> Option<u32> {
    let width = bits_of(net).1;
    if let Ok(length) = length.parse::<u32>() {
        return (length <= width).then_some(length);
    }
    let mask: IpAddr = length.parse().ok().filter(|mask: &IpAddr| mask.is_ipv4() == net.is_ipv4())?;
    let (bits, _) = bits_of(mask);
    let zeros = bits.trailing_zeros().min(width);
    let ones = width - zeros;
    (bits.count_ones() == ones).then_some(ones)
}

/// Compiles a regular expression; `whole` is one that must match from the beginning to the end, as Ironic's `matches` does.
pub fn regex(pattern: &str, whole: bool) -> Result<Regex, String> {
    let anchored = match (whole, pattern.ends_with('$')) {
        (false, _) => pattern.to_owned(),
        (true, true) => format!("^(?:{pattern})"),
        // As in Ironic the `$` belongs to the last alternative only.
        (true, false) => format!("^(?:{pattern}$)"),
    };
    RegexBuilder::new(&anchored)
        .size_limit(REGEX_BYTES)
        .build()
        .map_err(|error| format!("invalid regular expression: {error}"))
}
