//! `/flavors`: what kinds of machines there are.

use super::body::{DESCRIPTION_LENGTH, Fields, INTEGERS, only};
use crate::cloud::{Access, Call, CloudError, Reply, Route};
use crate::handler;
use crate::route::Verb::{Delete, Get, Post, Put};
use axum::http::StatusCode;
use model::compute::Flavor;
use serde_json::{Value, json};
use std::cmp::Ordering;
use store::StoreError;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v2.1/flavors", Access::Project, handler!(index)).says("Lists flavors."),
    Route::new(Post, "/v2.1/flavors", Access::Operator, handler!(create)).says("Makes a flavor."),
    Route::new(Get, "/v2.1/flavors/detail", Access::Project, handler!(detail)).says("Lists flavors in full."),
    Route::new(Get, "/v2.1/flavors/{flavor}", Access::Project, handler!(show)).says("Shows a flavor."),
    Route::new(Put, "/v2.1/flavors/{flavor}", Access::Operator, handler!(update))
        .says("Changes a flavor's description (from 2.55 on)."),
    Route::new(Delete, "/v2.1/flavors/{flavor}", Access::Operator, handler!(delete))
        .says("Forgets a flavor; servers that have it keep it.")
        .success(StatusCode::ACCEPTED),
];

impl Call {
    /// A flavor that the caller may use; others aren't there.
    pub(super) async fn flavor(&self, id: &str) -> Result<Flavor, CloudError> {
        let missing = || CloudError::not_found(format!("Flavor {id} could not be found."));
        match self.state.store.flavor(id).await {
            Ok(flavor) if self.may_use_flavor(&flavor) => Ok(flavor),
            Ok(_) | Err(StoreError::NotFound { .. }) => Err(missing()),
            Err(error) => Err(error.into()),
        }
    }

    /// Is the flavor one of those that the caller may see and use?
    fn may_use_flavor(&self, flavor: &Flavor) -> bool {
        self.sees_all() || self.project().map_or(flavor.is_public, |project| flavor.is_for(project))
    }
}

/// A flavor as clients see it.
fn document(call: &Call, flavor: &Flavor) -> Value {
    let mut own = json!({
        "id": flavor.id,
        "name": flavor.name,
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "swap": flavor.swap_mib,
        "vcpus": flavor.vcpus,
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gib,
        "OS-FLV-DISABLED:disabled": false,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": flavor.rxtx_factor,
        "links": links(call, flavor),
    });
    if call.minor < 75 && flavor.swap_mib == 0 {
        own["swap"] = json!("");
    }
    if call.minor >= 55 {
        own["description"] = json!(flavor.description);
    }
    if call.minor >= 61 {
        own["extra_specs"] = json!(flavor.extra_specs);
    }
    own
}

fn links(call: &Call, flavor: &Flavor) -> Value {
    super::links(call, "flavors", &flavor.id)
}

/// `GET /flavors`
async fn index(call: Call) -> Result<Reply, CloudError> {
    let page = call.page("/v2.1/flavors", listed(&call).await?, |flavor| flavor.id.clone())?;
    Reply::json(&page.write("flavors", |flavor| {
        let mut own = json!({"id": flavor.id, "name": flavor.name, "links": links(&call, flavor)});
        if call.minor >= 55 {
            own["description"] = json!(flavor.description);
        }
        own
    }))
}

/// `GET /flavors/detail`
async fn detail(call: Call) -> Result<Reply, CloudError> {
    let page = call.page("/v2.1/flavors/detail", listed(&call).await?, |flavor| flavor.id.clone())?;
    Reply::json(&page.write("flavors", |flavor| document(&call, flavor)))
}

/// The flavors that a list shows, in its order.
async fn listed(call: &Call) -> Result<Vec<Flavor>, CloudError> {
    call.only_query(&["limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir"])?;
    // Whose project is not among a private flavor's sees the public ones only; operators may ask for the others, or for all.
    let wants_public = match call.query.first("is_public") {
        Some(text) if call.sees_all() && text.eq_ignore_ascii_case("none") => None,
        Some(_) if call.sees_all() => call.query.flag("is_public")?,
        _ => Some(true),
    };
    let (least_ram, least_disk) = (call.query.number("minRam")?, call.query.number("minDisk")?);
    let own_project = call.project().ok();
    let fits = |flavor: &Flavor| {
        let is_shown = match wants_public {
            None => true,
            Some(true) => flavor.is_public || own_project.is_some_and(|project| flavor.is_for(project)),
            Some(false) => !flavor.is_public,
        };
        is_shown
            && least_ram.is_none_or(|least| flavor.ram_mib >= least)
            && least_disk.is_none_or(|least| flavor.disk_gib >= least)
    };
    let mut flavors = call.state.store.flavors().await?;
    flavors.retain(fits);
    let compare = order(call.query.first("sort_key").unwrap_or("flavorid"))?;
    flavors.sort_by(compare);
    match call.query.first("sort_dir").unwrap_or("asc") {
        "asc" => {}
        "desc" => flavors.reverse(),
        other => return Err(not_one_of("sort_dir", other, "asc, desc")),
    }
    Ok(flavors)
}

fn not_one_of(name: &str, value: &str, known: &str) -> CloudError {
    let value: String = value.chars().take(100).collect();
    CloudError::invalid(format!(
        "Invalid input for query parameters {name}. Value: {value}. It is one of: {known}"
    ))
}

type Compare = fn(&Flavor, &Flavor) -> Ordering;

fn order(key: &str) -> Result<Compare, CloudError> {
    Ok(match key {
        "flavorid" => |a, b| a.id.cmp(&b.id),
        "id" | "created_at" => |a, b| a.created_at.cmp(&b.created_at),
        "name" => |a, b| a.name.cmp(&b.name),
        "description" => |a, b| a.description.cmp(&b.description),
        "memory_mb" => |a, b| a.ram_mib.cmp(&b.ram_mib),
        "root_gb" => |a, b| a.disk_gib.cmp(&b.disk_gib),
        "ephemeral_gb" => |a, b| a.ephemeral_gib.cmp(&b.ephemeral_gib),
        "swap" => |a, b| a.swap_mib.cmp(&b.swap_mib),
        "vcpus" => |a, b| a.vcpus.cmp(&b.vcpus),
        "is_public" => |a, b| a.is_public.cmp(&b.is_public),
        "rxtx_factor" => |a, b| a.rxtx_factor.total_cmp(&b.rxtx_factor),
        "updated_at" => |a, b| a.updated_at.cmp(&b.updated_at),
        // No flavor is disabled, and none has a weight.
        "disabled" | "vcpu_weight" => |_, _| Ordering::Equal,
        other => {
            return Err(not_one_of(
                "sort_key",
                other,
                "created_at, description, disabled, ephemeral_gb, flavorid, id, is_public, memory_mb, name, root_gb, \
                 rxtx_factor, swap, updated_at, vcpu_weight, vcpus",
            ));
        }
    })
}

/// `GET /flavors/{flavor}`
async fn show(call: Call) -> Result<Reply, CloudError> {
    let flavor = call.flavor(call.parameter("flavor")).await?;
    Reply::json(&json!({"flavor": document(&call, &flavor)}))
}

/// `POST /flavors`
async fn create(call: Call) -> Result<Reply, CloudError> {
    let body = call.json()?;
    let flavor = parsed(&call, &only(&body, "flavor")?)?;
    match call.state.store.create(&flavor).await {
        Err(StoreError::Duplicate { field: "name", .. }) => {
            return Err(CloudError::conflict(format!("Flavor with name {} already exists.", flavor.name)));
        }
        Err(StoreError::Duplicate { .. }) => {
            return Err(CloudError::conflict(format!("Flavor with ID {} already exists.", flavor.id)));
        }
        other => other?,
    }
    Reply::json(&json!({"flavor": document(&call, &flavor)}))
}

fn parsed(call: &Call, fields: &Fields<'_>) -> Result<Flavor, CloudError> {
    let mut known = vec![
        "name",
        "id",
        "ram",
        "vcpus",
        "disk",
        "OS-FLV-EXT-DATA:ephemeral",
        "swap",
        "rxtx_factor",
        "os-flavor-access:is_public",
    ];
    if call.minor >= 55 {
        known.push("description");
    }
    fields.only(&known)?;
    let positive = 1..=*INTEGERS.end();
    let mut flavor = Flavor::new(
        Uuid::new_v4(),
        fields.needed_name("name")?,
        fields.needed_integer("vcpus", positive.clone())?,
        fields.needed_integer("ram", positive)?,
        fields.needed_integer("disk", INTEGERS)?,
        call.now(),
    );
    if let Some(id) = given_id(fields)? {
        flavor.id = id;
    }
    flavor.ephemeral_gib = fields.integer("OS-FLV-EXT-DATA:ephemeral", INTEGERS)?.unwrap_or(0);
    flavor.swap_mib = fields.integer("swap", INTEGERS)?.unwrap_or(0);
    flavor.is_public = fields.flag("os-flavor-access:is_public")?.unwrap_or(true);
    flavor.description =
        fields.nullable_text("description", 0..=DESCRIPTION_LENGTH)?.flatten().map(str::to_owned);
    if let Some(value) = fields.get("rxtx_factor") {
        let factor = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        };
        flavor.rxtx_factor = factor
            .filter(|factor: &f64| *factor > 0.0 && *factor <= 3.402_82e38)
            .ok_or_else(|| super::body::refused("rxtx_factor", value, "It is not a number above 0."))?;
    }
    Ok(flavor)
}

/// The id that was given; `auto`, null and nothing leave it to us.
fn given_id(fields: &Fields<'_>) -> Result<Option<String>, CloudError> {
    let id = match fields.get("id") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => fields.needed_text("id", 1..=255)?.to_owned(),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || ". _-".contains(c);
    if !id.chars().all(fits) || id.trim() != id {
        let why = "An id has letters, digits, '.', '_', '-', and spaces within.";
        return Err(super::body::refused("id", &Value::from(id), why));
    }
    Ok((id != "auto").then_some(id))
}

/// `PUT /flavors/{flavor}`
async fn update(call: Call) -> Result<Reply, CloudError> {
    call.since(55)?;
    let body = call.json()?;
    let fields = only(&body, "flavor")?;
    fields.only(&["description"])?;
    let description = fields
        .nullable_text("description", 0..=DESCRIPTION_LENGTH)?
        .ok_or_else(|| fields.missing("description"))?
        .map(str::to_owned);
    let flavor = call.flavor(call.parameter("flavor")).await?;
    let now = call.now();
    let flavor = call
        .state
        .store
        .edit(flavor.uuid, |flavor: &mut Flavor| {
            flavor.description = description;
            flavor.updated_at = Some(now);
            Ok::<_, CloudError>(())
        })
        .await?;
    Reply::json(&json!({"flavor": document(&call, &flavor)}))
}

/// `DELETE /flavors/{flavor}`
async fn delete(call: Call) -> Result<Reply, CloudError> {
    let flavor = call.flavor(call.parameter("flavor")).await?;
    call.state.store.delete::<Flavor>(flavor.uuid).await?;
    Ok(Reply::empty())
}
