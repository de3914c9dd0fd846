//! Which nodes' power is asked for.

use super::{holder, node, site};
use jiff::Timestamp;
use model::node::{Fault, Node, PowerState};
use model::state::ProvisionState as S;

fn resting(name: &str) -> Node {
    Node { provision_state: S::Available, power_state: Some(PowerState::On), ..node(name) }
}

#[tokio::test]
async fn only_nodes_at_rest_are_met_and_each_once() {
    let (_dir, store) = site().await;
    type Change = fn(&mut Node);
    let changes: [(&str, Change); 9] = [
        ("one", |_| {}),
        ("waiting", |node| node.provision_state = S::DeployWait),
        ("new", |node| node.provision_state = S::Enroll),
        ("at work", |node| node.provision_state = S::Cleaning),
        ("due", |node| node.due = Some(Timestamp::now())),
        ("in maintenance", |node| node.maintenance = true),
        ("failed", |node| {
            node.maintenance = true;
            node.fault = Some(Fault::Power);
            node.power_state = None;
        }),
        ("held", |_| {}),
        ("deploy failed", |node| node.provision_state = S::DeployFailed),
    ];
    let mut nodes = Vec::new();
    for (name, change) in changes {
        let mut node = resting(name);
        change(&mut node);
        store.create_node(&node, &[]).await.unwrap();
        nodes.push(node);
    }
    let claim = store.claim(nodes[7].uuid, &holder("somebody")).await.unwrap();
    let mut met = Vec::new();
    loop {
        let last = met.last().map_or(0, |row: &store::PowerRow| row.id);
        let page = store.power_rows(last, 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        met.extend(page);
    }
    let name = |row: &store::PowerRow| {
        let node = nodes.iter().find(|node| node.uuid == row.uuid).unwrap();
        (node.name.clone().unwrap(), row.power_state, row.is_failed)
    };
    let on = Some(PowerState::On);
    assert_eq!(
        met.iter().map(name).collect::<Vec<_>>(),
        [("one".into(), on, false), ("failed".into(), None, true), ("deploy failed".into(), on, false)]
    );
    store.release(&claim).await.unwrap();
    assert_eq!(store.power_rows(0, 100).await.unwrap().len(), 4);
}
