//! RAID: the target that users set, and the steps of the `raid` interface.

use super::implementation;
use crate::Conductor;
use crate::claim::patiently;
use crate::outcome::Failure;
use crate::request::RequestError;
use crate::visit::Visit;
use crate::wording::unsupported;
use jiff::Timestamp;
use model::node::{InterfaceKind, Object};
use model::raid;
use serde_json::Value;
use store::Guard;
use uuid::Uuid;

impl Conductor {
    /// `PUT …/states/raid`: records the target, or forgets it where it is empty.
    pub async fn set_target_raid(&self, uuid: Uuid, target: &Object) -> Result<(), RequestError> {
        self.check_served(&self.store().node(&uuid.to_string()).await?.node).await?;
        patiently(|| async {
            let now = Timestamp::now();
            let edited = self.store().edit_node(uuid, Guard::Free, now, |edit| {
                let node = &mut edit.node;
                // A target that is taken back needs nothing of the interface.
                if !target.is_empty() {
                    let name = implementation(node, InterfaceKind::Raid);
                    if name.is_empty() || name == "no-raid" {
                        return Err(RequestError::NotFound(unsupported(node, "raid")));
                    }
                    raid::check(target).map_err(RequestError::Invalid)?;
                }
                node.target_raid_config.clone_from(target);
                Ok(())
            });
            edited.await.map(|_| ())
        })
        .await
    }
}

/// `raid.create_configuration` on pretended hardware: the target is there at once.
pub async fn create(visit: &mut Visit<'_>, arguments: &Object) -> Result<(), Failure> {
    let flag = |key: &str| arguments.get(key).and_then(Value::as_bool).unwrap_or(true);
    let wanted = raid::wanted(&visit.node, flag("create_root_volume"), flag("create_nonroot_volumes"))
        .map_err(Failure::last)?;
    let now = visit.now();
    let mut refused = Ok(());
    visit.edit(|edit| refused = raid::record(&mut edit.node, wanted.clone(), now)).await?;
    refused.map_err(Failure::last)
}

/// `raid.apply_configuration {raid_config}` on pretended hardware: sets the target, then creates it.
pub async fn apply(visit: &mut Visit<'_>, arguments: &Object) -> Result<(), Failure> {
    let target = arguments.get("raid_config").and_then(Value::as_object).cloned();
    let target =
        target.ok_or_else(|| Failure::last("raid.apply_configuration needs \"raid_config\": an object"))?;
    raid::check(&target).map_err(Failure::last)?;
    visit.edit(|edit| edit.node.target_raid_config = target.clone()).await?;
    create(visit, arguments).await
}

/// `raid.delete_configuration` on pretended hardware.
pub async fn delete(visit: &mut Visit<'_>) -> Result<(), Failure> {
    visit.edit(|edit| edit.node.raid_config.clear()).await
}
