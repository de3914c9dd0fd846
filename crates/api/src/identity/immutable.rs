//! Keystone's resource option `immutable`: what has it is changed and deleted only after it was taken away.

use super::error::Refusal;
use crate::cloud::CloudError;
use model::identity::Extra;
use serde_json::Value;

const OPTION: &str = "immutable";

fn is_set(options: &Extra) -> bool {
    options.get(OPTION) == Some(&Value::Bool(true))
}

/// Refuses a change of something immutable, unless it takes that away.
pub fn check_update(what: &str, id: &str, options: &Extra, changes: Option<&Extra>) -> Result<(), Refusal> {
    let lifts =
        changes.and_then(|changes| changes.get(OPTION)).is_some_and(|value| *value != Value::Bool(true));
    if is_set(options) && !lifts {
        return Err(Refusal(CloudError::forbidden(format!(
            "Unable to update immutable {what} resource: `{id}`. Set resource option \"immutable\" to false first."
        ))));
    }
    Ok(())
}

/// Refuses to delete something immutable.
pub fn check_deletion(what: &str, id: &str, options: &Extra) -> Result<(), CloudError> {
    if is_set(options) {
        return Err(CloudError::forbidden(format!(
            "Unable to delete immutable {what} resource: `{id}`. Set resource option \"immutable\" to false first."
        )));
    }
    Ok(())
}
