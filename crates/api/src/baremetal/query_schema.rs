//! Arguments that Ironic's newer routes hold against a JSON schema: the same rules as elsewhere, refused in the schema's words.

use super::fields::Field;
use super::schema::refusal;
use crate::args::{Args, is_logical_name, normal_mac, parse_uuid};
use crate::error::ApiError;
use crate::wording::repr_text;
use serde_json::Value;

/// What an argument must be.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// A UUID.
    Uuid,
    /// A UUID or a name.
    UuidOrName,
    /// A MAC address.
    Mac,
    /// `asc` or `desc`.
    Direction,
}

/// Checks the arguments that are given. A list, or anything but a text, is left to whoever reads it.
pub fn check(args: &Args, forms: &[(&str, Form)]) -> Result<(), ApiError> {
    for (name, form) in forms {
        if let Some(Value::String(text)) = args.value(name)
            && let Some(fault) = fault(text, *form)
        {
            return Err(refusal("", &fault));
        }
    }
    Ok(())
}

/// Why a text has not this form.
pub fn fault(text: &str, form: Form) -> Option<String> {
    let shown = repr_text(text);
    match form {
        Form::Uuid if parse_uuid(text).is_none() => Some(format!("{shown} is not a 'uuid'")),
        Form::UuidOrName if parse_uuid(text).is_none() && !is_logical_name(text) => Some(format!(
            "{shown} is not valid under any of the given schemas. Possible root cause: {shown} is not a 'uuid'"
        )),
        Form::Mac if normal_mac(text).is_none() => Some(format!("{shown} is not a 'mac-address'")),
        Form::Direction if !matches!(text, "asc" | "desc") => {
            Some(format!("{shown} is not one of ['asc', 'desc']"))
        }
        _ => None,
    }
}

/// How an unknown name in `fields` is refused.
pub fn unknown_field(name: &str, fields: &[Field]) -> String {
    let mut known: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
    known.sort_unstable();
    unknown_among(name, &known)
}

/// The same where the names have an order of their own.
pub fn unknown_among(name: &str, known: &[&str]) -> String {
    let known: Vec<_> = known.iter().map(|field| repr_text(field)).collect();
    format!("Schema error: {} is not one of [{}]", repr_text(name), known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::version::BASE;

    #[test]
    fn refusals_read_as_the_schemas() {
        let text = |query: &str, form| {
            check(&Args::from_query(query).unwrap(), &[("a", form)]).err().map(|error| error.text)
        };
        assert_eq!(text("a=x", Form::Uuid).as_deref(), Some("Schema error: 'x' is not a 'uuid'"));
        assert_eq!(text("a=zz", Form::Mac).as_deref(), Some("Schema error: 'zz' is not a 'mac-address'"));
        assert_eq!(
            text("a=up", Form::Direction).as_deref(),
            Some("Schema error: 'up' is not one of ['asc', 'desc']")
        );
        assert_eq!(
            text("a=b%20c", Form::UuidOrName).as_deref(),
            Some(
                "Schema error: 'b c' is not valid under any of the given schemas. Possible root cause: 'b c' is not a 'uuid'"
            )
        );
        for good in ["a=asc", "a=desc", "b=1", ""] {
            assert_eq!(text(good, Form::Direction), None, "{good}");
        }
        assert_eq!(text("a=52:54:00:AA:00:01", Form::Mac), None);
        assert_eq!(text("a=n1", Form::UuidOrName), None);
        assert_eq!(
            unknown_field("foo", &[("uuid", BASE), ("extra", BASE)]),
            "Schema error: 'foo' is not one of ['extra', 'uuid']"
        );
    }
}
