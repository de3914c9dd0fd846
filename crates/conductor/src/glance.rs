//! Images of the image service, wherever Ironic takes one: `image_source`, `kernel`, `ramdisk`, and the ramdisks of `driver_info`.
//!
//! A reference is an image's UUID, with or without `glance://` before it. What a machine fetches an image by is a link on the
//! machines' listener, signed for one image and one node, which expires; nobody else is let to images there. Links are relative to
//! the address that the machine knows this host by: the one at which its agent's heartbeat arrived.

use crate::partition_image;
use crate::request::RequestError;
use crate::{Conductor, Settings};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use images::{Backend, Name};
use jiff::{SignedDuration, Timestamp};
use model::image::{Image, Status, Visibility};
use model::node::{Node, Object};
use netboot::{Artifact, Boot};
use ring::hmac;
use serde_json::{Value, json};
use std::path::Path;
use store::StoreError;
use uuid::Uuid;

/// A link is good for so long: an agent that resumes a broken download shows it again, a day is more than any disk takes.
const LINK_TIME: SignedDuration = SignedDuration::from_hours(24);
/// What stands for this host where only the rest of a link matters.
const SOMEWHERE: &str = "http://this-host";

/// The image that a text refers to, if it refers to one: not a URL, not a path.
pub fn reference(text: &str) -> Option<Uuid> {
    let text = text.trim();
    let id = text.strip_prefix("glance://").unwrap_or(text);
    // Only the form that the API shows: 32 digits may be something else's name.
    if id.len() == 36 { Uuid::try_parse(id).ok() } else { None }
}

/// Whether `image_source` refers to an image of the image service.
pub(crate) fn deploys_image(node: &Node) -> bool {
    text_of(&node.instance_info, "image_source").and_then(reference).is_some()
}

/// Whether the node's instance boots with this image on every start: it is its kernel or its ramdisk, and comes over the network.
pub fn boots_with(node: &Node, image: Uuid) -> bool {
    let named = |key| text_of(&node.instance_info, key).and_then(reference);
    partition_image::netboot_root(node).is_some()
        && [named("kernel"), named("ramdisk")].contains(&Some(image))
}

/// Why an image can't be used, in Ironic's words where it has some.
fn missing(text: &str) -> String {
    format!("Image {text} can not be found.")
}

impl Conductor {
    /// Where bytes are kept, if this site keeps any.
    pub fn storage(&self) -> Option<&Backend> {
        self.settings().storage.as_ref()
    }

    /// Finds the image that `image_source` or the like refers to. `None` for URLs and paths. Errors: the reason that `validate` shows
    /// for an image that is not there or has no bytes that may be used.
    pub async fn image(&self, text: &str) -> Result<Option<Image>, String> {
        let Some(uuid) = reference(text) else { return Ok(None) };
        match self.store().get::<Image>(&uuid.to_string()).await {
            Ok(image) if image.is_usable() => Ok(Some(image)),
            Ok(image) if image.status == Status::Deactivated => {
                Err(format!("Image {text} is deactivated; reactivate it, or choose another one."))
            }
            Ok(image) => Err(format!(
                "Image {text} is not active but {}; upload its data, or choose another one.",
                image.status.as_str()
            )),
            Err(StoreError::NotFound { .. }) => Err(missing(text)),
            Err(error) => Err(format!("Image {text} can't be looked up: {error}")),
        }
    }

    /// The node with everything in `instance_info` that its images say: as Ironic fills it in before a deployment. A URL stands in
    /// place of a reference in `image_source`; checksum, formats and properties beside it; `kernel` and `ramdisk` where the image
    /// names them (`kernel_id`, `ramdisk_id`), as references. A node whose images are URLs comes back as it is.
    ///
    /// `server` is how the machine reaches this host (`http://192.0.2.1:6386`); none where the answer is only looked at. Errors: the
    /// reason that `validate` shows.
    pub async fn with_images(&self, node: &Node, server: Option<&str>) -> Result<Node, String> {
        let mut node = node.clone();
        if let Some(source) = text_of(&node.instance_info, "image_source").map(str::to_owned)
            && let Some(image) = self.image(&source).await?
        {
            if let Some((kernel, ramdisk)) = image.kernel_and_ramdisk() {
                self.check_beside(&image, kernel).await?;
                self.check_beside(&image, ramdisk).await?;
            }
            let link = self.image_link(image.uuid, node.uuid, Timestamp::now());
            fill_in(&mut node.instance_info, &image, format!("{}{link}", server.unwrap_or(SOMEWHERE)));
        }
        for key in ["kernel", "ramdisk"] {
            if let Some(place) = text_of(&node.instance_info, key) {
                self.image(place).await?;
            }
        }
        Ok(node)
    }

    /// Kernel and ramdisk that an image names must be its owner's, or everybody's: a property is no way to another project's image.
    async fn check_beside(&self, image: &Image, place: &str) -> Result<(), String> {
        let found = self.image(place).await?.ok_or_else(|| missing(place))?;
        let is_open = matches!(found.visibility, Visibility::Public | Visibility::Community);
        if is_open || found.owner == image.owner { Ok(()) } else { Err(missing(place)) }
    }

    /// Checks that the images which the node's ramdisks are taken from are there.
    pub(crate) async fn check_ramdisk_images(&self, node: &Node) -> Result<(), String> {
        for key in ["deploy_kernel", "deploy_ramdisk", "rescue_kernel", "rescue_ramdisk"] {
            if let Some(place) = text_of(&node.driver_info, key) {
                self.image(place).await.map_err(|reason| format!("driver_info/{key}: {reason}"))?;
            }
        }
        Ok(())
    }

    /// How the machine of a node reaches this host's listener for machines.
    pub(crate) fn server_of(&self, node: &Node) -> Result<String, String> {
        let configured = self.settings().machines_url.clone();
        configured.or_else(|| node.agent.server.clone()).ok_or_else(|| {
            format!(
                "it is not known by which address the machine of node {} reaches this host, since its agent has not called here; set \
                 netboot.url in the configuration",
                node.uuid
            )
        })
    }

    /// Path and query by which the machine of `node` may fetch an image for the next day.
    pub fn image_link(&self, image: Uuid, node: Uuid, now: Timestamp) -> String {
        let expires = now.saturating_add(LINK_TIME).unwrap_or(Timestamp::MAX).as_second();
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.link_key(), &signed(image, node, expires)));
        format!("/images/{image}?node={node}&expires={expires}&signature={signature}")
    }

    /// Whether a link was made here, for this image and this node, and has not expired.
    pub fn is_image_link(
        &self,
        image: Uuid,
        node: Uuid,
        expires: i64,
        signature: &str,
        now: Timestamp,
    ) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        expires >= now.as_second()
            && hmac::verify(&self.link_key(), &signed(image, node, expires), &signature).is_ok()
    }

    fn link_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.store().derived_key("image links"))
    }

    /// Puts what a machine can fetch in place of references in what it is to boot: the file itself where images are files of this
    /// host, else a link relative to this host.
    pub(crate) fn boot_with_images(&self, node: &Node, boot: Boot) -> Boot {
        let place = |artifact: Artifact| match artifact {
            Artifact::File(path) => self.image_artifact(node, &path).unwrap_or(Artifact::File(path)),
            url => url,
        };
        match boot {
            Boot::Ramdisk { kernel, initramfs, cmdline } => {
                Boot::Ramdisk { kernel: place(kernel), initramfs: place(initramfs), cmdline }
            }
            other => other,
        }
    }

    fn image_artifact(&self, node: &Node, path: &Path) -> Option<Artifact> {
        let image = reference(path.to_str()?)?;
        let file = self.storage().and_then(|storage| storage.path(&Name::image(image)));
        Some(match file {
            Some(file) => Artifact::File(file),
            None => Artifact::Url(self.image_link(image, node.uuid, Timestamp::now())),
        })
    }

    /// The image behind a link, for the listener that hands it out: it must still be there and usable. 404 in all other cases.
    pub async fn linked_image(&self, image: Uuid) -> Result<Image, RequestError> {
        self.image(&image.to_string())
            .await
            .ok()
            .flatten()
            .ok_or_else(|| RequestError::NotFound(missing(&image.to_string())))
    }
}

/// What is signed. Fixed lengths and separators: no two links sign the same bytes.
fn signed(image: Uuid, node: Uuid, expires: i64) -> Vec<u8> {
    format!("GET\n{image}\n{node}\n{expires}").into_bytes()
}

/// Writes what Glance says of an image where Ironic's agent looks for it. What the user wrote of another image's checksum goes.
fn fill_in(instance_info: &mut Object, image: &Image, url: String) {
    let mut put = |key: &str, value: Option<Value>| {
        match value {
            Some(value) => instance_info.insert(key.to_owned(), value),
            None => instance_info.remove(key),
        };
    };
    let text = |value: &Option<String>| value.clone().map(Value::from);
    put("image_source", Some(url.into()));
    put("image_checksum", text(&image.checksum));
    put("image_os_hash_algo", text(&image.os_hash_algo));
    put("image_os_hash_value", text(&image.os_hash_value));
    put("image_disk_format", text(&image.disk_format));
    put("image_container_format", text(&image.container_format));
    put("image_tags", Some(json!(image.tags)));
    put("image_properties", Some(json!(image.properties)));
    // The image alone says what it is; what an image before it said is not this one's.
    let kind = match image.kernel_and_ramdisk() {
        Some((kernel, ramdisk)) => {
            put("kernel", Some(kernel.into()));
            put("ramdisk", Some(ramdisk.into()));
            "partition"
        }
        None => "whole-disk",
    };
    put("image_type", Some(kind.into()));
}

/// Takes over into the node what its image says of how the instance boots, as Ironic keeps it there.
pub(crate) fn keep_kind(node: &mut Node, resolved: &Node) {
    for key in ["kernel", "ramdisk", "image_type"] {
        if let Some(value) = resolved.instance_info.get(key) {
            node.instance_info.insert(key.to_owned(), value.clone());
        }
    }
    let is_whole = !partition_image::is_one(node);
    node.driver_internal_info.insert("is_whole_disk_image".into(), is_whole.into());
}

fn text_of<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

impl Settings {
    /// Keeps images in `backend`.
    #[must_use]
    pub fn with_storage(mut self, backend: Backend) -> Self {
        self.storage = Some(backend);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_neither_urls_nor_paths() {
        let id = "0f6e9d3a-5f55-4c1e-9f0e-3a8f5e0a7a11";
        let uuid = Some(Uuid::try_parse(id).unwrap());
        assert_eq!(reference(id), uuid);
        assert_eq!(reference(&format!("glance://{id}")), uuid);
        for text in ["", "glance://", "http://h/i", "/var/lib/kernel", "0f6e9d3a5f554c1e9f0e3a8f5e0a7a11"] {
            assert_eq!(reference(text), None, "{text}");
        }
        assert_eq!(reference(&format!("http://h/{id}")), None);
    }

    /// Where images are not files of this host, iPXE fetches them by the same links as agents do.
    #[tokio::test]
    async fn what_is_booted_from_a_bucket_is_fetched_by_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        let bmcs = std::sync::Arc::new(bmc::Registry::new(Default::default()));
        let conductor = Conductor::new(store, Settings::new("here", dir.path()), bmcs);
        let node = Node::new(Uuid::new_v4(), "ipmi", Timestamp::now());
        let image = Uuid::new_v4();
        let boot = Boot::Ramdisk {
            kernel: Artifact::File(format!("glance://{image}").into()),
            initramfs: Artifact::File("/srv/initramfs".into()),
            cmdline: String::new(),
        };
        let Boot::Ramdisk { kernel: Artifact::Url(link), initramfs, .. } =
            conductor.boot_with_images(&node, boot)
        else {
            panic!("not a link")
        };
        assert!(link.starts_with(&format!("/images/{image}?node={}&", node.uuid)), "{link}");
        assert_eq!(initramfs, Artifact::File("/srv/initramfs".into()));
    }

    #[tokio::test]
    async fn a_link_opens_one_image_for_one_node_for_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let store = store::testing::open(dir.path()).await.unwrap();
        let bmcs = std::sync::Arc::new(bmc::Registry::new(Default::default()));
        let conductor = Conductor::new(store, Settings::new("here", dir.path()), bmcs);
        let (image, node, now) = (Uuid::new_v4(), Uuid::new_v4(), Timestamp::now());
        let link = conductor.image_link(image, node, now);
        let part = |name: &str| {
            let (_, rest) = link.split_once(&format!("{name}=")).unwrap();
            rest.split('&').next().unwrap().to_owned()
        };
        let (expires, signature) = (part("expires").parse::<i64>().unwrap(), part("signature"));
        let opens = |image, node, expires, signature: &str, at| {
            conductor.is_image_link(image, node, expires, signature, at)
        };
        assert!(opens(image, node, expires, &signature, now));
        assert!(!opens(Uuid::new_v4(), node, expires, &signature, now));
        assert!(!opens(image, Uuid::new_v4(), expires, &signature, now));
        assert!(!opens(image, node, expires + 1, &signature, now));
        assert!(!opens(image, node, expires, "", now));
        assert!(!opens(image, node, expires, &signature, now + SignedDuration::from_hours(25)));
    }
}
