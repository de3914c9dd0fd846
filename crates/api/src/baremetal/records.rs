//! What the resources have in common that are one record each: finding the one that a path names, pages of them, one as JSON.

use super::fields::{Chosen, Field, Page};
use crate::args::{is_logical_name, parse_uuid, uuid};
use crate::call::Call;
use crate::call::Reply;
use crate::error::ApiError;
use crate::policy::Target;
use crate::wording::display;
use axum::http::StatusCode;
use model::runbook::Runbook;
use serde_json::{Map, Value, json};
use store::{Query, Record};
use uuid::Uuid;

/// Whose a record is: what the call's rule is asked about when it has been found.
pub enum Whose<'a> {
    /// The node's that has this UUID; where that can't be seen, the record isn't there.
    Node(Uuid),
    /// The project's that owns the allocation; without sight of it, it isn't there.
    Allocation(Option<&'a str>),
    /// The project's that owns the runbook; to be read it may be public.
    Runbook(&'a Runbook),
    /// Nobody's in particular: the rule was asked before the handler ran.
    Nobody,
}

/// A record that paths name.
pub trait Named: Record {
    /// Whose it is.
    fn whose(&self) -> Whose<'_>;
}

/// How a resource refuses what is neither a UUID nor a name.
pub type Neither = fn(&str) -> String;

/// The record that a path's `{parameter}` names, by UUID or by name, if the call's rule lets the caller have it.
pub async fn find<R: Named>(call: &Call, parameter: &str, neither: Neither) -> Result<R, ApiError> {
    let ident = call.parameter(parameter);
    match find_by(call, ident, neither).await {
        Err(error) if error.status == StatusCode::NOT_FOUND && call.json_suffix => {
            find_by(call, &format!("{ident}.json"), neither).await
        }
        other => other,
    }
}

/// The same of a record that is named elsewhere.
pub async fn find_by<R: Named>(call: &Call, ident: &str, neither: Neither) -> Result<R, ApiError> {
    let record = read::<R>(call, ident, neither).await?;
    check(call, &record, ident).await?;
    Ok(record)
}

/// Holds the call to its rule with a record. `ident` is what it was asked for by.
pub async fn check<R: Named>(call: &Call, record: &R, ident: &str) -> Result<(), ApiError> {
    let missing = || format!("{} {ident} could not be found.", R::WHAT);
    match record.whose() {
        Whose::Nobody => Ok(()),
        Whose::Node(node) => call.check_part(node, missing).await,
        Whose::Allocation(owner) => {
            let target = Target::allocation(owner);
            if !call.may("baremetal:allocation:get", &target) {
                return Err(ApiError::not_found(missing()));
            }
            call.check(call.rule, &target)
        }
        Whose::Runbook(runbook) if runbook.public && call.rule == "baremetal:runbook:get" => Ok(()),
        Whose::Runbook(runbook) => call.check(call.rule, &Target::runbook(runbook.owner.as_deref())),
    }
}

/// A record by UUID or by name, whoever calls.
pub async fn read<R: Record>(call: &Call, ident: &str, neither: Neither) -> Result<R, ApiError> {
    if let Some(uuid) = parse_uuid(ident) {
        return Ok(call.state.store.get(&uuid.to_string()).await?);
    }
    if !is_logical_name(ident) {
        return Err(ApiError::invalid(neither(&display(&Value::from(ident)))));
    }
    Ok(call.state.store.get(ident).await?)
}

/// How a list of records is answered.
pub struct Listing<'a> {
    /// Key of the list in the answer.
    pub collection: &'a str,
    /// Path below `/v1`, for the link to the next page.
    pub url: &'a str,
    /// Fields that are shown.
    pub chosen: &'a Chosen,
    /// Arguments that the link to the next page repeats.
    pub repeated: &'a [(&'a str, bool)],
}

impl Listing<'_> {
    /// The records that a query finds, as `{collection: […], next}`. The page's marker must be a record.
    pub async fn answer<R: Record>(
        &self,
        call: &Call,
        page: &Page,
        query: &Query,
        shown: fn(&Call, &R, &Chosen) -> Map<String, Value>,
    ) -> Result<Reply, ApiError> {
        if let Some(marker) = page.marker {
            // One that isn't there would start the list anew; one that the list would not show may not be looked for.
            let marked = Query::equal("uuid", marker.to_string()).within(query.scope.clone());
            if call.state.store.list::<R>(&marked).await?.is_empty() {
                return Err(ApiError::not_found(format!("{} {marker} could not be found.", R::WHAT)));
            }
        }
        let records: Vec<R> = call.state.store.list(query).await?;
        let last = records.last().map(Record::uuid);
        let next = page.next(call, self.url, self.chosen, self.repeated, records.len(), last);
        let rows: Vec<_> = records.iter().map(|record| shown(call, record, self.chosen)).collect();
        let mut body = json!({self.collection: rows});
        if let Some(next) = next {
            body["next"] = next.into();
        }
        Reply::json(&body)
    }
}

/// The UUID that a body gives to a new record, or one of its own.
pub fn own_uuid(body: &Map<String, Value>) -> Result<Uuid, ApiError> {
    match body.get("uuid") {
        None | Some(Value::Null) => Ok(Uuid::new_v4()),
        Some(value) => uuid("uuid", value),
    }
}

/// The chosen fields that the microversion has, and the links.
pub fn fields(
    call: &Call,
    known: &[Field],
    chosen: &Chosen,
    path: &str,
    value: impl Fn(&str) -> Value,
) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, since) in known {
        if *name != "links" && call.version.has(*since) && chosen.has(name) {
            map.insert((*name).to_owned(), value(name));
        }
    }
    map.insert("links".into(), json!(call.links(path)));
    map
}
