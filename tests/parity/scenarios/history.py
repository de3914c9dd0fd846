"""A node's history and inventory."""

from __future__ import annotations

from ..differences import expect
from ..play import LATEST, Play
from ..steps import lead, switch
from .nodes import NODE


def history(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    path = "/v1/nodes/n/history"
    for minor in (77, 78, 112, 113, 114, 115):
        play.get(path, at=minor)
    switch(play, "n", "power off")
    lead(play, "n", "manageable", target="manage")
    step = {"interface": "bios", "step": "nothing"}
    play.put("/v1/nodes/n/states/provision", {"target": "clean", "clean_steps": [step]})
    play.get("/v1/nodes/n/states", until=lambda body: body["provision_state"] == "clean failed")
    for minor in (77, 78, 112, 113, 114, LATEST):
        play.get(path, at=minor)
    play.get(f"{path}?detail=true", keep={"entry": "history.0.uuid"})
    play.get(f"{path}/${{entry}}")
    play.get(f"{path}/1be26c0b-03f2-4d2e-ae87-c02d7f33fabc")
    play.get(f"{path}/x")
    play.get(f"{path}?limit=1", differs=expect("history-next", "body.next"))
    play.get(f"{path}?fields=uuid,event")
    play.get(f"{path}?fields=nothing")
    play.get(f"{path}?nothing=1")
    play.get(f"{path}?marker=x")
    play.get("/v1/nodes/nobody/history")
    play.post(path, {})
    play.delete(path)


def inventory(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    path = "/v1/nodes/n/inventory"
    numbered = expect("row-numbers", "body.error_message.faultstring")
    for minor in (80, 81, LATEST):
        play.get(path, at=minor, differs=numbered if minor > 80 else None)
    play.get(f"{path}?x=1")
    play.get("/v1/nodes/nobody/inventory")
    play.put(path, {})


def continue_inspection(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01"})
    path = "/v1/continue_inspection"
    inventory = {"interfaces": [{"name": "eth0", "mac_address": "52:54:00:aa:00:01"}], "bmc_address": "192.0.2.1"}
    for body in ({"inventory": inventory}, {}, {"inventory": {}}, {"inventory": None}, {"inventory": []}, {"inventory": {"interfaces": "x"}}, [], None):
        play.post(path, body)
    play.post(f"{path}?node_uuid=${{node}}", {"inventory": inventory})
    play.post(f"{path}?node_uuid=x", {"inventory": inventory})
    play.post(path, {"inventory": inventory}, at=83)
    play.post(path, {"inventory": inventory}, at=1)
    play.post(path, {"inventory": inventory}, at=None)
    play.get(path)


def inspected_by_an_agent(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n", "inspect_interface": "agent"}, keep={"node": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01", "pxe_enabled": True})
    switch(play, "n", "power off")
    lead(play, "n", "manageable", target="manage")
    play.put("/v1/nodes/n/states/provision", {"target": "inspect"})
    shown = "/v1/nodes/n?fields=provision_state,target_provision_state,power_state,last_error,properties,reservation,inspection_started_at,inspection_finished_at"
    play.get(shown, until=lambda body: body["provision_state"] == "inspect wait" and body["reservation"] is None)
    inventory = {
        "interfaces": [
            {"name": "eth0", "mac_address": "52:54:00:aa:00:01", "ipv4_address": "192.0.2.7", "has_carrier": True, "lldp": None},
            {"name": "eth1", "mac_address": "52:54:00:aa:00:02", "ipv4_address": None, "has_carrier": False, "lldp": None},
        ],
        "cpu": {"count": 4, "architecture": "x86_64", "model_name": "m", "frequency": "1", "flags": []},
        "memory": {"physical_mb": 8192, "total": 8589934592},
        "disks": [{"name": "/dev/vda", "size": 107374182400, "rotational": False}],
        "bmc_address": "192.0.2.1",
        "system_vendor": {"product_name": "p", "serial_number": "s", "manufacturer": "m"},
        "boot": {"current_boot_mode": "uefi", "pxe_interface": "52:54:00:aa:00:01"},
        "hostname": "h",
    }
    noted = expect("driver-internal-info", "body.node.driver_internal_info")
    play.post("/v1/continue_inspection", {"inventory": inventory, "other": [1]}, differs=noted)
    play.get(shown, until=lambda body: body["provision_state"] == "manageable" and body["reservation"] is None)
    play.get("/v1/nodes/n/inventory")
    play.get("/v1/nodes/n/inventory", at=80)
    play.get("/v1/ports?fields=address,pxe_enabled,extra")
    play.post("/v1/continue_inspection", {"inventory": inventory})


def inspection_aborted(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n", "inspect_interface": "agent"}, keep={"node": "uuid"})
    play.post("/v1/ports", {"node_uuid": "${node}", "address": "52:54:00:aa:00:01", "pxe_enabled": True})
    switch(play, "n", "power off")
    lead(play, "n", "manageable", target="manage")
    play.put("/v1/nodes/n/states/provision", {"target": "inspect"}, at=38)
    play.get("/v1/nodes/n/states", until=lambda body: body["provision_state"] == "inspect wait")
    play.get("/v1/nodes/n/states", at=38)
    play.get("/v1/nodes/n/states", at=39)
    play.put("/v1/nodes/n/states/provision", {"target": "abort"}, at=40)
    play.put("/v1/nodes/n/states/provision", {"target": "abort"})
    play.get(
        "/v1/nodes/n/states",
        until=lambda body: body["provision_state"] == "inspect failed" and body["power_state"] == "power off",
    )
