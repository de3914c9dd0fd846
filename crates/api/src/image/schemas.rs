//! JSON schemas of what the service answers: Glance's older clients build their objects from them.

use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::Get;
use model::image::{CONTAINER_FORMATS, DISK_FORMATS, MemberStatus, Status, Visibility};
use serde_json::{Value, json};

/// Rows of the route table.
pub(super) const ROUTES: &[Route] = &[
    Route::new(Get, "/v2/schemas/image", Access::User, handler!(one_image)).says("Schema of an image."),
    Route::new(Get, "/v2/schemas/images", Access::User, handler!(images)).says("Schema of a list of images."),
    Route::new(Get, "/v2/schemas/member", Access::User, handler!(one_member)).says("Schema of a member."),
    Route::new(Get, "/v2/schemas/members", Access::User, handler!(members))
        .says("Schema of a list of members."),
    Route::new(Get, "/v2/schemas/task", Access::User, handler!(one_task)).says("Schema of a task."),
    Route::new(Get, "/v2/schemas/tasks", Access::User, handler!(tasks)).says("Schema of a list of tasks."),
];

fn with_null(words: &[&str]) -> Vec<Value> {
    std::iter::once(Value::Null).chain(words.iter().map(|word| (*word).into())).collect()
}

fn image() -> Value {
    let statuses: Vec<_> =
        Status::ALL.into_iter().map(Status::as_str).chain(["deleted", "pending_delete"]).collect();
    let visibilities: Vec<_> = Visibility::ALL.into_iter().map(Visibility::as_str).collect();
    let uuid = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";
    let text = |description: &str| json!({"type": ["null", "string"], "description": description});
    let read_only =
        |kind: Value, description: &str| json!({"type": kind, "readOnly": true, "description": description});
    json!({
        "name": "image",
        "properties": {
            "id": {"type": "string", "pattern": uuid, "description": "An identifier for the image"},
            "name": {"type": ["null", "string"], "maxLength": 255, "description": "Descriptive name for the image"},
            "status": {"type": "string", "readOnly": true, "enum": statuses, "description": "Status of the image"},
            "visibility": {"type": "string", "enum": visibilities, "description": "Scope of image accessibility"},
            "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
            "os_hidden": {"type": "boolean", "description": "If true, image will not appear in default image list response."},
            "checksum": read_only(json!(["null", "string"]), "md5 hash of image contents, where the site computes it."),
            "os_hash_algo": read_only(json!(["null", "string"]), "Algorithm to calculate the os_hash_value"),
            "os_hash_value": read_only(json!(["null", "string"]), "Hexdigest of the image contents"),
            "owner": text("Owner of the image"),
            "size": read_only(json!(["null", "integer"]), "Size of image file in bytes"),
            "virtual_size": read_only(json!(["null", "integer"]), "Virtual size of image in bytes"),
            "container_format": {
                "type": ["null", "string"],
                "enum": with_null(CONTAINER_FORMATS),
                "description": "Format of the container",
            },
            "disk_format": {
                "type": ["null", "string"],
                "enum": with_null(DISK_FORMATS),
                "description": "Format of the disk",
            },
            "created_at": read_only(json!("string"), "Date and time of image registration"),
            "updated_at": read_only(json!("string"), "Date and time of the last image modification"),
            "tags": {
                "type": "array",
                "items": {"type": "string", "maxLength": 255},
                "description": "List of strings related to the image",
            },
            "min_ram": {"type": "integer", "description": "Amount of ram (in MB) required to boot image."},
            "min_disk": {"type": "integer", "description": "Amount of disk space (in GB) required to boot image."},
            "self": read_only(json!("string"), "An image self url"),
            "file": read_only(json!("string"), "An image file url"),
            "schema": read_only(json!("string"), "An image schema url"),
            "kernel_id": {
                "type": ["null", "string"],
                "is_base": false,
                "description": "ID of image stored in Glance that should be used as the kernel when booting an AMI-style image.",
            },
            "ramdisk_id": {
                "type": ["null", "string"],
                "is_base": false,
                "description": "ID of image stored in Glance that should be used as the ramdisk when booting an AMI-style image.",
            },
        },
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

fn member() -> Value {
    let statuses: Vec<_> = MemberStatus::ALL.into_iter().map(MemberStatus::as_str).collect();
    json!({
        "name": "member",
        "properties": {
            "member_id": {"type": "string", "description": "An identifier for the image member (tenantId)"},
            "image_id": {"type": "string", "description": "An identifier for the image"},
            "status": {"type": "string", "enum": statuses, "description": "The status of this image member"},
            "created_at": {"type": "string", "description": "Date and time of image member creation"},
            "updated_at": {"type": "string", "description": "Date and time of last modification of image member"},
            "schema": {"type": "string", "readOnly": true},
        },
    })
}

fn task() -> Value {
    let text = |description: &str| json!({"type": ["null", "string"], "description": description});
    json!({
        "name": "task",
        "properties": {
            "id": text("An identifier for the task"),
            "type": {"type": "string", "enum": [model::image::Task::TYPE], "description": "The type of task represented by this content"},
            "status": {
                "type": "string",
                "enum": ["pending", "processing", "success", "failure"],
                "description": "The current status of this task",
            },
            "input": {"type": ["null", "object"], "description": "The parameters required by task, JSON blob"},
            "result": {"type": ["null", "object"], "description": "The result of current task, JSON blob"},
            "owner": text("An identifier for the owner of this task"),
            "message": text("Human-readable informative message only included when appropriate (usually on failure)"),
            "image_id": text("The image that the task works on"),
            "request_id": text("The request that asked for the task"),
            "user_id": text("The user that asked for the task"),
            "expires_at": text("Datetime when this resource would be subject to removal"),
            "created_at": text("Datetime when this resource was created"),
            "updated_at": text("Datetime when this resource was updated"),
            "self": {"type": "string", "readOnly": true},
            "schema": {"type": "string", "readOnly": true},
        },
    })
}

fn list_of(name: &str, item: Value) -> Value {
    json!({
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

async fn one_image(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&image())
}

async fn images(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&list_of("images", image()))
}

async fn one_member(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&member())
}

async fn members(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&list_of("members", member()))
}

async fn one_task(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&task())
}

async fn tasks(_: Call) -> Result<Reply, CloudError> {
    Reply::json(&list_of("tasks", task()))
}
