"""Ports."""

from __future__ import annotations

from ..differences import accepted, expect, refused
from ..play import LATEST, Play
from ..steps import one
from .nodes import NODE

_LINK = {"switch_id": "0a:1b:2c:3d:4e:5f", "port_id": "Ethernet3/1", "switch_info": "switch1"}


def shown_at_every_microversion(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    body = {
        "node_uuid": "${node}", "address": "52:54:00:AA:00:01", "extra": {"a": [1, None]}, "local_link_connection": _LINK,
        "pxe_enabled": False, "physical_network": "physnet1", "is_smartnic": False, "name": "eth0", "description": "first",
        "vendor": "acme", "category": "fast", "uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33d001",
    }  # fmt: skip
    play.post("/v1/ports", body, keep={"port": "uuid"})
    for minor in (1, 5, 17, 18, 19, 23, 24, 33, 34, 52, 53, 87, 88, 96, 97, 99, 100, 101, 110, 111, LATEST):
        play.get("/v1/ports/${port}", at=minor)
        play.get("/v1/ports/detail", at=minor)
        play.get("/v1/ports", at=minor)
    play.get("/v1/ports/eth0", at=88)
    play.get("/v1/ports/eth0", at=87)
    for path in ("ports", "ports/detail"):
        play.get(f"/v1/nodes/n/{path}", differs=accepted("parents-by-name", 200))
        play.get(f"/v1/nodes/${{node}}/{path}")
    play.get("/v1/nodes/${node}/ports", at=1)


def creation(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01", "uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33d001", "name": "taken"})
    port = {"node_uuid": "${node}", "address": "52:54:00:aa:00:02"}
    for body in (
        {},
        {"node_uuid": "${node}"},
        {"address": "52:54:00:aa:00:02"},
        {**port, "address": "52:54:00:aa:00:01"},
        {**port, "address": "52:54:00:AA:00:01"},
        {**port, "address": "52-54-00-aa-00-02"},
        {**port, "address": "no"},
        {**port, "address": 5},
        {**port, "address": None},
        {**port, "node_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"},
        {**port, "node_uuid": "n"},
        {**port, "node_uuid": None},
        {**port, "uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33d001"},
        {**port, "uuid": "x"},
        {**port, "nothing": 1},
        {**port, "extra": []},
        {**port, "internal_info": {}},
        {**port, "pxe_enabled": "maybe"},
        {**port, "address": "52:54:00:aa:00:10", "pxe_enabled": "no"},
        {**port, "address": "52:54:00:aa:00:03", "local_link_connection": {}},
        {**port, "address": "52:54:00:aa:00:04", "local_link_connection": _LINK},
        {**port, "address": "52:54:00:aa:00:05", "local_link_connection": {"network_type": "unmanaged"}},
        {**port, "address": "52:54:00:aa:00:06", "local_link_connection": {"port_id": "a", "hostname": "b"}, "is_smartnic": True},
        {**port, "address": "52:54:00:aa:00:07", "local_link_connection": {"port_id": "a"}},
        {**port, "address": "52:54:00:aa:00:07", "local_link_connection": {"switch_id": "x", "port_id": "a"}},
        {**port, "address": "52:54:00:aa:00:07", "local_link_connection": {"nothing": 1}},
        {**port, "address": "52:54:00:aa:00:07", "local_link_connection": {"network_type": "other"}},
        {**port, "address": "52:54:00:aa:00:11", "is_smartnic": True},
        {**port, "address": "52:54:00:aa:00:08", "physical_network": ""},
        {**port, "address": "52:54:00:aa:00:08", "physical_network": "x" * 65},
        {**port, "address": "52:54:00:aa:00:08", "physical_network": 5},
        {**port, "address": "52:54:00:aa:00:09", "portgroup_uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"},
        {**port, "address": "52:54:00:aa:00:09", "portgroup_uuid": None},
        {**port, "address": "52:54:00:aa:00:0a", "description": "x" * 256},
        {**port, "address": "52:54:00:aa:00:0b", "vendor": "x" * 256},
        {**port, "address": "52:54:00:aa:00:0c", "category": "x" * 256},
        [],
        None,
    ):  # fmt: skip
        play.post("/v1/ports", body)
    play.get("/v1/ports?fields=address,name,local_link_connection,physical_network,pxe_enabled")
    play.post("/v1/ports", {"node_ident": "n", "address": "52:54:00:aa:00:20"}, at=93)
    play.post("/v1/ports", {"node_ident": "n", "address": "52:54:00:aa:00:20"}, at=94)
    text = "body.error_message.faultstring"
    play.post("/v1/ports", {"node_ident": "nobody", "address": "52:54:00:aa:00:21"}, differs=expect("parents-by-name", text))
    play.post("/v1/ports", {**port, "local_link_connection": []}, differs=expect("type-order", text))
    play.post("/v1/ports", {**port, "address": "52:54:00:aa:00:31", "name": "taken"}, differs=expect("port-name-taken", text))
    for number, name in enumerate(("not valid", "")):
        play.post("/v1/ports", {**port, "address": f"52:54:00:aa:00:4{number}", "name": name}, differs=refused("port-names"))
    play.post("/v1/ports", {"node_uuid": "n", "address": "52:54:00:aa:00:22"}, at=94)
    play.post("/v1/ports?x=1", port)


def creation_below_the_fields_age(play: Play) -> None:
    play.post("/v1/nodes", NODE, keep={"node": "uuid"})
    newer = {
        "local_link_connection": (19, _LINK), "pxe_enabled": (19, True), "portgroup_uuid": (24, "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"),
        "physical_network": (34, "p"), "is_smartnic": (53, False), "name": (88, "a"), "description": (97, "d"), "vendor": (100, "v"),
        "category": (101, "c"), "available_for_dynamic_portgroup": (111, True),
    }  # fmt: skip
    for number, (name, (minor, value)) in enumerate(newer.items()):
        body = {"node_uuid": "${node}", "address": f"52:54:00:bb:00:{number:02x}", name: value}
        play.post("/v1/ports", body, at=minor - 1)
        play.post("/v1/ports", body, at=minor)
        play.get(f"/v1/ports?fields=uuid,{name}", at=max(minor - 1, 8))
        play.get(f"/v1/ports?fields=uuid,{name}", at=minor)
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:bb:00:40", "local_link_connection": {"network_type": "unmanaged"}}, at=63)


def lists(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n", "shard": "s1"}, keep={"node": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "m"}, keep={"other": "uuid"})
    for number in range(1, 5):
        body = {"address": f"52:54:00:aa:00:0{number}", "uuid": f"1be26c0b-03f2-4d2e-ae87-c02d7f33d00{number}", "name": f"p{number}"}
        play.post("/v1/ports", {**body, "node_uuid": "${node}" if number < 4 else "${other}", "description": f"port {number}"})
    for query in (
        "", "limit=2", "limit=2&marker=1be26c0b-03f2-4d2e-ae87-c02d7f33d002", "marker=x", "limit=0", "sort_key=address&sort_dir=desc",
        "sort_key=nothing", "sort_key=extra", "address=52:54:00:aa:00:02", "address=52:54:00:AA:00:02", "address=52:54:00:aa:00:99",
        "address=x", "node=n", "node=nobody", "node=${node}", "node_uuid=${node}", "node_uuid=n", "node_uuid=x",
        "node_uuid=1be26c0b-03f2-4d2e-ae87-c02d7f33cabc", "node=n&node_uuid=${other}", "portgroup=x", "shard=s1", "shard=s1,s2",
        "shard=x", "shard=s1&node=n", "description_contains=port", "description_contains=3", "fields=uuid,address", "fields=nothing",
        "detail=true", "detail=true&fields=uuid", "detail=false", "nothing=1", "fields=node_uuid", "conductor_groups=x", "conductor_groups=",
    ):  # fmt: skip
        play.get(f"/v1/ports?{query}")
    play.get("/v1/ports/detail?node=n&limit=1")
    play.get("/v1/ports?node=n", at=5)
    play.get("/v1/ports?node=n", at=6)
    play.get("/v1/ports?shard=s1", at=81)
    play.get("/v1/ports?description_contains=x", at=96)
    play.get("/v1/ports?conductor_groups=x", at=98)
    play.get("/v1/ports?detail=true", at=42)
    play.get("/v1/ports?fields=uuid", at=7)
    play.get("/v1/nodes/${node}/ports?limit=1&fields=address")
    play.get("/v1/nodes/n/ports?nothing=1")
    play.get("/v1/nodes/nobody/ports", differs=expect("parents-by-name", "body"))


def changes(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "m"}, keep={"other": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01", "name": "p"}, keep={"port": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:02", "name": "q"})
    port = "/v1/ports/${port}"
    for patch in (
        [],
        one("add", "/extra/a", {"b": 1}),
        one("remove", "/extra/a"),
        one("remove", "/extra/a"),
        one("replace", "/address", "52:54:00:AA:00:03"),
        one("replace", "/address", "52:54:00:aa:00:02"),
        one("replace", "/address", "x"),
        one("remove", "/address"),
        one("replace", "/node_uuid", "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"),
        one("replace", "/node_uuid", "x"),
        one("remove", "/node_uuid"),
        one("replace", "/uuid", "1be26c0b-03f2-4d2e-ae87-c02d7f33d00f"),
        one("replace", "/internal_info", {}),
        one("add", "/local_link_connection", _LINK),
        one("add", "/local_link_connection/port_id", "x"),
        one("add", "/local_link_connection", {"nothing": 1}),
        one("remove", "/local_link_connection"),
        one("replace", "/pxe_enabled", False),
        one("replace", "/pxe_enabled", "maybe"),
        one("add", "/physical_network", "p"),
        one("remove", "/physical_network"),
        one("add", "/is_smartnic", True),
        one("add", "/name", "q"),
        one("add", "/name", "new"),
        one("remove", "/name"),
        one("add", "/description", "d"),
        one("add", "/vendor", "v"),
        one("add", "/category", "c"),
        one("add", "/portgroup_uuid", "1be26c0b-03f2-4d2e-ae87-c02d7f33cabc"),
        one("add", "/nothing", 1),
        one("add", "/extra", 5),
    ):  # fmt: skip
        play.patch(port, patch)
    play.get(port)
    play.patch(port, one("add", "/name", "not valid"), differs=refused("port-names"))
    play.patch(port, one("add", "/name", "new"))
    play.patch(port, one("add", "/physical_network", "p"), at=33)
    play.patch(port, one("add", "/name", "p"), at=87)
    play.patch(port, one("add", "/pxe_enabled", True), at=18)
    play.patch("/v1/ports/p", [])
    play.patch("/v1/ports/1be26c0b-03f2-4d2e-ae87-c02d7f33cabc", [])
    play.patch("/v1/ports", [], differs=refused("no-such-path", 405))
    play.delete("/v1/ports/q")
    play.delete("/v1/ports/q")
    play.delete(f"{port}?x=1")
    play.delete(port)
    play.delete(port)
    play.delete("/v1/ports", differs=refused("no-such-path", 405))
    play.get("/v1/ports/not%20valid")
    play.get("/v1/ports")
    play.get("/v1/ports/52:54:00:aa:00:02")


def moved(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "m"}, keep={"other": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01", "pxe_enabled": False}, keep={"port": "uuid"})
    play.patch("/v1/ports/${port}", one("remove", "/pxe_enabled"))
    play.patch("/v1/ports/${port}", one("replace", "/node_uuid", "${other}"))


def gone_with_the_node(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01"}, keep={"port": "uuid"})
    play.delete("/v1/nodes/n")
    play.get("/v1/ports/${port}")
    play.get("/v1/ports")
