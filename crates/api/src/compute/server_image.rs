//! The image that a server is to be made from: one that the project sees, and that machines may be given.

use super::body::{Fields, integer};
use crate::args::parse_uuid;
use crate::cloud::{Call, CloudError};
use model::compute::ServerImage;
use model::image::{Image, Status, Visibility};
use serde_json::Value;
use store::StoreError;
use uuid::Uuid;

/// What is said about volumes, which no machine here boots from.
const NO_VOLUMES: &str = "Servers are made on the disks of machines, from an image: there are no volumes. Give imageRef, and \
    nothing else in the block device mapping (openstack server create --image IMAGE).";

/// The image that a request names: by `imageRef`, or in the block device mapping that clients send beside it.
pub(super) async fn image_of(call: &Call, fields: &Fields<'_>) -> Result<ServerImage, CloudError> {
    if fields.list("block_device_mapping")?.is_some_and(|list| !list.is_empty()) {
        return Err(CloudError::invalid(NO_VOLUMES));
    }
    let mapped = mapped_image(fields)?;
    let named = match fields.nullable_text("imageRef", 0..=1024)?.flatten() {
        None | Some("") => None,
        Some(reference) => Some(identity(reference)?),
    };
    let id = match (named, mapped) {
        (Some(named), Some(mapped)) if named != mapped => {
            return Err(CloudError::invalid(format!(
                "The boot disk is mapped to image {mapped}, and imageRef names {named}: give one of them."
            )));
        }
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => return Err(CloudError::invalid("Invalid imageRef provided: it names no image.")),
    };
    image(call, id).await
}

/// An image's UUID, or a link that ends in it.
fn identity(reference: &str) -> Result<Uuid, CloudError> {
    let id = reference.rsplit('/').next().unwrap_or_default();
    parse_uuid(id)
        .ok_or_else(|| CloudError::invalid(format!("Invalid imageRef provided: {id} is not an image's id.")))
}

/// The image of the only block device: local, the first to boot from. Anything else would be a volume.
fn mapped_image(fields: &Fields<'_>) -> Result<Option<Uuid>, CloudError> {
    let [device] = fields.list("block_device_mapping_v2")?.unwrap_or_default() else {
        return match fields.list("block_device_mapping_v2")? {
            None | Some([]) => Ok(None),
            Some(_) => Err(CloudError::invalid(NO_VOLUMES)),
        };
    };
    let device = Fields::new("block_device_mapping_v2", device)?;
    let is = |name: &str, wanted: &str| device.get(name).and_then(Value::as_str) == Some(wanted);
    let boots_first = match device.get("boot_index") {
        None => true,
        Some(value) => integer("boot_index", value, -1..=i64::MAX)? == 0,
    };
    let is_local = is("destination_type", "local") || !device.has("destination_type");
    if !is("source_type", "image") || !is_local || !boots_first {
        return Err(CloudError::invalid(NO_VOLUMES));
    }
    let id = device.text("uuid", 1..=255)?.or(device.text("image_id", 1..=255)?);
    id.map(identity).transpose()
}

/// An image, if the caller's project sees it and machines may be given it.
pub(super) async fn image(call: &Call, id: Uuid) -> Result<ServerImage, CloudError> {
    let missing =
        || CloudError::invalid(format!("Can not find requested image: image {id} could not be found."));
    let image: Image = match call.state.store.get(&id.to_string()).await {
        Ok(image) => image,
        Err(StoreError::NotFound { .. }) => return Err(missing()),
        Err(error) => return Err(error.into()),
    };
    if !sees(call, &image).await? {
        return Err(missing());
    }
    if image.status != Status::Active {
        return Err(CloudError::invalid(format!(
            "Image {id} is not active but {}: upload its data, or take another one.",
            image.status.as_str()
        )));
    }
    Ok(ServerImage {
        id: id.to_string(),
        name: image.name,
        min_ram_mb: image.min_ram,
        min_disk_gb: image.min_disk,
        properties: image.properties,
    })
}

async fn sees(call: &Call, image: &Image) -> Result<bool, CloudError> {
    if call.sees_all() || matches!(image.visibility, Visibility::Public | Visibility::Community) {
        return Ok(true);
    }
    let Ok(project) = call.project() else { return Ok(false) };
    if image.owner.as_deref() == Some(project) {
        return Ok(true);
    }
    if image.visibility != Visibility::Shared {
        return Ok(false);
    }
    Ok(call.state.store.image_member(image.uuid, project).await?.is_some())
}
