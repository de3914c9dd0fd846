"""Shards, and events from the network service."""

from __future__ import annotations

from ..differences import expect
from ..play import LATEST, Play
from .nodes import NODE


def shards(play: Play) -> None:
    play.get("/v1/shards")
    for number, shard in enumerate(("b", "a", "b", None)):
        play.post("/v1/nodes", {**NODE, "name": f"n{number}", "shard": shard})
    for minor in (81, 82, LATEST):
        play.get("/v1/shards", at=minor)
    play.get("/v1/shards?x=1")
    play.get("/v1/shards/a", differs=expect("no-such-path", "body"))
    play.post("/v1/shards", {})


def events(play: Play) -> None:
    path = "/v1/events"
    event = {
        "event": "network.bind_port", "port_id": "1be26c0b-03f2-4d2e-ae87-c02d7f33fe01", "mac_address": "de:ad:ca:fe:ba:be",
        "status": "ACTIVE", "device_id": "22222222-aaaa-bbbb-cccc-555555555555", "binding:host_id": "22222222-aaaa-bbbb-cccc-555555555555",
        "binding:vnic_type": "baremetal",
    }  # fmt: skip
    for body in (
        {"events": [event]}, {"events": [event, event]}, {"events": []}, {"events": None}, {"events": {}}, {"events": [5]}, {"events": [{}]},
        {"events": [{"event": "nothing"}]}, {"events": [{"event": "network.bind_port"}]}, {"events": [{**event, "mac_address": "x"}]},
        {"events": [{**event, "port_id": "x"}]}, {"events": [{**event, "nothing": 1}]}, {"events": [{**event, "event": 5}]}, {}, [], None,
        {"events": [event], "other": 1},
    ):  # fmt: skip
        play.post(path, body)
    play.post(path, {"events": [event]}, at=53)
    play.get(path)
