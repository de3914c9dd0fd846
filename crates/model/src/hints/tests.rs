use super::*;
use serde_json::json;

const G: u64 = 1 << 30;

fn disk(name: &str, gib: u64) -> Disk {
    Disk {
        name: name.into(),
        size: gib * G,
        model: Some("SAMSUNG MZ7L3480".into()),
        vendor: Some("ATA".into()),
        serial: Identifiers(vec!["S667NX0T".into(), "0x5002538".into()]),
        rotational: Some(false),
        hctl: Some("1:0:0:0".into()),
        ..Disk::default()
    }
}

fn hints(value: Value) -> RootHints {
    RootHints::parse(value.as_object().unwrap()).unwrap()
}

fn holds(value: Value) -> bool {
    hints(value).check(&disk("/dev/sda", 100)).is_ok()
}

#[test]
fn every_operator_on_texts() {
    for yes in [
        "Samsung mz7l3480",
        "s== samsung MZ7L3480",
        "s!= intel",
        "s< t",
        "s<= samsung mz7l3480",
        "s> intel",
        "s>= samsung mz7l3480",
        "<in> msung mz",
        "<or> intel <or> samsung mz7l3480",
        "<all-in> samsung 3480",
        "== samsung mz7l3480",
        "= samsung mz7l3480",
        "!= intel",
    ] {
        assert!(holds(json!({"model": yes})), "{yes}");
    }
    for no in [
        "samsung",
        "s!= samsung mz7l3480",
        "s< intel",
        "<in> intel",
        "<or> intel <or> samsung",
        "<all-in> samsung intel",
    ] {
        assert!(!holds(json!({"model": no})), "{no}");
    }
}

#[test]
fn every_operator_on_sizes() {
    for yes in [
        json!(100),
        json!("100"),
        json!("== 100"),
        json!("s== 100"),
        json!("!= 99"),
        json!(">= 100"),
        json!("= 60"),
        json!("<= 100"),
        json!("> 99"),
        json!("< 101"),
        json!("<or> 50 <or> 100"),
        json!("<range-in> [ 100 200 ]"),
        json!("<range-in> (99 100]"),
    ] {
        assert!(holds(json!({"size": yes})), "{yes}");
    }
    for no in [
        json!(99),
        json!("> 100"),
        json!("!= 100"),
        json!("<range-in> ( 100 200 ]"),
        json!("<range-in> [ 50 100 )"),
    ] {
        assert!(!holds(json!({"size": no})), "{no}");
    }
}

#[test]
fn a_size_without_operator_compares_whole_gib_and_an_inequality_compares_exactly() {
    let odd = Disk { size: 111 * G + G / 2, ..disk("/dev/sda", 0) };
    assert!(hints(json!({"size": 111})).check(&odd).is_ok());
    assert!(hints(json!({"size": "> 111"})).check(&odd).is_ok());
    assert!(hints(json!({"size": ">= 112"})).check(&odd).is_err());
}

#[test]
fn lists_match_by_any_value_and_missing_values_never() {
    assert!(holds(json!({"serial": "0x5002538"})));
    assert!(holds(json!({"serial": "s667nx0t", "hctl": "1:0:0:0", "name": "/dev/sda", "vendor": "ata"})));
    assert_eq!(hints(json!({"wwn": "s!= x"})).check(&disk("/dev/sda", 1)).unwrap_err(), "has no wwn");
    assert!(holds(json!({"rotational": "no"})) && !holds(json!({"rotational": true})));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let parse = |value: Value| RootHints::parse(value.as_object().unwrap()).unwrap_err().to_string();
    assert!(parse(json!({"colour": "red"})).contains("valid hints are: size, model"));
    for bad in [
        json!({"size": "big"}),
        json!({"size": 0}),
        json!({"size": "-4"}),
        json!({"size": "<in> 4"}),
        json!({"size": "nan"}),
        json!({"model": 4}),
        json!({"model": ""}),
        json!({"model": "s=="}),
        json!({"model": "<or>"}),
        json!({"rotational": "maybe"}),
        json!({"size": "<range-in> [ 20 10 ]"}),
        json!({"size": "<range-in> 10 20"}),
        json!({"model": "x".repeat(2000)}),
    ] {
        assert!(RootHints::parse(bad.as_object().unwrap()).is_err(), "{bad}");
    }
}

#[test]
fn instance_info_beats_properties_and_nothing_means_the_default() {
    let object = |value: Value| value.as_object().cloned().unwrap();
    let of = |a, b| RootHints::of_node(&object(a), &object(b));
    let found =
        of(json!({"root_device": {"size": 1}}), json!({"root_device": {"size": 2}})).unwrap().unwrap();
    assert_eq!(found.to_string(), r#"{"size":1}"#);
    assert_eq!(
        of(json!({"root_device": {}}), json!({"root_device": {"size": 2}})).unwrap(),
        Some(hints(json!({"size": 2})))
    );
    assert_eq!(of(json!({}), json!({"root_device": null})).unwrap(), None);
    assert!(of(json!({}), json!({"root_device": "sda"})).is_err());
}

#[test]
fn without_hints_the_smallest_from_four_gib_is_chosen() {
    let disks = [disk("/dev/sda", 200), disk("/dev/sdb", 3), disk("/dev/sdc", 4)];
    let choice = choose(None, &disks).unwrap();
    assert_eq!((choice.disk.name.as_str(), choice.warning), ("/dev/sdc", None));
}

#[test]
fn twins_give_the_same_choice_in_any_order_and_a_warning() {
    let at = |name: &str, path: &str| Disk { by_path: Some(path.into()), ..disk(name, 10) };
    let mut disks = [at("/dev/sda", "pci-0000:00:09.0"), at("/dev/sdb", "pci-0000:00:08.0")];
    for _ in 0..2 {
        let choice = choose(None, &disks).unwrap();
        assert_eq!(choice.disk.name, "/dev/sdb");
        let warning = choice.warning.unwrap();
        assert!(warning.contains("/dev/sda") && warning.contains("serial"), "{warning}");
        disks.reverse();
    }
    let hinted = hints(json!({"size": 10}));
    assert!(choose(Some(&hinted), &disks).unwrap().warning.unwrap().contains("hints too"));
    let names = [disk("/dev/sdaa", 10), disk("/dev/sdb", 10)];
    assert_eq!(choose(None, &names).unwrap().disk.name, "/dev/sdb");
}

#[test]
fn no_match_says_of_each_disk_why() {
    let disks = [disk("/dev/sda", 2), Disk { model: None, ..disk("/dev/sdb", 3) }];
    let text = choose(Some(&hints(json!({"size": ">= 100"}))), &disks).unwrap_err().to_string();
    assert!(text.contains("/dev/sda (SAMSUNG MZ7L3480, 2.0 GiB): size 2.0 GiB is not >= 100"), "{text}");
    assert!(text.contains("/dev/sdb (3.0 GiB)"), "{text}");
    assert!(choose(None, &disks).unwrap_err().to_string().contains("smaller than 4 GiB"));
    assert!(choose(None, &[]).unwrap_err().to_string().contains("no writable disk at all"));
}
