"""Runbooks."""

from __future__ import annotations

from ..differences import expect
from ..play import LATEST, Play
from ..steps import lead, one, switch
from .nodes import NODE

_UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33f50"
_STEP = {"interface": "bios", "step": "factory_reset", "args": {}, "order": 1}


def creation(play: Play) -> None:
    path = "/v1/runbooks"
    play.post(path, {"name": "CUSTOM_ONE", "steps": [_STEP], "uuid": f"{_UUID}1", "extra": {"a": 1}})
    runbook = {"name": "CUSTOM_TWO", "steps": [_STEP], "uuid": f"{_UUID}2"}
    for body in (
        {}, {"name": "CUSTOM_TWO"}, {"steps": [_STEP]}, {**runbook, "name": "CUSTOM_ONE"}, {**runbook, "name": "bad"}, {**runbook, "name": 5},
        {**runbook, "steps": []}, {**runbook, "steps": None}, {**runbook, "steps": [5]}, {**runbook, "steps": [{}]},
        {**runbook, "steps": [{**_STEP, "interface": "nothing"}]}, {**runbook, "steps": [{**_STEP, "order": -1}]},
        {**runbook, "steps": [{**_STEP, "order": "x"}]}, {**runbook, "steps": [{**_STEP, "priority": 1}]},
        {**runbook, "steps": [{"interface": "bios", "step": "x", "order": 1}]}, {**runbook, "uuid": "x"}, {**runbook, "uuid": f"{_UUID}1"},
        {**runbook, "extra": []}, {**runbook, "nothing": 1}, 
        {**runbook, "owner": 5}, {**runbook, "description": 5}, {**runbook, "traits": "x"}, {**runbook, "traits": ["bad"]}, [], None,
    ):  # fmt: skip
        play.post(path, body)
    words = expect("runbook-words", "body.error_message.faultstring")
    for flag in ("public", "disable_ramdisk"):
        play.post(path, {**runbook, flag: "maybe"}, differs=words)
    play.post(path, {**runbook, "public": True, "disable_ramdisk": True})
    play.post(path, {**runbook, "name": "CUSTOM_THREE", "uuid": f"{_UUID}3", "description": "d", "traits": ["CUSTOM_A"]})
    play.post(path, {**runbook, "name": "CUSTOM_FOUR", "uuid": f"{_UUID}4", "description": "d"}, at=111)
    play.post(path, {**runbook, "name": "CUSTOM_OLD"}, at=91)
    for minor in (91, 92, 111, 112, LATEST):
        play.get(path, at=minor)
        play.get(f"{path}/CUSTOM_ONE", at=minor)
        play.get(f"{path}?detail=true", at=minor)


def lists_and_changes(play: Play) -> None:
    path = "/v1/runbooks"
    for number in range(1, 4):
        play.post(path, {"name": f"CUSTOM_{number}", "steps": [_STEP], "uuid": f"{_UUID}{number}"})
    for query in (
        "detail=false", "detail=x", "detail=true&fields=name", "fields=uuid,extra", "fields=nothing", "limit=2", f"limit=2&marker={_UUID}2",
        "marker=x", "sort_key=name&sort_dir=desc", "sort_key=steps", "sort_key=nothing", "nothing=1", "project=x",
    ):  # fmt: skip
        play.get(f"{path}?{query}")
    play.get(f"{path}/{_UUID}1?fields=name")
    play.get(f"{path}/nobody")
    play.get(f"{path}/{_UUID}9")
    itself = f"{path}/{_UUID}1"
    for patch in (
        [], one("replace", "/name", "CUSTOM_NEW"), one("replace", "/name", "CUSTOM_2"), one("replace", "/name", "bad"),
        one("remove", "/name"), one("add", "/extra/a", 1), one("remove", "/extra"), one("replace", "/steps", []),
        one("replace", "/steps", [{**_STEP, "order": 5}]), one("remove", "/steps"), one("replace", "/public", True),
        one("remove", "/public"), one("replace", "/disable_ramdisk", True),
        one("replace", "/owner", "x"), one("remove", "/owner"), one("add", "/description", "d"), one("replace", "/traits", []),
        one("replace", "/uuid", f"{_UUID}4"), one("add", "/nothing", 1), [5],
    ):  # fmt: skip
        play.patch(itself, patch)
    play.get(itself)
    words = expect("runbook-words", "body.error_message.faultstring")
    play.patch(itself, one("replace", "/public", "maybe"), differs=words)
    play.patch(itself, [], at=91)
    play.patch(f"{path}/nobody", [])
    play.delete(f"{path}/CUSTOM_2", at=91)
    play.delete(f"{path}/CUSTOM_2")
    play.delete(f"{path}/CUSTOM_2")
    play.get(f"{path}?fields=name")


def traits(play: Play) -> None:
    play.post("/v1/runbooks", {"name": "CUSTOM_1", "steps": [_STEP], "uuid": f"{_UUID}1"})
    path = "/v1/runbooks/CUSTOM_1/traits"
    play.get(path)
    play.get(path, at=111)
    for body in ({"traits": ["CUSTOM_B", "CUSTOM_A"]}, {"traits": ["bad"]}, {"traits": None}, {}, {"other": []}):
        play.put(path, body)
        play.get(path)
    play.put(f"{path}/CUSTOM_C")
    play.put(f"{path}/bad")
    play.delete(f"{path}/CUSTOM_A")
    play.delete(f"{path}/CUSTOM_Z")
    play.get(path)
    play.delete(path)
    play.get(path)
    play.get("/v1/runbooks/nobody/traits")


def used_by_verbs(play: Play) -> None:
    play.post("/v1/runbooks", {"name": "CUSTOM_RESET", "steps": [_STEP], "uuid": f"{_UUID}1"})
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    switch(play, "n", "power off")
    lead(play, "n", "manageable", target="manage")
    verb = {"target": "clean", "runbook": "CUSTOM_RESET"}
    play.put("/v1/nodes/n/states/provision", verb)
    play.put("/v1/nodes/n/traits", {"traits": ["CUSTOM_RESET"]})
    play.put("/v1/nodes/n/states/provision", {"target": "clean", "runbook": "CUSTOM_OTHER"})
    play.put("/v1/nodes/n/states/provision", {"target": "manage", "runbook": "CUSTOM_RESET"})
    play.put("/v1/nodes/n/states/provision", verb)
    play.get("/v1/nodes/n/states", until=lambda body: body["provision_state"] == "manageable" and body["target_provision_state"] is None)
