"""Drivers and conductors."""

from __future__ import annotations

from ..differences import expect, refused
from ..play import LATEST, Play


def drivers(play: Play) -> None:
    for minor in (1, 29, 30, 31, 32, 33, 37, 38, 39, 40, 76, 77, 85, 86, LATEST):
        classic = expect("classic-drivers", "body.drivers") if minor < 30 else None
        play.get("/v1/drivers", at=minor, differs=classic)
        play.get("/v1/drivers/fake-hardware", at=minor)
    for query in (
        "type=dynamic", "type=classic", "type=x", "detail=true", "detail=false", "detail=x", "type=classic&detail=true", "nothing=1",
        "fields=name", "fields=name,type,hosts", "fields=nothing", "detail=true&fields=name",
    ):  # fmt: skip
        play.get(f"/v1/drivers?{query}")
        play.get(f"/v1/drivers/ipmi?{query}")
    play.get("/v1/drivers?type=dynamic", at=29)
    play.get("/v1/drivers?detail=true", at=29)
    play.get("/v1/drivers?fields=name", at=76)
    play.get("/v1/drivers/ipmi")
    play.get("/v1/drivers/redfish")
    play.get("/v1/drivers/nothing")
    play.post("/v1/drivers", {})
    play.delete("/v1/drivers/ipmi")
    for name in ("fake-hardware", "ipmi"):
        for minor in (LATEST, 14, 13):
            play.get(f"/v1/drivers/{name}/properties", at=minor, differs=expect("driver-properties", "body"))
    play.get("/v1/drivers/nothing/properties")
    play.get("/v1/drivers/ipmi/nothing", differs=refused("no-such-path", 404))


def conductors(play: Play) -> None:
    for minor in (1, 48, 49, LATEST):
        play.get("/v1/conductors", at=minor)
        play.get("/v1/conductors/conductor-1", at=minor)
    for query in (
        "detail=true", "detail=false", "detail=x", "fields=hostname", "fields=alive,drivers", "fields=nothing", "limit=1", "limit=0",
        "marker=conductor-1", "marker=nobody", "sort_key=hostname", "sort_key=nothing", "sort_key=drivers", "sort_key=alive",
        "sort_dir=desc", "detail=true&fields=hostname", "nothing=1",
    ):  # fmt: skip
        play.get(f"/v1/conductors?{query}")
    play.get("/v1/conductors/nobody")
    play.get("/v1/conductors/conductor-1?fields=hostname")
    play.get("/v1/conductors/conductor-1?fields=nothing")
    play.post("/v1/conductors", {})
    play.delete("/v1/conductors/conductor-1")
