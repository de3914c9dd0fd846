//! What must hold when all is over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Outcome;
use super::client::{Order, nodes};
use super::process::Site;
use super::takeover::BAR;
use crate::error::{Error, Result};
use crate::fleet::{Api, Fleet};

/// Whoever still holds a node lets go of it within this time.
const REST: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Counted on the way.
pub(super) struct Seen {
    /// Images that machines have written.
    pub writes: u64,
}

/// Nodes of a victim are taken over within the time that is promised.
pub(super) fn in_time(outcome: &Outcome) -> Result<()> {
    let kinds = [
        ("killed", outcome.crashed),
        ("stopped", outcome.stopped),
        ("cut off", outcome.cut_off),
        ("restarted", outcome.restarted),
    ];
    for (kind, takeover) in kinds {
        if takeover.longest > BAR {
            return Err(Error::Invalid(format!(
                "a node of a process that was {kind} was nobody's for {:.1} s, and it may be {} s: {takeover:?}",
                takeover.longest.as_secs_f64(),
                BAR.as_secs()
            )));
        }
    }
    Ok(())
}

/// Compares what was asked for with what nodes, machines and the event log tell.
pub(super) async fn check(api: &Api, fleet: &Fleet, orders: &[Order], site: &Site) -> Result<Seen> {
    let mut wrong = Vec::new();
    let nodes = at_rest(api).await?;
    let by_name: HashMap<&str, &Value> =
        nodes.iter().filter_map(|node| Some((node["name"].as_str()?, node))).collect();
    let mut seen = Seen { writes: 0 };
    for (index, order) in orders.iter().enumerate() {
        let node = by_name.get(order.name.as_str()).copied().unwrap_or(&Value::Null);
        let mut says = |what: &str, is: String| wrong.push(format!("{}: {what} is {is}", order.name));
        if node["provision_state"] != "active" {
            says("the state", node["provision_state"].to_string());
        }
        // What was acknowledged is there.
        if node["extra"]["mark"] != order.mark.as_str() {
            says("the mark that was acknowledged", node["extra"].to_string());
        }
        if node["instance_info"]["image_source"] != order.image.as_str() {
            says("the image that was acknowledged", node["instance_info"].to_string());
        }
        let Some(diary) = fleet.diary(index) else { continue };
        if (diary.image.as_ref(), diary.checksum.as_ref()) != (Some(&order.image), Some(&order.checksum)) {
            says("the disk", format!("{diary:?} and not {order:?}"));
        }
        if !fleet.is_on(index) || node["power_state"] != "power on" {
            says(
                "the power",
                format!("{} in the node, {} in truth", node["power_state"], fleet.is_on(index)),
            );
        }
        seen.writes += diary.writes;
    }
    wrong.extend(all_alive(api, site.processes.len()).await?);
    if let Err(error) = site.check() {
        wrong.push(error.to_string());
    }
    if wrong.is_empty() {
        return Ok(seen);
    }
    let count = wrong.len();
    wrong.truncate(20);
    Err(Error::Invalid(format!("{count} things are wrong:\n{}", wrong.join("\n"))))
}

/// Waits until all processes are back; what is wrong if they don't come.
async fn all_alive(api: &Api, processes: usize) -> Result<Option<String>> {
    let until = Instant::now() + REST;
    loop {
        let (_, list) = api.ask("GET", "/v1/conductors", None, None).await.map_err(Error::Invalid)?;
        let alive = list["conductors"].as_array().into_iter().flatten();
        let alive = alive.filter(|conductor| conductor["alive"] == true).count();
        if alive == processes {
            return Ok(None);
        }
        if Instant::now() > until {
            return Ok(Some(format!("{alive} conductors are alive: {list}")));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Every node, once nobody holds one any more.
async fn at_rest(api: &Api) -> Result<Vec<Value>> {
    let until = Instant::now() + REST;
    loop {
        let fields = "name,provision_state,power_state,extra,instance_info,reservation";
        let nodes = nodes(api, fields).await.map_err(Error::Invalid)?;
        let held = nodes.iter().find(|node| !node["reservation"].is_null());
        match held {
            None => return Ok(nodes),
            Some(node) if Instant::now() > until => {
                return Err(Error::Invalid(format!(
                    "a node is still held after {} s: {node}",
                    REST.as_secs()
                )));
            }
            Some(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}
