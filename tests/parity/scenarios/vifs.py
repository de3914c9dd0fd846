"""VIFs of nodes, on the network interface that needs no Neutron."""

from __future__ import annotations

from ..differences import expect, refused
from ..play import Play
from .nodes import NODE


def vifs(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01"}, keep={"port": "uuid"})
    path = "/v1/nodes/n/vifs"
    play.get(path)
    play.get(path, at=27)
    play.post(path, {"id": "1be26c0b-03f2-4d2e-ae87-c02d7f33e001"})
    play.get(path, differs=expect("vif-noop", "body.vifs"))
    for body in ({}, {"id": None}, {"id": 5}, {"id": ""}, {"id": "not valid"}, [], None):
        play.post(path, body)
    play.post(path, {"id": "a", "port_uuid": "${port}"}, at=66, differs=refused("vif-noop"))
    play.post(path, {"id": "a", "port_uuid": "x"}, differs=refused("vif-noop"))
    play.post(path, {"id": "a", "port_uuid": "${port}", "portgroup_uuid": "${port}"})
    play.delete(f"{path}/1be26c0b-03f2-4d2e-ae87-c02d7f33e00f", differs=refused("vif-noop"))
    play.delete(f"{path}/1be26c0b-03f2-4d2e-ae87-c02d7f33e001")
    play.get(path)
    play.get(f"{path}/x")
    play.put(path, {})
    play.get("/v1/nodes/nobody/vifs")
