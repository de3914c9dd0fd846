"""Chassis."""

from __future__ import annotations

from ..differences import expect
from ..play import LATEST, Play
from ..steps import one
from .nodes import NODE

_UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33f00"


def chassis(play: Play) -> None:
    for body in (
        {}, None, {"description": "d", "extra": {"a": [1]}, "uuid": f"{_UUID}1"}, {"uuid": f"{_UUID}1"}, {"uuid": "x"}, {"description": 5},
        {"description": "x" * 256}, {"extra": []}, {"nothing": 1}, {"extra": None, "description": None}, [], "x",
    ):  # fmt: skip
        play.post("/v1/chassis", body)
    for minor in (1, 7, 8, 42, 43, LATEST):
        play.get(f"/v1/chassis/{_UUID}1", at=minor)
        play.get("/v1/chassis", at=minor)
        play.get("/v1/chassis/detail", at=minor)
    for query in (
        "limit=1", "limit=0", "marker=x", f"marker={_UUID}1", f"marker={_UUID}9", "sort_key=description&sort_dir=desc", "sort_key=extra",
        "sort_key=nothing", "fields=uuid,extra", "fields=nothing", "detail=true", "detail=true&fields=uuid", "nothing=1", "detail=x",
    ):  # fmt: skip
        play.get(f"/v1/chassis?{query}")
    play.get(f"/v1/chassis/{_UUID}1?fields=extra")
    play.get(f"/v1/chassis/{_UUID}9")
    play.get("/v1/chassis/x")
    play.post("/v1/chassis?x=1", {})


def changes(play: Play) -> None:
    play.post("/v1/chassis", {"uuid": f"{_UUID}1"})
    path = f"/v1/chassis/{_UUID}1"
    play.patch(path, [], differs=expect("patch-of-nothing", "body.updated_at"))
    for patch in (
        one("add", "/description", "d"),
        one("replace", "/description", "e"),
        one("replace", "/description", 5),
        one("remove", "/description"),
        one("add", "/extra/a", {"b": 1}),
        one("remove", "/extra/a"),
        one("remove", "/extra/a"),
        one("remove", "/extra"),
        one("replace", "/uuid", f"{_UUID}2"),
        one("add", "/nothing", 1),
        one("replace", "/nodes", []),
        [5],
        None,
    ):
        play.patch(path, patch)
    play.get(path)
    play.patch(f"/v1/chassis/{_UUID}9", [])
    play.delete(path)
    play.delete(path)
    play.delete("/v1/chassis/x")
    play.get("/v1/chassis")


def nodes_of_a_chassis(play: Play) -> None:
    play.post("/v1/chassis", {"uuid": f"{_UUID}1"})
    play.post("/v1/chassis", {"uuid": f"{_UUID}2"})
    play.post("/v1/nodes", {**NODE, "name": "n", "chassis_uuid": f"{_UUID}1"})
    play.post("/v1/nodes", {**NODE, "name": "m"})
    play.get("/v1/nodes/n?fields=chassis_uuid")
    play.get(f"/v1/chassis/{_UUID}1/nodes")
    play.get(f"/v1/chassis/{_UUID}2/nodes")
    play.get(f"/v1/chassis/{_UUID}9/nodes")
    play.get(f"/v1/chassis/{_UUID}1/nodes?fields=name")
    play.get(f"/v1/nodes?chassis_uuid={_UUID}1&fields=name")
    play.get(f"/v1/nodes?chassis_uuid={_UUID}2&fields=name")
    play.delete(f"/v1/chassis/{_UUID}1")
    play.patch("/v1/nodes/n", one("replace", "/chassis_uuid", f"{_UUID}2"))
    play.patch("/v1/nodes/n", one("replace", "/chassis_uuid", f"{_UUID}9"))
    play.patch("/v1/nodes/n", one("remove", "/chassis_uuid"), at=24)
    play.patch("/v1/nodes/n", one("remove", "/chassis_uuid"), at=25)
    play.delete(f"/v1/chassis/{_UUID}1")
    play.delete(f"/v1/chassis/{_UUID}2")
