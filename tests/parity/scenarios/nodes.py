"""Nodes: create, show, list, filter, delete, maintenance, validate, children."""

from __future__ import annotations

from ..differences import MORE_SAID, accepted, expect, refused
from ..play import LATEST, Play

NODE = {"driver": "fake-hardware"}

#: Everything that a body may carry at the newest microversion.
FULL = {
    "driver": "fake-hardware",
    "uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c001",
    "name": "full-node",
    "automated_clean": False,
    "bios_interface": "no-bios",
    "boot_interface": "pxe",
    "conductor_group": "",
    "console_interface": "no-console",
    "deploy_interface": "direct",
    "description": "all that there is",
    "disable_power_off": False,
    "driver_info": {"ipmi_password": "secret", "ipmi_address": "192.0.2.1", "snmp_auth_key": "k", "depth": {"token": "t", "a": [1, 2.5, None]}},
    "extra": {"a": 1, "b": [True, None, 1.0, 1e3, "ü"], "c": {"d": {}}},
    "firmware_interface": "no-firmware",
    "inspect_interface": "no-inspect",
    "instance_info": {"image_source": "http://192.0.2.2/image", "image_url": "http://192.0.2.2/x", "configdrive": "abc", "capabilities": {"secure_boot": "true"}},
    "instance_name": "instance",
    "instance_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c0ff",
    "lessee": "lessee",
    "maintenance": False,
    "network_interface": "noop",
    "network_data": {"links": [], "networks": [], "services": []},
    "power_interface": "fake",
    "properties": {"cpus": "8", "memory_mb": 8192, "local_gb": 100, "cpu_arch": "x86_64", "capabilities": "boot_mode:uefi"},
    "raid_interface": "no-raid",
    "rescue_interface": "no-rescue",
    "resource_class": "baremetal",
    "retired": False,
    "shard": "rack-1",
    "storage_interface": "noop",
    "vendor_interface": "no-vendor",
}


def created_at_every_age(play: Play) -> None:
    for minor in (1, 4, 5, 9, 10, 11, 20, 31, 46, 48, 50, 61, 80, 95, 104, LATEST):
        play.post("/v1/nodes", NODE, at=minor)
    play.post("/v1/nodes", NODE, at=None)
    play.get("/v1/nodes?fields=uuid,provision_state,network_interface,name")


def shown_at_every_microversion(play: Play) -> None:
    play.post("/v1/nodes", FULL, keep={"node": "uuid"})
    for minor in range(1, LATEST + 1):
        play.get("/v1/nodes/${node}", at=minor)
    play.get("/v1/nodes/full-node")
    play.get("/v1/nodes/full-node", at=4)
    play.get("/v1/nodes/full-node", at=5)


def fields_by_microversion(play: Play) -> None:
    play.post("/v1/nodes", FULL, keep={"node": "uuid"})
    fields = {
        "description": 51, "fault": 42, "owner": 50, "lessee": 65, "shard": 82, "parent_node": 83, "traits": 37, "boot_mode": 75,
        "network_data": 66, "health": 109, "retired": 61, "protected": 48, "conductor": 49, "allocation_uuid": 52, "deploy_step": 44,
        "service_step": 87, "instance_name": 104, "disable_power_off": 95, "automated_clean": 47, "resource_class": 21,
        "network_interface": 20, "firmware_interface": 86, "rescue_interface": 38, "raid_config": 12, "inspection_started_at": 6,
        "storage_interface": 33, "bios_interface": 40, "conductor_group": 46,
    }  # fmt: skip
    for name, minor in fields.items():
        play.get(f"/v1/nodes/${{node}}?fields={name}", at=max(minor - 1, 1))
        play.get(f"/v1/nodes/${{node}}?fields={name}", at=max(minor, 8))
    for query in ("nothing", "uuid,nothing", "", "uuid,uuid", "links", "states", "ports,portgroups,volume", "UUID", "uuid,,name", "chassis_uuid,driver"):
        play.get(f"/v1/nodes/${{node}}?fields={query}")
        play.get(f"/v1/nodes?fields={query}")
    play.get("/v1/nodes/${node}?fields=uuid", at=7)
    play.get("/v1/nodes?fields=uuid", at=7)


def creation_refused_below_the_fields_age(play: Play) -> None:
    newer = {
        "name": 5, "network_interface": 20, "resource_class": 21, "deploy_interface": 31, "storage_interface": 33, "rescue_interface": 38,
        "bios_interface": 40, "conductor_group": 46, "automated_clean": 47, "description": 51, "retired": 61, "lessee": 65,
        "network_data": 66, "shard": 82, "firmware_interface": 86, "disable_power_off": 95, "instance_name": 104,
    }  # fmt: skip
    for name, minor in newer.items():
        body = {"driver": "fake-hardware", name: FULL[name]}
        play.post("/v1/nodes", body, at=minor - 1)
        play.post("/v1/nodes", {**body, "uuid": f"1be26c0b-03f2-4d2e-ae87-c02d7f33c{minor:03}"}, at=minor)


def creation_refused(play: Play) -> None:
    play.post("/v1/nodes", {"driver": "fake-hardware", "uuid": FULL["uuid"], "name": "taken"}, keep={"node": "uuid"})
    for body in (
        {},
        {"driver": None},
        {"driver": 5},
        {"driver": ""},
        {"driver": "nothing"},
        {**NODE, "uuid": FULL["uuid"]},
        {**NODE, "uuid": "no-uuid"},
        {**NODE, "uuid": 7},
        {**NODE, "name": "taken"},
        {**NODE, "name": "not valid"},
        {**NODE, "name": ""},
        {**NODE, "name": "1be26c0b-03f2-4d2e-ae87-c02d7f33c777"},
        {**NODE, "name": "x" * 256},
        {**NODE, "name": 5},
        {**NODE, "nothing": 1},
        {**NODE, "traits": ["CUSTOM_A"]},
        {**NODE, "provision_state": "active"},
        {**NODE, "power_state": "power on"},
        {**NODE, "extra": []},
        {**NODE, "extra": "x"},
        {**NODE, "properties": 5},
        {**NODE, "driver_info": [1]},
        {**NODE, "maintenance": "maybe"},
        {**NODE, "maintenance": []},
        {**NODE, "description": 5},
        {**NODE, "resource_class": "x" * 81},
        {**NODE, "lessee": "x" * 256},
        {**NODE, "shard": "x" * 256},
        {**NODE, "instance_name": ""},
        {**NODE, "chassis_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"},
        {**NODE, "chassis_uuid": "x"},
        {**NODE, "conductor_group": "elsewhere"},
        {**NODE, "conductor_group": "not valid!"},
        {**NODE, "deploy_interface": "nothing"},
        {**NODE, "deploy_interface": "ansible"},
        {"driver": "ipmi", "power_interface": 5},
        {**NODE, "parent_node": "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"},
        {**NODE, "instance_uuid": "x"},
        {**NODE, "retired": True, "retired_reason": "old"},
        {**NODE, "protected": True},
        [],
        "text",
        5,
        None,
    ):  # fmt: skip
        play.post("/v1/nodes", body)
    play.post("/v1/nodes?x=1", NODE)
    play.get("/v1/nodes?fields=name,driver")
    text = "body.error_message.faultstring"
    for name in ("states", "detail", "maintenance"):
        play.post("/v1/nodes", {**NODE, "name": name}, differs=expect("reserved-names", text))
    play.post("/v1/nodes", {**NODE, "name": "ports"}, differs=refused("reserved-names"))
    play.post("/v1/nodes", {**NODE, "description": "x" * 4097}, differs=expect("long-quotes", text))
    for kind in ("deploy", "power"):
        play.post("/v1/nodes", {"driver": "ipmi", f"{kind}_interface": "fake"}, differs=expect("interface-object", text))
    play.post("/v1/nodes", {**NODE, "network_data": {"other": []}}, differs=MORE_SAID)
    play.post("/v1/nodes", {**NODE, "network_data": []}, differs=MORE_SAID)
    lists = {"links": [], "networks": [{"id": "n"}], "services": []}
    play.post("/v1/nodes", {**NODE, "network_data": lists}, differs=accepted("network-data", 201))
    play.post("/v1/nodes", {**NODE, "owner": "somebody"}, differs=accepted("noauth-owner", 201))


def names_by_microversion(play: Play) -> None:
    for minor, name in ((5, "host-1.example"), (5, "Host"), (5, "a_b"), (9, "a~b"), (10, "a~b"), (10, "A_b.c-d"), (LATEST, "-a"), (9, "1a")):
        play.post("/v1/nodes", {**NODE, "name": name}, at=minor)
    play.get("/v1/nodes?fields=name")


def conflicts(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "instance_uuid": FULL["instance_uuid"]})
    play.post("/v1/nodes", {**NODE, "instance_uuid": FULL["instance_uuid"]})
    play.get("/v1/nodes?fields=instance_uuid")


def lists(play: Play) -> None:
    for number in range(1, 6):
        body = {**NODE, "name": f"n{number}", "uuid": f"1be26c0b-03f2-4d2e-ae87-c02d7f33c00{number}"}
        play.post("/v1/nodes", {**body, "resource_class": f"class-{number % 2}"})
    for minor in (1, 4, 5, 8, 20, 43, LATEST):
        play.get("/v1/nodes", at=minor)
        play.get("/v1/nodes/detail", at=minor)
    for query in (
        "limit=2",
        "limit=2&marker=1be26c0b-03f2-4d2e-ae87-c02d7f33c002",
        "limit=5",
        "limit=5&marker=1be26c0b-03f2-4d2e-ae87-c02d7f33c005",
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=100000",
        "limit=2&sort_key=name&sort_dir=desc&fields=name",
        "limit=1&resource_class=class-1&fields=uuid",
        "marker=x",
        "marker=n2",
        "marker=1be26c0b-03f2-4d2e-ae87-c02d7f33cfff",
        "sort_key=name&sort_dir=desc",
        "sort_key=uuid",
        "sort_key=created_at",
        "sort_key=driver_info",
        "sort_key=traits",
        "sort_key=chassis_uuid",
        "sort_key=nothing",
        "sort_key=fields",
        "sort_dir=sideways",
        "detail=True",
        "detail=true&limit=1",
        "detail=False",
        "detail=maybe",
        "detail=True&fields=uuid",
        "detail=",
    ):
        play.get(f"/v1/nodes?{query}")
    play.get("/v1/nodes?detail=True", at=42)
    play.get("/v1/nodes/detail?limit=2")
    play.get("/v1/nodes/detail?fields=uuid")
    play.get("/v1/nodes?sort_key=resource_class", at=20)
    play.get("/v1/nodes?sort_key=name", at=4)


def filters(play: Play) -> None:
    play.post("/v1/nodes", {**FULL, "conductor_group": None})
    play.post("/v1/nodes", {"driver": "ipmi", "name": "plain", "uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c002"})
    play.post("/v1/nodes", {**NODE, "name": "third", "maintenance": True, "retired": True})
    for query in (
        "associated=True", "associated=false", "associated=maybe", "maintenance=true", "maintenance=0", "maintenance=x",
        "retired=true", "retired=no", "provision_state=enroll", "provision_state=available", "provision_state=nothing", "provision_state=",
        "driver=ipmi", "driver=nothing", "resource_class=baremetal", "resource_class=nothing", "fault=none", "fault=power failure",
        "fault=nothing", "conductor_group=", "conductor_group=x", "owner=owner", "owner=x", "lessee=lessee", "project=owner",
        "description_contains=that", "description_contains=x", "shard=rack-1", "shard=rack-1,rack-2", "shard=x", "sharded=true",
        "sharded=false", "sharded=x", "instance_uuid=1be26c0b-03f2-4d2e-ae87-c02d7f33c0ff", "instance_uuid=x",
        "instance_uuid=1be26c0b-03f2-4d2e-ae87-c02d7f33cccc", "instance_name=instance", "instance_name=x", "conductor=conductor-1",
        "conductor=x", "chassis_uuid=x", "chassis_uuid=1be26c0b-03f2-4d2e-ae87-c02d7f33cccc", "health=OK", "nothing=1",
        "nothing=1&other=2", "parent_node=plain", "include_children=true", "include_children=x", "name=plain",
        "associated=true&maintenance=false", "driver=ipmi&driver=fake-hardware",
    ):  # fmt: skip
        play.get("/v1/nodes?" + query.replace(" ", "%20"))
    edges = {
        "provision_state=enroll": 9, "driver=ipmi": 16, "resource_class=baremetal": 21, "fault=power%20failure": 42, "conductor_group=": 46,
        "conductor=conductor-1": 49, "owner=owner": 50, "description_contains=that": 51, "retired=true": 61, "lessee=lessee": 65,
        "project=owner": 65, "shard=rack-1": 82, "sharded=true": 82, "parent_node=plain": 83, "include_children=true": 83,
        "instance_name=instance": 104,
    }  # fmt: skip
    for query, minor in edges.items():
        play.get(f"/v1/nodes?{query}", at=minor - 1)
        play.get(f"/v1/nodes?{query}", at=minor)


def not_there(play: Play) -> None:
    for path in ("/v1/nodes/1be26c0b-03f2-4d2e-ae87-c02d7f33cabc", "/v1/nodes/nobody", "/v1/nodes/not%20valid"):
        play.get(path)
        play.delete(path)
        play.patch(path, [])
        play.get(f"{path}/validate")
        named = expect("not-a-name", "body.error_message.faultstring") if "%" in path else None
        play.get(f"{path}/states", differs=named)
        play.put(f"{path}/maintenance", {}, differs=named)
        play.put(f"{path}/states/power", {"target": "power on"}, differs=named)
    play.get("/v1/nodes/nobody", at=4)


def deletion(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "goner"}, keep={"node": "uuid"})
    play.delete("/v1/nodes/goner?x=1")
    play.delete("/v1/nodes/goner")
    play.delete("/v1/nodes/goner")
    play.get("/v1/nodes/${node}")
    play.post("/v1/nodes", {**NODE, "name": "goner", "instance_uuid": FULL["instance_uuid"]}, keep={"node": "uuid"})
    play.delete("/v1/nodes/goner")
    play.put("/v1/nodes/goner/maintenance", {"reason": "r"})
    play.delete("/v1/nodes/goner")
    play.get("/v1/nodes")


def maintenance(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "m"}, keep={"node": "uuid"})
    for body in ({"reason": "broken"}, {}, None, {"reason": None}, {"reason": 5}, {"other": 1}, {"reason": ""}, {"reason": "ü" * 300}):
        play.put("/v1/nodes/m/maintenance", body)
        play.get("/v1/nodes/m?fields=maintenance,maintenance_reason,fault,updated_at")
    play.put("/v1/nodes/m/maintenance", [], differs=refused("wrong-body"))
    play.put("/v1/nodes/m/maintenance?reason=query")
    play.get("/v1/nodes/m?fields=maintenance,maintenance_reason")
    play.delete("/v1/nodes/m/maintenance")
    play.delete("/v1/nodes/m/maintenance")
    play.get("/v1/nodes/m?fields=maintenance,maintenance_reason,fault")
    play.get("/v1/nodes/m/maintenance")
    play.post("/v1/nodes/m/maintenance", {})


def validate(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "fake"})
    play.post("/v1/nodes", {"driver": "ipmi", "name": "ipmi"})
    for minor in (1, 31, 86, LATEST):
        play.get("/v1/nodes/fake/validate", at=max(minor, 5))
    play.get("/v1/nodes/validate?node=fake")
    play.get("/v1/nodes/validate?node=nobody")
    play.get("/v1/nodes/validate")
    unmanaged = expect("unmanaged-inspection", "body.inspect")
    play.get("/v1/nodes/ipmi/validate", differs=unmanaged)
    play.patch("/v1/nodes/ipmi", [{"op": "add", "path": "/driver_info", "value": {"ipmi_address": "192.0.2.1", "ipmi_port": "x"}}])
    play.get("/v1/nodes/ipmi/validate", differs=unmanaged)
    play.get("/v1/nodes/fake/validate?x=1")


def children(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "parent"}, keep={"parent": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "child", "parent_node": "${parent}"}, keep={"child": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "by-name", "parent_node": "parent"})
    play.get("/v1/nodes/parent/children")
    play.get("/v1/nodes/child/children")
    play.get("/v1/nodes/parent/children", at=82)
    play.get("/v1/nodes?fields=name")
    play.get("/v1/nodes?fields=name,parent_node&include_children=true")
    play.get("/v1/nodes?fields=name,parent_node&parent_node=${parent}")
    play.get("/v1/nodes/child?fields=parent_node")
    play.delete("/v1/nodes/parent")
    play.patch("/v1/nodes/child", [{"op": "remove", "path": "/parent_node"}])
    play.patch("/v1/nodes/child", [{"op": "add", "path": "/parent_node", "value": "nobody"}])
    play.patch("/v1/nodes/child", [{"op": "add", "path": "/parent_node", "value": "parent"}])
    play.patch("/v1/nodes/parent", [{"op": "add", "path": "/parent_node", "value": "parent"}])
