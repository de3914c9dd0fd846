"""The version documents, version negotiation, and what there is not."""

from __future__ import annotations

from ..differences import accepted, expect, refused
from ..play import Play

#: Below and at the microversions with which links appear in GET /v1.
_EDGES = (1, 4, 22, 23, 31, 32, 48, 49, 51, 52, 53, 54, 55, 81, 82, 83, 84, 91, 92, 95, 96, 115)


def root(play: Play) -> None:
    described = expect("service-description", "body.description")
    play.get("/", at=None, differs=described)
    play.get("/", differs=described)
    play.get("/", at="9.9", differs=accepted("root-any-version", 200))


def v1(play: Play) -> None:
    for minor in _EDGES:
        play.get("/v1", at=minor)
    play.get("/v1/", at=None)
    play.get("/v1", at="latest")


def negotiation(play: Play) -> None:
    for asked in ("1.116", "2.1", "0.1", "1.0", "1", "one", "1.1.1", "", "1.-1", " 1.10", "LATEST"):
        play.get("/v1/nodes", at=asked)
    for asked in ("baremetal 1.50", "baremetal latest", "compute 2.1", "baremetal", "baremetal 1.116", "baremetal x"):
        play.get("/v1/nodes", at=None, headers={"OpenStack-API-Version": asked})
    play.get("/v1/nodes", at=20, headers={"OpenStack-API-Version": "baremetal 1.50"})
    play.get("/v1/conductors", at=None, headers={"OpenStack-API-Version": "compute 2.1, baremetal 1.50"})


def unversioned_paths(play: Play) -> None:
    play.get("/nodes")
    play.get("/nodes/")
    play.get("/v1/nodes/")
    play.get("/v1/nodes.json", at=90)
    play.get("/v1/nodes.json", at=91)
    play.get("/v1/nodes.json", at=None)


def nothing_there(play: Play) -> None:
    for path in ("/v2", "/v1/nothing", "/nothing"):
        play.get(path)
    for path in ("/v1/nodes/detail/more", "/v1/ports/detail/more"):
        play.get(path, differs=refused("no-such-path", 404))
    play.put("/v1/nodes", {})
    not_allowed = refused("no-such-path", 405)
    play.delete("/v1/nodes", differs=not_allowed)
    play.patch("/v1/nodes", [], differs=not_allowed)
    play.post("/v1", {}, differs=not_allowed)
    play.delete("/", differs=not_allowed)
    play.step("OPTIONS", "/v1/nodes", differs=not_allowed)
    play.step("HEAD", "/v1/nodes", differs=accepted("head", 200))
    play.step("HEAD", "/v1")
