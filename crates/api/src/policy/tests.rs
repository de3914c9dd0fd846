//! Every rule with every persona, against what Ironic's own engine answers.

use super::rules::RULES;
use super::*;

const OWNER: &str = "owner";
const LESSEE: &str = "lessee";
const WHO_MAY: &str = include_str!("who_may.txt");

/// `system admin`, `owner member`, `service project`, `no role` …
fn persona(name: &str) -> Credentials {
    let (scope, role) = name.split_once(' ').unwrap();
    let roles = match role {
        "admin" => "admin manager member reader",
        "manager" => "manager member reader",
        "member" => "member reader",
        "reader" => "reader",
        "service" | "project" => "service",
        _ => "",
    };
    let system = scope == "system";
    Credentials {
        roles: Roles::named(roles.split_whitespace()),
        system,
        project: (!system).then(|| if scope == "no" { OWNER } else { scope }.to_owned()),
        service_project: scope == "service",
        legacy_project: false,
        admin_project: !system,
    }
}

fn target() -> Target<'static> {
    Target {
        node_owner: Some(OWNER),
        node_lessee: Some(LESSEE),
        allocation_owner: Some(OWNER),
        runbook_owner: Some(OWNER),
    }
}

#[test]
fn every_rule_admits_whom_ironic_admits() {
    let mut lines = WHO_MAY.lines().filter(|line| !line.starts_with('#'));
    let personas: Vec<_> = lines.next().unwrap().split(", ").collect();
    let mut seen = Vec::new();
    for line in lines {
        let (cells, name) = line.split_once(' ').unwrap();
        assert_eq!(cells.len(), personas.len(), "{name}");
        let rule = find(name).unwrap_or_else(|| panic!("{name} is missing"));
        for (cell, who) in cells.chars().zip(&personas) {
            let expected = cell == '1';
            assert_eq!(rule.admits(&persona(who), &target()), expected, "{who}: {name}");
        }
        seen.push(name);
    }
    let ours = ["billet:", "public_api"];
    let extra: Vec<_> = RULES
        .iter()
        .map(|rule| rule.name)
        .filter(|name| !seen.contains(name) && !ours.iter().any(|own| name.starts_with(own)))
        .collect();
    assert_eq!(extra, Vec::<&str>::new());
    assert_eq!(personas.len(), 21);
}

#[test]
fn rules_are_sorted_so_that_each_is_found() {
    assert!(RULES.is_sorted_by(|one, other| one.name < other.name));
    for rule in RULES {
        assert!(std::ptr::eq(find(rule.name).unwrap(), rule));
    }
    assert!(find("baremetal:node").is_none());
    assert!(!admits("baremetal:no:such:rule", &persona("system admin"), &target()));
}

#[test]
fn nobody_owns_what_has_no_owner() {
    let unowned = Target::NONE;
    let project_rules: Vec<_> = RULES.iter().filter(|rule| rule.looks_at_target()).collect();
    assert!(project_rules.len() > 50);
    for rule in project_rules {
        let nobody = Credentials { project: None, ..persona("owner admin") };
        assert!(!rule.admits(&nobody, &unowned), "{}", rule.name);
        let stranger = persona("owner member");
        assert!(!rule.admits(&stranger, &unowned), "{}", rule.name);
    }
}

#[test]
fn the_lessee_of_one_node_is_nobody_to_another() {
    let rule = find("baremetal:node:get").unwrap();
    let other = Target { node_owner: Some(OWNER), node_lessee: Some("somebody"), ..Target::NONE };
    assert!(rule.admits(&persona("lessee reader"), &target()));
    assert!(!rule.admits(&persona("lessee admin"), &other));
}

#[test]
fn roles_are_read_without_regard_to_case() {
    let roles = Roles::named(["ADMIN", "Reader", "heat_stack_owner"]);
    assert!(roles.has(Role::Admin) && roles.has(Role::Reader));
    assert!(!roles.has(Role::Member) && !roles.has(Role::Service));
    assert_eq!(
        Roles::named(Role::ALL.map(Role::as_str)),
        Role::ALL.into_iter().fold(Roles::default(), Roles::with)
    );
}

#[test]
fn the_old_operators_of_a_bare_metal_project_may_still_leave_allocations_unowned() {
    let rule = find("baremetal:allocation:create_pre_rbac").unwrap();
    let mut who = persona("owner reader");
    who.admin_project = false;
    assert!(!rule.admits(&who, &Target::NONE));
    who.legacy_project = true;
    who.roles = who.roles.with(Role::BaremetalAdmin);
    assert!(rule.admits(&who, &Target::NONE));
}
