//! What is bounded, with Swift's own numbers, and what names may be. `/info` shows them.

use super::Metadata;

/// Bytes of one object that is sent at once; what is larger is sent in segments.
pub const MAX_FILE_SIZE: i64 = 5_368_709_122;
/// Bytes of a metadata name.
pub const MAX_META_NAME_LENGTH: usize = 128;
/// Bytes of a metadata value.
pub const MAX_META_VALUE_LENGTH: usize = 256;
/// Metadata items of one account, container or object.
pub const MAX_META_COUNT: usize = 90;
/// Bytes of all names and values of metadata.
pub const MAX_META_OVERALL_SIZE: usize = 4096;
/// Bytes of a header.
pub const MAX_HEADER_SIZE: usize = 8192;
/// Bytes of an object's name.
pub const MAX_OBJECT_NAME_LENGTH: usize = 1024;
/// Bytes of a container's name.
pub const MAX_CONTAINER_NAME_LENGTH: usize = 256;
/// Bytes of an account's name.
pub const MAX_ACCOUNT_NAME_LENGTH: usize = 256;
/// Entries of one listing.
pub const LISTING_LIMIT: usize = 10_000;
/// Segments of one static large object.
pub const MAX_MANIFEST_SEGMENTS: usize = 1000;
/// Bytes of a manifest.
pub const MAX_MANIFEST_SIZE: usize = 8 << 20;
/// How deep manifests may name manifests.
pub const MAX_MANIFEST_DEPTH: usize = 10;
/// Objects of one bulk deletion.
pub const MAX_DELETES_PER_REQUEST: usize = 10_000;
/// Bytes of the list of one bulk deletion: every name at its longest, percent-encoded.
pub const MAX_DELETE_LIST_SIZE: usize = 8 << 20;

/// Checks a container's name; the error is for the client.
pub fn check_container_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_CONTAINER_NAME_LENGTH {
        return Err(format!(
            "Container name length of {} longer than {MAX_CONTAINER_NAME_LENGTH}",
            name.len()
        ));
    }
    if name.is_empty() || name.contains('/') || name.contains('\0') {
        return Err("A container's name is not empty and has neither slashes nor NUL characters".to_owned());
    }
    Ok(())
}

/// Checks an object's name; the error is for the client.
pub fn check_object_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_OBJECT_NAME_LENGTH {
        return Err(format!("Object name length of {} longer than {MAX_OBJECT_NAME_LENGTH}", name.len()));
    }
    if name.is_empty() || name.contains('\0') {
        return Err("An object's name is not empty and has no NUL characters".to_owned());
    }
    Ok(())
}

/// Checks metadata as a whole; the error is for the client.
pub fn check_metadata(metadata: &Metadata) -> Result<(), String> {
    let mut size = 0;
    for (name, value) in metadata {
        if name.is_empty() {
            return Err("Metadata name cannot be empty".to_owned());
        }
        if name.len() > MAX_META_NAME_LENGTH {
            return Err(format!("Metadata name too long: {name}"));
        }
        if value.len() > MAX_META_VALUE_LENGTH {
            return Err(format!("Metadata value longer than {MAX_META_VALUE_LENGTH}: {name}"));
        }
        size += name.len() + value.len();
    }
    if metadata.len() > MAX_META_COUNT {
        return Err(format!("Too many metadata items; max {MAX_META_COUNT}"));
    }
    if size > MAX_META_OVERALL_SIZE {
        return Err(format!("Total metadata too large; max {MAX_META_OVERALL_SIZE}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_by_bytes_and_not_by_characters() {
        assert!(check_container_name(&"ü".repeat(128)).is_ok());
        assert!(check_container_name(&"ü".repeat(129)).unwrap_err().contains("258"));
        assert!(check_container_name("a/b").is_err());
        assert!(check_container_name("").is_err());
        assert!(check_object_name("a/b//ü").is_ok());
        assert!(check_object_name(&"x".repeat(1025)).is_err());
        assert!(check_object_name("a\0b").is_err());
    }

    #[test]
    fn metadata_is_bounded_in_each_part_and_as_a_whole() {
        let of = |count: usize, name: usize, value: usize| -> Metadata {
            (0..count).map(|n| (format!("{n:0name$}"), "v".repeat(value))).collect()
        };
        assert!(check_metadata(&of(90, 3, 3)).is_ok());
        assert!(check_metadata(&of(91, 3, 3)).unwrap_err().contains("Too many"));
        assert!(check_metadata(&of(1, 129, 3)).unwrap_err().contains("name too long"));
        assert!(check_metadata(&of(1, 3, 257)).unwrap_err().contains("value longer"));
        assert!(check_metadata(&of(16, 100, 200)).unwrap_err().contains("Total"));
        assert!(check_metadata(&Metadata::from([(String::new(), "v".into())])).is_err());
    }
}
