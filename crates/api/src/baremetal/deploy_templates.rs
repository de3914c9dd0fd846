//! `/v1/deploy_templates`

use super::fields::{self, Chosen, Field, Masked, Page, check_marker, maybe_time, time};
use super::patch::{self, Operation};
use super::query_schema::{self, Form};
use super::records::{self, Listing, Named, Whose};
use super::schema::{ARRAY, BAG, Property, STRING, TEXT, check, limited, property};
use super::steps::{DEPLOY_STEP, keep_masked_args, read_steps};
use super::traits::check_trait;
use crate::args::{object, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::STEPS;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use axum::http::StatusCode;
use model::deploy_template::DeployTemplate;
use model::node::Object;
use model::step::Step;
use model::version as v;
use serde_json::{Map, Value, json};
use store::Record;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/deploy_templates", "baremetal:deploy_template:get", handler!(list))
        .says("Lists deploy templates.")
        .query(&["marker", "limit", "sort_key", "sort_dir", "fields", "detail"])
        .since(v::DEPLOY_TEMPLATES),
    Route::new(Post, "/v1/deploy_templates", "baremetal:deploy_template:create", handler!(create))
        .says("Creates a deploy template.")
        .query(&[])
        .takes(Takes::Object(PROPERTIES, REQUIRED))
        .since(v::DEPLOY_TEMPLATES)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::CREATED),
    Route::new(Get, "/v1/deploy_templates/{template}", "baremetal:deploy_template:get", handler!(show))
        .says("Shows a deploy template.")
        .query(&["fields"])
        .since(v::DEPLOY_TEMPLATES),
    Route::new(Patch, "/v1/deploy_templates/{template}", "baremetal:deploy_template:update", handler!(patch))
        .says("Changes a deploy template.")
        .query(&[])
        .takes(Takes::Patch(PATCHABLE))
        .since(v::DEPLOY_TEMPLATES)
        .below(StatusCode::METHOD_NOT_ALLOWED),
    Route::new(
        Delete,
        "/v1/deploy_templates/{template}",
        "baremetal:deploy_template:delete",
        handler!(delete),
    )
    .says("Removes a deploy template.")
    .query(&[])
    .since(v::DEPLOY_TEMPLATES)
    .below(StatusCode::METHOD_NOT_ALLOWED)
    .success(StatusCode::NO_CONTENT),
];

/// `description` is taken and forgotten, as in Ironic, whose templates have none.
const PROPERTIES: &[Property] = &[
    limited("description", TEXT, 0, 255),
    property("extra", BAG),
    property("name", STRING),
    limited("steps", ARRAY, 1, STEPS).items(&DEPLOY_STEP),
    property("uuid", TEXT),
];
const REQUIRED: &[&str] = &["steps", "name"];
const PATCHABLE: &[&str] = &["extra", "name", "steps", "description"];

/// Fields of a deploy template, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", v::BASE),
    ("created_at", v::BASE),
    ("updated_at", v::BASE),
    ("name", v::BASE),
    ("extra", v::BASE),
    ("steps", v::BASE),
    ("links", v::BASE),
];
const DEFAULT: &[&str] = &["uuid", "name"];

/// Ironic's schema knows a description that its templates then don't have.
fn unknown_field(name: &str) -> String {
    if name == "description" {
        return fields::unknown_field(name);
    }
    query_schema::unknown_field(name, &[FIELDS, &[("description", v::BASE)]].concat())
}

fn shown(call: &Call, template: &DeployTemplate, chosen: &Chosen) -> Map<String, Value> {
    let path = format!("deploy_templates/{}", template.uuid);
    records::fields(call, FIELDS, chosen, &path, |name| match name {
        "uuid" => json!(template.uuid),
        "created_at" => json!(time(template.created_at)),
        "updated_at" => json!(maybe_time(template.updated_at)),
        "name" => json!(template.name),
        "extra" => json!(template.extra),
        _ => template.steps.iter().map(step).collect(),
    })
}

fn step(step: &Step) -> Value {
    json!({"interface": step.interface, "step": step.step, "args": Masked(&step.args), "priority": step.priority})
}

impl Named for DeployTemplate {
    fn whose(&self) -> Whose<'_> {
        Whose::Nobody
    }
}

/// The template that the path names.
async fn find(call: &Call) -> Result<DeployTemplate, ApiError> {
    records::find(call, "template", |ident| format!("Expected UUID or name for template_ident: {ident}"))
        .await
}

/// `GET /v1/deploy_templates`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    query_schema::check(&call.query, &[("sort_dir", Form::Direction)])?;
    let chosen = Chosen::of_list(&call.query, call.version, FIELDS, DEFAULT, unknown_field)?;
    check_marker(&call.query, "Deploy template")?;
    let page = Page::read(&call, &call.query, FIELDS, DeployTemplate::SORT_COLUMNS)?;
    let detail = call.query.boolean("detail")?.map(|detail| ("detail", detail));
    let listing = Listing {
        collection: "deploy_templates",
        url: "deploy_templates",
        chosen: &chosen,
        repeated: detail.as_slice(),
    };
    listing.answer(&call, &page, &page.query(), shown).await
}

/// `GET /v1/deploy_templates/{template}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let template = find(&call).await?;
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    Reply::json(&shown(&call, &template, &chosen))
}

/// `POST /v1/deploy_templates`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let body = object("template", call.json()?)?;
    let read = read("template", &body)?;
    let own =
        body.get("uuid").filter(|value| !value.is_null()).map(|value| uuid("uuid", value)).transpose()?;
    let template = DeployTemplate {
        uuid: own.unwrap_or_else(Uuid::new_v4),
        name: read.name,
        steps: read.steps,
        extra: read.extra,
        created_at: call.now(),
        updated_at: None,
    };
    call.state.store.create(&template).await?;
    let location = call.url(&format!("deploy_templates/{}", template.uuid));
    Ok(Reply::json(&shown(&call, &template, &Chosen::All))?.at(location))
}

/// What a body says.
struct Read {
    name: String,
    steps: Vec<Step>,
    extra: Object,
}

fn read(what: &str, body: &Map<String, Value>) -> Result<Read, ApiError> {
    check(what, body, PROPERTIES, REQUIRED)?;
    let name = body["name"].as_str().unwrap_or_default();
    check_trait(what, name)?;
    let steps = read_steps(&body["steps"], &DEPLOY_STEP)?;
    Ok(Read {
        name: name.to_owned(),
        steps: steps.into_iter().map(|(step, _)| step).collect(),
        extra: body.get("extra").and_then(Value::as_object).cloned().unwrap_or_default(),
    })
}

/// `PATCH /v1/deploy_templates/{template}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let operations = patch::read_for(call.json()?, call.version, PATCHABLE)?;
    let uuid = find(&call).await?.uuid;
    let changed = call.state.store.edit(uuid, |template| change(&call, template, &operations)).await?;
    Reply::json(&shown(&call, &changed, &Chosen::All))
}

fn change(call: &Call, template: &mut DeployTemplate, operations: &[Operation]) -> Result<(), ApiError> {
    let mut document = document(template);
    patch::apply(&mut document, operations)?;
    let mut read = read("patch", &document)?;
    for step in &mut read.steps {
        keep_masked_args(step, template.steps.iter());
    }
    let after = DeployTemplate { name: read.name, steps: read.steps, extra: read.extra, ..template.clone() };
    if after != *template {
        *template = DeployTemplate { updated_at: Some(call.now()), ..after };
    }
    Ok(())
}

/// What a patch may change. Secrets are masked, so that a refusal can't quote one.
fn document(template: &DeployTemplate) -> Map<String, Value> {
    let steps: Value = template.steps.iter().map(step).collect();
    let rows = [("name", json!(template.name)), ("steps", steps), ("extra", json!(template.extra))];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// `DELETE /v1/deploy_templates/{template}`
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let template = find(&call).await?;
    call.state.store.delete::<DeployTemplate>(template.uuid).await?;
    Ok(Reply::empty())
}
