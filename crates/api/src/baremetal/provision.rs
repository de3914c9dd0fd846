//! `PUT /v1/nodes/{node}/states/provision`: a verb, and what comes with it.
//!
//! Here is what depends on the microversion and on the body's form. What depends on the node (protection, maintenance, validation,
//! the config drive) is the conductor's; only the state table is looked at before, since its refusal goes first by contract.

use super::schema::{BAG, FLAG, LIST, Property, STRING, TEXT, limited, property};
use super::steps::{DEPLOY_STEP, USER_STEP, read_step};
use crate::args::Args;
use crate::call::{Call, Reply};
use crate::error::ApiError;
use crate::handler;
use crate::limits::PROVISION_BODY_BYTES;
use crate::limits::STEPS;
use crate::policy::Target;
use crate::route::Verb::Put;
use crate::route::{Route, Takes};
use crate::wording::{display, repr, repr_text};
use axum::http::StatusCode;
use conductor::ProvisionRequest;
use model::Secret;
use model::node::Node;
use model::runbook::Runbook;
use model::state::{Event, ProvisionState};
use model::step::Step;
use model::version::{self as v, Microversion};
use serde_json::{Map, Value};
use store::NodeRow;

/// Rows of the route table.
pub const ROUTES: &[Route] = &[Route::new(
    Put,
    "/v1/nodes/{node}/states/provision",
    "baremetal:node:set_provision_state",
    handler!(set),
)
.says("Asks for another provision state by its verb.")
.takes(Takes::Arguments(ARGUMENTS, &["target"]))
.success(StatusCode::ACCEPTED)
.body_limit(PROVISION_BODY_BYTES)];

const ARGUMENTS: &[Property] = &[
    property("target", STRING).one_of(&Event::TARGETS),
    property("configdrive", STRING.or(BAG)),
    limited("clean_steps", LIST, 0, STEPS).items(&USER_STEP).since(v::MANUAL_CLEAN),
    limited("deploy_steps", LIST, 0, STEPS).items(&DEPLOY_STEP).since(v::DEPLOY_STEPS),
    property("rescue_password", TEXT).since(v::RESCUE),
    property("disable_ramdisk", FLAG).since(v::CLEAN_DISABLE_RAMDISK),
    limited("service_steps", LIST, 0, STEPS).items(&USER_STEP).since(v::SERVICE),
    property("runbook", TEXT).since(v::RUNBOOKS),
];

/// The microversions that verbs came with.
const VERB_VERSIONS: &[(&str, Microversion)] = &[
    ("manage", v::MANAGEABLE_STATE),
    ("provide", v::MANAGEABLE_STATE),
    ("inspect", v::INSPECT),
    ("abort", v::ABORT),
    ("clean", v::MANUAL_CLEAN),
    ("adopt", v::ADOPT),
    ("rescue", v::RESCUE),
    ("unrescue", v::RESCUE),
    ("deploy", v::DEPLOY_UNDEPLOY),
    ("undeploy", v::DEPLOY_UNDEPLOY),
];

/// Verbs whose microversion is looked at after the state, as in Ironic.
const LATE_VERB_VERSIONS: &[(&str, Microversion)] = &[("unhold", v::UNHOLD), ("service", v::SERVICE)];

/// `PUT …/states/provision`
pub async fn set(call: Call) -> Result<Reply, ApiError> {
    let mut args = call.arguments_of(ARGUMENTS)?;
    args.require("target")?;
    let target = args.text("target")?.unwrap_or("None").to_owned();
    let disable_ramdisk = args.boolean("disable_ramdisk")?;
    let rescue_password = args.text("rescue_password")?.map(str::to_owned);
    let runbook = args.text("runbook")?.map(str::to_owned);
    let lists = StepLists::read(&args)?;
    let config_drive = read_config_drive(&mut args)?;
    let row = call.node().await?;
    lists.check_rules(&call, &row.node)?;
    check_versions(&target, VERB_VERSIONS, call.version)?;
    let verb = check_table(&row, &target)?;
    check_config_drive(verb, config_drive.as_ref(), call.version)?;
    let runbook = match runbook {
        Some(ident) => Some(read_runbook(&call, &row, verb, &ident, &lists).await?),
        None => None,
    };
    let disable_ramdisk = runbook.as_ref().map_or(disable_ramdisk, |runbook| Some(runbook.disable_ramdisk));
    check_disable_ramdisk(verb, disable_ramdisk, call.version)?;
    lists.check(verb, call.version)?;
    if rescue_password.is_some() && verb != Event::Rescue {
        return Err(only_valid("rescue_password", "rescue"));
    }
    check_abort(verb, row.node.provision_state, call.version)?;
    check_versions(&target, LATE_VERB_VERSIONS, call.version)?;
    if verb == Event::Rescue && rescue_password.as_deref().is_none_or(|password| password.trim().is_empty()) {
        return Err(ApiError::invalid(
            "A non-empty \"rescue_password\" is required when setting target provision state to rescue",
        ));
    }
    let steps = match runbook {
        Some(runbook) => Some(allowed(runbook.ordered_steps(), verb, &call.state.settings.disallowed_steps)?),
        None => lists.steps(verb, &call.state.settings.disallowed_steps)?,
    };
    let request = ProvisionRequest {
        verb,
        config_drive,
        steps,
        disable_ramdisk: disable_ramdisk.unwrap_or(false),
        rescue_password: rescue_password.map(Secret::new),
    };
    let known = call.state.store.open_row(row).await?;
    call.state.conductor.provision_known(known, request).await?;
    Ok(Reply::empty().at(call.url(&format!("nodes/{}/states", call.parameter("node")))))
}

fn check_versions(
    target: &str,
    table: &[(&str, Microversion)],
    version: Microversion,
) -> Result<(), ApiError> {
    match table.iter().find(|(verb, _)| *verb == target) {
        Some((_, since)) if !version.has(*since) => Err(ApiError::not_acceptable()),
        _ => Ok(()),
    }
}

/// The verb, if the state table has it for the node's state.
fn check_table(row: &NodeRow, target: &str) -> Result<Event, ApiError> {
    let node = &row.node;
    if node.maintenance && matches!(target, "active" | "rebuild") {
        return Err(ApiError::invalid(format!(
            "The provisioning operation can't be performed on node {} because it's in maintenance mode.",
            node.uuid
        )));
    }
    let verb = Event::from_target(target).filter(|verb| node.provision_state.apply(*verb).is_ok());
    if let Some(verb) = verb {
        return Ok(verb);
    }
    if let Some(holder) = &row.reservation {
        return Err(ApiError::locked(&node.uuid.to_string(), holder));
    }
    Err(ApiError::invalid(format!(
        "The requested action \"{}\" can not be performed on node \"{}\" while it is in state \"{}\".",
        display(&target.into()),
        node.uuid,
        node.provision_state
    )))
}

/// The runbook of that name or UUID, if it may be run on the node.
///
/// From 1.112 on the node needs one of the runbook's traits; before that, the runbook's name must be one of the node's.
async fn read_runbook(
    call: &Call,
    row: &NodeRow,
    verb: Event,
    ident: &str,
    lists: &StepLists,
) -> Result<Runbook, ApiError> {
    if !call.version.has(v::RUNBOOKS) {
        return Err(ApiError::not_acceptable());
    }
    let runbook: Runbook = call.state.store.get(ident).await?;
    call.check("baremetal:runbook:use", &Target::runbook(runbook.owner.as_deref()))?;
    let node = &row.node;
    if call.version.has(v::RUNBOOK_TRAITS) {
        if runbook.traits.is_empty() {
            return Err(ApiError::invalid(format!(
                "Runbook {} has no traits configured. Please ask an administrator to add traits to the runbook.",
                runbook.uuid
            )));
        }
        if runbook.traits.is_disjoint(&node.traits) {
            let traits = Value::from(runbook.traits.iter().cloned().collect::<Vec<_>>());
            return Err(ApiError::invalid(format!(
                "This runbook has not been approved for use on this node {}. The node does not have any of the runbook's traits \
                 {}. Please ask an administrator to add a matching trait to your node.",
                node.uuid,
                repr(&traits)
            )));
        }
    } else if !node.traits.contains(&runbook.name) {
        return Err(ApiError::invalid(format!(
            "This runbook has not been approved for use on this node {}. Please ask an administrator to add it to your node \
             traits.",
            node.uuid
        )));
    }
    let twice = match verb {
        Event::Clean => lists.clean.is_some().then_some("clean_steps"),
        Event::Service => lists.service.is_some().then_some("service_steps"),
        _ => {
            return Err(ApiError::invalid(
                "\"runbooks\" is only valid when setting target provision state to any of ['clean', 'service']",
            ));
        }
    };
    match twice {
        Some(list) => {
            Err(ApiError::invalid(format!("Please provide either \"{list}\" or a runbook, but not both.")))
        }
        None => Ok(runbook),
    }
}

/// Refuses what the operator forbids.
fn allowed(steps: Vec<Step>, verb: Event, disallowed: &[String]) -> Result<Vec<Step>, ApiError> {
    let kind = match verb {
        Event::Clean => "clean",
        Event::Service => "service",
        _ => "deploy",
    };
    match steps.iter().find(|step| disallowed.contains(&step.full_name())) {
        Some(step) => Err(ApiError::invalid(format!(
            "{kind} step '{}' is not allowed. Disallowed by operator configuration [api]disallow_{kind}_steps.",
            step.full_name()
        ))),
        None => Ok(steps),
    }
}

fn only_valid(what: &str, target: &str) -> ApiError {
    ApiError::invalid(format!("\"{what}\" is only valid when setting target provision state to {target}"))
}

/// A config drive as a client sends it; `{}` and `""` mean none.
fn read_config_drive(args: &mut Args) -> Result<Option<Value>, ApiError> {
    match args.take("configdrive") {
        None => Ok(None),
        Some(Value::Object(map)) if map.is_empty() => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value @ (Value::Object(_) | Value::String(_))) => Ok(Some(value)),
        Some(other) => Err(ApiError::invalid(format!(
            "Expected types <class 'NoneType'>, <class 'dict'>, <class 'str'> for configdrive: {}",
            repr(&other)
        ))),
    }
}

fn check_config_drive(verb: Event, drive: Option<&Value>, version: Microversion) -> Result<(), ApiError> {
    let Some(drive) = drive else { return Ok(()) };
    let rebuilds = version.has(v::REBUILD_CONFIGDRIVE);
    if verb != Event::Deploy && !(rebuilds && verb == Event::Rebuild) {
        return Err(ApiError::invalid(format!(
            "Adding a config drive is only supported when setting provision state to {}",
            if rebuilds { "active, rebuild" } else { "active" }
        )));
    }
    match drive {
        Value::Object(map) => check_config_drive_object(map, version),
        Value::String(text) => {
            let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\n\r\t ".contains(&byte);
            if text.contains("://") || text.bytes().all(base64) {
                return Ok(());
            }
            Err(ApiError::invalid(
                "Invalid configdrive format: it is neither a JSON, nor a URL, nor a base64 string",
            ))
        }
        _ => Ok(()),
    }
}

fn check_config_drive_object(map: &Map<String, Value>, version: Microversion) -> Result<(), ApiError> {
    for (key, value) in map {
        let (fits, cause) = match key.as_str() {
            "meta_data" | "network_data" | "vendor_data" => {
                (value.is_object(), format!("{} is not of type 'object'", repr(value)))
            }
            "user_data" => (
                value.is_object() || value.is_array() || value.is_string() || value.is_null(),
                format!("{} is not of type 'object', 'array', 'string', 'null'", repr(value)),
            ),
            _ => {
                (false, format!("Additional properties are not allowed ({} was unexpected)", repr_text(key)))
            }
        };
        if !fits {
            return Err(ApiError::invalid(format!("Invalid configdrive format: {cause}")));
        }
    }
    let since = |what: &str, version: Microversion| {
        Err(ApiError::invalid(format!("{what} is only supported starting with API version {version}")))
    };
    if !version.has(v::CONFIGDRIVE_OBJECT) {
        return since("Providing a JSON object for configdrive", v::CONFIGDRIVE_OBJECT);
    }
    if map.contains_key("vendor_data") && !version.has(v::CONFIGDRIVE_VENDOR_DATA) {
        return since("Providing vendor_data in configdrive", v::CONFIGDRIVE_VENDOR_DATA);
    }
    Ok(())
}

fn check_disable_ramdisk(verb: Event, wish: Option<bool>, version: Microversion) -> Result<(), ApiError> {
    if wish.is_none() {
        return Ok(());
    }
    let since = match verb {
        Event::Clean => v::CLEAN_DISABLE_RAMDISK,
        Event::Service => v::SERVICE_DISABLE_RAMDISK,
        _ => {
            return Err(ApiError::invalid(
                "disable_ramdisk is supported only with manual cleaning or servicing",
            ));
        }
    };
    if version.has(since) {
        Ok(())
    } else {
        Err(ApiError::new(
            axum::http::StatusCode::NOT_ACCEPTABLE,
            "disable_ramdisk is not acceptable in this API version",
        ))
    }
}

fn check_abort(verb: Event, state: ProvisionState, version: Microversion) -> Result<(), ApiError> {
    let since = match state {
        ProvisionState::InspectWait => v::INSPECT_ABORT,
        ProvisionState::DeployWait => v::DEPLOY_ABORT,
        _ => return Ok(()),
    };
    if verb == Event::Abort && !version.has(since) { Err(ApiError::not_acceptable()) } else { Ok(()) }
}

/// The three lists of steps that a body may carry; an empty list counts as none.
struct StepLists {
    clean: Option<Vec<Value>>,
    deploy: Option<Vec<Value>>,
    service: Option<Vec<Value>>,
}

impl StepLists {
    fn read(args: &Args) -> Result<Self, ApiError> {
        let list = |name: &str| match args.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) if items.len() > STEPS => Err(ApiError::invalid(format!(
                "Invalid {name}: {} steps are too many, at most {STEPS} are taken",
                items.len()
            ))),
            Some(Value::Array(items)) => Ok(Some(items.clone()).filter(|items| !items.is_empty())),
            Some(other) => Err(ApiError::invalid(format!(
                "Expected types <class 'NoneType'>, <class 'list'> for {name}: {}",
                display(other)
            ))),
        };
        Ok(Self {
            clean: list("clean_steps")?,
            deploy: list("deploy_steps")?,
            service: list("service_steps")?,
        })
    }

    /// May the caller choose steps?
    fn check_rules(&self, call: &Call, node: &Node) -> Result<(), ApiError> {
        let target = Target::node(node);
        if self.clean.is_some() {
            call.check("baremetal:node:set_provision_state:clean_steps", &target)?;
        }
        if self.service.is_some() {
            call.check("baremetal:node:set_provision_state:service_steps", &target)?;
        }
        Ok(())
    }

    /// Does each list go with the verb?
    fn check(&self, verb: Event, version: Microversion) -> Result<(), ApiError> {
        if self.clean.is_some() && verb != Event::Clean {
            return Err(only_valid("clean_steps", "clean"));
        }
        if self.deploy.is_some() {
            if !version.has(v::DEPLOY_STEPS) {
                return Err(ApiError::needs(v::DEPLOY_STEPS));
            }
            if !matches!(verb, Event::Deploy | Event::Rebuild) {
                return Err(only_valid("deploy_steps", "active or rebuild"));
            }
        }
        if self.service.is_some() && verb != Event::Service {
            return Err(only_valid("service_steps", "service"));
        }
        Ok(())
    }

    /// The steps of the verb, parsed.
    fn steps(self, verb: Event, disallowed: &[String]) -> Result<Option<Vec<Step>>, ApiError> {
        let (kind, list, required, shape) = match verb {
            Event::Clean => ("clean", self.clean, true, &USER_STEP),
            Event::Service => ("service", self.service, true, &USER_STEP),
            _ => ("deploy", self.deploy, false, &DEPLOY_STEP),
        };
        let Some(list) = list else {
            return if required {
                Err(ApiError::invalid(format!(
                    "\"{kind}_steps\" is required when setting target provision state to {kind}"
                )))
            } else {
                Ok(None)
            };
        };
        let mut steps = Vec::with_capacity(list.len());
        for item in list {
            let (step, _) = read_step(&item, shape)
                .map_err(|reason| ApiError::invalid(format!("Invalid {kind}_steps: {reason}")))?;
            steps.push(step);
        }
        allowed(steps, verb, disallowed).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn config_drives_follow_the_microversion() {
        let at = |minor| Microversion::new(minor).unwrap();
        let object = json!({"meta_data": {}, "user_data": "x"});
        assert!(check_config_drive(Event::Deploy, Some(&object), at(56)).is_ok());
        assert!(check_config_drive(Event::Deploy, Some(&object), at(55)).is_err());
        assert!(check_config_drive(Event::Deploy, Some(&json!({"vendor_data": {}})), at(58)).is_err());
        assert!(check_config_drive(Event::Rebuild, Some(&json!("aGk=")), at(34)).is_err());
        assert!(check_config_drive(Event::Rebuild, Some(&json!("aGk=")), at(35)).is_ok());
        assert!(check_config_drive(Event::Deploy, Some(&json!("http://x/y")), at(1)).is_ok());
        assert!(check_config_drive(Event::Deploy, Some(&json!("{not base64}")), at(1)).is_err());
        assert!(check_config_drive(Event::Manage, Some(&json!("aGk=")), at(56)).is_err());
        assert!(check_config_drive(Event::Deploy, Some(&json!({"other": {}})), at(115)).is_err());
    }
}
