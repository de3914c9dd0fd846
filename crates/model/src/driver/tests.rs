use super::*;

fn defaults(driver: &str, enabled: &Enabled) -> Interfaces {
    resolve(driver, &Interfaces::default(), enabled, "", None).unwrap()
}

fn fake() -> Enabled {
    Enabled::with_hardware_types(&["ipmi", FAKE]).unwrap()
}

#[test]
fn ipmi_works_out_of_the_box_as_ironic_reports_it() {
    let interfaces = defaults("ipmi", &Enabled::default());
    for (kind, name) in [
        (InterfaceKind::Bios, "no-bios"),
        (InterfaceKind::Boot, "ipxe"),
        (InterfaceKind::Console, "no-console"),
        (InterfaceKind::Deploy, "autodetect"),
        (InterfaceKind::Firmware, "no-firmware"),
        (InterfaceKind::Inspect, "no-inspect"),
        (InterfaceKind::Management, "ipmitool"),
        (InterfaceKind::Network, "flat"),
        (InterfaceKind::Power, "ipmitool"),
        (InterfaceKind::Raid, "no-raid"),
        (InterfaceKind::Rescue, "no-rescue"),
        (InterfaceKind::Storage, "noop"),
        (InterfaceKind::Vendor, "ipmitool"),
    ] {
        assert_eq!(interfaces.get(kind), Some(name), "{kind}");
    }
}

#[test]
fn every_hardware_type_can_be_enabled_alone_or_says_what_is_missing() {
    for hardware in HARDWARE_TYPES {
        let enabled = Enabled::with_hardware_types(&[hardware.name]).unwrap();
        // idrac's own implementations are not in the default lists, and it still has one of each kind.
        match resolve(hardware.name, &Interfaces::default(), &enabled, "", None) {
            Ok(interfaces) => {
                for kind in InterfaceKind::ALL {
                    let name = interfaces.get(*kind).unwrap();
                    assert!(hardware.supported(*kind).contains(&name), "{} {kind} {name}", hardware.name);
                }
            }
            Err(error) => panic!("{}: {error}", hardware.name),
        }
    }
}

#[test]
fn fake_hardware_is_off_until_asked_for_and_then_takes_any_enabled_implementation() {
    assert!(matches!(
        resolve(FAKE, &Interfaces::default(), &Enabled::default(), "g", None),
        Err(InterfaceError::Driver { .. })
    ));
    let mut chosen = Interfaces::default();
    chosen.set(InterfaceKind::Power, "ipmitool");
    let interfaces = resolve(FAKE, &chosen, &fake(), "", None).unwrap();
    assert_eq!(interfaces.get(InterfaceKind::Power), Some("ipmitool"));
    assert_eq!(interfaces.get(InterfaceKind::Deploy), Some("fake"));
    assert_eq!(interfaces.get(InterfaceKind::Storage), Some("noop"), "the default is fixed, as in Ironic");
}

#[test]
fn refusals_are_worded_as_the_contract_says() {
    let enabled = fake();
    let refuse = |driver: &str, kind, name: &str| {
        let mut chosen = Interfaces::default();
        chosen.set(kind, name);
        resolve(driver, &chosen, &enabled, "", None).unwrap_err().to_string()
    };
    assert_eq!(
        refuse("ipmi", InterfaceKind::Deploy, "nope"),
        "Could not find the following interface in the 'ironic.hardware.interfaces.deploy' entrypoint: nope. \
         Valid interfaces are ['autodetect', 'bootc', 'direct', 'fake', 'ramdisk']."
    );
    assert_eq!(
        refuse("ipmi", InterfaceKind::Deploy, "fake"),
        "deploy interface implementation 'fake' is not supported by hardware type IPMIHardware."
    );
    let mut bare = Enabled::default();
    bare.set_interfaces(InterfaceKind::Rescue, vec!["agent".into()]).unwrap();
    bare.set_interfaces(InterfaceKind::Bios, vec!["redfish".into()]).unwrap();
    assert_eq!(
        resolve("ipmi", &Interfaces::default(), &bare, "", Some(Uuid::nil())).unwrap_err().to_string(),
        "For node 00000000-0000-0000-0000-000000000000 with hardware type 'ipmi', no default value found for bios interface \
         could be determined. Please ensure the interfaces are enabled."
    );
    assert_eq!(
        resolve("nope", &Interfaces::default(), &bare, "", None).unwrap_err().to_string(),
        "No valid host was found. Reason: No conductor service registered which supports driver nope for conductor group \"\". \
         Ensure the driver is valid and enabled."
    );
}

#[test]
fn classic_names_are_the_hardware_type_with_direct_deploy() {
    let interfaces = defaults("agent_ipmitool", &Enabled::default());
    assert_eq!(interfaces.get(InterfaceKind::Deploy), Some("direct"));
    assert_eq!(interfaces.get(InterfaceKind::Boot), Some("pxe"));
    assert_eq!(interfaces.get(InterfaceKind::Power), Some("ipmitool"));
    assert_eq!(defaults("fake", &fake()), defaults(FAKE, &fake()));
    for driver in CLASSIC_DRIVERS {
        assert!(hardware_type(driver.name).is_some(), "{}", driver.name);
    }
}

#[test]
fn a_sites_default_goes_before_the_order() {
    let mut enabled = Enabled::default();
    enabled.set_default(InterfaceKind::Deploy, "direct".into()).unwrap();
    assert_eq!(defaults("ipmi", &enabled).get(InterfaceKind::Deploy), Some("direct"));
    assert_eq!(
        enabled.set_default(InterfaceKind::Deploy, "iscsi".into()),
        Err(EnabledError::Interface { kind: InterfaceKind::Deploy, name: "iscsi".into() })
    );
    assert!(Enabled::with_hardware_types(&["ilo"]).unwrap_err().to_string().contains("ipmi, redfish"));
}

#[test]
fn every_property_of_a_driver_is_described() {
    for hardware in HARDWARE_TYPES {
        let rows = properties(hardware);
        for (key, text) in &rows {
            assert!(!text.is_empty(), "{key}");
            assert_eq!(rows.iter().filter(|(other, _)| other == key).count(), 1, "{key} twice");
        }
    }
    assert!(properties(&HARDWARE_TYPES[0]).iter().any(|(key, _)| *key == "ipmi_address"));
}
