//! The table keeps Prometheus's conventions, the documentation tells of the same table, and what is served can be read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::{HashMap, HashSet};
use telemetry::table::{self, TABLE};
use telemetry::{Kind, expose};

const DOCUMENT: &str = include_str!("../../../docs/METRICS.md");

#[test]
fn names_are_unique_and_say_their_unit() {
    let mut names = HashSet::new();
    for metric in TABLE {
        let name = metric.name();
        assert!(names.insert(name), "{name} twice");
        assert!(name.starts_with("billet_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert_eq!(metric.kind() == Kind::Counter, name.ends_with("_total"), "{name}");
        assert!(metric.help().ends_with('.') && !metric.help().contains('\n'), "{name}");
        for label in metric.labels() {
            assert!(!["le", "node", "job", "instance"].contains(label), "{name}: {label}");
        }
    }
}

#[test]
fn the_document_has_the_table_that_the_code_has() {
    let table = table::markdown();
    assert!(DOCUMENT.contains(&table), "docs/METRICS.md should have this:\n{table}");
    let named = ["| `billet_", "| `process_"]
        .map(|start| DOCUMENT.lines().filter(|line| line.starts_with(start)).count())
        .iter()
        .sum::<usize>();
    assert_eq!(named, TABLE.len(), "and no other rows");
}

/// One line of the text format: name, labels and value.
fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    let labels = labels
        .split_terminator("\",")
        .map(|pair| {
            let (label, value) = pair.split_once("=\"").unwrap();
            (label.to_owned(), value.trim_end_matches('"').to_owned())
        })
        .collect();
    (name.to_owned(), labels, value.parse().unwrap())
}

#[test]
fn what_is_served_can_be_read() {
    table::HTTP_REQUESTS.count(["baremetal", "/v1/nodes/{node}", "GET", "200"]);
    table::HTTP_TIME.observe(["baremetal", "/v1/nodes/{node}", "GET"], 0.003);
    table::HTTP_TIME.observe(["baremetal", "/v1/nodes/{node}", "GET"], 99.0);
    table::CLAIMS_TAKEN.add([], 7);
    table::NODES.replace([
        (["active", "power on", "false", ""], 3.0),
        (["enroll", "", "true", "clean failure"], 1.0),
    ]);
    table::NODES.replace([(["active", "power on", "false", ""], 4.0)]);
    telemetry::process::read();
    let text = expose();
    let mut types = HashMap::new();
    let mut samples = HashMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is typed twice");
        } else if !line.starts_with("# HELP ") {
            let (name, labels, value) = sample(line);
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|stem| types.contains_key(*stem)))
                .unwrap_or(&name);
            assert!(types.contains_key(family), "{line} belongs to no family");
            assert!(samples.insert((name, labels), value).is_none(), "{line} twice");
        }
    }
    for (name, kind) in &types {
        let metric = TABLE.iter().find(|metric| metric.name() == name).unwrap();
        assert_eq!(metric.kind().as_str(), kind);
    }
    let value = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        samples.get(&(name.to_owned(), labels)).copied()
    };
    assert_eq!(value("billet_claims_taken_total", &[]), Some(7.0));
    let node =
        [("fault", ""), ("maintenance", "false"), ("power_state", "power on"), ("provision_state", "active")];
    assert_eq!(value("billet_nodes", &node), Some(4.0));
    assert_eq!(
        samples.keys().filter(|(name, _)| name == "billet_nodes").count(),
        1,
        "what is gone is not told"
    );
    let route = [("method", "GET"), ("route", "/v1/nodes/{node}"), ("service", "baremetal")];
    let bucket = |bound| {
        let mut labels = route.to_vec();
        labels.push(("le", bound));
        value("billet_http_request_duration_seconds_bucket", &labels)
    };
    assert_eq!((bucket("0.0025"), bucket("0.005"), bucket("+Inf")), (Some(0.0), Some(1.0), Some(2.0)));
    assert_eq!(value("billet_http_request_duration_seconds_count", &route), Some(2.0));
    assert!(value("process_resident_memory_bytes", &[]).unwrap() > 1e6);
}

const DASHBOARD: &str = include_str!("../../../docs/grafana/billet.json");

#[test]
fn the_dashboard_shows_all_of_the_table_and_nothing_else() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut shown = HashSet::new();
    let mut places = HashSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(places.insert((panel["gridPos"]["x"].as_u64(), panel["gridPos"]["y"].as_u64())), "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
            let expression = target["expr"].as_str().unwrap();
            assert_eq!(expression.matches('(').count(), expression.matches(')').count(), "{expression}");
            let words = expression.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
            for word in words.filter(|word| word.starts_with("billet_") || word.starts_with("process_")) {
                let metric = TABLE.iter().find(|metric| {
                    let suffixes: &[&str] = match metric.kind() {
                        Kind::Histogram => &["_bucket", "_sum", "_count"],
                        Kind::Counter | Kind::Gauge => &[""],
                    };
                    suffixes.iter().any(|suffix| word.strip_suffix(suffix) == Some(metric.name()))
                });
                let metric = metric.unwrap_or_else(|| panic!("no {word}, which is in {expression}"));
                shown.insert(metric.name());
                for label in labels_of(expression) {
                    let known = metric.labels().contains(&label) || ["le", "instance"].contains(&label);
                    assert!(known, "{word} has no label {label}: {expression}");
                }
            }
        }
    }
    for metric in TABLE {
        assert!(shown.contains(metric.name()), "{} is on no panel", metric.name());
    }
}

/// The labels by which an expression groups and filters.
fn labels_of(expression: &str) -> Vec<&str> {
    let grouped = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    let filtered = expression.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let grouped = grouped.flat_map(|list| list.split(','));
    let filtered =
        filtered.flat_map(|list| list.split("\", ")).filter_map(|pair| pair.split(['=', '!']).next());
    grouped.chain(filtered).map(str::trim).collect()
}
