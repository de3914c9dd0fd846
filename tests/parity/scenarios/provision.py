"""Provision verbs on `fake-hardware`: whole cycles, and every refusal."""

from __future__ import annotations

import base64
import gzip
from typing import Any, Callable

from ..differences import MORE_SAID, Expected, expect, refused
from ..play import LATEST, Play
from ..steps import switch
from .nodes import NODE

_PATH = "/v1/nodes/n/states/provision"
#: What is compared of a node in each state: all that a verb may change, save the conductor's own notes (`notes` looks at those).
_NODE = "/v1/nodes/n?fields=" + ",".join((
    "provision_state", "target_provision_state", "provision_updated_at", "power_state", "target_power_state", "last_error", "maintenance",
    "maintenance_reason", "fault", "reservation", "instance_info", "instance_uuid", "clean_step", "deploy_step", "service_step",
    "raid_config", "target_raid_config", "boot_mode", "secure_boot", "inspection_started_at", "inspection_finished_at", "retired",
    "protected", "deploy_interface", "traits", "health", "allocation_uuid", "properties", "console_enabled",
))  # fmt: skip
#: Steps that `fake-hardware` has at Ironic, too.
_CLEAN = {"interface": "bios", "step": "factory_reset"}
_DRIVE = base64.b64encode(gzip.compress(b"an image", mtime=0)).decode()
_SERVICE = {"interface": "vendor", "step": "log_passthrough"}


def _is(state: str) -> Callable[[Any], bool]:
    return lambda body: body["provision_state"] == state and body["reservation"] is None


def _reach(play: Play, state: str, differs: Expected | None = None) -> None:
    """Waits for a state, and compares the whole node there."""
    play.get(_NODE, until=_is(state), differs=differs)


def _verb(play: Play, target: str, state: str, differs: Expected | None = None, **more: Any) -> None:
    """A verb and where it leads."""
    play.put(_PATH, {"target": target, **more})
    _reach(play, state, differs)


def _node(play: Play, **more: Any) -> None:
    body = {**NODE, "name": "n", "instance_info": {"image_source": "http://192.0.2.1/image", "image_checksum": "0" * 32}, **more}
    play.post("/v1/nodes", body, keep={"node": "uuid"})
    switch(play, "n", "power off")


def whole_cycle(play: Play) -> None:
    _node(play)
    _verb(play, "manage", "manageable")
    _verb(play, "provide", "available")
    _verb(play, "active", "active")
    play.get("/v1/nodes/n/states")
    _verb(play, "rebuild", "active")
    rescued = expect("rescue-password", "body.instance_info")
    _verb(play, "rescue", "rescue", differs=rescued, rescue_password="secret")
    _verb(play, "unrescue", "active", differs=rescued)
    _verb(play, "deleted", "available")
    _verb(play, "manage", "manageable")
    _verb(play, "inspect", "manageable")
    _verb(play, "clean", "manageable", clean_steps=[_CLEAN])
    _verb(play, "adopt", "active")
    _verb(play, "service", "active", service_steps=[_SERVICE])
    _verb(play, "undeploy", "available")
    play.get("/v1/nodes/n/states")


def notes(play: Play) -> None:
    _node(play)
    _verb(play, "manage", "manageable")
    _verb(play, "provide", "available")
    _verb(play, "active", "active")
    play.get("/v1/nodes/n?fields=driver_internal_info", differs=expect("driver-internal-info", "body.driver_internal_info"))


def power_before_it_was_switched(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    play.put(_PATH, {"target": "manage"})
    play.get(_NODE, until=_is("manageable"), differs=expect("pretended-power", "body.power_state"))


def refusals(play: Play) -> None:
    _node(play)
    verbs = (
        "active", "deploy", "rebuild", "deleted", "undeploy", "manage", "provide", "inspect", "abort", "clean", "adopt", "rescue",
        "unrescue", "unhold", "service", "nothing", "",
    )  # fmt: skip
    for target in verbs:
        if target != "manage":
            play.put(_PATH, {"target": target})
    _verb(play, "manage", "manageable")
    for target in verbs:
        if target not in ("provide", "inspect", "adopt"):
            play.put(_PATH, {"target": target})
    _verb(play, "provide", "available")
    for target in verbs:
        if target not in ("active", "deploy", "manage"):
            play.put(_PATH, {"target": target})
    _verb(play, "active", "active")
    for target in verbs:
        if target not in ("rebuild", "deleted", "undeploy"):
            play.put(_PATH, {"target": target})
    _reach(play, "active")


def bodies(play: Play) -> None:
    _node(play)
    for body in (
        {}, None, {"target": None}, {"target": 5}, {"target": "manage", "nothing": 1}, {"target": "manage", "clean_steps": []},
        {"target": "manage", "configdrive": "x"}, {"target": "manage", "rescue_password": "x"}, {"target": "manage", "deploy_steps": []},
        {"target": "manage", "service_steps": []}, {"target": "manage", "runbook": "x"}, {"target": "manage", "disable_ramdisk": True},
        {"target": "manage", "disable_ramdisk": "maybe"},
    ):  # fmt: skip
        play.put(_PATH, body)
        play.get(_NODE, until=lambda body: body["provision_state"] in ("enroll", "manageable") and body["reservation"] is None)
    play.put("/v1/nodes/nobody/states/provision", {"target": "manage"})
    play.get(_PATH)


def clean_steps(play: Play) -> None:
    _node(play)
    _verb(play, "manage", "manageable")
    step = _CLEAN
    for steps in (
        None, [], {}, "x", [5], [{}], [{"interface": "deploy"}], [{"step": "erase_devices"}], [{**step, "interface": "nothing"}],
        [{**step, "interface": "network"}], [{**step, "step": ""}], [{**step, "step": 5}], [{**step, "args": []}], [{**step, "nothing": 1}],
        [{**step, "priority": 5}], [{**step, "order": 5}],
    ):  # fmt: skip
        play.put(_PATH, {"target": "clean", "clean_steps": steps})
        _reach(play, "manageable")
    play.put(_PATH, {"target": "clean", "clean_steps": [{"interface": "deploy", "step": "nothing"}]})
    play.get(_NODE, until=lambda body: body["provision_state"] == "clean failed" and body["reservation"] is None)
    play.delete("/v1/nodes/n/maintenance")
    _verb(play, "manage", "manageable")
    _verb(play, "clean", "manageable", clean_steps=[step, step])
    _verb(play, "clean", "manageable", clean_steps=[{**step, "args": {}}])
    # A step that wants a ramdisk.
    play.put(_PATH, {"target": "clean", "clean_steps": [step], "disable_ramdisk": True})
    _reach(play, "clean failed")
    play.delete("/v1/nodes/n/maintenance")
    _verb(play, "manage", "manageable")
    play.put(_PATH, {"target": "clean", "clean_steps": [step], "disable_ramdisk": True}, at=69)
    play.put(_PATH, {"target": "clean", "clean_steps": [step], "runbook": "x"})
    play.put(_PATH, {"target": "clean", "runbook": "x"})
    play.put(_PATH, {"target": "clean", "runbook": "x"}, at=91)


def deploy_arguments(play: Play) -> None:
    _node(play)
    _verb(play, "manage", "manageable")
    _verb(play, "provide", "available")
    step = {"interface": "deploy", "step": "deploy", "args": {}, "priority": 50}
    for steps in (
        {}, "x", [5], [{}], [{"interface": "deploy", "step": "deploy"}], [{**step, "priority": -1}], [{**step, "priority": "x"}],
        [{**step, "interface": "nothing"}], [{**step, "args": None}], [{**step, "nothing": 1}], [step, step],
    ):  # fmt: skip
        play.put(_PATH, {"target": "active", "deploy_steps": steps})
        play.get("/v1/nodes/n?fields=provision_state,last_error,reservation", until=_is("available"))
    for configdrive in (5, [], {"nothing": 1}, {"meta_data": "x"}, {"network_data": []}):
        play.put(_PATH, {"target": "active", "configdrive": configdrive})
        play.get("/v1/nodes/n?fields=provision_state,last_error,reservation", until=_is("available"))
    play.put(_PATH, {"target": "active", "configdrive": {"meta_data": {"a": 1}}}, at=55)
    play.put(_PATH, {"target": "active", "configdrive": {"vendor_data": {"a": 1}}}, at=58)
    play.put(_PATH, {"target": "active", "deploy_steps": [step]}, at=68)
    play.put(_PATH, {"target": "active", "rescue_password": "x"})
    play.get("/v1/nodes/n?fields=provision_state,last_error,reservation", until=lambda body: body["reservation"] is None)


def configdrive_that_is_none(play: Play) -> None:
    _node(play)
    _verb(play, "manage", "manageable")
    _verb(play, "provide", "available")
    play.put(_PATH, {"target": "active", "configdrive": "H4sIAAAAAAAA"}, differs=refused("configdrive-checked"))


def configdrives(play: Play) -> None:
    for configdrive in ("", _DRIVE, {}, {"meta_data": {"name": "n"}, "user_data": "x", "network_data": {}}):
        _node(play)
        _verb(play, "manage", "manageable")
        _verb(play, "provide", "available")
        play.put(_PATH, {"target": "active", "configdrive": configdrive})
        play.get(_NODE, until=_is("active"))
        _verb(play, "deleted", "available")
        play.delete("/v1/nodes/n")


def deploy_steps(play: Play) -> None:
    _node(play)
    _verb(play, "manage", "manageable")
    _verb(play, "provide", "available")
    _verb(play, "active", "active", deploy_steps=[{"interface": "power", "step": "reboot", "args": {}, "priority": 0}])


def targets_by_microversion(play: Play) -> None:
    ages = {"manage": 4, "provide": 4, "inspect": 6, "abort": 13, "clean": 15, "adopt": 17, "rescue": 38, "unrescue": 38, "deploy": 73,
            "undeploy": 73, "unhold": 85, "service": 87}  # fmt: skip
    for target, minor in ages.items():
        _node(play)
        early = refused("undeploy-below", 406) if target == "undeploy" else None
        play.put("/v1/nodes/${node}/states/provision", {"target": target}, at=minor - 1, differs=early)
        play.get(_NODE, until=lambda body: body["reservation"] is None)
        play.delete("/v1/nodes/n")


def maintenance(play: Play) -> None:
    _node(play)
    play.put("/v1/nodes/n/maintenance", {"reason": "r"})
    _verb(play, "manage", "manageable")
    play.put(_PATH, {"target": "clean", "clean_steps": [_CLEAN]})
    _verb(play, "inspect", "manageable")
    _verb(play, "provide", "available")
    play.put(_PATH, {"target": "active"})
    play.get(_NODE, until=_is("available"))
    play.delete("/v1/nodes/n/maintenance")
    _verb(play, "active", "active")
    play.put("/v1/nodes/n/maintenance", {})
    for target in ("rebuild", "rescue", "service"):
        play.put(_PATH, {"target": target})
    _verb(play, "deleted", "available")


def protection(play: Play) -> None:
    _node(play)
    _verb(play, "manage", "manageable")
    _verb(play, "provide", "available")
    play.patch("/v1/nodes/n", [{"op": "add", "path": "/retired", "value": True}])
    _verb(play, "active", "active")
    play.patch("/v1/nodes/n", [{"op": "add", "path": "/protected", "value": True}, {"op": "add", "path": "/protected_reason", "value": "mine"}])
    for target in ("rebuild", "deleted", "undeploy"):
        play.put(_PATH, {"target": target}, differs=MORE_SAID)
    play.delete("/v1/nodes/n")
    play.put("/v1/nodes/n/maintenance", {})
    play.delete("/v1/nodes/n")
    play.delete("/v1/nodes/n/maintenance")
    play.patch("/v1/nodes/n", [{"op": "replace", "path": "/protected", "value": False}])
    play.patch("/v1/nodes/n", [{"op": "add", "path": "/retired", "value": True}])
    _verb(play, "deleted", "manageable")
    play.put(_PATH, {"target": "provide"})


def changes_while_active(play: Play) -> None:
    _node(play)
    _verb(play, "manage", "manageable")
    _verb(play, "provide", "available")
    _verb(play, "active", "active")
    for path, value in (("/deploy_interface", "direct"), ("/resource_class", "x"), ("/owner", "x"), ("/extra/a", 1),
                        ("/retired", True), ("/instance_uuid", "1be26c0b-03f2-4d2e-ae87-c02d7f33c0fe"), ("/properties/a", 1),
                        ("/resource_class", "y")):  # fmt: skip
        play.patch("/v1/nodes/n", [{"op": "add", "path": path, "value": value}])
    unfit = expect("interface-object", "body.error_message.faultstring")
    play.patch("/v1/nodes/n", [{"op": "add", "path": "/driver", "value": "ipmi"}], differs=unfit)
    play.delete("/v1/nodes/n")
    play.put("/v1/nodes/n/traits", {"traits": ["CUSTOM_A"]})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01"})


def older_clients(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, at=9, keep={"node": "uuid"})
    for minor in (1, 2, 3, 4, 9, LATEST):
        play.get("/v1/nodes/${node}/states", at=minor)
    play.put(_PATH, {"target": "active"}, at=9)
    play.get("/v1/nodes/n", at=9, until=_is("active"))
    play.put(_PATH, {"target": "deleted"}, at=9)
    play.get("/v1/nodes/n", at=9, until=_is("available"))
    play.get("/v1/nodes/${node}", at=1)
