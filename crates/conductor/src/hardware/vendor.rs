//! The methods of vendor interfaces: which there are, what they take, what they do.

use super::{bmc_of, implementation, problem};
use crate::Conductor;
use crate::history::masked;
use crate::outcome::Failure;
use crate::request::RequestError;
use crate::visit::Visit;
use crate::wording::unsupported;
use model::errand::Deed;
use model::event::{EventKind, LogEvent};
use model::node::{InterfaceKind, Node, Object};
use model::vendor::{Method, methods, raw_command};
use model::wording::{is_falsy, repr, truth};
use serde_json::Value;
use uuid::Uuid;

/// `Get Device ID`'s family: IPMI's application commands.
const NETFN_APP: u8 = 0x06;
const COLD_RESET: u8 = 0x02;
const WARM_RESET: u8 = 0x03;

impl Conductor {
    /// `GET …/vendor_passthru/methods` of a node.
    pub fn vendor_methods(&self, node: &Node) -> &'static [Method] {
        methods(implementation(node, InterfaceKind::Vendor))
    }

    /// A call of a vendor method of a node. Out comes the result of a synchronous one; `None`: it goes on behind the answer.
    pub async fn vendor_passthru(
        &self,
        uuid: Uuid,
        method: &str,
        http_method: &str,
        arguments: Object,
        user: Option<String>,
    ) -> Result<Option<Value>, RequestError> {
        let node = self.store().node_with_secrets(uuid).await?.node;
        self.check_served(&node).await?;
        let found = find(self.vendor_methods(&node), method, http_method)?;
        check(&node, found.name, &arguments).map_err(RequestError::Invalid)?;
        if !found.is_async {
            return self.holding(uuid, async { Some(result(found.name, &arguments)) }).await;
        }
        // What holds no lock touches nothing, and nobody hears what it returns.
        if found.require_exclusive_lock {
            self.errand(uuid, Deed::Passthru { method: found.name.to_owned(), arguments }, user).await?;
        }
        Ok(None)
    }

    /// A call of a vendor method of a driver: no driver of today has one.
    pub fn driver_passthru(&self, method: &str, http_method: &str) -> Result<Value, RequestError> {
        find(&[], method, http_method).map(|_| Value::Null)
    }
}

/// The method of that name; the texts are Ironic's.
fn find(known: &[Method], name: &str, http_method: &str) -> Result<Method, RequestError> {
    let found = known.iter().find(|method| method.name == name);
    let found = found.ok_or_else(|| RequestError::Invalid(format!("No handler for method {name}")))?;
    if !found.http_methods.contains(&http_method) {
        return Err(RequestError::Invalid(format!("The method {name} does not support HTTP {http_method}")));
    }
    Ok(*found)
}

/// Are the arguments of a method of the node's vendor interface right? The error is Ironic's text where Ironic has one.
pub fn check(node: &Node, method: &str, arguments: &Object) -> Result<(), String> {
    let given = |key: &str| arguments.get(key).is_some_and(|value| !is_falsy(value));
    let known: &[&str] = match method {
        "send_raw" => {
            if !given("raw_bytes") {
                return Err("Parameter raw_bytes (string of bytes) was not specified.".to_owned());
            }
            raw(arguments)?;
            &["raw_bytes"]
        }
        "bmc_reset" => {
            warm(arguments)?;
            &["warm"]
        }
        "second_method" | "third_method_sync" | "fourth_method_shared_lock" => {
            if !given("bar") {
                return Err(format!("Parameter 'bar' not passed to method '{method}'."));
            }
            &["bar"]
        }
        "log_passthrough" => return Ok(()),
        _ => return Err(unsupported(node, &format!("vendor.{method}"))),
    };
    if let Some(extra) = arguments.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!(
            "Unexpected argument {extra:?} of method {method}. It takes: {}.",
            known.join(", ")
        ));
    }
    problem(node, InterfaceKind::Vendor).map_or(Ok(()), Err)
}

/// The command of `send_raw`.
fn raw(arguments: &Object) -> Result<(u8, u8, Vec<u8>), String> {
    let wrong = |why: &str| {
        format!(
            "Parameter raw_bytes can't be sent: {why}. Give network function, command and data as numbers, such as \"0x06 0x01\"."
        )
    };
    let text =
        arguments.get("raw_bytes").and_then(Value::as_str).ok_or_else(|| wrong("it is not a string"))?;
    let command = raw_command(text).ok_or_else(|| wrong("it is not at least two bytes"))?;
    if command.0 % 2 == 1 {
        return Err(wrong("odd network functions are responses"));
    }
    Ok(command)
}

/// `warm` of `bmc_reset`; true by default.
fn warm(arguments: &Object) -> Result<bool, String> {
    let Some(value) = arguments.get("warm") else { return Ok(true) };
    truth(value).ok_or_else(|| format!("Parameter warm must be true (warm) or false (cold): {}", repr(value)))
}

/// What a method without hardware behind it returns.
fn result(method: &str, arguments: &Object) -> Value {
    let wanted = match method {
        "third_method_sync" => "meow",
        "fourth_method_shared_lock" => "woof",
        _ => "kazoo",
    };
    Value::Bool(arguments.get("bar").and_then(Value::as_str) == Some(wanted))
}

/// Carries out a method for a node that is held, as an errand or as a step.
pub async fn call(visit: &mut Visit<'_>, method: &str, arguments: &Object) -> Result<(), Failure> {
    check(&visit.node, method, arguments).map_err(Failure::last)?;
    let (netfn, command, data) = match method {
        "send_raw" => raw(arguments).map_err(Failure::last)?,
        "bmc_reset" => {
            let command = if warm(arguments).map_err(Failure::last)? { WARM_RESET } else { COLD_RESET };
            (NETFN_APP, command, Vec::new())
        }
        _ => {
            let detail = repr(&masked(arguments));
            let name = format!("vendor.{method}");
            visit.note(LogEvent::new(Some(visit.node.uuid), visit.now(), EventKind::Step, name, detail));
            return Ok(());
        }
    };
    let bmc = bmc_of(visit.conductor, &visit.node).map_err(Failure::last)?;
    let shown = |answer: &Vec<u8>| {
        let bytes: Vec<_> = answer.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("command {netfn:#04x} {command:#04x}: answered [{}]", bytes.join(" "))
    };
    visit.ask("raw command", bmc.send_raw(netfn, command, data), shown).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    fn checked(method: &str, arguments: Value) -> Result<(), String> {
        let mut node = Node::new(Uuid::nil(), "ipmi", Timestamp::UNIX_EPOCH);
        node.interfaces.set(InterfaceKind::Vendor, "ipmitool");
        node.driver_info.insert("ipmi_address".into(), "127.0.0.1".into());
        check(&node, method, arguments.as_object().unwrap())
    }

    #[test]
    fn arguments_are_checked_before_anything_is_sent() {
        assert_eq!(checked("send_raw", json!({"raw_bytes": "0x06 0x01"})), Ok(()));
        for bad in [
            json!({"raw_bytes": "6"}),
            json!({"raw_bytes": 5}),
            json!({"raw_bytes": "7 1"}),
            json!({"raw_bytes": "6 1", "x": 1}),
        ] {
            assert!(checked("send_raw", bad.clone()).is_err(), "{bad}");
        }
        assert_eq!(
            checked("send_raw", json!({"raw_bytes": ""})).unwrap_err(),
            "Parameter raw_bytes (string of bytes) was not specified."
        );
        for good in [json!({}), json!({"warm": false}), json!({"warm": "True"}), json!({"warm": "no"})] {
            assert_eq!(checked("bmc_reset", good), Ok(()));
        }
        for bad in [json!({"warm": "x"}), json!({"warm": 2}), json!({"cold": true})] {
            assert!(checked("bmc_reset", bad.clone()).is_err(), "{bad}");
        }
    }
}
