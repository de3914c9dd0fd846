"""Allocations: by resource class, traits and candidates, backfilled, changed, removed."""

from __future__ import annotations

from typing import Any

from ..differences import expect, refused
from ..play import LATEST, Play
from ..steps import lead, one, switch
from .nodes import NODE

_UUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33f30"
_INSTANCE = "1be26c0b-03f2-4d2e-ae87-c02d7f33f3f0"


#: Why there was no node for an allocation; Billet also counts.
_REASON = expect("allocation-reasons", "body.last_error")


def _settled(body: Any) -> bool:
    return body["state"] in ("active", "error")


def _available(play: Play, name: str, resource_class: str, traits: list[str]) -> None:
    play.post("/v1/nodes", {**NODE, "name": name, "resource_class": resource_class}, keep={name: "uuid"})
    play.put(f"/v1/nodes/{name}/traits", {"traits": traits})
    # `provide` takes nodes whose power is known.
    switch(play, name, "power off")
    for target, state in (("manage", "manageable"), ("provide", "available")):
        lead(play, name, state, target=target)


def allocation(play: Play) -> None:
    _available(play, "n1", "small", ["CUSTOM_A"])
    _available(play, "n2", "large", ["CUSTOM_A", "CUSTOM_B"])
    path = "/v1/allocations"
    play.post(path, {"resource_class": "small", "name": "first", "uuid": f"{_UUID}1", "extra": {"a": 1}})
    play.get(f"{path}/first", until=_settled)
    play.get("/v1/nodes/n1?fields=allocation_uuid,instance_uuid,instance_info")
    play.get("/v1/nodes/n1/allocation")
    play.get("/v1/nodes/n1/allocation", at=51)
    play.get("/v1/nodes/n2/allocation")
    play.get("/v1/nodes/nobody/allocation")
    play.post(path, {"resource_class": "small", "name": "second", "uuid": f"{_UUID}2"})
    play.get(f"{path}/second", until=_settled, differs=_REASON)
    play.post(path, {"resource_class": "large", "traits": ["CUSTOM_C"], "name": "third", "uuid": f"{_UUID}3"})
    play.get(f"{path}/third", until=_settled, differs=_REASON)
    play.post(path, {"resource_class": "large", "traits": ["CUSTOM_B"], "candidate_nodes": ["n2"], "name": "fourth", "uuid": f"{_UUID}4"})
    play.get(f"{path}/fourth", until=_settled)
    for minor in (51, 52, 57, 59, 60, LATEST):
        play.get(path, at=minor, differs=expect("allocation-reasons", "body.allocations.*.last_error") if minor > 51 else None)
        play.get(f"{path}/first", at=minor)
    for query in (
        "limit=2", f"limit=2&marker={_UUID}2", "marker=x", "sort_key=name&sort_dir=desc", "sort_key=extra", "sort_key=nothing",
        "fields=uuid,state", "fields=nothing", "fields=owner", "resource_class=small", "resource_class=x", "state=active", "state=error",
        "state=nothing", "node=n1", "node=${n1}", "node=nobody", "owner=x", "nothing=1", "detail=true",
    ):  # fmt: skip
        fields = "" if "fields" in query else "&fields=uuid,name,state"
        play.get(f"{path}?{query}{fields}")
    play.get(f"{path}?owner=x", at=59)
    play.get(f"{path}?fields=owner", at=59)
    play.get(f"{path}/first?fields=name,state")
    play.get(f"{path}/{_UUID}9")
    play.get(f"{path}/not%20valid")
    play.delete("/v1/nodes/n1")
    play.patch("/v1/nodes/n1", one("replace", "/instance_uuid", _INSTANCE))
    play.delete(f"{path}/first")
    play.get("/v1/nodes/n1?fields=allocation_uuid,instance_uuid,instance_info")
    play.delete("/v1/nodes/n2/allocation")
    play.get("/v1/nodes/n2?fields=allocation_uuid,instance_uuid")
    play.delete("/v1/nodes/n2/allocation")
    play.get(f"{path}/fourth")
    play.delete(f"{path}/second")
    play.delete(f"{path}/{_UUID}3", at=51)
    play.delete(f"{path}/{_UUID}3")
    play.delete(f"{path}/{_UUID}3")
    play.get(path)


def unset_with_the_instance(play: Play) -> None:
    _available(play, "n1", "small", [])
    play.post("/v1/allocations", {"resource_class": "small", "name": "a", "uuid": f"{_UUID}1"})
    play.get("/v1/allocations/a", until=_settled)
    noted = expect("driver-internal-info", "body.driver_internal_info", "body.reservation")
    play.patch("/v1/nodes/n1", one("remove", "/instance_uuid"), differs=noted)
    play.get("/v1/allocations/a")
    play.post("/v1/allocations", {"resource_class": "small", "name": "a", "uuid": f"{_UUID}2"})
    play.get("/v1/allocations/a", until=_settled)
    play.put("/v1/nodes/n1/maintenance", {})
    play.delete("/v1/allocations/a")
    play.post("/v1/allocations", {"resource_class": "small", "name": "b", "uuid": f"{_UUID}3"})
    play.get("/v1/allocations/b", until=_settled, differs=_REASON)


def creation_refused(play: Play) -> None:
    path = "/v1/allocations"
    play.post("/v1/nodes", {**NODE, "name": "n", "resource_class": "x"}, keep={"node": "uuid"})
    for body in (
        {}, {"resource_class": None}, {"resource_class": 5}, {"resource_class": ""}, {"resource_class": "x" * 81},
        {"resource_class": "x", "name": "not valid"}, {"resource_class": "x", "name": f"{_UUID}1"},
        {"resource_class": "x", "name": 5}, {"resource_class": "x", "traits": "CUSTOM_A"}, {"resource_class": "x", "traits": ["bad"]},
        {"resource_class": "x", "candidate_nodes": ["nobody"]}, {"resource_class": "x", "candidate_nodes": "n"},
        {"resource_class": "x", "candidate_nodes": [f"{_UUID}9"]}, {"resource_class": "x", "extra": []}, {"resource_class": "x", "nothing": 1},
        {"resource_class": "x", "node_uuid": "${node}"}, {"resource_class": "x", "state": "active"}, {"node": "nobody"}, {"node": 5},
        {"node": "n", "traits": ["CUSTOM_A"]}, {"node": "n", "candidate_nodes": ["n"]}, {"node": "n", "resource_class": "other"}, [], None,
    ):  # fmt: skip
        play.post(path, body)
    play.post(path, {"resource_class": "x"}, at=51)
    play.post(path, {"node": "n"}, at=57)
    play.post(path, {"resource_class": "x", "owner": "o"}, at=59)
    play.get(f"{path}?fields=name", differs=expect("backfill-refused", "body.allocations"))


def backfill(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n", "resource_class": "x", "instance_info": {"image_source": "http://192.0.2.1/i"}}, keep={"node": "uuid"})
    switch(play, "n", "power off")
    play.post("/v1/allocations", {"node": "n", "name": "early", "uuid": f"{_UUID}1"})
    play.get("/v1/allocations/early", differs=refused("backfill-refused", 404))
    for target, state in (("manage", "manageable"), ("adopt", "active")):
        lead(play, "n", state, target=target)
    play.post("/v1/allocations", {"node": "n", "name": "a", "uuid": f"{_UUID}2"})
    play.get("/v1/allocations/a", until=_settled)
    play.get("/v1/nodes/n?fields=allocation_uuid,instance_uuid")
    play.post("/v1/allocations", {"node": "n", "name": "b", "uuid": f"{_UUID}3"})
    play.get("/v1/allocations?fields=name,state", differs=expect("backfill-refused", "body.allocations"))
    # An allocation of an active node goes with its maintenance only.
    play.delete("/v1/allocations/a")
    play.put("/v1/nodes/n/maintenance", {})
    play.delete("/v1/allocations/a")


def changes(play: Play) -> None:
    play.post("/v1/allocations", {"resource_class": "x", "name": "a", "uuid": f"{_UUID}1"})
    play.post("/v1/allocations", {"resource_class": "x", "name": "taken", "uuid": f"{_UUID}2"})
    play.post("/v1/allocations", {"resource_class": "x", "name": "taken", "uuid": f"{_UUID}3"})
    play.post("/v1/allocations", {"resource_class": "x", "uuid": f"{_UUID}1"})
    path = f"/v1/allocations/{_UUID}1"
    play.get(path, until=_settled)
    for patch in (
        [], one("replace", "/name", "b"), one("replace", "/name", "taken"), one("replace", "/name", "not valid"),
        one("remove", "/name"), one("add", "/extra/a", 1), one("remove", "/extra"), one("replace", "/resource_class", "y"),
        one("replace", "/state", "active"), one("replace", "/uuid", f"{_UUID}4"), one("add", "/nothing", 1),
        one("replace", "/owner", "x"), one("replace", "/traits", "x"), [5], None,
    ):  # fmt: skip
        play.patch(path, patch)
    play.get(path)
    play.patch(path, [], at=56)
    play.patch("/v1/allocations/nobody", [])
