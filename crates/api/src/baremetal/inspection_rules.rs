//! `/v1/inspection_rules`

use super::fields::{Chosen, Field, Page, check_marker, maybe_time, time, unknown_field};
use super::patch::{self, Kind, Operation as Change};
use super::query_schema::{self, Form};
use super::records::{self, Listing};
use super::schema::{ARRAY, BOOLEAN, LIST, NULL, OBJECT, Property, TEXT, check, limited, property, refusal};
use super::steps::{rank, whole};
use crate::args::{object, parse_uuid, uuid};
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::RULE_OPERATIONS;
use crate::route::Verb::{Delete, Get, Patch, Post};
use crate::route::{Route, Takes};
use crate::wording::{repr, repr_text};
use axum::http::StatusCode;
use model::inspection_rule::{ACTIONS, CONDITIONS, InspectionRule, MULTIPLE, Operation};
use model::version as v;
use serde_json::{Map, Value, json};
use store::Record;
use uuid::Uuid;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/inspection_rules", "baremetal:inspection_rule:get", handler!(list))
        .says("Lists inspection rules.")
        .query(&["marker", "limit", "sort_key", "sort_dir", "fields", "detail", "phase"])
        .since(v::INSPECTION_RULES),
    Route::new(Post, "/v1/inspection_rules", "baremetal:inspection_rule:create", handler!(create))
        .says("Creates an inspection rule.")
        .query(&[])
        .takes(Takes::Object(PROPERTIES, REQUIRED))
        .since(v::INSPECTION_RULES)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::CREATED),
    Route::new(Delete, "/v1/inspection_rules", "baremetal:inspection_rule:delete", handler!(delete_all))
        .says("Removes all inspection rules.")
        .query(&[])
        .since(v::INSPECTION_RULES)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::NO_CONTENT),
    Route::new(Get, "/v1/inspection_rules/{rule}", "baremetal:inspection_rule:get", handler!(show))
        .says("Shows an inspection rule.")
        .query(&["fields"])
        .since(v::INSPECTION_RULES),
    Route::new(Patch, "/v1/inspection_rules/{rule}", "baremetal:inspection_rule:update", handler!(patch))
        .says("Changes an inspection rule.")
        .query(&[])
        .takes(Takes::Patch(PATCHABLE))
        .since(v::INSPECTION_RULES)
        .below(StatusCode::METHOD_NOT_ALLOWED),
    Route::new(Delete, "/v1/inspection_rules/{rule}", "baremetal:inspection_rule:delete", handler!(delete))
        .says("Removes an inspection rule.")
        .query(&[])
        .since(v::INSPECTION_RULES)
        .below(StatusCode::METHOD_NOT_ALLOWED)
        .success(StatusCode::NO_CONTENT),
];

const PROPERTIES: &[Property] = &[
    limited("actions", ARRAY, 1, RULE_OPERATIONS).items(&property("", OBJECT)),
    // `openstack baremetal inspection rule create` sends null where it was given none.
    limited("conditions", LIST, 0, RULE_OPERATIONS).items(&property("", OBJECT)),
    limited("description", TEXT, 0, 255),
    limited("phase", TEXT, 0, 16),
    // `openstack baremetal inspection rule create --priority` sends digits.
    rank("priority"),
    property("sensitive", BOOLEAN.or(NULL)),
    property("uuid", TEXT),
];
const REQUIRED: &[&str] = &["actions"];
const PATCHABLE: &[&str] = &["actions", "conditions", "description", "phase", "priority", "sensitive"];

/// The highest priority that a user's rule may have.
const HIGHEST: i64 = 9999;
/// The one phase that there is.
const PHASE: &str = "main";

/// Fields of an inspection rule, and the microversion of each.
pub const FIELDS: &[Field] = &[
    ("uuid", v::BASE),
    ("created_at", v::BASE),
    ("updated_at", v::BASE),
    ("description", v::BASE),
    ("priority", v::BASE),
    ("sensitive", v::BASE),
    ("phase", v::BASE),
    ("conditions", v::BASE),
    ("actions", v::BASE),
    ("links", v::BASE),
];
const DEFAULT: &[&str] = &["uuid", "priority", "phase", "description"];

fn shown(call: &Call, rule: &InspectionRule, chosen: &Chosen) -> Map<String, Value> {
    let path = format!("inspection_rules/{}", rule.uuid);
    records::fields(call, FIELDS, chosen, &path, |name| match name {
        "uuid" => json!(rule.uuid),
        "created_at" => json!(time(rule.created_at)),
        "updated_at" => json!(maybe_time(rule.updated_at)),
        "description" => json!(rule.description),
        "priority" => json!(rule.priority),
        "sensitive" => json!(rule.sensitive),
        "phase" => json!(rule.phase),
        _ if rule.sensitive => Value::Null,
        "conditions" => rule.conditions.iter().map(|condition| operation(condition, true)).collect(),
        _ => rule.actions.iter().map(|action| operation(action, false)).collect(),
    })
}

/// A condition or an action. What is repeated over shows; an empty loop is none.
fn operation(operation: &Operation, is_condition: bool) -> Value {
    let mut shown = json!({"op": operation.op, "args": operation.args});
    if let Some(items) = operation.looped() {
        shown["loop"] = items.clone();
        if is_condition {
            shown["multiple"] = operation.multiple.as_deref().unwrap_or("any").into();
        }
    }
    shown
}

/// The rule that the path names; rules have no names.
async fn find(call: &Call) -> Result<InspectionRule, ApiError> {
    let ident = call.parameter("rule");
    let uuid =
        parse_uuid(ident).ok_or_else(|| refusal("", &format!("{} is not a 'uuid'", repr_text(ident))))?;
    Ok(call.state.store.get(&uuid.to_string()).await?)
}

/// `GET /v1/inspection_rules`
pub async fn list(call: Call) -> Result<Reply, ApiError> {
    query_schema::check(&call.query, &[("sort_dir", Form::Direction)])?;
    let chosen = Chosen::of_list(&call.query, call.version, FIELDS, DEFAULT, unknown_field)?;
    check_marker(&call.query, "Rule")?;
    if let Some(key @ ("actions" | "conditions")) = call.query.text("sort_key")? {
        let fault = format!(
            "'{key}' should not be valid under {{'type': 'string', 'enum': ['actions', 'conditions']}}"
        );
        return Err(refusal("", &fault));
    }
    let page = Page::read(&call, &call.query, FIELDS, InspectionRule::SORT_COLUMNS)?;
    let mut query = page.query();
    if let Some(phase) = call.query.text("phase")? {
        query = query.and("phase", phase);
    }
    let detail = call.query.boolean("detail")?.map(|detail| ("detail", detail));
    let listing = Listing {
        collection: "inspection_rules",
        url: "inspection_rules",
        chosen: &chosen,
        repeated: detail.as_slice(),
    };
    listing.answer(&call, &page, &query, shown).await
}

/// `GET /v1/inspection_rules/{rule}`
pub async fn show(call: Call) -> Result<Reply, ApiError> {
    let rule = find(&call).await?;
    let chosen = Chosen::of_one(&call.query, call.version, FIELDS, unknown_field)?;
    Reply::json(&shown(&call, &rule, &chosen))
}

/// `POST /v1/inspection_rules`
pub async fn create(call: Call) -> Result<Reply, ApiError> {
    let body = object("", call.json()?)?;
    let mut rule = InspectionRule {
        uuid: Uuid::nil(),
        description: None,
        priority: 0,
        phase: None,
        sensitive: false,
        conditions: Vec::new(),
        actions: Vec::new(),
        created_at: call.now(),
        updated_at: None,
    };
    read("", &body, &mut rule)?;
    if !body.contains_key("phase") {
        rule.phase = Some(PHASE.to_owned());
    }
    check_rule(&rule)?;
    let own =
        body.get("uuid").filter(|value| !value.is_null()).map(|value| uuid("uuid", value)).transpose()?;
    rule.uuid = own.unwrap_or_else(Uuid::new_v4);
    call.state.store.create(&rule).await?;
    let location = call.url(&format!("inspection_rules/{}", rule.uuid));
    Ok(Reply::json(&shown(&call, &rule, &Chosen::All))?.at(location))
}

/// Checks a document's form and writes it into a rule; what it doesn't have is the default.
fn read(what: &str, body: &Map<String, Value>, rule: &mut InspectionRule) -> Result<(), ApiError> {
    check(what, body, PROPERTIES, REQUIRED)?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let list = |key: &str, known: &[&str], inverts: bool| {
        let items = body.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let read = |item: &Value| read_operation(item, known, inverts).map_err(|fault| refusal(what, &fault));
        items.iter().map(read).collect::<Result<Vec<_>, _>>()
    };
    rule.actions = list("actions", ACTIONS, false)?;
    rule.conditions = list("conditions", CONDITIONS, true)?;
    rule.description = text("description");
    rule.phase = text("phase");
    // What is too large is beyond the highest, too.
    rule.priority = body.get("priority").map_or(0, |value| whole(value).unwrap_or(i64::MAX));
    rule.sensitive = body.get("sensitive").and_then(Value::as_bool).unwrap_or(false);
    Ok(())
}

/// Reads a condition or an action. Further keys are taken and forgotten, as in Ironic.
fn read_operation(item: &Value, known: &[&str], inverts: bool) -> Result<Operation, String> {
    for key in ["op", "args"] {
        if item.get(key).is_none() {
            return Err(format!("'{key}' is a required property"));
        }
    }
    let op = item["op"].as_str().unwrap_or_default();
    let plain = if inverts { op.strip_prefix('!').unwrap_or(op) } else { op };
    if !known.contains(&plain) {
        let inverted = known.iter().map(|op| format!("'!{op}'")).filter(|_| inverts);
        let words: Vec<_> = known.iter().map(|op| format!("'{op}'")).chain(inverted).collect();
        return Err(format!("{} is not one of [{}]", repr(&item["op"]), words.join(", ")));
    }
    let structured = |key: &str| match item.get(key) {
        Some(value) if !value.is_array() && !value.is_object() => {
            Err(format!("{} is not of type 'array', 'object'", repr(value)))
        }
        value => Ok(value.cloned()),
    };
    let multiple = match item.get("multiple").filter(|_| inverts) {
        None => None,
        Some(Value::String(word)) if MULTIPLE.contains(&word.as_str()) => Some(word.clone()),
        Some(other) => return Err(format!("{} is not one of ['{}']", repr(other), MULTIPLE.join("', '"))),
    };
    Ok(Operation {
        op: op.to_owned(),
        args: structured("args")?.unwrap_or_default(),
        items: structured("loop")?,
        multiple,
    })
}

/// What a rule's parts mean together: phase, priority, and each operation's arguments.
fn check_rule(rule: &InspectionRule) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    if rule.phase.as_deref() != Some(PHASE) {
        let phase = rule.phase.as_deref().unwrap_or("None");
        errors.push(format!("Invalid phase: {phase}. Valid phases are: {PHASE}"));
    }
    if rule.priority > HIGHEST {
        errors.push(format!("Priority must be between 0 and {HIGHEST} for user-defined rules."));
    }
    errors.extend(rule.faults());
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(ApiError::invalid(one)),
        many => Err(ApiError::invalid(format!("Multiple validation errors occurred: {}", many.join("; ")))),
    }
}

/// `PATCH /v1/inspection_rules/{rule}`
pub async fn patch(call: Call) -> Result<Reply, ApiError> {
    let body = call.json()?;
    let operations = patch::read_for(body.clone(), call.version, PATCHABLE)?;
    let uuid = find(&call).await?.uuid;
    let changed = call.state.store.edit(uuid, |rule| change(&call, rule, &operations, &body)).await?;
    Reply::json(&shown(&call, &changed, &Chosen::All))
}

fn change(
    call: &Call,
    rule: &mut InspectionRule,
    operations: &[Change],
    body: &Value,
) -> Result<(), ApiError> {
    let before = rule.clone();
    let mut document = document(rule);
    let read = patch::apply(&mut document, operations).and_then(|()| read("patch", &document, rule));
    // Refusals quote what they refuse, and what is next to it.
    read.map_err(|error| if before.sensitive { unquoted() } else { error })?;
    if operations.iter().any(|operation| operation.is_of("phase") && operation.kind == Kind::Remove) {
        rule.phase = Some(PHASE.to_owned());
    }
    if before.sensitive && !rule.sensitive {
        return Err(ApiError::invalid(format!(
            "Couldn't apply patch '{}'. Reason: Inspection rules cannot have the sensitive flag unset.",
            repr(body)
        )));
    }
    check_rule(rule)?;
    if *rule != before {
        rule.updated_at = Some(call.now());
    }
    Ok(())
}

fn unquoted() -> ApiError {
    ApiError::invalid(
        "The patch can't be applied, or leaves no valid rule. The rule is sensitive, so its parts are not quoted here.",
    )
}

/// What a patch may change, in the form in which it is sent.
fn document(rule: &InspectionRule) -> Map<String, Value> {
    let rows = [
        ("actions", json!(rule.actions)),
        ("conditions", json!(rule.conditions)),
        ("description", json!(rule.description)),
        ("phase", json!(rule.phase)),
        ("priority", json!(rule.priority)),
        ("sensitive", json!(rule.sensitive)),
    ];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// `DELETE /v1/inspection_rules/{rule}`
pub async fn delete(call: Call) -> Result<Reply, ApiError> {
    let rule = find(&call).await?;
    call.state.store.delete::<InspectionRule>(rule.uuid).await?;
    Ok(Reply::empty())
}

/// `DELETE /v1/inspection_rules` forgets all of them.
pub async fn delete_all(call: Call) -> Result<Reply, ApiError> {
    call.state.store.delete_all::<InspectionRule>().await?;
    Ok(Reply::empty())
}
