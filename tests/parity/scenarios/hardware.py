"""What hangs on a node's hardware: BIOS settings, firmware, RAID, indicators, virtual media, vendor passthru."""

from __future__ import annotations

from typing import Any

from ..differences import MORE_SAID, expect, refused
from ..play import LATEST, Play
from ..steps import lead, switch
from .nodes import NODE


def _nodes(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    none = {"bios_interface": "no-bios", "firmware_interface": "no-firmware", "raid_interface": "no-raid", "vendor_interface": "no-vendor"}
    play.post("/v1/nodes", {**NODE, "name": "none", **none})


def bios(play: Play) -> None:
    _nodes(play)
    for name in ("n", "none", "nobody"):
        for minor in (39, 40, 73, 74, LATEST):
            play.get(f"/v1/nodes/{name}/bios", at=minor)
        play.get(f"/v1/nodes/{name}/bios/virtualization")
    play.get("/v1/nodes/n/bios?detail=true")
    play.get("/v1/nodes/n/bios?fields=name,value")
    play.get("/v1/nodes/n/bios?detail=true&fields=name")
    play.get("/v1/nodes/n/bios?fields=nothing", differs=expect("bios-fields", "body.error_message.faultstring"))
    play.get("/v1/nodes/n/bios?nothing=1")
    play.get("/v1/nodes/n/bios?detail=true", at=73)
    play.put("/v1/nodes/n/bios", {})
    switch(play, "n", "power off")
    lead(play, "n", "manageable", target="manage")
    settings = [{"name": "virtualization", "value": "on"}, {"name": "hyperthread", "value": "off"}]
    step = {"interface": "bios", "step": "apply_configuration", "args": {"settings": settings}}
    lead(play, "n", "manageable", target="clean", clean_steps=[step])
    for minor in (40, 73, 74, LATEST):
        play.get("/v1/nodes/n/bios", at=minor)
        play.get("/v1/nodes/n/bios/virtualization", at=minor)
    play.get("/v1/nodes/n/bios?detail=true")
    play.get("/v1/nodes/n/bios?fields=name,value")
    play.get("/v1/nodes/n/bios/nothing")
    step = {"interface": "bios", "step": "factory_reset"}
    lead(play, "n", "manageable", target="clean", clean_steps=[step])
    play.get("/v1/nodes/n/bios")


def firmware(play: Play) -> None:
    _nodes(play)
    for name in ("n", "none", "nobody"):
        for minor in (85, 86, 113, 114, LATEST):
            play.get(f"/v1/nodes/{name}/firmware", at=minor)
    play.get("/v1/nodes/n/firmware?nothing=1")
    play.get("/v1/nodes/n/firmware/bmc", differs=refused("no-such-path", 404))
    play.put("/v1/nodes/n/firmware", {})


def raid(play: Play) -> None:
    _nodes(play)
    path = "/v1/nodes/n/states/raid"
    disk = {"size_gb": 100, "raid_level": "1"}
    for body in (
        {"logical_disks": [disk]}, {"logical_disks": [{**disk, "size_gb": "MAX", "is_root_volume": True, "controller": "software"}]},
        {"logical_disks": []}, {"logical_disks": None}, {"logical_disks": {}}, {"logical_disks": [5]}, {"logical_disks": [{}]},
        {"logical_disks": [{"size_gb": 100}]}, {"logical_disks": [{**disk, "raid_level": "nothing"}]}, {"logical_disks": [{**disk, "size_gb": 0}]},
        {"logical_disks": [{**disk, "size_gb": "x"}]}, {"logical_disks": [{**disk, "nothing": 1}]}, {"logical_disks": [disk], "nothing": 1},
        {"logical_disks": [{**disk, "is_root_volume": True}, {**disk, "is_root_volume": True}]}, {}, [], None,
        {"logical_disks": [{**disk, "disk_type": "ssd", "interface_type": "sas", "number_of_physical_disks": 2, "volume_name": "v"}]},
        {"logical_disks": [{**disk, "disk_type": "nothing"}]}, {"logical_disks": [{**disk, "physical_disks": ["a"]}]},
    ):  # fmt: skip
        play.put(path, body)
        play.get("/v1/nodes/n?fields=target_raid_config,raid_config")
    play.put("/v1/nodes/none/states/raid", {"logical_disks": [disk]})
    play.put("/v1/nodes/nobody/states/raid", {"logical_disks": [disk]})
    play.put(path, {"logical_disks": [disk]}, at=11, differs=MORE_SAID)
    play.get(path)
    for name in ("fake-hardware", "ipmi", "nothing"):
        described = None if name == "nothing" else expect("driver-properties", "body")
        play.get(f"/v1/drivers/{name}/raid/logical_disk_properties", differs=described)
        play.get(f"/v1/drivers/{name}/raid/logical_disk_properties", at=11, differs=MORE_SAID)
    play.get("/v1/drivers/fake-hardware/raid", differs=refused("no-such-path", 404))


def indicators(play: Play) -> None:
    _nodes(play)
    path = "/v1/nodes/n/management/indicators"
    play.get(path)
    play.get(path, at=62, differs=refused("indicators-below", 404))
    play.get(path, at=63)
    for one in ("led@chassis", "led-0@system", "led", "nothing@chassis", "led@nothing"):
        play.get(f"{path}/{one}")
        for body in ({"state": "ON"}, {"state": "BLINKING"}, {"state": "nothing"}, {}, {"state": None}, {"state": 5}, None):
            play.put(f"{path}/{one}", body)
        play.get(f"{path}/{one}")
    play.get(f"{path}?x=1", differs=refused("unknown-arguments"))
    play.get("/v1/nodes/nobody/management/indicators")


def virtual_media(play: Play) -> None:
    _nodes(play)
    path = "/v1/nodes/n/vmedia"
    idle = {"until": lambda body: body["reservation"] is None}
    for minor in (88, 89, 92, 93, LATEST):
        play.get(path, at=minor)
    disc = {"device_type": "cdrom", "image_url": "http://192.0.2.1/a.iso"}
    for body in (
        disc, {}, {"device_type": "cdrom"}, {"image_url": "http://192.0.2.1/a.iso"}, {**disc, "device_type": "nothing"},
        {**disc, "image_url": "x"}, {**disc, "image_url": 5}, {**disc, "image_download_source": "http"},
        {**disc, "image_download_source": "nothing"}, {**disc, "nothing": 1}, {**disc, "device_type": None}, None,
    ):  # fmt: skip
        play.post(path, body)
        play.get("/v1/nodes/n?fields=last_error,reservation", **idle)
    play.get(path)
    for query in ("", "?device_types=cdrom", "?device_types=cdrom,disk", "?device_types=nothing", "?nothing=1"):
        play.delete(f"{path}{query}")
        play.get("/v1/nodes/n?fields=last_error,reservation", **idle)
    play.post(path, disc, at=88)
    play.delete(path, at=88)
    play.put(path, {})
    play.post("/v1/nodes/nobody/vmedia", disc)


def vendor_passthru(play: Play) -> None:
    _nodes(play)
    play.post("/v1/nodes", {"driver": "ipmi", "name": "ipmi", "driver_info": {"ipmi_address": "192.0.2.1"}})
    for name in ("n", "ipmi", "nobody"):
        play.get(f"/v1/nodes/{name}/vendor_passthru/methods")
    play.get("/v1/nodes/none/vendor_passthru/methods", differs=expect("passthru-methods", "body"))
    path = "/v1/nodes/n/vendor_passthru"
    play.get(path)
    play.post(f"{path}?method=first_method", {"bar": "baz"})
    play.post(f"{path}?method=first_method", {"bar": "other"})
    play.post(f"{path}?method=first_method", {})
    play.post(f"{path}?method=second_method", {"bar": "kazoo"})
    play.post(f"{path}?method=third_method_sync", {"bar": "meow"})
    play.post(f"{path}?method=third_method_sync", {"bar": "other"})
    play.get("/v1/nodes/n?fields=reservation", until=lambda body: body["reservation"] is None)
    play.post(f"{path}?method=fourth_method_shared_lock", {"bar": "woof"})
    play.get("/v1/nodes/n?fields=reservation", until=lambda body: body["reservation"] is None)
    play.post(f"{path}?method=nothing", {})
    play.post(path, {"bar": "baz"})
    play.post(path, {"method": "third_method_sync", "bar": "meow"})
    play.get(f"{path}?method=first_method")
    play.put(f"{path}?method=first_method", {"bar": "baz"})
    play.post("/v1/nodes/none/vendor_passthru?method=first_method", {"bar": "baz"})
    play.post("/v1/nodes/ipmi/vendor_passthru?method=nothing", {})
    play.post("/v1/nodes/ipmi/vendor_passthru?method=send_raw", {})
    for name in ("fake-hardware", "ipmi", "nothing"):
        play.get(f"/v1/drivers/{name}/vendor_passthru/methods")
        play.get(f"/v1/drivers/{name}/vendor_passthru?method=nothing")
        play.post(f"/v1/drivers/{name}/vendor_passthru?method=nothing", {})
        play.get(f"/v1/drivers/{name}/vendor_passthru")
