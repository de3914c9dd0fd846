use super::*;
use uuid::Uuid;

fn refusal(config: Value) -> String {
    check(config.as_object().unwrap()).unwrap_err()
}

/// A disk that is right, with some keys added or replaced.
fn disk(change: Value) -> Value {
    let mut disk = json!({"raid_level": "1", "size_gb": 10});
    disk.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    disk
}

#[test]
fn refusals_read_as_the_schemas() {
    // Pairs taken from Ironic 39 and its jsonschema.
    let levels = "['JBOD', '0', '1', '2', '5', '6', '1+0', '5+0', '6+0']";
    for (config, text) in [
        (json!({}), "'logical_disks' is a required property".to_owned()),
        (json!({"logical_disks": []}), "[] should be non-empty".to_owned()),
        (
            json!({"logical_disks": [], "x": 1}),
            "Additional properties are not allowed ('x' was unexpected)".to_owned(),
        ),
        (json!({"logical_disks": {}}), "{} is not of type 'array'".to_owned()),
        (json!({"logical_disks": [1, "x"]}), "'x' is not of type 'object'".to_owned()),
        (
            json!({"logical_disks": [{"raid_level": "1"}, {"size_gb": 1}]}),
            "'raid_level' is a required property".to_owned(),
        ),
        (json!({"logical_disks": [{"raid_level": "1"}]}), "'size_gb' is a required property".to_owned()),
        (
            json!({"logical_disks": [disk(json!({"foo": 1, "bar": 2}))]}),
            "Additional properties are not allowed ('bar', 'foo' were unexpected)".to_owned(),
        ),
        (json!({"logical_disks": [disk(json!({"raid_level": "9"}))]}), format!("'9' is not one of {levels}")),
        (
            json!({"logical_disks": [disk(json!({"raid_level": "9", "size_gb": "x"}))]}),
            "'x' is not one of ['MAX']".to_owned(),
        ),
        (
            json!({"logical_disks": [disk(json!({"raid_level": "9"})), disk(json!({"raid_level": "8"}))]}),
            format!("'8' is not one of {levels}"),
        ),
        (json!({"logical_disks": [disk(json!({"raid_level": 1}))]}), "1 is not of type 'string'".to_owned()),
        (
            json!({"logical_disks": [disk(json!({"size_gb": -1}))]}),
            "-1 is less than the minimum of 0".to_owned(),
        ),
        (
            json!({"logical_disks": [disk(json!({"size_gb": 1.5}))]}),
            "1.5 is not valid under any of the given schemas".to_owned(),
        ),
        (
            json!({"logical_disks": [disk(json!({"number_of_physical_disks": 0}))]}),
            "0 is less than or equal to the minimum of 0".to_owned(),
        ),
        (
            json!({"logical_disks": [disk(json!({"physical_disks": ["a"]}))]}),
            "'controller' is a dependency of 'physical_disks'".to_owned(),
        ),
        (
            json!({"logical_disks": [disk(json!({"controller": "x", "physical_disks": [{}]}))]}),
            "{} is not of type 'string'".to_owned(),
        ),
        (
            json!({"logical_disks": [disk(json!({"controller": "x", "physical_disks": ["a", 1]}))]}),
            "'a' is not of type 'object'".to_owned(),
        ),
        (
            json!({"logical_disks": [disk(json!({"controller": "x", "physical_disks": [1, 2]}))]}),
            "[1, 2] is not valid under any of the given schemas".to_owned(),
        ),
    ] {
        assert_eq!(refusal(config), format!("RAID config validation error: {text}"));
    }
    let root = disk(json!({"is_root_volume": true}));
    assert_eq!(
        refusal(json!({"logical_disks": [root, root]})),
        "Raid config cannot have more than one root volume. 2 root volumes were specified"
    );
}

#[test]
fn what_the_schema_allows_passes() {
    for change in [
        json!({}),
        json!({"size_gb": "MAX", "volume_name": "v", "is_root_volume": true, "share_physical_disks": false}),
        json!({"disk_type": "ssd", "interface_type": "sas", "number_of_physical_disks": 2}),
        json!({"controller": "c", "physical_disks": []}),
        json!({"controller": "c", "physical_disks": ["a"]}),
        json!({"controller": "c", "physical_disks": [{"size": "> 100"}, {}]}),
    ] {
        let config = json!({"logical_disks": [disk(change)]});
        assert_eq!(check(config.as_object().unwrap()), Ok(()), "{config}");
    }
}

#[test]
fn a_configuration_that_is_there_shows_in_the_node() {
    let mut node = Node::new(Uuid::nil(), "fake-hardware", Timestamp::UNIX_EPOCH);
    assert_eq!(
        wanted(&node, true, true).unwrap_err(),
        format!("Node {} has no target RAID configuration.", Uuid::nil())
    );
    node.properties.insert("capabilities".into(), "boot_mode:uefi,raid_level:0".into());
    let target =
        json!({"logical_disks": [disk(json!({"is_root_volume": true})), disk(json!({"size_gb": 7}))]});
    node.target_raid_config = target.as_object().cloned().unwrap();
    assert_eq!(wanted(&node, false, true).unwrap()["logical_disks"], json!([disk(json!({"size_gb": 7}))]));
    assert_eq!(
        wanted(&node, false, false).unwrap_err(),
        format!(
            "Node {} has empty target RAID configuration after skipping root volume and skipping non-root volumes.",
            Uuid::nil()
        )
    );
    let config = wanted(&node, true, true).unwrap();
    record(&mut node, config, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(node.raid_config["logical_disks"], node.target_raid_config["logical_disks"]);
    assert_eq!(node.raid_config["last_updated"], "1970-01-01 00:00:00.000000");
    assert_eq!(node.properties["local_gb"], 10);
    assert_eq!(node.properties["capabilities"], "boot_mode:uefi,raid_level:1");
}
