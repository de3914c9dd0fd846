"""States of nodes: power, boot device, console."""

from __future__ import annotations

from typing import Any

from ..differences import expect, refused
from ..play import LATEST, Play
from .nodes import NODE


def _idle(body: Any) -> bool:
    return body["target_power_state"] is None and body["power_state"] is not None


def states(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    for minor in (5, 12, 31, 61, 74, 75, LATEST):
        play.get("/v1/nodes/n/states", at=minor)
    play.get("/v1/nodes/n/states?x=1")
    play.put("/v1/nodes/n/states", {})


def power(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    path = "/v1/nodes/n/states/power"
    for target in ("power on", "power off", "rebooting", "soft rebooting", "soft power off", "power on"):
        play.put(path, {"target": target})
        play.get("/v1/nodes/n/states", until=_idle)
    play.put(path, {"target": "power off", "timeout": 5})
    play.get("/v1/nodes/n/states", until=_idle)
    play.put(path, {"target": "soft power off", "timeout": 5})
    play.get("/v1/nodes/n/states", until=_idle)
    for body in (
        {}, {"target": None}, {"target": "nothing"}, {"target": 5}, {"target": ""}, {"target": "power on", "timeout": 0},
        {"target": "power on", "timeout": -1}, {"target": "power on", "timeout": "x"}, {"target": "power on", "nothing": 1},
        None, {"target": "POWER ON"}, {"target": "error"}, {"timeout": 5},
    ):  # fmt: skip
        play.put(path, body)
        play.get("/v1/nodes/n/states", until=_idle)
    play.put(path, {"target": "soft power off"}, at=26)
    play.put(path, {"target": "soft rebooting"}, at=26)
    play.put(path, {"target": "power on", "timeout": 5}, at=26)
    play.get("/v1/nodes/n/states", until=_idle)
    play.get(path)
    play.patch("/v1/nodes/n", [{"op": "add", "path": "/disable_power_off", "value": True}])
    for target in ("power off", "rebooting", "soft power off", "soft rebooting", "power on"):
        play.put(path, {"target": target})
        play.get("/v1/nodes/n/states", until=_idle)
    play.put("/v1/nodes/n/maintenance", {})
    play.put(path, {"target": "power on"})
    play.get("/v1/nodes/n/states", until=_idle)
    shown = "/v1/nodes/n?fields=power_state,target_power_state,last_error,reservation"
    play.get(shown, until=lambda body: body["reservation"] is None)


def boot_device(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    path = "/v1/nodes/n/management/boot_device"
    play.get(path)
    play.get(f"{path}/supported")
    for body in (
        {"boot_device": "pxe"}, {"boot_device": "disk", "persistent": True}, {"boot_device": "pxe", "persistent": "no"},
        {"boot_device": "nothing"}, {}, {"boot_device": None}, {"boot_device": 5}, {"boot_device": "pxe", "persistent": "maybe"},
        {"boot_device": "pxe", "x": 1}, None,
    ):  # fmt: skip
        play.put(path, body)
        play.get(path)
    play.put(f"{path}?boot_device=disk&persistent=true")
    play.get(path)
    play.get(f"{path}?x=1")
    play.get("/v1/nodes/n/management", differs=refused("no-such-path", 404))
    play.get("/v1/nodes/nobody/management/boot_device")
    play.get("/v1/nodes/nobody/management/boot_device/supported")
    play.put("/v1/nodes/nobody/management/boot_device", {"boot_device": "pxe"})
    play.get("/v1/nodes/management/boot_device?node_ident=n", differs=refused("no-such-path", 404))


def lists_for_bodies(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    for path in ("states/power", "states/provision", "states/console", "management/boot_device", "states/boot_mode", "states/secure_boot"):
        play.put(f"/v1/nodes/n/{path}", [], differs=expect("wrong-body", "body.error_message.faultstring"))


def inject_nmi(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    path = "/v1/nodes/n/management/inject_nmi"
    play.put(path, {})
    play.put(path, {"x": 1})
    play.put(path, None)
    play.put(path, {}, at=28)
    play.get(path)


def console(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    play.post("/v1/nodes", {**NODE, "name": "none", "console_interface": "no-console"})
    for name in ("n", "none"):
        path = f"/v1/nodes/{name}/states/console"
        play.get(path)
        for body in ({"enabled": True}, {"enabled": "false"}, {"enabled": "maybe"}, {}, {"enabled": None}, {"enabled": 5}, None):
            play.put(path, body)
            play.get(f"/v1/nodes/{name}?fields=console_enabled,reservation", until=lambda body: body["reservation"] is None)
        play.get(path)
        play.put(f"{path}?enabled=true")
        play.get(f"/v1/nodes/{name}?fields=console_enabled,reservation", until=lambda body: body["reservation"] is None)


def boot_mode(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"})
    play.post("/v1/nodes", {"driver": "ipmi", "name": "ipmi"})
    idle = {"until": lambda body: body["reservation"] is None}
    for name in ("n", "ipmi"):
        for body in ({"target": "uefi"}, {"target": "bios"}, {"target": "nothing"}, {}, {"target": None}, None, {"target": 5}):
            play.put(f"/v1/nodes/{name}/states/boot_mode", body)
            play.get(f"/v1/nodes/{name}?fields=boot_mode,secure_boot,last_error,reservation", **idle)
        for body in ({"target": True}, {"target": "false"}, {"target": "maybe"}, {}, {"target": None}, None, {"target": 5}):
            play.put(f"/v1/nodes/{name}/states/secure_boot", body)
            play.get(f"/v1/nodes/{name}?fields=boot_mode,secure_boot,last_error,reservation", **idle)
    play.put("/v1/nodes/n/states/boot_mode", {"target": "uefi"}, at=75)
    play.put("/v1/nodes/n/states/secure_boot", {"target": True}, at=75)
    play.get("/v1/nodes/n/states/boot_mode")
