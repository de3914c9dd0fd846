//! An image as clients read it.

use jiff::Timestamp;
use model::image::Image;
use serde_json::{Map, Value, json};

/// A time as Glance writes it.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An image; properties stand among its attributes.
pub(super) fn image(image: &Image) -> Map<String, Value> {
    let id = image.uuid;
    let mut document = Map::new();
    for (name, value) in &image.properties {
        document.insert(name.clone(), value.clone().into());
    }
    let Value::Object(base) = json!({
        "id": id,
        "name": image.name,
        "status": image.status.as_str(),
        "visibility": image.visibility.as_str(),
        "owner": image.owner,
        "container_format": image.container_format,
        "disk_format": image.disk_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.checksum,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "os_hidden": image.os_hidden,
        "tags": image.tags,
        "created_at": time(image.created_at),
        "updated_at": time(image.updated_at),
        "self": format!("/v2/images/{id}"),
        "file": format!("/v2/images/{id}/file"),
        "schema": "/v2/schemas/image",
    }) else {
        return document;
    };
    document.extend(base);
    document
}
