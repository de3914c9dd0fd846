"""PATCH of nodes: the operations, the rules of each attribute, what must round-trip."""

from __future__ import annotations

from ..differences import accepted, expect
from ..play import Play
from ..steps import one
from .nodes import FULL, NODE


#: Attributes whose removal Ironic answers in ways of its own; `flags` has them.
_FLAGS = ("automated_clean", "disable_power_off", "retired")


def flags(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n", "automated_clean": False})
    play.patch("/v1/nodes/n", [], differs=expect("patch-of-nothing", "body.updated_at", "body.reservation"))
    play.patch("/v1/nodes/n", one("remove", "/automated_clean"))
    play.patch("/v1/nodes/n", one("replace", "/automated_clean", None))
    for name in ("disable_power_off", "retired", "protected"):
        removed = expect("flag-removed", f"body.{name}", "body.reservation")
        play.patch("/v1/nodes/n", one("remove", f"/{name}"), differs=removed)
        play.patch("/v1/nodes/n", one("replace", f"/{name}", False))


def mask_written_back(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n", "driver_info": {"ipmi_password": "s", "a": {"b": "c"}}})
    whole = one("add", "/driver_info", {"ipmi_password": "******", "a": 1})
    play.patch("/v1/nodes/n", whole)
    # That the secret stayed shows where it is no secret any more: moved under another name it would be stars at Ironic.
    play.get("/v1/nodes/n?fields=driver_info")


def operations(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n", "extra": {"a": 1}})
    node = "/v1/nodes/n"
    for patch in (
        one("add", "/extra/b", {"c": [1, None, 2.50, "x"]}),
        one("add", "/extra/b/c/-", 1) ,
        one("add", "/extra/b/c/0", "first"),
        one("replace", "/extra/b/c", {}),
        one("add", "/extra/a", 2),
        one("remove", "/extra/a"),
        one("remove", "/extra/a"),
        one("replace", "/extra/nothing", 1),
        one("add", "/extra/x/y", 1),
        one("add", "/extra", {"whole": True}),
        one("remove", "/extra"),
        one("add", "/extra", None),
        one("add", "/extra", []),
        one("test", "/extra", {}),
        one("copy", "/extra"),
        one("move", "/extra"),
        one("ADD", "/extra/a", 1),
        [{"op": "copy", "from": "/extra", "path": "/properties"}],
        [{"path": "/extra/a", "value": 1}],
        [{"op": "add", "value": 1}],
        one("add", "/extra/a"),
        one("replace", "/extra/a"),
        one("remove", "/extra/a", 1),
        [{"op": "add", "path": "/extra/a", "value": 1, "other": 2}],
        one("add", "extra/a", 1),
        one("add", "/", 1),
        one("add", "", 1),
        one("add", "/extra/", 1),
        one("add", "/extra//a", 1),
        one("add", "/extra/a b", 1),
        one("add", "/extra/a~2b", 1),
        one("add", "/extra/a.b", 1),
        one("add", 5, 1),
        one(5, "/extra/a", 1),
        [5],
        ["x"],
        {},
        {"op": "add", "path": "/extra/a", "value": 1},
        "x",
        None,
        one("add", "/nothing", 1),
        one("add", "/nothing/a", 1),
        one("replace", "/nothing", 1),
        one("remove", "/nothing"),
        one("replace", "/uuid", "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"),
        one("replace", "/provision_state", "active"),
        one("replace", "/power_state", "power on"),
        one("replace", "/traits", []),
        one("replace", "/links", []),
        one("replace", "/driver_internal_info", {}),
        one("replace", "/raid_config", {}),
        one("replace", "/boot_mode", "uefi"),
        one("replace", "/last_error", "x"),
        one("replace", "/reservation", "x"),
        one("add", "/driver_info/a/b", 1),
    ):  # fmt: skip
        play.patch(node, patch)
    play.get(node)
    play.patch(node, one("add", "/extra/a~1b", 1), at=97)
    play.patch(node, one("add", "/name/a", 1), differs=expect("patch-into-a-text", "body.error_message.faultstring"))
    for path in ("/extra/a~1b", "/extra/a~0b"):
        play.patch(node, one("add", path, 1), differs=accepted("pointer-escapes", 200))
    play.patch(f"{node}?x=1", [])


def in_order(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    node = "/v1/nodes/n"
    play.patch(node, one("add", "/extra/a", 1) + one("replace", "/extra/a", 2) + one("add", "/extra/b", 3))
    play.patch(node, one("add", "/extra/c", 1) + one("remove", "/extra/c"))
    play.patch(node, one("remove", "/extra/a") + one("remove", "/extra/a"))
    play.patch(node, one("replace", "/name", "other") + one("replace", "/extra/zz", 2))
    play.get("/v1/nodes/n?fields=extra,name")
    play.patch(node, one("add", "/driver_info", {"a": 1}) + one("add", "/driver_info/b", 2))
    play.patch(node, one("replace", "/name", "renamed"))
    play.get("/v1/nodes/n")
    play.get("/v1/nodes/renamed?fields=name,driver_info,extra")


def every_attribute_set_and_removed(play: Play) -> None:
    play.post("/v1/nodes", {"driver": "fake-hardware", "uuid": FULL["uuid"]})
    node = f"/v1/nodes/{FULL['uuid']}"
    for name, value in FULL.items():
        if name in ("uuid", "driver", "driver_info", "instance_info"):
            continue
        play.patch(node, one("add", f"/{name}", value))
        play.patch(node, one("replace", f"/{name}", value))
        play.patch(node, one("replace", f"/{name}", 5))
        if name not in _FLAGS:
            play.patch(node, one("remove", f"/{name}"))
    for name in ("driver_info", "instance_info"):
        play.patch(node, one("add", f"/{name}", FULL[name]))
        play.patch(node, one("add", f"/{name}/other", {"a": [1, 2]}))
        play.patch(node, one("remove", f"/{name}"))
    play.patch(node, one("remove", "/driver"))
    play.patch(node, one("replace", "/driver", None))
    play.patch(node, one("replace", "/driver", "nothing"))
    play.patch(node, one("replace", "/maintenance", "maybe"))
    play.patch(node, one("replace", "/maintenance", "true"))
    play.patch(node, one("replace", "/maintenance", False))
    play.patch(node, one("replace", "/description", "x" * 4097))
    play.patch(node, one("replace", "/chassis_uuid", "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"))
    play.patch(node, one("replace", "/instance_uuid", "x"))
    play.patch(node, one("replace", "/conductor_group", "elsewhere"))
    play.get(node)


def names(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "other"})
    node = "/v1/nodes/${node}"
    for name in ("other", "not valid", "", "states", "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc", 5, "good"):
        reserved = expect("reserved-names", "body.error_message.faultstring") if name == "states" else None
        play.patch(node, one("replace", "/name", name), differs=reserved)
    play.patch(node, one("replace", "/name", "new"), at=4)
    play.patch(node, one("replace", "/name", "New_1"), at=9)
    play.patch(node, one("remove", "/name"))
    play.get(node)


def below_the_fields_age(play: Play) -> None:
    play.post("/v1/nodes", NODE, keep={"node": "uuid"})
    ages = {
        "name": 5, "network_interface": 20, "resource_class": 21, "deploy_interface": 31, "storage_interface": 33, "rescue_interface": 38,
        "bios_interface": 40, "conductor_group": 46, "automated_clean": 47, "description": 51, "retired": 61, "lessee": 65,
        "network_data": 66, "shard": 82, "firmware_interface": 86, "disable_power_off": 95, "instance_name": 104,
    }  # fmt: skip
    for name, minor in ages.items():
        play.patch("/v1/nodes/${node}", one("add", f"/{name}", FULL[name]), at=minor - 1)
        play.patch("/v1/nodes/${node}", one("add", f"/{name}", FULL[name]), at=minor)
        if name not in _FLAGS:
            play.patch("/v1/nodes/${node}", one("remove", f"/{name}"), at=minor - 1)
    play.patch("/v1/nodes/${node}", one("add", "/protected", True), at=47)
    play.patch("/v1/nodes/${node}", one("add", "/parent_node", "x"), at=82)


def rules(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "other", "instance_uuid": FULL["instance_uuid"]})
    node = "/v1/nodes/n"
    for patch in (
        one("add", "/protected", True),
        one("add", "/protected_reason", "x"),
        one("add", "/retired_reason", "x"),
        one("add", "/retired", True) + one("add", "/retired_reason", "old"),
        one("replace", "/retired", False),
        one("add", "/instance_uuid", FULL["instance_uuid"]),
        one("add", "/instance_uuid", FULL["uuid"]),
        one("replace", "/instance_uuid", "1be26c0b-03f2-4d2e-ae87-c02d7f33c0fe"),
        one("remove", "/instance_uuid"),
        one("add", "/instance_info", {"display_name": "shown"}),
        one("add", "/instance_info", {"display_name": "other"}),
        one("add", "/owner", "x" * 256),
        one("add", "/resource_class", "x" * 81),
        one("add", "/shard", "x" * 256),
        one("add", "/conductor_group", "UPPER"),
        one("remove", "/conductor_group"),
        one("add", "/network_data", []),
        one("add", "/automated_clean", None),
        one("add", "/automated_clean", "no"),
        one("add", "/maintenance", True),
        one("add", "/maintenance_reason", "x"),
        one("add", "/fault", "x"),
    ):
        play.patch(node, patch)
    text = "body.error_message.faultstring"
    play.patch(node, one("add", "/network_data", {"links": "x"}), differs=expect("network-data", text))
    play.put(f"{node}/maintenance", {"reason": "because"})
    play.patch(node, one("replace", "/maintenance", False))
    play.get(node)


def secrets(play: Play) -> None:
    play.post("/v1/nodes", {"driver": "ipmi", "name": "n", "driver_info": {"ipmi_password": "s", "ipmi_address": "192.0.2.1"}})
    node = "/v1/nodes/n"
    play.get(node)
    play.patch(node, one("add", "/driver_info/redfish_password", "t"))
    play.patch(node, one("replace", "/driver_info/ipmi_password", "new"))
    play.patch(node, one("add", "/instance_info/configdrive", "abc"))
    play.patch(node, one("add", "/instance_info/image_url", "http://192.0.2.1/x"))
    play.patch(node, one("remove", "/driver_info/ipmi_password"))
    play.get(f"{node}?fields=driver_info,instance_info")
    play.get("/v1/nodes?fields=driver_info")


def drivers(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    node = "/v1/nodes/n"
    unfit = expect("interface-object", "body.error_message.faultstring")
    play.patch(node, one("replace", "/driver", "ipmi"), differs=unfit)
    more = one("replace", "/power_interface", "ipmitool")
    play.patch(node, one("replace", "/driver", "ipmi") + more, differs=unfit)
    for patch in (
        one("replace", "/deploy_interface", "nothing"),
        one("replace", "/deploy_interface", "ramdisk"),
        one("remove", "/deploy_interface"),
        one("replace", "/deploy_interface", None),
    ):
        play.patch(node, patch)
    for reset in ("true", "false", "maybe"):
        play.patch(f"{node}?reset_interfaces={reset}", one("replace", "/driver", "ipmi"))
        play.patch(f"{node}?reset_interfaces={reset}", one("replace", "/extra", {}))
    play.patch(f"{node}?reset_interfaces=true", one("replace", "/driver", "fake-hardware") + one("add", "/boot_interface", "pxe"))
    play.patch(f"{node}?reset_interfaces=true", one("replace", "/driver", "ipmi"), at=44)
    play.get(node)
