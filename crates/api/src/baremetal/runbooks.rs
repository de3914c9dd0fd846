//! `/v1/runbooks`

use super::fields::{Chosen, Field, Masked, Page, check_marker, maybe_time, time, unknown_field};
use super::patch::{self, Kind, Operation};
use super::records::{self, Listing, Named, Whose};
use super::schema::{ARRAY, BAG, FLAG, Property, STRING, TEXT, check, check_keys, limited, property};
use super::steps::{RUNBOOK_STEP, keep_masked_args, read_steps};
use super::traits::check_trait;
use crate::args::{boolean, is_logical_name, object, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::STEPS;
use crate::policy::Target;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use crate::wording::repr;
use axum::http::StatusCode;
use model::node::Object;
use model::runbook::{Runbook, RunbookStep};
use model::version as v;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use store::{Record, Scope};
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/runbooks", "baremetal:runbook:list", handler!(list))
        .says("Lists runbooks.")
        .query(&["marker", "limit", "sort_key", "sort_dir", "fields", "detail", "project"])
        .since(v::RUNBOOKS),
    Route::new(Post, "/v1/runbooks", "baremetal:runbook:create", handler!(create))
        .says("Creates a runbook.")
        .query(&[])
        .takes(Takes::Object(PROPERTIES, REQUIRED))
        .since(v::RUNBOOKS)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::CREATED),
    Route::new(Get, "/v1/runbooks/{runbook}", "baremetal:runbook:get", handler!(show))
        .says("Shows a runbook.")
        .query(&["fields"])
        .since(v::RUNBOOKS),
    Route::new(Patch, "/v1/runbooks/{runbook}", "baremetal:runbook:update", handler!(patch))
        .says("Changes a runbook.")
        .own_check()
        .query(&[])
        .takes(Takes::Patch(PATCHABLE))
        .since(v::RUNBOOKS)
        .below(StatusCode::METHOD_NOT_ALLOWED),
    Route::new(Delete, "/v1/runbooks/{runbook}", "baremetal:runbook:delete", handler!(delete))
        .says("Removes a runbook.")
        .query(&[])
        .since(v::RUNBOOKS)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::NO_CONTENT),
];

/// `openstack baremetal runbook set --public true` sends a word, so words are taken where booleans are meant.
const PROPERTIES: &[Property] = &[
    property("uuid", TEXT),
    limited("name", STRING, 1, 255).pattern(r"^[A-Za-z0-9\-._~]+$", is_logical_name),
    limited("steps", ARRAY, 1, STEPS).items(&RUNBOOK_STEP),
    property("disable_ramdisk", FLAG),
    property("extra", BAG),
    property("public", FLAG),
    limited("owner", TEXT, 0, 255),
    limited("description", TEXT, 0, 255).since(v::RUNBOOK_TRAITS),
];
const REQUIRED: &[&str] = &["steps", "name"];
const PATCHABLE: &[&str] = &["disable_ramdisk", "extra", "name", "owner", "public", "steps", "description"];

/// Fields of a runbook, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", v::BASE),
    ("created_at", v::BASE),
    ("updated_at", v::BASE),
    ("name", v::BASE),
    ("extra", v::BASE),
    ("public", v::BASE),
    ("owner", v::BASE),
    ("disable_ramdisk", v::BASE),
    ("description", v::RUNBOOK_TRAITS),
    ("steps", v::BASE),
    ("traits", v::RUNBOOK_TRAITS),
    ("links", v::BASE),
];
const DEFAULT: &[&str] = &["uuid", "name"];

fn shown(call: &Call, runbook: &Runbook, chosen: &Chosen) -> Map<String, Value> {
    let path = format!("runbooks/{}", runbook.uuid);
    records::fields(call, FIELDS, chosen, &path, |name| match name {
        "uuid" => json!(runbook.uuid),
        "created_at" => json!(time(runbook.created_at)),
        "updated_at" => json!(maybe_time(runbook.updated_at)),
        "name" => json!(runbook.name),
        "extra" => json!(runbook.extra),
        "public" => json!(runbook.public),
        "owner" => json!(runbook.owner),
        "disable_ramdisk" => json!(runbook.disable_ramdisk),
        "description" => json!(runbook.description),
        "traits" => json!(runbook.traits),
        _ => runbook.steps.iter().map(step).collect(),
    })
}

fn step(step: &RunbookStep) -> Value {
    let RunbookStep { step, order } = step;
    json!({"interface": step.interface, "step": step.step, "args": Masked(&step.args), "order": order})
}

/// The fields of the microversion. Ironic answers 400, not 406, to fields that are newer.
fn known(call: &Call) -> Vec<Field> {
    FIELDS.iter().copied().filter(|(_, since)| call.version.has(*since)).collect()
}

impl Named for Runbook {
    fn whose(&self) -> Whose<'_> {
        Whose::Runbook(self)
    }
}

/// Refuses what can't name a runbook.
fn neither(ident: &str) -> String {
    format!("Expected UUID or name for runbook_ident: {ident}")
}

/// The runbook that the path names, if the call's rule lets the caller have it.
pub async fn find(call: &Call) -> Result<Runbook, ApiError> {
    records::find(call, "runbook", neither).await
}

/// `GET /v1/runbooks`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    let known = known(&call);
    let chosen = Chosen::of_list(&call.query, call.version, &known, DEFAULT, unknown_field)?;
    check_marker(&call.query, "Runbook")?;
    let page = Page::read(&call, &call.query, FIELDS, Runbook::SORT_COLUMNS)?;
    // Whose runbooks these are is a matter of who calls, whatever is asked; an operator sees all of them.
    call.query.boolean("project")?;
    let scope = call.confined_to(call.rule)?.map(|project| Scope::OwnedOrPublic(project.to_owned()));
    let query = page.query().within(scope);
    let detail = call.query.boolean("detail")?.map(|detail| ("detail", detail));
    let listing =
        Listing { collection: "runbooks", url: "runbooks", chosen: &chosen, repeated: detail.as_slice() };
    listing.answer(&call, &page, &query, shown).await
}

/// `GET /v1/runbooks/{runbook}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let runbook = find(&call).await?;
    let chosen = Chosen::of_one(&call.query, call.version, &known(&call), unknown_field)?;
    Reply::json(&shown(&call, &runbook, &chosen))
}

/// `POST /v1/runbooks`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let body = object("runbook", call.json()?)?;
    if !call.version.has(v::RUNBOOK_TRAITS) {
        let older: Vec<&str> =
            PROPERTIES.iter().map(|property| property.name).filter(|name| *name != "description").collect();
        check_keys("runbook", &body, &older)?;
    }
    let read = read("runbook", &body)?;
    if !call.version.has(v::RUNBOOK_TRAITS) {
        check_trait("runbook", &read.name)?;
    }
    let own =
        body.get("uuid").filter(|value| !value.is_null()).map(|value| uuid("uuid", value)).transpose()?;
    let mut runbook = Runbook {
        uuid: own.unwrap_or_else(Uuid::new_v4),
        name: String::new(),
        description: None,
        steps: Vec::new(),
        disable_ramdisk: false,
        public: false,
        owner: None,
        traits: BTreeSet::new(),
        extra: Object::new(),
        created_at: call.now(),
        updated_at: None,
    };
    read.into_runbook(&mut runbook);
    own_it(&call, &mut runbook)?;
    call.state.store.create(&runbook).await?;
    let location = call.url(&format!("runbooks/{}", runbook.uuid));
    Ok(Reply::json(&shown(&call, &runbook, &Chosen::All))?.at(location))
}

/// Makes the caller's project the owner, unless the caller acts for the system.
fn own_it(call: &Call, runbook: &mut Runbook) -> Result<(), ApiError> {
    if call.is_operator() {
        return Ok(());
    }
    // A token for a domain has no project that it could belong to.
    let Some(project) = call.project() else {
        return call.check("baremetal:runbook:update:owner", &Target::NONE);
    };
    if runbook.owner.as_deref().is_some_and(|owner| !owner.is_empty() && owner != project) {
        return Err(ApiError::invalid(
            "Cannot create a runbook as a project scoped admin with an owner other than your own project.",
        ));
    }
    if runbook.public {
        return Err(ApiError::invalid("Cannot create a public runbook as a project scoped admin."));
    }
    runbook.owner = Some(project.to_owned());
    Ok(())
}

/// What a body says.
struct Read {
    name: String,
    description: Option<String>,
    steps: Vec<RunbookStep>,
    disable_ramdisk: bool,
    public: bool,
    owner: Option<String>,
    extra: Object,
}

impl Read {
    fn into_runbook(self, runbook: &mut Runbook) {
        runbook.name = self.name;
        runbook.description = self.description;
        runbook.steps = self.steps;
        runbook.disable_ramdisk = self.disable_ramdisk;
        runbook.public = self.public;
        runbook.owner = self.owner;
        runbook.extra = self.extra;
    }
}

fn read(what: &str, body: &Map<String, Value>) -> Result<Read, ApiError> {
    check(what, body, PROPERTIES, REQUIRED)?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| match body.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => boolean(key, value),
    };
    let steps = read_steps(&body["steps"], &RUNBOOK_STEP)?;
    Ok(Read {
        name: text("name").unwrap_or_default(),
        description: text("description"),
        steps: steps.into_iter().map(|(step, order)| RunbookStep { step, order }).collect(),
        disable_ramdisk: flag("disable_ramdisk")?,
        public: flag("public")?,
        owner: text("owner"),
        extra: body.get("extra").and_then(Value::as_object).cloned().unwrap_or_default(),
    })
}

/// `PATCH /v1/runbooks/{runbook}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let patchable: Vec<&str> = PATCHABLE
        .iter()
        .copied()
        .filter(|name| *name != "description" || call.version.has(v::RUNBOOK_TRAITS))
        .collect();
    let body = call.json()?;
    let operations = patch::read_for(body.clone(), call.version, &patchable)?;
    let uuid = records::read::<Runbook>(&call, call.parameter("runbook"), neither).await?.uuid;
    let changed = call.state.store.edit(uuid, |runbook| change(&call, runbook, &operations, &body)).await?;
    Reply::json(&shown(&call, &changed, &Chosen::All))
}

/// Holds a patch to the rules of what it touches: owner and publicity have their own.
fn check_patch(call: &Call, runbook: &Runbook, operations: &[Operation]) -> Result<(), ApiError> {
    let target = Target::runbook(runbook.owner.as_deref());
    if operations.is_empty() {
        return call.check(call.rule, &target);
    }
    operations.iter().try_for_each(|operation| {
        let rule = match operation.root() {
            "owner" => "baremetal:runbook:update:owner",
            "public" => "baremetal:runbook:update:public",
            _ => call.rule,
        };
        call.check(rule, &target)
    })
}

fn change(
    call: &Call,
    runbook: &mut Runbook,
    operations: &[Operation],
    body: &Value,
) -> Result<(), ApiError> {
    check_patch(call, runbook, operations)?;
    let set = |root: &'static str| {
        operations.iter().filter(move |operation| operation.is_of(root) && operation.kind != Kind::Remove)
    };
    let public = match set("public").next().map(|operation| &operation.value) {
        Some(Some(value)) if !value.is_null() => Some(boolean("public", value)?),
        Some(_) => Some(false),
        None => None,
    };
    if set("owner").next().is_some() && public.unwrap_or(runbook.public) {
        return Err(ApiError::invalid(format!(
            "Couldn't apply patch '{}'. Reason: There cannot be an owner for a public runbook",
            repr(body)
        )));
    }
    let mut document = document(runbook);
    if public.is_some() {
        document.insert("owner".to_owned(), Value::Null);
    }
    patch::apply(&mut document, operations)?;
    let mut read = read("patch", &document)?;
    for step in &mut read.steps {
        keep_masked_args(&mut step.step, runbook.steps.iter().map(|old| &old.step));
    }
    let before = runbook.clone();
    read.into_runbook(runbook);
    if *runbook != before {
        runbook.updated_at = Some(call.now());
    }
    Ok(())
}

/// What a patch may change. Secrets are masked, so that a refusal can't quote one.
fn document(runbook: &Runbook) -> Map<String, Value> {
    let rows = [
        ("name", json!(runbook.name)),
        ("description", json!(runbook.description)),
        ("steps", runbook.steps.iter().map(step).collect()),
        ("disable_ramdisk", json!(runbook.disable_ramdisk)),
        ("public", json!(runbook.public)),
        ("owner", json!(runbook.owner)),
        ("extra", json!(runbook.extra)),
    ];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// `DELETE /v1/runbooks/{runbook}`
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let runbook = find(&call).await?;
    call.state.store.delete::<Runbook>(runbook.uuid).await?;
    Ok(Reply::empty())
}
