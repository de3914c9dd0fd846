//! BIOS settings: the steps of the `bios` interface.

use crate::outcome::Failure;
use crate::visit::Visit;
use model::bios::synchronise;
use model::node::Object;
use serde_json::Value;
use uuid::Uuid;

/// `bios.apply_configuration {settings: [{name, value}]}` on pretended hardware: the settings given are the ones that there are,
/// as with Ironic's fake.
pub async fn apply(visit: &mut Visit<'_>, arguments: &Object) -> Result<(), Failure> {
    let wanted = settings(arguments).map_err(Failure::last)?;
    let node = visit.node.uuid;
    let stored = visit.conductor.store().bios_settings(node).await?;
    let now = visit.now();
    let settings = synchronise(stored, node, wanted, now, Uuid::new_v4);
    visit.edit(|edit| edit.bios = Some(settings.clone())).await
}

/// `bios.factory_reset` on pretended hardware: what was set is forgotten.
pub async fn factory_reset(visit: &mut Visit<'_>) -> Result<(), Failure> {
    visit.edit(|edit| edit.bios = Some(Vec::new())).await
}

/// Reads `settings`.
fn settings(arguments: &Object) -> Result<Vec<(String, Option<String>)>, String> {
    let wrong = "bios.apply_configuration needs \"settings\": a list of objects with \"name\" and \"value\"";
    let list = arguments.get("settings").and_then(Value::as_array).ok_or(wrong)?;
    list.iter()
        .map(|setting| {
            let name = setting.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
            let value = match setting.get("value") {
                Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
                _ => return Err(wrong.to_owned()),
            };
            Ok((name.ok_or(wrong)?.to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_names_with_values() {
        let read = |value: Value| settings(&Object::from_iter([("settings".to_owned(), value)]));
        assert_eq!(
            read(
                json!([{"name": "a", "value": "x"}, {"name": "b", "value": 5}, {"name": "c", "value": null}])
            ),
            Ok(vec![("a".into(), Some("x".into())), ("b".into(), Some("5".into())), ("c".into(), None)])
        );
        for bad in
            [json!(null), json!({}), json!([1]), json!([{"name": "a"}]), json!([{"name": "", "value": "x"}])]
        {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
