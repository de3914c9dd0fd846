use crate::site::Site;
use model::node::Fault;
use serde_json::json;

const URL: &str = "/v1/nodes/n1/vmedia";

#[tokio::test]
async fn what_goes_wrong_behind_the_answer_is_told_in_last_error() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    assert_eq!(
        site.get(URL).await.is(400).fault(),
        "Driver fake-hardware does not support get_virtual_media (disabled or not implemented)."
    );
    let image = json!({"device_type": "cdrom", "image_url": "HTTP://127.0.0.1:1/x.iso"});
    site.call("POST", URL, Some(image)).await.is(204);
    let attached = format!(
        "Could not attach device cdrom to node {uuid}: Publishing images is not supported for driver fake-hardware"
    );
    assert_eq!(site.work(uuid).await.last_error.as_deref(), Some(attached.as_str()));
    for (query, shown) in
        [("", "None"), ("?device_types=cdrom,disk", "['cdrom', 'disk']"), ("?device_types=", "[]")]
    {
        site.call("DELETE", &format!("{URL}{query}"), None).await.is(204);
        assert_eq!(
            site.work(uuid).await.last_error,
            Some(format!(
                "Could not detach device(s) {shown} from node {uuid}: Driver fake-hardware does not support \
                 detach_virtual_media (disabled or not implemented)."
            ))
        );
    }
    let told = site.get("/v1/nodes/n1/history").await.is(200).json();
    assert_eq!(
        (told["history"].as_array().unwrap().len(), &told["history"][0]["event"]),
        (4, &json!(attached))
    );
}

#[tokio::test]
async fn requests_are_checked_before_the_node_is_looked_for() {
    let site = Site::new().await;
    let uuid = site.node("n1").await;
    let url = "/v1/nodes/nope/vmedia";
    for (body, text) in [
        (json!({}), "Schema error for vmedia: 'device_type' is a required property"),
        (json!({"device_type": "cdrom"}), "Schema error for vmedia: 'image_url' is a required property"),
        (
            json!({"device_type": "x", "image_url": "http://x"}),
            "Schema error for vmedia: 'x' is not one of ['disk', 'cdrom', 'floppy']",
        ),
        (
            json!({"device_type": "cdrom", "image_url": 1}),
            "Schema error for vmedia: 1 is not of type 'string'",
        ),
        (json!({"device_type": "cdrom", "image_url": "x"}), "Unsupported or missing URL scheme: "),
        (
            json!({"device_type": "cdrom", "image_url": "file:///x"}),
            "Unsupported or missing URL scheme: file",
        ),
        (
            json!({"device_type": "cdrom", "image_url": "http://x", "image_download_source": "x"}),
            "Schema error for vmedia: 'x' is not one of ['http', 'local', 'swift']",
        ),
        (
            json!({"device_type": "cdrom", "image_url": "http://x", "foo": 1}),
            "Schema error for vmedia: Additional properties are not allowed ('foo' was unexpected)",
        ),
        (json!([]), "Schema error for vmedia: [] is not of type 'object'"),
    ] {
        assert_eq!(site.call("POST", url, Some(body)).await.is(400).fault(), text);
    }
    assert_eq!(
        site.call("DELETE", &format!("{url}?device_types=foo,cdrom"), None).await.is(400).fault(),
        "Invalid device type(s) foo (valid are disk, cdrom, floppy)"
    );
    let image = json!({"device_type": "cdrom", "image_url": "http://x"});
    site.call("POST", url, Some(image.clone())).await.is(404);
    site.at(88, "POST", URL, Some(image.clone())).await.is(404);
    site.at(88, "DELETE", URL, None).await.is(404);
    site.at(92, "GET", URL, None).await.is(404);
    site.edit(uuid, |node| {
        node.maintenance = true;
        node.fault = Some(Fault::Power);
    })
    .await;
    assert_eq!(
        site.call("POST", URL, Some(image)).await.is(503).fault(),
        format!("Unable to attach virtual media for node {uuid} due to power failure state")
    );
}
