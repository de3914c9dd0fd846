"""Volume connectors and targets."""

from __future__ import annotations

from ..differences import accepted, refused
from ..play import LATEST, Play
from ..steps import one, switch
from .nodes import NODE

_UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33f20"


def _node(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    # Volumes change while the machine is off only.
    switch(play, "n", "power off")


def discovery(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    for minor in (31, 32, LATEST):
        for path in ("/v1/volume", "/v1/volume/connectors", "/v1/volume/targets", "/v1/nodes/n/volume", "/v1/nodes/${node}/volume/connectors", "/v1/nodes/${node}/volume/targets"):
            play.get(path, at=minor)
    for path in ("connectors", "targets"):
        play.get(f"/v1/nodes/n/volume/{path}", differs=accepted("parents-by-name", 200))
    play.get("/v1/nodes/nobody/volume", differs=refused("no-such-path", 404))
    play.get("/v1/nodes/nobody/volume/connectors")
    play.get("/v1/volume/nothing")
    play.post("/v1/volume", {})


def connectors(play: Play) -> None:
    _node(play)
    path = "/v1/volume/connectors"
    body = {"node_uuid": "${node}", "type": "iqn", "connector_id": "iqn.2017-07.org.openstack:01:d9a51732c3f"}
    play.post(path, {**body, "uuid": f"{_UUID}1", "extra": {"a": 1}})
    for other in (
        body, {}, {"node_uuid": "${node}"}, {**body, "type": "nothing"}, {**body, "type": 5}, {**body, "connector_id": ""},
        {**body, "connector_id": "x" * 256}, {**body, "connector_id": 5}, {**body, "node_uuid": f"{_UUID}9"}, {**body, "node_uuid": "x"},
        {**body, "uuid": f"{_UUID}1", "connector_id": "other"}, {**body, "uuid": "x"}, {**body, "extra": []}, {**body, "nothing": 1},
        {**body, "type": "mac", "connector_id": "52:54:00:aa:00:01", "uuid": f"{_UUID}2"}, {**body, "type": "wwpn", "connector_id": "z"}, [], None,
    ):  # fmt: skip
        play.post(path, other)
    for query in (
        "", "detail=true", "detail=false", "fields=uuid,type", "fields=nothing", "limit=1", f"marker={_UUID}1", "marker=x", "node=n",
        "node=nobody", "node=${node}", "sort_key=connector_id&sort_dir=desc", "sort_key=extra", "sort_key=nothing", "nothing=1",
        "detail=true&fields=uuid",
    ):  # fmt: skip
        play.get(f"{path}?{query}")
    play.get(f"{path}/{_UUID}1")
    play.get(f"{path}/{_UUID}1?fields=type")
    play.get(f"{path}/{_UUID}9")
    play.get(f"{path}/x")
    for patch in (
        [], one("replace", "/connector_id", "iqn.new"), one("replace", "/type", "ip"), one("replace", "/type", "nothing"),
        one("remove", "/type"), one("remove", "/connector_id"), one("add", "/extra/b", 2), one("remove", "/extra"),
        one("replace", "/node_uuid", f"{_UUID}9"), one("remove", "/node_uuid"), one("replace", "/uuid", f"{_UUID}3"),
        one("add", "/nothing", 1), one("replace", "/connector_id", "52:54:00:aa:00:01") + one("replace", "/type", "mac"),
    ):  # fmt: skip
        play.patch(f"{path}/{_UUID}1", patch)
    play.get("/v1/nodes/${node}/volume/connectors")
    play.get("/v1/nodes/${node}/volume/connectors?detail=true")
    switch(play, "n", "power on")
    play.patch(f"{path}/{_UUID}1", one("add", "/extra/b", 2))
    play.delete(f"{path}/{_UUID}1")
    play.post(path, {**body, "connector_id": "while it is on"})
    switch(play, "n", "power off")
    play.delete(f"{path}/{_UUID}1", at=31)
    play.delete(f"{path}/{_UUID}1")
    play.delete(f"{path}/{_UUID}1")
    play.delete(f"{path}/x")
    play.delete(path, differs=refused("no-such-path", 405))


def targets(play: Play) -> None:
    _node(play)
    path = "/v1/volume/targets"
    body = {"node_uuid": "${node}", "volume_type": "iscsi", "boot_index": 0, "volume_id": "04452bed-5367-4202-8bf5-de4335ac56d2"}
    play.post(path, {**body, "uuid": f"{_UUID}1", "extra": {"a": 1}, "properties": {"auth_password": "secret", "target_iqn": "iqn"}})
    for other in (
        body, {}, {"node_uuid": "${node}"}, {**body, "boot_index": "1", "uuid": f"{_UUID}2"}, {**body, "boot_index": -1, "uuid": f"{_UUID}4"},
        {**body, "boot_index": "x"}, {**body, "boot_index": None}, {**body, "volume_type": 5}, {**body, "volume_type": ""},
        {**body, "volume_id": ""}, {**body, "volume_id": 5}, {**body, "node_uuid": f"{_UUID}9"}, {**body, "node_uuid": "x"},
        {**body, "uuid": f"{_UUID}1", "boot_index": 5}, {**body, "properties": []}, {**body, "nothing": 1}, [], None,
    ):  # fmt: skip
        play.post(path, other)
    for query in (
        "", "detail=true", "fields=uuid,volume_id", "fields=properties", "fields=nothing", "limit=1", f"marker={_UUID}1", "marker=x", "node=n",
        "node=nobody", "sort_key=boot_index&sort_dir=desc", "sort_key=properties", "sort_key=nothing", "nothing=1",
    ):  # fmt: skip
        play.get(f"{path}?{query}")
    play.get(f"{path}/{_UUID}1")
    play.get(f"{path}/{_UUID}9")
    play.get(f"{path}/x")
    for patch in (
        [], one("replace", "/volume_id", "new"), one("replace", "/boot_index", 7), one("replace", "/boot_index", "x"),
        one("remove", "/boot_index"), one("replace", "/volume_type", "fibre_channel"), one("remove", "/volume_type"),
        one("add", "/properties/b", 2), one("remove", "/properties"), one("add", "/extra/b", 2),
        one("replace", "/node_uuid", f"{_UUID}9"), one("replace", "/uuid", f"{_UUID}3"), one("add", "/nothing", 1),
    ):  # fmt: skip
        play.patch(f"{path}/{_UUID}1", patch)
    play.get("/v1/nodes/${node}/volume/targets")
    switch(play, "n", "power on")
    play.patch(f"{path}/{_UUID}1", one("add", "/extra/b", 2))
    play.delete(f"{path}/{_UUID}1")
    switch(play, "n", "power off")
    play.delete(f"{path}/{_UUID}1")
    play.delete(f"{path}/{_UUID}1")
    play.delete("/v1/nodes/n")
    play.get(path)
