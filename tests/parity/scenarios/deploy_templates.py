"""Deploy templates."""

from __future__ import annotations

from ..differences import expect
from ..play import LATEST, Play
from ..steps import one

_UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33f40"
_STEP = {"interface": "bios", "step": "apply_configuration", "args": {"settings": [{"name": "a", "value": "b"}]}, "priority": 150}


def creation(play: Play) -> None:
    path = "/v1/deploy_templates"
    play.post(path, {"name": "CUSTOM_ONE", "steps": [_STEP], "uuid": f"{_UUID}1", "extra": {"a": 1}})
    template = {"name": "CUSTOM_TWO", "steps": [_STEP], "uuid": f"{_UUID}2"}
    for body in (
        {}, {"name": "CUSTOM_TWO"}, {"steps": [_STEP]}, {**template, "name": "CUSTOM_ONE"}, {**template, "name": "bad"}, {**template, "name": 5},
        {**template, "name": "HW_CPU_X86_VMX", "uuid": f"{_UUID}3"}, {**template, "name": None}, {**template, "steps": []},
        {**template, "steps": None}, {**template, "steps": {}}, {**template, "steps": [5]}, {**template, "steps": [{}]},
        {**template, "steps": [{**_STEP, "interface": "nothing"}]}, {**template, "steps": [{**_STEP, "step": ""}]},
        {**template, "steps": [{**_STEP, "args": []}]}, {**template, "steps": [{**_STEP, "priority": -1}]},
        {**template, "steps": [{**_STEP, "priority": "x"}]},
        {**template, "steps": [{"interface": "bios", "step": "x", "priority": 1}]}, {**template, "steps": [{**_STEP, "nothing": 1}]},
        {**template, "steps": [_STEP, _STEP]}, {**template, "uuid": "x"}, {**template, "uuid": f"{_UUID}1"}, {**template, "extra": []},
        {**template, "nothing": 1}, [], None,
    ):  # fmt: skip
        play.post(path, body)
    play.post(path, {**template, "steps": [{**_STEP, "priority": "5"}]}, differs=expect("priority-text", "body.steps"))
    play.post(path, {"name": "CUSTOM_OLD", "steps": [_STEP]}, at=54)
    play.get(f"{path}?fields=name,steps")


def lists_and_changes(play: Play) -> None:
    path = "/v1/deploy_templates"
    for number in range(1, 4):
        play.post(path, {"name": f"CUSTOM_{number}", "steps": [_STEP], "uuid": f"{_UUID}{number}"})
    for minor in (54, 55, LATEST):
        play.get(path, at=minor)
        play.get(f"{path}/CUSTOM_1", at=minor)
    for query in (
        "detail=true", "detail=false", "detail=x", "detail=true&fields=name", "fields=uuid,extra", "fields=nothing", "limit=2",
        f"limit=2&marker={_UUID}2", "marker=x", "marker=CUSTOM_1", "sort_key=name&sort_dir=desc", "sort_key=steps", "sort_key=nothing", "nothing=1",
        "limit=2&detail=true",
    ):  # fmt: skip
        play.get(f"{path}?{query}")
    play.get(f"{path}/{_UUID}1?fields=name")
    play.get(f"{path}/nobody")
    play.get(f"{path}/{_UUID}9")
    itself = f"{path}/{_UUID}1"
    for patch in (
        [], one("replace", "/name", "CUSTOM_NEW"), one("replace", "/name", "CUSTOM_2"), one("replace", "/name", "bad"),
        one("remove", "/name"), one("add", "/extra/a", 1), one("remove", "/extra"), one("replace", "/steps", []),
        one("remove", "/steps"), one("replace", "/steps", [{**_STEP, "step": "factory_reset", "args": {}}]),
        one("add", "/steps/-", {**_STEP, "step": "other"}), one("replace", "/steps/0/nothing", 5), one("replace", "/uuid", f"{_UUID}4"), one("add", "/nothing", 1), [5],
    ):  # fmt: skip
        play.patch(itself, patch)
    play.get(itself)
    play.patch(itself, one("replace", "/steps/0/priority", 5), differs=expect("step-order", "body.steps"))
    play.patch(itself, [], at=54)
    play.patch(f"{path}/nobody", [])
    play.delete(f"{path}/CUSTOM_2", at=54)
    play.delete(f"{path}/CUSTOM_2")
    play.delete(f"{path}/CUSTOM_2")
    play.get(f"{path}?fields=name")
