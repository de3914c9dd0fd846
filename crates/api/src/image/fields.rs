//! What clients may say of an image: attributes with their types and limits, and properties of their own.

use crate::cloud::{Call, CloudError};
use model::image::{CONTAINER_FORMATS, DISK_FORMATS, Image, Status, Visibility};
use serde_json::Value;
use std::collections::BTreeSet;

/// Attributes that the service sets itself.
const READ_ONLY: &[&str] = &[
    "id",
    "status",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "created_at",
    "updated_at",
    "self",
    "file",
    "schema",
    "direct_url",
    "stores",
];
/// Names that nothing may be called by.
const RESERVED: &[&str] = &["location", "locations", "deleted", "deleted_at"];
/// Beginning of names that are the service's own.
const RESERVED_PREFIX: &str = "os_glance";
/// Attributes that are not properties.
const ATTRIBUTES: &[&str] = &[
    "name",
    "visibility",
    "owner",
    "container_format",
    "disk_format",
    "min_disk",
    "min_ram",
    "protected",
    "os_hidden",
    "tags",
];
/// Longest name of an image, of a tag and of a property, in characters.
const LONGEST_NAME: usize = 255;
/// Longest value of a property, in bytes.
const LONGEST_VALUE: usize = 64 << 10;
/// `[DEFAULT] image_tag_quota` and `image_property_quota`.
const TAGS: usize = 128;
const PROPERTIES: usize = 128;

/// Is it an attribute of every image, and not a property that somebody gave it?
pub(super) fn is_attribute(name: &str) -> bool {
    ATTRIBUTES.contains(&name) || READ_ONLY.contains(&name)
}

/// Refuses names that clients can't write.
pub(super) fn writable(name: &str) -> Result<(), CloudError> {
    if READ_ONLY.contains(&name) {
        return Err(CloudError::forbidden(format!("Attribute '{name}' is read-only.")));
    }
    if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) {
        return Err(CloudError::forbidden(format!("Attribute '{name}' is reserved.")));
    }
    Ok(())
}

/// Sets an attribute or a property. What depends on who calls is looked at too: who owns an image, and who makes it public.
pub(super) fn set(call: &Call, image: &mut Image, name: &str, value: &Value) -> Result<(), CloudError> {
    writable(name)?;
    match name {
        "name" => image.name = optional_text(name, value, LONGEST_NAME)?,
        "visibility" => image.visibility = visibility(call, value)?,
        "owner" => image.owner = owner(call, image, value)?,
        "container_format" => {
            image.container_format =
                format(image, name, image.container_format.as_deref(), value, CONTAINER_FORMATS)?;
        }
        "disk_format" => {
            image.disk_format = format(image, name, image.disk_format.as_deref(), value, DISK_FORMATS)?;
        }
        "min_disk" => image.min_disk = number(name, value)?,
        "min_ram" => image.min_ram = number(name, value)?,
        "protected" => image.protected = flag(name, value)?,
        "os_hidden" => image.os_hidden = flag(name, value)?,
        "tags" => image.tags = tags(value)?,
        property => {
            let value = property_value(property, value)?;
            image.properties.insert(property.to_owned(), value);
        }
    }
    check_counts(image)
}

/// Removes a property; attributes can't be.
pub(super) fn remove(image: &mut Image, name: &str) -> Result<(), CloudError> {
    writable(name)?;
    if is_attribute(name) {
        return Err(CloudError::forbidden(format!("Property {name} may not be removed.")));
    }
    match image.properties.remove(name) {
        Some(_) => Ok(()),
        None => Err(CloudError::conflict(format!("Property {name} does not exist."))),
    }
}

/// `[DEFAULT] image_tag_quota` and `image_property_quota`.
pub(super) fn check_counts(image: &Image) -> Result<(), CloudError> {
    let too_large = |text: String| CloudError::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, text);
    if image.tags.len() > TAGS {
        return Err(too_large(format!(
            "The limit has been exceeded on the number of allowed image tags. Attempted: {}, Maximum: {TAGS}",
            image.tags.len()
        )));
    }
    if image.properties.len() > PROPERTIES {
        return Err(too_large(format!(
            "The limit has been exceeded on the number of allowed image properties. Attempted: {}, Maximum: {PROPERTIES}",
            image.properties.len()
        )));
    }
    Ok(())
}

/// One tag, checked.
pub(super) fn tag(text: &str) -> Result<String, CloudError> {
    bounded("tag", text, LONGEST_NAME)?;
    Ok(text.to_owned())
}

fn mismatch(name: &str, value: &Value, expected: &str) -> CloudError {
    let shown: String = value.to_string().chars().take(100).collect();
    CloudError::invalid(format!("Invalid value for {name}: {shown} is not {expected}."))
}

fn bounded(name: &str, text: &str, longest: usize) -> Result<(), CloudError> {
    if text.chars().count() > longest {
        return Err(CloudError::invalid(format!("The value of {name} is longer than {longest} characters.")));
    }
    if text.contains('\0') {
        return Err(CloudError::invalid(format!("The value of {name} has a NUL character in it.")));
    }
    Ok(())
}

fn optional_text(name: &str, value: &Value, longest: usize) -> Result<Option<String>, CloudError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => {
            bounded(name, text, longest)?;
            Ok(Some(text.clone()))
        }
        other => Err(mismatch(name, other, "a text or null")),
    }
}

fn number(name: &str, value: &Value) -> Result<u64, CloudError> {
    // What fits in Glance's columns.
    value
        .as_u64()
        .filter(|number| *number <= i32::MAX as u64)
        .ok_or_else(|| mismatch(name, value, "a whole number from 0 to 2147483647"))
}

fn flag(name: &str, value: &Value) -> Result<bool, CloudError> {
    value.as_bool().ok_or_else(|| mismatch(name, value, "true or false"))
}

fn tags(value: &Value) -> Result<BTreeSet<String>, CloudError> {
    let Value::Array(items) = value else { return Err(mismatch("tags", value, "a list of texts")) };
    items.iter().map(|item| tag(item.as_str().ok_or_else(|| mismatch("tags", item, "a text"))?)).collect()
}

fn property_value(name: &str, value: &Value) -> Result<String, CloudError> {
    bounded("a property's name", name, LONGEST_NAME)?;
    if name.is_empty() {
        return Err(CloudError::invalid("A property needs a name."));
    }
    let Value::String(text) = value else {
        return Err(mismatch(name, value, "a text, as properties must be"));
    };
    if text.len() > LONGEST_VALUE || text.contains('\0') {
        return Err(CloudError::invalid(format!(
            "The value of {name} is longer than {LONGEST_VALUE} bytes or has a NUL character in it."
        )));
    }
    Ok(text.clone())
}

fn visibility(call: &Call, value: &Value) -> Result<Visibility, CloudError> {
    let words: Vec<_> = Visibility::ALL.into_iter().map(Visibility::as_str).collect();
    let visibility = value
        .as_str()
        .and_then(Visibility::parse)
        .ok_or_else(|| mismatch("visibility", value, &format!("one of {}", words.join(", "))))?;
    if visibility == Visibility::Public && !call.is_operator() {
        return Err(CloudError::forbidden(
            "You are not authorized to make an image public: operators may. Share it with a project, or make it a community image.",
        ));
    }
    Ok(visibility)
}

fn owner(call: &Call, image: &Image, value: &Value) -> Result<Option<String>, CloudError> {
    let owner = optional_text("owner", value, LONGEST_NAME)?;
    if owner != image.owner && !call.is_operator() {
        return Err(CloudError::forbidden(
            "You are not permitted to give an image to another project: operators may.",
        ));
    }
    Ok(owner)
}

fn format(
    image: &Image,
    name: &str,
    current: Option<&str>,
    value: &Value,
    known: &[&str],
) -> Result<Option<String>, CloudError> {
    let wanted = optional_text(name, value, LONGEST_NAME)?;
    if wanted.as_deref() == current {
        return Ok(wanted);
    }
    if image.status != Status::Queued {
        return Err(CloudError::forbidden(format!(
            "Attribute {name} can be only replaced for a queued image."
        )));
    }
    match wanted.as_deref() {
        Some(format) if !known.contains(&format) => {
            Err(mismatch(name, value, &format!("one of {}", known.join(", "))))
        }
        _ => Ok(wanted),
    }
}
