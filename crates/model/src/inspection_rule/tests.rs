use super::*;
use crate::node::{InterfaceKind, Node};
use crate::port::Port;
use proptest::prelude::*;
use serde_json::json;

struct Bench {
    node: Node,
    ports: Vec<Port>,
    inventory: Value,
    plugin_data: Value,
}

fn bench() -> Bench {
    let at = Timestamp::UNIX_EPOCH;
    let mut node = Node::new(Uuid::from_u128(1), "ipmi", at);
    node.name = Some("n1".to_owned());
    node.driver_info.insert("ipmi_address".to_owned(), "10.0.0.9".into());
    node.driver_info.insert("ipmi_password".to_owned(), "calvin".into());
    node.properties.insert("capabilities".to_owned(), "boot_mode:bios,gold:1".into());
    Bench {
        node,
        ports: vec![Port::new(Uuid::from_u128(2), Uuid::from_u128(1), "52:54:00:00:00:01".to_owned(), at)],
        inventory: json!({
            "cpu": {"count": 8, "architecture": "x86_64"},
            "memory": {"physical_mb": 16384},
            "bmc_address": "10.1.2.3",
            "hostname": "{node.driver_info[ipmi_address]}",
            "disks": [{"name": "/dev/sda", "size": 1000}, {"name": "/dev/sdb", "size": 2000}],
            "empty": "", "none": null, "yes": true,
            "system_vendor": {"manufacturer": "Dell Inc.", "serial_number": "S/1"},
            "bmc_password": "hobbes",
            "bmc": {"password": "hobbes", "user": "u"}
        }),
        plugin_data: json!({"a": {"b": 1}, "list": [1]}),
    }
}

fn operation(value: Value) -> Operation {
    serde_json::from_value(value).unwrap()
}

fn rule(conditions: Vec<Value>, actions: Vec<Value>) -> InspectionRule {
    InspectionRule {
        uuid: Uuid::nil(),
        description: None,
        priority: 0,
        phase: Some("main".to_owned()),
        sensitive: false,
        conditions: conditions.into_iter().map(operation).collect(),
        actions: actions.into_iter().map(operation).collect(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: None,
    }
}

impl Bench {
    fn apply(&mut self, rules: &[InspectionRule]) -> Result<Log, RuleError> {
        apply(rules, &mut self.node, &mut self.ports, &self.inventory, &mut self.plugin_data)
    }

    fn act(&mut self, action: Value) -> Result<Log, RuleError> {
        let rule = rule(vec![], vec![action]);
        assert_eq!(rule.faults(), Vec::<String>::new());
        self.apply(&[rule])
    }
}

/// Does a condition hold for the bench?
fn holds(condition: Value) -> Result<bool, String> {
    let rule = rule(vec![condition], vec![json!({"op": "log", "args": ["yes"]})]);
    let log = bench().apply(&[rule]).map_err(|error| error.to_string())?;
    Ok(log.lines.iter().any(|line| line.text == "yes"))
}

#[test]
fn conditions_answer_as_pythons_operators_do() {
    for (op, args, expected) in [
        ("eq", json!({"values": ["{inventory[cpu][count]}", "8"]}), true),
        ("eq", json!({"values": ["{inventory[cpu][count]}", 8]}), false),
        ("eq", json!({"values": ["{inventory[cpu][count]}", 8], "force_strings": true}), true),
        ("eq", json!([[1, 1.0, true]]), true),
        ("eq", json!({"values": [1, 2]}), false),
        ("eq", json!({"values": [1]}), true),
        ("eq", json!({"values": [[1, {"a": 1}], [1.0, {"a": true}]]}), true),
        ("!eq", json!({"values": [1, 2]}), true),
        ("! eq", json!({"values": [1, 1]}), false),
        ("lt", json!({"values": [1, 2, 3.5]}), true),
        ("lt", json!({"values": [1, 1]}), false),
        ("gt", json!({"values": ["b", "a"]}), true),
        ("gt", json!({"values": [[1, 3], [1, 2, 9]]}), true),
        ("is-empty", json!({"value": "{inventory[empty]}"}), true),
        ("is-empty", json!({"value": "{inventory[none]}"}), true),
        ("is-empty", json!({"value": "{inventory[missing]}"}), true),
        ("is-empty", json!({"value": "{node.extra}"}), true),
        ("is-empty", json!({"value": "{inventory[hostname]}"}), false),
        ("in-net", json!({"address": "{inventory[bmc_address]}", "subnet": "10.0.0.0/8"}), true),
        ("in-net", json!({"address": "10.1.2.3", "subnet": "10.1.2.4/31"}), false),
        ("in-net", json!({"address": "10.1.2.3", "subnet": "10.1.0.0/255.255.0.0"}), true),
        ("in-net", json!({"address": "10.1.2.3", "subnet": "0.0.0.0/0"}), true),
        ("in-net", json!({"address": "10.1.2.3", "subnet": "10.1.2.3"}), true),
        ("in-net", json!({"address": "fd00::5", "subnet": "fd00::/8"}), true),
        ("in-net", json!({"address": "fd00::5", "subnet": "::/0"}), true),
        ("in-net", json!({"address": "10.1.2.3", "subnet": "::/0"}), false),
        ("matches", json!({"value": "{inventory[system_vendor][manufacturer]}", "regex": "Dell"}), false),
        ("matches", json!({"value": "{inventory[system_vendor][manufacturer]}", "regex": "Dell.*"}), true),
        ("matches", json!({"value": "abc", "regex": "a|c"}), true),
        ("matches", json!({"value": "xab", "regex": "ab"}), false),
        ("contains", json!({"value": "{inventory[system_vendor][manufacturer]}", "regex": "ell"}), true),
        ("contains", json!({"value": 1234, "regex": "^12"}), true),
        ("one-of", json!({"value": "{inventory[cpu][architecture]}", "values": ["aarch64", "x86_64"]}), true),
        ("one-of", json!({"value": "x"}), false),
        ("one-of", json!({"value": "b", "values": "abc"}), true),
        ("is-none", json!({"value": null}), true),
        ("is-none", json!({"value": "{inventory[none]}"}), false),
        ("is-true", json!({"value": "{inventory[yes]}"}), true),
        ("is-true", json!({"value": 0}), false),
        ("is-true", json!({"value": "x"}), false),
        ("is-false", json!({"value": "No"}), true),
        ("is-false", json!({"value": null}), true),
        ("is-false", json!({"value": []}), false),
    ] {
        let condition = json!({"op": op, "args": args});
        assert_eq!(holds(condition.clone()), Ok(expected), "{condition}");
    }
}

#[test]
fn conditions_without_an_answer_fail_the_inspection() {
    for (op, args) in [
        ("eq", json!({"values": 1})),
        ("lt", json!({"values": [1, "a"]})),
        ("in-net", json!({"address": "10.1.2.3", "subnet": "10.0.0.0/33"})),
        ("in-net", json!({"address": "x", "subnet": "10.0.0.0/8"})),
        ("one-of", json!({"value": 1, "values": "abc"})),
    ] {
        let text = holds(json!({"op": op, "args": args})).unwrap_err();
        assert!(text.starts_with("Inspection rule condition check failed. Reason: "), "{text}");
    }
}

#[test]
fn loops_choose_among_their_results() {
    let over = |multiple: &str, items: Value| {
        let args = json!({"value": "{item}", "regex": "a.*"});
        holds(json!({"op": "matches", "args": args, "loop": items, "multiple": multiple})).unwrap()
    };
    assert!(over("any", json!(["x", "ab"])));
    assert!(!over("all", json!(["x", "ab"])));
    assert!(over("all", json!(["a", "ab"])));
    assert!(over("first", json!(["x", "ab"])));
    assert!(!over("first", json!(["x", "y"])));
    assert!(over("last", json!(["x", "ab"])));
    assert!(!over("last", json!(["ab", "x"])));
    // In a loop values are compared as texts, and an object is one item.
    let args = json!({"values": ["{item[count]}", "{inventory[cpu][count]}"]});
    assert_eq!(holds(json!({"op": "eq", "args": args, "loop": {"count": 8}})), Ok(true));
    // An empty loop is none.
    assert_eq!(holds(json!({"op": "eq", "args": {"values": [1, 1]}, "loop": []})), Ok(true));
}

#[test]
fn all_conditions_must_hold() {
    let holds = json!({"op": "is-true", "args": [true]});
    let fails = json!({"op": "is-true", "args": [false]});
    let action = || vec![json!({"op": "set-attribute", "args": ["/extra/x", 1]})];
    let mut bench = bench();
    bench.apply(&[rule(vec![holds.clone(), fails], action())]).unwrap();
    assert!(bench.node.extra.is_empty());
    let log = bench.apply(&[rule(vec![holds.clone(), holds], action())]).unwrap();
    assert_eq!(bench.node.extra["x"], 1);
    assert_eq!(log.lines.len(), 1);
}

#[test]
fn attributes_are_set_extended_and_removed() {
    let mut bench = bench();
    let set =
        |path: &str, value: Value| json!({"op": "set-attribute", "args": {"path": path, "value": value}});
    for (path, value) in [
        ("/properties/cpus", json!("{inventory[cpu][count]}")),
        ("driver_info.ipmi_address", json!("{inventory[bmc_address]}")),
        ("extra/deep/er", json!({"serial": "{inventory[system_vendor][serial_number]}"})),
        ("resource_class", json!(5)),
        ("automated_clean", json!("{inventory[yes]}")),
        ("maintenance", json!("no")),
        ("deploy_interface", json!("ramdisk")),
    ] {
        bench.act(set(path, value)).unwrap();
    }
    let node = &bench.node;
    assert_eq!(node.properties["cpus"], "8");
    assert_eq!(node.driver_info["ipmi_address"], "10.1.2.3");
    assert_eq!(node.driver_info["ipmi_password"], "calvin", "secrets pass through a change");
    assert_eq!(node.extra["deep"]["er"]["serial"], "S/1");
    assert_eq!(node.resource_class.as_deref(), Some("5"));
    assert_eq!(node.automated_clean, Some(true));
    assert_eq!(node.interfaces.get(InterfaceKind::Deploy), Some("ramdisk"));
    let extend = |path: &str, value: Value, unique: bool| json!({"op": "extend-attribute", "args": {"path": path, "value": value, "unique": unique}});
    bench.act(extend("/extra/list", json!("{node.name}"), true)).unwrap();
    bench.act(extend("/extra/list", json!("n1"), true)).unwrap();
    bench.act(extend("/extra/list", json!("n1"), false)).unwrap();
    assert_eq!(bench.node.extra["list"], json!(["n1", "n1"]));
    bench.act(json!({"op": "del-attribute", "args": {"path": "/extra/list"}})).unwrap();
    bench.act(json!({"op": "del-attribute", "args": {"path": "automated_clean"}})).unwrap();
    bench.act(json!({"op": "del-attribute", "args": {"path": "maintenance"}})).unwrap();
    assert!(!bench.node.extra.contains_key("list"));
    assert_eq!(bench.node.automated_clean, None);
    let before = bench.node.clone();
    for bad in [
        set("properties", json!("x")),
        set("maintenance", json!("perhaps")),
        set("/name/x", json!(1)),
        set("deploy_interface", json!(1)),
        extend("/driver_info/ipmi_address", json!(1), false),
        json!({"op": "del-attribute", "args": {"path": "/extra/none"}}),
        json!({"op": "del-attribute", "args": {"path": "driver"}}),
    ] {
        let error = bench.act(bad.clone()).unwrap_err();
        assert!(matches!(error, RuleError::Action(_)), "{bad}: {error}");
    }
    assert_eq!(bench.node, before, "a failed action changes nothing");
}

#[test]
fn identity_and_states_are_not_for_rules() {
    for path in
        ["uuid", "/provision_state", "power_state", "agent.token", "work/steps", "allocation_uuid", ""]
    {
        let rule = rule(vec![], vec![json!({"op": "set-attribute", "args": [path, "x"]})]);
        assert_eq!(rule.faults().len(), 1, "{path}");
        assert!(bench().apply(&[rule]).is_err(), "{path}");
    }
}

#[test]
fn capabilities_and_traits_change() {
    let mut bench = bench();
    bench.act(json!({"op": "set-capability", "args": {"name": "boot_mode", "value": "uefi"}})).unwrap();
    assert_eq!(bench.node.properties["capabilities"], "gold:1,boot_mode:uefi");
    bench.act(json!({"op": "unset-capability", "args": ["gold"]})).unwrap();
    assert_eq!(bench.node.properties["capabilities"], "boot_mode:uefi");
    bench.act(json!({"op": "add-trait", "args": ["CUSTOM_A"]})).unwrap();
    assert!(bench.node.traits.contains("CUSTOM_A"));
    bench.act(json!({"op": "remove-trait", "args": ["CUSTOM_A"]})).unwrap();
    assert!(bench.node.traits.is_empty());
    let log = bench.act(json!({"op": "remove-trait", "args": ["CUSTOM_A"]})).unwrap();
    assert_eq!(log.lines.last().map(|line| line.level), Some("warning"));
    assert!(bench.act(json!({"op": "add-trait", "args": ["bad trait"]})).is_err());
    for number in 0..50 {
        bench.act(json!({"op": "add-trait", "args": [format!("CUSTOM_{number}")]})).unwrap();
    }
    assert!(bench.act(json!({"op": "add-trait", "args": ["CUSTOM_X"]})).is_err());
}

#[test]
fn plugin_data_is_set_extended_and_unset() {
    let mut bench = bench();
    bench
        .act(json!({"op": "set-plugin-data", "args": {"path": "a.c.d", "value": "{plugin_data[a][b]}"}}))
        .unwrap();
    bench.act(json!({"op": "extend-plugin-data", "args": ["list", 1, true]})).unwrap();
    bench.act(json!({"op": "extend-plugin-data", "args": ["list", 2]})).unwrap();
    bench.act(json!({"op": "extend-plugin-data", "args": ["new.list", 1]})).unwrap();
    assert_eq!(
        bench.plugin_data,
        json!({"a": {"b": 1, "c": {"d": "1"}}, "list": [1, 2], "new": {"list": [1]}})
    );
    bench.act(json!({"op": "unset-plugin-data", "args": ["a.c.d"]})).unwrap();
    bench.act(json!({"op": "unset-plugin-data", "args": ["list"]})).unwrap();
    bench.act(json!({"op": "unset-plugin-data", "args": ["no.such.path"]})).unwrap();
    assert_eq!(bench.plugin_data, json!({"a": {"b": 1}, "new": {"list": [1]}}));
    assert!(bench.act(json!({"op": "set-plugin-data", "args": ["a.b.c", 1]})).is_err());
}

#[test]
fn ports_are_changed_by_their_uuid() {
    let mut bench = bench();
    let id = bench.ports[0].uuid.to_string();
    bench
        .act(json!({"op": "set-port-attribute", "args": {"port_id": id, "path": "pxe_enabled", "value": "false"}}))
        .unwrap();
    bench.act(json!({"op": "extend-port-attribute", "args": [id, "/extra/l", "{node.name}"]})).unwrap();
    assert!(!bench.ports[0].pxe_enabled);
    assert_eq!(bench.ports[0].extra["l"], json!(["n1"]));
    bench.act(json!({"op": "del-port-attribute", "args": [id, "/extra/l"]})).unwrap();
    assert!(bench.ports[0].extra.is_empty());
    let error = bench.act(json!({"op": "del-port-attribute", "args": ["x", "/extra/l"]})).unwrap_err();
    assert!(error.to_string().contains("Port x could not be found."));
    let fault =
        rule(vec![], vec![json!({"op": "set-port-attribute", "args": [id, "address", "x"]})]).faults();
    assert_eq!(fault.len(), 1);
}

#[test]
fn failing_and_logging_say_what_the_rule_says() {
    let mut bench = bench();
    let error = bench.act(json!({"op": "fail", "args": {"msg": "no {node.name}"}})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Failed to inspect hardware. Reason: no {node.name}",
        "as in Ironic, not filled in"
    );
    let log = bench
        .act(json!({"op": "log", "args": {"msg": "{{{node.name}}} {node}", "level": "WARNING"}}))
        .unwrap();
    let said = log.lines.last().unwrap();
    assert_eq!((said.level, said.text.as_str()), ("warning", "{n1} 00000000-0000-0000-0000-000000000001"));
}

#[test]
fn loops_fill_in_items_and_their_own_fields_but_never_what_a_ramdisk_sent() {
    let mut bench = bench();
    bench
        .act(json!({
            "op": "set-attribute",
            "args": {"path": "{item[path]}", "value": "{item[value]}"},
            "loop": [
                {"path": "/extra/address", "value": "{inventory[bmc_address]}"},
                {"path": "/extra/host", "value": "{inventory[hostname]}"}
            ]
        }))
        .unwrap();
    assert_eq!(bench.node.extra["address"], "10.1.2.3");
    assert_eq!(bench.node.extra["host"], "{node.driver_info[ipmi_address]}", "the ramdisk's braces are text");
}

#[test]
fn secrets_are_masked_wherever_a_text_may_show_them() {
    let mut bench = bench();
    let text = "{node.driver_info[ipmi_password]} {inventory[bmc_password]} {inventory[bmc][password]} {inventory[bmc]}";
    let log = bench.act(json!({"op": "log", "args": [text]})).unwrap();
    assert_eq!(log.lines.last().unwrap().text, "****** *** *** {'password': '***', 'user': 'u'}");
}

#[test]
fn texts_that_cannot_be_filled_in_stay() {
    for text in [
        "{",
        "}",
        "{node.nope}",
        "{inventory[disks][9]}",
        "{inventory[cpu][count]:>8}",
        "{other}",
        "{inventory.cpu}",
        "{node[uuid]}",
    ] {
        let log = bench().act(json!({"op": "log", "args": [text]})).unwrap();
        assert_eq!(log.lines.last().unwrap().text, text);
    }
    let log = bench().act(json!({"op": "log", "args": ["{inventory[disks][1][name]!r} {{}}"]})).unwrap();
    assert_eq!(log.lines.last().unwrap().text, "'/dev/sdb' {}");
}

#[test]
fn faults_are_found_when_a_rule_is_made() {
    let of = |action: Value| rule(vec![], vec![action]).faults().join("|");
    assert_eq!(
        of(json!({"op": "fail", "args": {}})),
        "Invalid parameters for action operator fail: missing required argument(s): msg"
    );
    assert_eq!(
        of(json!({"op": "fail", "args": {"msg": "x", "y": 1}})),
        "Invalid parameters for action operator fail: unexpected argument(s): y"
    );
    assert_eq!(
        of(json!({"op": "set-attribute", "args": ["x"]})),
        "Invalid parameters for action operator set-attribute: Not enough arguments provided. Missing: value"
    );
    assert!(
        of(json!({"op": "log", "args": {"msg": "x", "level": "loud"}})).contains("Invalid log level: loud")
    );
    assert!(of(json!({"op": "api-call", "args": {"url": "http://x"}})).contains("not served"));
    let of = |condition: Value| rule(vec![condition], vec![]).faults().join("|");
    assert!(of(json!({"op": "matches", "args": ["x", "("]})).contains("invalid regular expression"));
    assert!(
        of(json!({"op": "matches", "args": ["x", "((a{500}){500}){500}"]}))
            .contains("invalid regular expression")
    );
    assert_eq!(
        of(json!({"op": "matches", "args": ["x", "{item}"], "loop": ["("]})),
        "",
        "known in the loop only"
    );
    assert!(of(json!({"op": "contains", "args": ["x", r"\w\w\w\w"]})).is_empty());
    assert_eq!(of(json!({"op": "!in-net", "args": ["10.0.0.1", "10.0.0.0/8"]})), "");
}

#[test]
fn a_huge_regular_expression_is_refused_and_a_nasty_one_is_quick() {
    let text = holds(json!({"op": "matches", "args": ["x", "((a{500}){500}){500}"]})).unwrap_err();
    assert!(text.contains("invalid regular expression"), "{text}");
    let long = "a".repeat(100_000);
    assert_eq!(holds(json!({"op": "matches", "args": [long, "(a*)*b"]})), Ok(false));
}

proptest! {
    #[test]
    fn nothing_panics(text in "[{}\\[\\].!:a-c]{0,24}", op in 0..CONDITIONS.len(), action in 0..ACTIONS.len()) {
        let arguments = json!([text.clone(), text.clone(), text]);
        let condition = json!({"op": CONDITIONS[op], "args": arguments, "loop": [{"a": "{item}"}, arguments]});
        let action = json!({"op": ACTIONS[action], "args": arguments, "loop": [arguments, {"a": 1}]});
        let rules = [rule(vec![condition], vec![action.clone()]), rule(vec![], vec![action])];
        let _ = rules[0].faults();
        let _ = bench().apply(&rules[..1]);
        let _ = bench().apply(&rules[1..]);
    }
}
