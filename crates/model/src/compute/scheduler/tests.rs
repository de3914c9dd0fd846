use super::*;
use crate::compute::server::{ServerFlavor, WantedPort};
use jiff::Timestamp;

fn node(name: &str) -> Node {
    let mut node = Node::new(Uuid::new_v4(), "fake-hardware", Timestamp::UNIX_EPOCH);
    node.name = Some(name.to_owned());
    node.resource_class = Some("baremetal.gold".to_owned());
    node.provision_state = ProvisionState::Available;
    node.properties =
        serde_json::json!({"cpus": 8, "memory_mb": "16384", "local_gb": 100, "cpu_arch": "x86_64",
        "capabilities": "boot_mode:uefi,disks:4"})
        .as_object()
        .cloned()
        .unwrap();
    node.traits.insert("CUSTOM_FAST".to_owned());
    node
}

fn server(specs: &[(&str, &str)]) -> Server {
    let extra_specs = specs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let flavor = ServerFlavor { vcpus: 8, ram_mb: 4096, disk_gb: 20, extra_specs, ..ServerFlavor::default() };
    Server::new(Uuid::new_v4(), "web", "p", "u", flavor, Timestamp::UNIX_EPOCH)
}

fn objection(server: &Server, node: &Node) -> Option<Objection> {
    Request::new(server, "here").objection(node)
}

#[test]
fn classes_are_normalised_as_placement_does() {
    assert_eq!(custom_class("baremetal.gold"), "CUSTOM_BAREMETAL_GOLD");
    assert_eq!(custom_class("a--b"), "CUSTOM_A_B");
    assert_eq!(custom_class("ü1"), "CUSTOM__1");
}

#[test]
fn a_resource_class_stands_for_the_sizes() {
    let gold = server(&[("resources:CUSTOM_BAREMETAL_GOLD", "1"), ("resources:VCPU", "0")]);
    let mut small = node("a");
    small.properties.clear();
    assert_eq!(objection(&gold, &small), None);
    small.resource_class = None;
    assert!(matches!(objection(&gold, &small), Some(Objection::OtherClass { has: None, .. })));
}

#[test]
fn without_a_class_properties_decide_and_the_smallest_is_best() {
    let plain = server(&[]);
    assert_eq!(objection(&plain, &node("a")), None);
    let mut less = node("b");
    less.properties.insert("cpus".into(), 4.into());
    assert_eq!(objection(&plain, &less), Some(Objection::TooSmall { what: "cpus", has: Some(4), wanted: 8 }));
    less.properties.remove("cpus");
    assert_eq!(objection(&plain, &less), Some(Objection::TooSmall { what: "cpus", has: None, wanted: 8 }));
    let mut large = node("c");
    large.properties.insert("cpus".into(), 64.into());
    let request = Request::new(&plain, "here");
    assert!(request.surplus(&large) > request.surplus(&node("a")));
}

#[test]
fn every_state_of_a_node_has_its_objection() {
    let plain = server(&[]);
    let with = |change: &dyn Fn(&mut Node)| {
        let mut node = node("a");
        change(&mut node);
        objection(&plain, &node)
    };
    assert_eq!(with(&|node| node.maintenance = true), Some(Objection::Maintenance));
    assert_eq!(with(&|node| node.retired = true), Some(Objection::Retired));
    assert!(matches!(with(&|node| node.instance_uuid = Some("x".into())), Some(Objection::Taken { .. })));
    assert!(matches!(with(&|node| node.lessee = Some("q".into())), Some(Objection::Leased { .. })));
    assert_eq!(with(&|node| node.lessee = Some("p".into())), None);
    assert!(matches!(with(&|node| node.parent_node = Some(Uuid::nil())), Some(Objection::Child { .. })));
    assert_eq!(
        with(&|node| node.provision_state = ProvisionState::Manageable),
        Some(Objection::State(ProvisionState::Manageable))
    );
}

#[test]
fn traits_come_from_flavor_and_image() {
    let mut wanting = server(&[("trait:CUSTOM_FAST", "required"), ("trait:CUSTOM_GPU", "forbidden")]);
    assert_eq!(objection(&wanting, &node("a")), None);
    let mut image = ServerImage::default();
    image.properties.insert("trait:CUSTOM_Z".into(), "required".into());
    wanting.image = Some(image);
    assert_eq!(objection(&wanting, &node("a")), Some(Objection::Lacks { traits: vec!["CUSTOM_Z".into()] }));
    wanting.image = None;
    let mut gpu = node("b");
    gpu.traits.insert("CUSTOM_GPU".into());
    assert_eq!(objection(&wanting, &gpu), Some(Objection::Forbidden { traits: vec!["CUSTOM_GPU".into()] }));
}

#[test]
fn capabilities_and_images_are_matched() {
    let node = node("a");
    assert_eq!(
        objection(&server(&[("capabilities:boot_mode", "uefi"), ("capabilities:disks", ">= 2")]), &node),
        None
    );
    assert!(matches!(
        objection(&server(&[("capabilities:boot_mode", "bios")]), &node),
        Some(Objection::Capability { .. })
    ));
    let mut arm = server(&[]);
    let mut image = ServerImage { min_ram_mb: 1024, ..ServerImage::default() };
    image.properties.insert("architecture".into(), "amd64".into());
    arm.image = Some(image.clone());
    assert_eq!(objection(&arm, &node), None);
    image.properties.insert("hw_architecture".into(), "aarch64".into());
    arm.image = Some(image.clone());
    assert!(matches!(objection(&arm, &node), Some(Objection::Architecture { .. })));
    image.properties.clear();
    image.properties.insert("hw_firmware_type".into(), "bios".into());
    arm.image = Some(image.clone());
    assert!(matches!(objection(&arm, &node), Some(Objection::Firmware { .. })));
    arm.image = Some(ServerImage { min_disk_gb: 500, ..ServerImage::default() });
    assert!(matches!(objection(&arm, &node), Some(Objection::TooSmall { what: "local_gb", .. })));
}

#[test]
fn pins_zones_and_hosts_limit_the_choice() {
    let mut pinned = server(&[]);
    pinned.wanted_node = Some("a".into());
    assert_eq!(objection(&pinned, &node("a")), None);
    assert!(matches!(objection(&pinned, &node("b")), Some(Objection::NotTheOne { .. })));
    let by_uuid = node("c");
    pinned.wanted_node = Some(by_uuid.uuid.to_string().to_uppercase());
    assert_eq!(objection(&pinned, &by_uuid), None);
    let mut zoned = server(&[]);
    zoned.availability_zone = Some("nova".into());
    assert_eq!(objection(&zoned, &node("a")), None);
    let rack = Node { conductor_group: "rack1".into(), ..node("d") };
    assert!(matches!(objection(&zoned, &rack), Some(Objection::Zone { .. })));
    zoned.availability_zone = Some("rack1".into());
    assert_eq!(objection(&zoned, &rack), None);
    zoned.wanted_host = Some("elsewhere".into());
    assert!(matches!(objection(&zoned, &rack), Some(Objection::Host { .. })));
}

#[test]
fn networks_need_ports() {
    let mut server = server(&[]);
    assert_eq!(Request::new(&server, "here").ports(), 0);
    server.networks = RequestedNetworks::These(vec![WantedPort::default(); 2]);
    assert_eq!(Request::new(&server, "here").ports(), 2);
}

#[test]
fn the_sum_counts_names_and_helps() {
    let mut tally = Tally::default();
    for number in 0..5 {
        tally.add(&format!("u{number}"), Objection::Maintenance);
    }
    tally.add("u7", Objection::State(ProvisionState::Manageable));
    tally.add("u8", Objection::Taken { instance: "x".into() });
    tally.add("u9", Objection::Taken { instance: "y".into() });
    assert_eq!(
        tally.in_sum(None),
        "8 nodes were turned away: 5 in maintenance (u0, u1, u2, …); 2 with an instance (u8, u9); \
         1 in state manageable, not available (u7). What would change that: openstack baremetal node maintenance unset u0; \
         openstack baremetal node provide u7."
    );
    assert!(tally.details().contains(
        "u7: provision state: in state manageable, not available: openstack baremetal node provide u7\n"
    ));
}

#[test]
fn a_sum_of_nothing_says_so() {
    assert!(Tally::default().in_sum(None).contains("no nodes yet"));
    let mut tally = Tally::default();
    tally.add("a", Objection::NotTheOne { wanted: "z".into() });
    assert!(tally.in_sum(Some("z")).starts_with("Node z was asked for, and there is none"));
}
