"""Port groups, and ports in them."""

from __future__ import annotations

from ..differences import accepted, expect
from ..play import LATEST, Play
from ..steps import one
from .nodes import NODE

_UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33f10"


def shown_at_every_microversion(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    body = {
        "node_uuid": "${node}", "address": "52:54:00:AA:10:01", "name": "bond0", "extra": {"a": 1}, "mode": "802.3ad",
        "properties": {"miimon": 100}, "standalone_ports_supported": False, "uuid": f"{_UUID}1", "physical_network": "p", "category": "c",
    }  # fmt: skip
    play.post("/v1/portgroups", body)
    for minor in (1, 22, 23, 24, 25, 26, 42, 43, 101, 102, 103, 110, 111, LATEST):
        play.get(f"/v1/portgroups/{_UUID}1", at=minor)
        play.get("/v1/portgroups", at=minor)
        early = expect("detail-too-early", "body.portgroups") if 23 <= minor < 111 else None
        play.get("/v1/portgroups/detail", at=minor, differs=early)
    play.get("/v1/portgroups/bond0")
    for path in ("portgroups", "portgroups/detail"):
        play.get(f"/v1/nodes/n/{path}", differs=accepted("parents-by-name", 200))
        play.get(f"/v1/nodes/${{node}}/{path}")
        play.get(f"/v1/nodes/${{node}}/{path}", at=23)
        early = expect("detail-too-early", "body.portgroups") if "detail" in path else None
        play.get(f"/v1/nodes/${{node}}/{path}", at=24, differs=early)


def creation(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    group = {"node_uuid": "${node}"}
    play.post("/v1/portgroups", {**group, "uuid": f"{_UUID}1", "name": "taken", "address": "52:54:00:aa:10:01"})
    for body in (
        {}, {"node_uuid": None}, {"node_uuid": "x"}, {"node_uuid": f"{_UUID}9"}, {**group, "uuid": f"{_UUID}1"}, {**group, "uuid": "x"},
        {**group, "name": "taken"}, {**group, "name": "not valid"}, {**group, "name": 5}, {**group, "address": "52:54:00:aa:10:01"},
        {**group, "address": "x"}, {**group, "mode": 5}, {**group, "mode": "nothing", "uuid": f"{_UUID}2"}, {**group, "properties": []},
        {**group, "extra": "x"}, {**group, "standalone_ports_supported": "maybe"}, {**group, "nothing": 1}, {**group, "internal_info": {}},
        {**group, "mode": None, "uuid": f"{_UUID}3"}, {**group, "physical_network": "x" * 65}, {**group, "category": 5}, [], None,
    ):  # fmt: skip
        play.post("/v1/portgroups", body)
    play.post("/v1/portgroups", group, at=22)
    play.post("/v1/portgroups", {**group, "mode": "active-backup"}, at=25)
    play.post("/v1/portgroups", {**group, "physical_network": "p"}, at=101)
    play.post("/v1/portgroups", {**group, "category": "c"}, at=102)
    play.get("/v1/portgroups?fields=uuid,name,mode,standalone_ports_supported")


def lists(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n", "shard": "s1"}, keep={"node": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "m"}, keep={"other": "uuid"})
    for number in range(1, 4):
        owner = "${node}" if number < 3 else "${other}"
        body = {"node_uuid": owner, "uuid": f"{_UUID}{number}", "name": f"g{number}", "address": f"52:54:00:aa:10:0{number}"}
        play.post("/v1/portgroups", body)
    for query in (
        "limit=2", f"limit=2&marker={_UUID}2", "marker=x", "sort_key=name&sort_dir=desc", "sort_key=extra", "sort_key=nothing",
        "address=52:54:00:aa:10:02", "address=x", "node=n", "node=${node}", "node=nobody", "shard=s1", "shard=x", "fields=uuid,address",
        "fields=nothing", "detail=true", "detail=true&fields=uuid", "nothing=1", "node_uuid=${node}",
    ):  # fmt: skip
        play.get(f"/v1/portgroups?{query}")
    play.get("/v1/portgroups?shard=s1", at=105)
    play.get("/v1/portgroups/detail?node=n")
    play.get("/v1/nodes/nobody/portgroups", differs=expect("parents-by-name", "body"))
    play.get("/v1/portgroups/nobody")
    play.get("/v1/portgroups/not%20valid")


def changes(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "m"}, keep={"other": "uuid"})
    play.post("/v1/portgroups", {"node_uuid": "${node}", "uuid": f"{_UUID}1", "name": "g"})
    play.post("/v1/portgroups", {"node_uuid": "${node}", "uuid": f"{_UUID}2", "name": "taken", "address": "52:54:00:aa:10:02"})
    path = f"/v1/portgroups/{_UUID}1"
    for patch in (
        [],
        one("add", "/extra/a", 1),
        one("remove", "/extra/a"),
        one("remove", "/extra/a"),
        one("add", "/address", "52:54:00:AA:10:03"),
        one("replace", "/address", "52:54:00:aa:10:02"),
        one("replace", "/address", "x"),
        one("remove", "/address"),
        one("replace", "/name", "taken"),
        one("replace", "/name", "not valid"),
        one("replace", "/name", "new"),
        one("remove", "/name"),
        one("replace", "/mode", "802.3ad"),
        one("remove", "/mode"),
        one("add", "/properties/a", 1),
        one("replace", "/standalone_ports_supported", False),
        one("replace", "/uuid", f"{_UUID}3"),
        one("add", "/physical_network", "p"),
        one("add", "/category", "c"),
        one("add", "/nothing", 1),
        one("add", "/internal_info", {}),
        [5],
    ):
        play.patch(path, patch)
    play.get(path)
    play.patch(path, one("replace", "/mode", "802.3ad"), at=25)
    play.patch("/v1/portgroups/g", [], at=22)
    play.patch("/v1/portgroups/nobody", [])
    play.delete("/v1/portgroups/taken")
    play.delete("/v1/portgroups/taken")
    play.delete(path, at=22)
    play.delete(path)


def members(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/nodes", {**NODE, "name": "m"}, keep={"other": "uuid"})
    play.post("/v1/portgroups", {"node_uuid": "${node}", "uuid": f"{_UUID}1", "name": "g", "standalone_ports_supported": False})
    port = {"node_uuid": "${node}", "portgroup_uuid": f"{_UUID}1"}
    play.post("/v1/ports", {**port, "address": "52:54:00:aa:00:01", "pxe_enabled": True})
    play.post("/v1/ports", {**port, "address": "52:54:00:aa:00:02", "pxe_enabled": False}, keep={"port": "uuid"})
    play.post("/v1/ports", {**port, "address": "52:54:00:aa:00:03", "node_uuid": "${other}"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:04"}, keep={"alone": "uuid"})
    play.get(f"/v1/portgroups/{_UUID}1/ports")
    play.get(f"/v1/portgroups/{_UUID}1/ports/detail")
    play.get("/v1/portgroups/g/ports/detail", differs=accepted("parents-by-name", 200))
    play.get(f"/v1/portgroups/{_UUID}1/ports?fields=address&limit=1")
    play.get("/v1/portgroups/nobody/ports")
    play.get("/v1/portgroups/g/ports", at=23)
    play.get("/v1/ports?portgroup=g")
    play.get(f"/v1/ports?portgroup={_UUID}1&fields=address,portgroup_uuid")
    play.get("/v1/ports?portgroup=nobody")
    play.get("/v1/ports?portgroup=g&node=n")
    play.get("/v1/ports?portgroup=g", at=23)
    play.get("/v1/ports/${port}", at=23)
    play.patch("/v1/ports/${alone}", one("add", "/portgroup_uuid", f"{_UUID}1"))
    play.patch("/v1/ports/${alone}", one("add", "/portgroup_uuid", f"{_UUID}9"))
    play.patch("/v1/ports/${alone}", one("remove", "/portgroup_uuid"))
    play.patch(f"/v1/portgroups/{_UUID}1", one("replace", "/standalone_ports_supported", False))
    play.delete("/v1/portgroups/g", differs=expect("row-numbers", "body.error_message.faultstring"))
    play.delete("/v1/ports/${port}")
    play.get("/v1/nodes/${node}/portgroups?fields=name")
    play.delete("/v1/nodes/n")
    play.get("/v1/portgroups")
