//! Firmware: the steps of the `firmware` interface.

use crate::outcome::Failure;
use crate::visit::Visit;
use model::firmware::FirmwareComponent;
use model::node::Object;
use serde_json::Value;
use uuid::Uuid;

/// `firmware.update {settings: [{component, url}]}` on pretended hardware: each component then has the version that its image is
/// named by, the last part of the URL. Nothing is fetched.
pub async fn update(visit: &mut Visit<'_>, arguments: &Object) -> Result<(), Failure> {
    let wanted = settings(arguments).map_err(Failure::last)?;
    let node = visit.node.uuid;
    let mut components = visit.conductor.store().firmware_components(node).await?;
    let now = visit.now();
    for (name, version) in wanted {
        let place = components.iter().position(|known| known.component == name).unwrap_or_else(|| {
            components.push(FirmwareComponent::new(Uuid::new_v4(), node, name, version.clone(), now));
            components.len() - 1
        });
        if let Some(component) = components.get_mut(place) {
            component.flash(&version, now);
        }
    }
    visit.edit(|edit| edit.firmware = Some(components.clone())).await
}

/// Reads `settings`: components and the versions that their images are named by.
fn settings(arguments: &Object) -> Result<Vec<(String, String)>, String> {
    let wrong = "firmware.update needs \"settings\": a list of objects with \"component\" and \"url\"";
    let list =
        arguments.get("settings").and_then(Value::as_array).filter(|list| !list.is_empty()).ok_or(wrong)?;
    list.iter()
        .map(|setting| {
            let text = |key: &str| setting.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
            let (component, url) = text("component").zip(text("url")).ok_or(wrong)?;
            let path = url.split(['?', '#']).next().unwrap_or(url);
            let version = path.trim_end_matches('/').rsplit('/').next().unwrap_or(url);
            Ok((component.to_owned(), version.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_version_is_the_images_name() {
        let read = |value: Value| settings(&Object::from_iter([("settings".to_owned(), value)]));
        assert_eq!(
            read(json!([{"component": "bmc", "url": "http://h/a/bmc-2.1.bin?x=/y", "wait": 5}])),
            Ok(vec![("bmc".into(), "bmc-2.1.bin".into())])
        );
        for bad in [json!([]), json!([{"component": "bmc"}]), json!([{"url": "http://x"}]), json!("x")] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
