"""Input that nobody sends by accident."""

from __future__ import annotations

from ..differences import accepted, expect, refused
from ..play import Play
from .nodes import NODE


def bodies(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    for body in (b"", b"{", b"not json", b"\xff\xfe", b"null", b"true", b"[]", b'"x"', b"5", b"{}{}", b'{"driver": "fake-hardware", "driver": "x"}'):
        play.post("/v1/nodes", body)
        ignored = body not in (b"", b"\xff\xfe") and not body.startswith(b'{"')
        wrong = expect("wrong-body", "body.error_message.faultstring") if ignored else None
        play.put("/v1/nodes/n/states/provision", body, differs=wrong)
        if body != b"[]":
            play.patch("/v1/nodes/n", body)
    for body in (b'{"driver": NaN}', b'{"extra": 1e999, "driver": "fake-hardware"}'):
        for method, path in (("POST", "/v1/nodes"), ("PUT", "/v1/nodes/n/states/provision"), ("PATCH", "/v1/nodes/n")):
            play.step(method, path, body, differs=expect("not-json", "body.error_message.faultstring"))
    depth = 40
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    for body in (b"[" * depth + b"]" * depth, b'{"driver": "fake-hardware", "extra": ' + nested + b"}"):
        play.post("/v1/nodes", body)
        play.put("/v1/nodes/n/states/provision", body)
        play.patch("/v1/nodes/n", body)


def content_types(play: Play) -> None:
    body = b'{"driver": "fake-hardware"}'
    play.post("/v1/nodes", body, headers={"Content-Type": "text/plain"})
    play.post("/v1/nodes", body, headers={"Content-Type": "application/json; charset=utf-8"})
    play.post("/v1/nodes", body, headers={"Content-Type": ""})
    play.post("/v1/nodes", b"driver=fake-hardware", headers={"Content-Type": "application/x-www-form-urlencoded"})
    for accept in ("text/plain", "text/html"):
        play.get("/v1/nodes", headers={"Accept": accept}, differs=accepted("accept", 200))
    for accept in ("*/*", "", "text/html, application/json;q=0.5"):
        play.get("/v1/nodes", headers={"Accept": accept})
    play.get("/v1/nodes?fields=driver,name")


def sizes(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "extra": {"a": "x" * (1 << 20)}})
    play.post("/v1/nodes", {**NODE, "name": "n", "extra": {"a": "x" * 100_000}})
    play.patch("/v1/nodes/n", [{"op": "add", "path": "/extra/b", "value": "x" * (1 << 20)}])
    play.post("/v1/nodes", {**NODE, "extra": {str(number): number for number in range(1000)}})


def paths(play: Play) -> None:
    for path in (
        "/v1/nodes/%ff", "/v1/nodes/%", "/v1//nodes",
        "/v1/nodes/%27%20or%201=1", "/V1/NODES", "/v1/nodes?limit=1&limit=2", "/v1/nodes?fields=%ff", "/v1/nodes?=1",
        "/v1/nodes?&&", "/v1/nodes?limit", 
        "/v1/nodes?description_contains=%25", "/v1/nodes?description_contains=_", "/v1/nodes?description_contains='",
    ):  # fmt: skip
        play.get(path)
    for path in ("/v1/nodes/..%2f..%2fetc", "/v1/nodes/a%2fb"):
        play.get(path, differs=refused("decoded-path"))
    play.get("/v1/nodes/" + "a" * 5000, differs=refused("long-quotes"))
    play.get("/v1/nodes?" + "a" * 5000, differs=expect("long-quotes", "body.error_message.faultstring"))
    for path in ("/v1/nodes/%00", "/v1/nodes?%00=1"):
        play.get(path, differs=refused("nul"))
    play.get("//v1/nodes", differs=refused("double-slash", 404))
    play.get("/v1/nodes?sort_key=id;drop", differs=expect("query-semicolon", "body.error_message.faultstring"))
    play.get("/v1/nodes?limit=99999999999999999999", differs=refused("huge-numbers"))


def values(play: Play) -> None:
    odd = {
        "empty": "", "null": None, "zero": 0, "minus": -1, "big": 12345678901234567890, "float": 0.1, "exponent": 1e-7,
        "whole float": 5.0, "true": True, "snow": "\u2603", "astral": "\U0001f600", "quote": "'\"\\", "newline": "a\nb", "nul": "\u0000",
        "list": [[], {}, [None]], "": "empty key", "spaced key": 1, "nested": {"a": {"b": {"c": [1, {"d": 2}]}}},
    }  # fmt: skip
    play.post("/v1/nodes", {**NODE, "name": "n", "extra": odd, "properties": odd, "driver_info": odd, "instance_info": odd})
    play.get("/v1/nodes/n")
    for key, value in odd.items():
        if key.isalpha():
            play.patch("/v1/nodes/n", [{"op": "replace", "path": f"/extra/{key}", "value": {"again": value}}])
    play.get("/v1/nodes/n?fields=extra")
    huge = expect("huge-numbers", "body.extra.huge", "body.reservation")
    play.patch("/v1/nodes/n", [{"op": "add", "path": "/extra/huge", "value": 10**30}], differs=huge)
