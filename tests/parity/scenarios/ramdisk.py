"""What a ramdisk calls: lookup and heartbeat."""

from __future__ import annotations

from ..differences import expect, refused
from ..play import Play
from .nodes import NODE


def lookup(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01"})
    for query in (
        "", "addresses=52:54:00:aa:00:01", "addresses=52:54:00:aa:00:99", "addresses=x", "addresses=", "node_uuid=${node}",
        "node_uuid=x", "node_uuid=1be26c0b-03f2-4d2e-ae87-c02d7f33cabc", "nothing=1", "addresses=x,52:54:00:aa:00:01&node_uuid=${node}",
    ):  # fmt: skip
        play.get(f"/v1/lookup?{query}")
    play.get("/v1/lookup?node_uuid=${node}", at=21)
    play.post("/v1/lookup", {})


def heartbeat(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    path = "/v1/heartbeat/${node}"
    url = {"callback_url": "https://192.0.2.1:9999"}
    text = "body.error_message.faultstring"
    play.post(path, {**url, "agent_token": "x"}, differs=expect("agent-version", text))
    play.post(path, [], differs=expect("wrong-body", text))
    for body in (url, {**url, "agent_token": "x", "agent_version": "9"}, {}, {"callback_url": "x"}, {"callback_url": 5}, {**url, "nothing": 1}, None,
                 {**url, "agent_status": "nothing", "agent_token": "x"}):  # fmt: skip
        play.post(path, body)
    play.post(path, url, at=21)
    play.post(path, {**url, "agent_version": "1", "agent_token": "x"}, at=35)
    play.post(path, {**url, "agent_verify_ca": "x", "agent_token": "x"}, at=67)
    play.post(path, {**url, "agent_status": "end", "agent_token": "x"}, at=71)
    play.post("/v1/heartbeat/nobody", url)
    play.post("/v1/heartbeat", url, differs=refused("no-such-path", 404))
    play.get(path)
