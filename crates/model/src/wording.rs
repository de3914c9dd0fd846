//! Values as Ironic's errors quote them: in Python's notation, since clients and people compare the texts.

use serde_json::Value;

/// Characters of a client's own value that an error repeats.
pub const QUOTED_CHARACTERS: usize = 1000;

/// A value as Python's `repr` writes it, cut where it grows long.
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out, 4 * QUOTED_CHARACTERS);
    if let Some((end, _)) = out.char_indices().nth(QUOTED_CHARACTERS) {
        out.truncate(end);
        out.push('…');
    }
    out
}

/// A text as Python's `repr` writes it.
pub fn repr_text(text: &str) -> String {
    repr(&Value::from(text))
}

/// A value as Python's `str` writes it: texts without quotes.
pub fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(QUOTED_CHARACTERS).collect(),
        other => repr(other),
    }
}

/// A value as Python's `str` writes it, uncut: for texts that are made, not quoted.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::String(text) => out.clone_from(text),
        other => write(other, &mut out, usize::MAX),
    }
    out
}

/// Is it what Python takes for false: null, false, zero, or empty?
pub fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// A boolean, or any of the words that oslo's `bool_from_string(strict=True)` takes for one.
pub fn truth(value: &Value) -> Option<bool> {
    if let Value::Bool(value) = value {
        return Some(*value);
    }
    match display(value).trim().to_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Writes a value, and stops where `most` bytes are exceeded.
fn write(value: &Value, out: &mut String, most: usize) {
    if out.len() > most {
        return;
    }
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_text(text, out, most),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(item, out, most);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_text(key, out, most);
                out.push_str(": ");
                write(item, out, most);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String, most: usize) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars().take(most) {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => {
                out.push('\\');
                out.push(quote);
            }
            _ if character.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_quoted_as_python_does() {
        assert_eq!(
            repr(&json!({"a": [1, null, true, "x'y", "p\"'q"]})),
            r#"{'a': [1, None, True, "x'y", 'p"\'q']}"#
        );
        assert_eq!(display(&json!("x")), "x");
        assert_eq!(repr(&json!("a\n\u{1}")), r"'a\n\x01'");
    }

    #[test]
    fn long_values_are_cut() {
        let long = repr(&json!("x".repeat(100_000)));
        assert_eq!(long.chars().count(), QUOTED_CHARACTERS + 1);
        assert_eq!(text(&json!("x".repeat(100_000))).len(), 100_000);
        assert_eq!(text(&json!(["x".repeat(100_000)])).len(), 100_004);
        assert!(repr(&json!(vec!["y".repeat(1000); 1000])).chars().count() <= QUOTED_CHARACTERS + 1);
    }
}
