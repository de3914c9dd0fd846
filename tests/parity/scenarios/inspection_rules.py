"""Inspection rules."""

from __future__ import annotations

from ..differences import expect, refused
from ..play import LATEST, Play
from ..steps import one

_UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33f60"
_CONDITION = {"op": "eq", "args": ["{inventory[cpu][count]}", 8]}
_ACTION = {"op": "set-attribute", "args": ["/extra/rule", "yes"]}


def creation(play: Play) -> None:
    path = "/v1/inspection_rules"
    rule = {"actions": [_ACTION]}
    for body in (
        {**rule, "uuid": f"{_UUID}1", "description": "d", "priority": 5, "conditions": [_CONDITION], "phase": "main", "sensitive": False},
        {**rule, "uuid": f"{_UUID}2", "sensitive": True, "conditions": [_CONDITION]}, {}, {"actions": []}, {"actions": None}, {"actions": {}},
        {"actions": [5]}, {"actions": [{}]}, {"actions": [{"op": "nothing", "args": []}]}, {"actions": [{"op": "fail"}]},
        {"actions": [{"op": "fail", "args": {"msg": "x"}}], "uuid": f"{_UUID}3"}, {"actions": [{"op": "fail", "args": {"nothing": "x"}}]},
        {"actions": [{**_ACTION, "nothing": 1}]}, {**rule, "conditions": [{"op": "nothing", "args": []}]}, {**rule, "conditions": [5]},
        {**rule, "conditions": [{"op": "!eq", "args": [1, 2]}], "uuid": f"{_UUID}4"}, {**rule, "conditions": [{"op": "eq", "args": [1]}]},
        {**rule, "conditions": [{"op": "eq"}]}, {**rule, "priority": -1}, {**rule, "priority": 10000},
        {**rule, "phase": "nothing"}, {**rule, "phase": None, "uuid": f"{_UUID}5"}, {**rule, "description": 5},
        {**rule, "description": "x" * 256}, {**rule, "sensitive": "maybe"}, {**rule, "uuid": f"{_UUID}1"},
        {**rule, "nothing": 1}, [], None,
    ):  # fmt: skip
        play.post(path, body)
    text = "body.error_message.faultstring"
    for wrong in ({"conditions": {}}, {"priority": "x"}):
        play.post(path, {**rule, **wrong}, differs=expect("rule-conditions", text))
    play.post(path, rule, at=95)
    for minor in (95, 96, LATEST):
        play.get(path, at=minor)
        play.get(f"{path}/{_UUID}1", at=minor)
    play.get(f"{path}/{_UUID}2")
    play.get(f"{path}?detail=true")


def operators(play: Play) -> None:
    for op, args in (
        ("eq", [1, 2]), ("lt", [1, 2]), ("gt", [1, 2]), ("is-empty", [1]), ("in-net", ["192.0.2.1", "192.0.2.0/24"]), ("matches", ["a", "b"]),
        ("contains", ["a", "b"]), ("one-of", ["a", ["b"]]), ("is-none", [1]), ("is-true", [1]), ("is-false", [1]), ("is-true", [1, 2]),
    ):  # fmt: skip
        play.post("/v1/inspection_rules", {"conditions": [{"op": op, "args": args}], "actions": [_ACTION]})
    for op, args in (
        ("fail", ["m"]), ("log", ["m", "info"]), ("set-attribute", ["/a", 1]), ("extend-attribute", ["/a", 1]), ("del-attribute", ["/a"]),
        ("set-capability", ["a", "b"]), ("unset-capability", ["a"]), ("add-trait", ["CUSTOM_A"]), ("remove-trait", ["CUSTOM_A"]),
        ("set-plugin-data", ["a", 1]), ("extend-plugin-data", ["a", 1]), ("unset-plugin-data", ["a"]), ("set-port-attribute", ["p", "/a", 1]),
        ("extend-port-attribute", ["p", "/a", 1]), ("del-port-attribute", ["p", "/a"]), ("api-call", ["http://192.0.2.1/"]), ("log", []),
        ("set-attribute", ["/a"]),
    ):  # fmt: skip
        play.post("/v1/inspection_rules", {"actions": [{"op": op, "args": args}]})
    loop = {"op": "set-attribute", "args": ["/extra/{item}", "x"], "loop": ["a", "b"]}
    play.post("/v1/inspection_rules", {"actions": [loop]})
    multiple = {"op": "eq", "args": ["{item}", "x"], "loop": ["a"], "multiple": "any"}
    play.post("/v1/inspection_rules", {"conditions": [multiple], "actions": [_ACTION], "uuid": f"{_UUID}1"})
    play.post("/v1/inspection_rules", {"conditions": [{**multiple, "multiple": "nothing"}], "actions": [_ACTION]})
    play.get("/v1/inspection_rules?detail=true", differs=expect("rule-arguments", "body.inspection_rules"))


def lists_and_changes(play: Play) -> None:
    path = "/v1/inspection_rules"
    for number in range(1, 4):
        play.post(path, {"actions": [_ACTION], "uuid": f"{_UUID}{number}", "priority": number})
    for query in (
        "detail=false", "detail=x", "detail=true&fields=uuid", "fields=uuid,priority", "fields=nothing", "limit=2", f"limit=2&marker={_UUID}2",
        "marker=x", "sort_key=priority&sort_dir=desc", "sort_key=actions", "sort_key=nothing", "nothing=1", "phase=main",
    ):  # fmt: skip
        play.get(f"{path}?{query}")
    play.get(f"{path}?phase=nothing", differs=expect("rule-phase"))
    itself = f"{path}/{_UUID}1"
    for patch in (
        [], one("replace", "/description", "new"), one("remove", "/description"), one("replace", "/priority", 7),
        one("replace", "/priority", 99999), one("remove", "/priority"), one("replace", "/actions", []), one("remove", "/actions"),
        one("replace", "/actions", [{"op": "log", "args": ["x"]}]), one("add", "/conditions", [_CONDITION]), one("remove", "/conditions"),
        one("replace", "/sensitive", True), one("replace", "/sensitive", False), one("replace", "/phase", "nothing"),
        [5],
    ):  # fmt: skip
        play.patch(itself, patch)
        play.get(itself)
    for attribute in ("/uuid", "/nothing"):
        play.patch(itself, one("add", attribute, f"{_UUID}4"), differs=refused("rule-attributes"))
    play.patch(itself, [], at=95)
    play.patch(f"{path}/{_UUID}9", [])
    play.get(f"{path}/x")
    play.delete(f"{path}/{_UUID}2", at=95)
    play.delete(f"{path}/{_UUID}2")
    play.delete(f"{path}/{_UUID}2")
    play.get(path)
    play.delete(path)
    play.get(path, differs=expect("rules-forgotten", "body.inspection_rules"))
