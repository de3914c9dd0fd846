//! Images of the image service that a node is told to use must be the caller's to use: what a node is deployed from can be read on it.

use crate::call::Call;
use crate::error::ApiError;
use crate::image::may_use;
use conductor::glance::reference;
use model::image::Image;
use model::node::{Node, Object};
use serde_json::Value;
use std::collections::BTreeSet;
use store::StoreError;
use uuid::Uuid;

/// Where a node names images.
const INSTANCE: &[&str] = &["image_source", "kernel", "ramdisk"];
const DRIVER: &[&str] = &["deploy_kernel", "deploy_ramdisk", "rescue_kernel", "rescue_ramdisk"];

fn within<'a>(bag: &'a Object, keys: &'a [&str]) -> impl Iterator<Item = Uuid> + 'a {
    keys.iter().filter_map(|key| reference(bag.get(*key).and_then(Value::as_str)?))
}

/// Every image that a node names.
fn named(node: &Node) -> BTreeSet<Uuid> {
    within(&node.instance_info, INSTANCE).chain(within(&node.driver_info, DRIVER)).collect()
}

/// The images that a node shall name and the caller may use. What operators name is not looked at.
pub(super) async fn usable(call: &Call, node: &Node) -> Result<BTreeSet<Uuid>, ApiError> {
    let named = named(node);
    if call.is_operator() || !call.state.settings.cloud {
        return Ok(named);
    }
    let project = call.project().unwrap_or_default();
    let mut usable = BTreeSet::new();
    for uuid in named {
        match call.state.store.get::<Image>(&uuid.to_string()).await {
            Ok(image) if may_use(&call.state.store, &image, project).await? => drop(usable.insert(uuid)),
            Ok(_) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(usable)
}

/// Refuses a change by which a node names an image that is none of `usable`, in the words for one that does not exist.
pub(super) fn check(before: Option<&Node>, after: &Node, usable: &BTreeSet<Uuid>) -> Result<(), ApiError> {
    let known = before.map(named).unwrap_or_default();
    match named(after).into_iter().find(|uuid| !known.contains(uuid) && !usable.contains(uuid)) {
        Some(uuid) => Err(ApiError::invalid(format!("Image {uuid} can not be found."))),
        None => Ok(()),
    }
}
