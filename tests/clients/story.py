"""The commands, in an order in which each has something to do. Every answer is looked at."""

import argparse
import json
import tempfile
from pathlib import Path

from ..support.site import Site, wait_until
from ..support.tally import Tally
from .shell import Refused, Shell

STEPS = json.dumps([{"interface": "bios", "step": "factory_reset", "args": {}, "order": 1}])
DEPLOY_STEPS = json.dumps([{"interface": "bios", "step": "factory_reset", "args": {}, "priority": 90}])
CLEAN_STEPS = json.dumps([{"interface": "bios", "step": "factory_reset"}])
SERVICE_STEPS = json.dumps([{"interface": "vendor", "step": "log_passthrough"}])
HOLD_STEPS = json.dumps([{"interface": "deploy", "step": "hold"}])


def same(found: object, wanted: object) -> None:
    """Fails where two values differ."""
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def show(sh: Shell, node: str, field: str) -> object:
    """One field of a node."""
    return sh.json("node show", node, "--fields", field)[field]


def until(sh: Shell, node: str, state: str) -> None:
    """Waits for a node's provision state."""
    wait_until(lambda: show(sh, node, "provision_state") == state, f"{node}: {state}")


def refused(call, *arguments: str) -> str:
    """What the client says when the server refuses."""
    try:
        call(*arguments)
    except Refused as error:
        return str(error)
    raise AssertionError(f"{arguments} was not refused")


def available(sh: Shell, node: str) -> None:
    """A new node of fake hardware that can be deployed."""
    sh("node create", "--driver", "fake-hardware", "--name", node, "--resource-class", "baremetal")
    sh("node manage", node, "--wait", "60")
    sh("node provide", node, "--wait", "60")


def drivers(sh: Shell) -> None:
    """Drivers and conductors."""
    names = {row["name"] for row in sh.json("driver list")}
    assert {"fake-hardware", "ipmi"} <= names, names
    same(sh.json("driver show", "fake-hardware")["name"], "fake-hardware")
    keys = {row["property"] for row in sh.json("driver property list", "ipmi")}
    assert {"ipmi_address", "ipmi_password", "deploy_kernel"} <= keys, keys
    levels = {row["property"] for row in sh.json("driver raid property list", "fake-hardware")}
    assert "raid_level" in levels, levels
    sh.json("driver passthru list", "fake-hardware")
    sh.json("driver passthru list", "ipmi")
    said = refused(sh, "driver passthru call", "fake-hardware", "no_such_method")
    assert "no_such_method" in said, said
    [conductor] = sh.json("conductor list")
    same(sh.json("conductor show", conductor["hostname"])["alive"], True)


def chassis(sh: Shell) -> None:
    """Chassis."""
    made = sh.json("chassis create", "--description", "rack 1", "--extra", "row=3")
    uuid = made["uuid"]
    same(made["extra"], {"row": 3})
    sh("chassis set", uuid, "--description", "rack 2")
    same(sh.json("chassis show", uuid)["description"], "rack 2")
    sh("chassis unset", uuid, "--extra", "row")
    same(sh.json("chassis show", uuid)["extra"], {})
    assert uuid in {row["uuid"] for row in sh.json("chassis list")}
    sh("chassis delete", uuid)
    assert "could not be found" in refused(sh, "chassis show", uuid)


def nodes(sh: Shell) -> None:
    """What is set of nodes."""
    made = sh.json("node create", "--driver", "fake-hardware", "--name", "n1", "--property", "cpus=8")
    same(made["provision_state"], "enroll")
    sh("node set", "n1", "--extra", "a=b", "--description", "the first")
    sh("node unset", "n1", "--extra", "a")
    same(show(sh, "n1", "extra"), {})
    assert "n1" in {row["name"] for row in sh.json("node list")}
    power = next(row for row in sh.json("node validate", "n1") if row["interface"] == "power")
    same(power["result"], True)
    sh("node maintenance set", "n1", "--reason", "dust")
    same(show(sh, "n1", "maintenance_reason"), "dust")
    sh("node maintenance unset", "n1")
    sh("node manage", "n1", "--wait", "60")
    sh("node create", "--driver", "fake-hardware", "--name", "blade", "--parent-node", made["uuid"])
    same(len(sh.json("node children list", "n1")), 1)
    sh("node delete", "blade")
    sh("node trait add", "n1", "CUSTOM_A", "CUSTOM_B")
    sh("node add trait", "n1", "CUSTOM_C")
    sh("node trait remove", "n1", "CUSTOM_A")
    sh("node remove trait", "n1", "CUSTOM_B")
    same([row["traits"] for row in sh.json("node trait list", "n1")], ["CUSTOM_C"])
    sh("node set", "n1", "--shard", "s1")
    same([(row["name"], row["count"]) for row in sh.json("shard list") if row["name"] != "None"], [("s1", 1)])


def hardware(sh: Shell) -> None:
    """Power, boot, console, passthru, BIOS, firmware, history of n1, which is manageable."""
    sh("node power on", "n1")
    wait_until(lambda: show(sh, "n1", "power_state") == "power on", "power on")
    sh("node reboot", "n1")
    wait_until(lambda: show(sh, "n1", "target_power_state") is None, "the reboot's end")
    sh("node power off", "n1")
    wait_until(lambda: show(sh, "n1", "power_state") == "power off", "power off")
    sh("node boot device set", "n1", "pxe")
    same(sh.json("node boot device show", "n1", "--supported")["supported_boot_devices"], "pxe")
    sh.json("node boot device show", "n1")
    sh("node boot mode set", "n1", "uefi")
    sh("node secure boot on", "n1")
    sh("node secure boot off", "n1")
    said = refused(sh, "node inject nmi", "n1")
    assert "does not support inject_nmi" in said, said
    sh("node console enable", "n1")
    wait_until(lambda: sh.json("node console show", "n1")["console_enabled"] is True, "the console")
    sh("node console disable", "n1")
    methods = {row["name"] for row in sh.json("node passthru list", "n1")}
    assert "second_method" in methods, methods
    sh("node passthru call", "n1", "second_method", "--arg", "bar=kazoo")
    said = refused(sh, "node passthru call", "n1", "no_such_method")
    assert "no_such_method" in said, said
    sh.json("node bios setting list", "n1")
    said = refused(sh, "node bios setting show", "n1", "no_such_setting")
    assert "no_such_setting" in said, said
    sh.json("node firmware list", "n1")
    entries = sh.json("node history list", "n1")
    if entries:
        same(sh.json("node history get", "n1", entries[0]["uuid"])["uuid"], entries[0]["uuid"])
    else:
        said = refused(sh, "node history get", "n1", "8c1ad4a4-0000-4000-8000-000000000000")
        assert "8c1ad4a4" in said, said


def inspection(sh: Shell) -> None:
    """Rules, and an inspection of n1."""
    actions = json.dumps([{"op": "set-attribute", "args": {"path": "/extra/seen", "value": "yes"}}])
    made = sh.json("inspection rule create", "--description", "mark", "--actions", actions, "--conditions", "[]")
    uuid = made["uuid"]
    sh("inspection rule set", uuid, "--description", "marks")
    same(sh.json("inspection rule show", uuid)["description"], "marks")
    sh("inspection rule unset", uuid, "--description")
    assert uuid in {row["uuid"] for row in sh.json("inspection rule list")}
    sh("inspection rule delete", uuid)
    sh("node inspect", "n1", "--wait", "60")
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "inventory.json"
        try:
            sh("node inventory save", "n1", "--file", str(file))
            json.loads(file.read_text())
        except Refused as error:
            # Fake inspection stores no inventory, as in Ironic.
            assert "inventory" in str(error).lower(), error


def cleaning(sh: Shell) -> None:
    """Manual cleaning, a runbook, hold and abort."""
    made = sh.json("runbook create", "--name", "CUSTOM_RESET", "--steps", STEPS)
    same(made["name"], "CUSTOM_RESET")
    sh("runbook set", "CUSTOM_RESET", "--extra", "by=me")
    sh("runbook unset", "CUSTOM_RESET", "--extra", "by")
    same(sh.json("runbook show", "CUSTOM_RESET")["extra"], {})
    assert "CUSTOM_RESET" in {row["name"] for row in sh.json("runbook list")}
    sh("runbook trait add", "CUSTOM_RESET", "CUSTOM_C")
    same([row["traits"] for row in sh.json("runbook trait list", "CUSTOM_RESET")], ["CUSTOM_C"])
    sh("node clean", "n1", "--runbook", "CUSTOM_RESET", "--wait", "60")
    same(show(sh, "n1", "provision_state"), "manageable")
    sh("runbook trait remove", "CUSTOM_RESET", "CUSTOM_C")
    sh("runbook delete", "CUSTOM_RESET")
    sh("node clean", "n1", "--clean-steps", CLEAN_STEPS, "--wait", "60")
    sh("node clean", "n1", "--clean-steps", HOLD_STEPS, "--disable-ramdisk")
    until(sh, "n1", "clean hold")
    sh("node unhold", "n1")
    until(sh, "n1", "manageable")
    sh("node clean", "n1", "--clean-steps", HOLD_STEPS, "--disable-ramdisk")
    until(sh, "n1", "clean hold")
    sh("node abort", "n1")
    until(sh, "n1", "clean failed")
    sh("node maintenance unset", "n1")
    sh("node manage", "n1", "--wait", "60")


def deployment(sh: Shell) -> None:
    """Deploy templates, and a life from provide to undeploy."""
    sh("deploy template create", "CUSTOM_TUNE", "--steps", DEPLOY_STEPS)
    sh("deploy template set", "CUSTOM_TUNE", "--extra", "x=y")
    sh("deploy template unset", "CUSTOM_TUNE", "--extra", "x")
    same(sh.json("deploy template show", "CUSTOM_TUNE")["extra"], {})
    assert "CUSTOM_TUNE" in {row["name"] for row in sh.json("deploy template list")}
    sh("node provide", "n1", "--wait", "60")
    sh("node trait add", "n1", "CUSTOM_TUNE")
    sh("node set", "n1", "--instance-info", 'traits=["CUSTOM_TUNE"]')
    sh("node deploy", "n1", "--config-drive", json.dumps({"meta_data": {"name": "x"}}), "--wait", "60")
    same(show(sh, "n1", "provision_state"), "active")
    sh("node rebuild", "n1", "--wait", "60")
    sh("node rescue", "n1", "--rescue-password", "s3cret", "--wait", "60")
    same(show(sh, "n1", "provision_state"), "rescue")
    sh("node unrescue", "n1", "--wait", "60")
    sh("node service", "n1", "--service-steps", SERVICE_STEPS, "--wait", "60")
    sh("node undeploy", "n1", "--wait", "60")
    same(show(sh, "n1", "provision_state"), "available")
    sh("deploy template delete", "CUSTOM_TUNE")
    assert "could not be found" in refused(sh, "deploy template show", "CUSTOM_TUNE")
    sh("node create", "--driver", "fake-hardware", "--name", "found")
    sh("node manage", "found", "--wait", "60")
    sh("node adopt", "found", "--wait", "60")
    same(show(sh, "found", "provision_state"), "active")


def networking(sh: Shell) -> None:
    """Ports, port groups and VIFs."""
    available(sh, "n2")
    sh("node manage", "n2", "--wait", "60")
    uuid = show(sh, "n2", "uuid")
    group = sh.json("port group create", "--node", uuid, "--name", "bond0", "--address", "52:54:00:00:02:00")["uuid"]
    sh("port group set", "bond0", "--mode", "802.3ad", "--extra", "a=b")
    sh("port group unset", "bond0", "--extra", "a")
    same(sh.json("port group show", "bond0")["mode"], "802.3ad")
    same([row["uuid"] for row in sh.json("port group list", "--node", uuid)], [group])
    port = sh.json("port create", "52:54:00:00:02:01", "--node", uuid, "--port-group", group)["uuid"]
    sh("port set", port, "--extra", "slot=1")
    sh("port unset", port, "--extra", "slot")
    sh("port unset", port, "--port-group")
    same(sh.json("port show", port)["portgroup_uuid"], None)
    same([row["uuid"] for row in sh.json("port list", "--node", uuid)], [port])
    sh("port group delete", "bond0")
    vif = "8c1ad4a4-1111-4000-8000-000000000000"
    sh("node vif attach", "n2", vif)
    same([row["id"] for row in sh.json("node vif list", "n2")], [vif])
    sh("node vif detach", "n2", vif)
    sh("port delete", port)


def volumes(sh: Shell) -> None:
    """Volume connectors and targets of n2, which is off."""
    sh("node power off", "n2")
    wait_until(lambda: show(sh, "n2", "target_power_state") is None, "power off")
    uuid = show(sh, "n2", "uuid")
    made = sh.json("volume connector create", "--node", uuid, "--type", "iqn", "--connector-id", "iqn.2017-07.org:n2")
    connector = made["uuid"]
    sh("volume connector set", connector, "--extra", "a=b")
    sh("volume connector unset", connector, "--extra", "a")
    same(sh.json("volume connector show", connector)["type"], "iqn")
    same([row["uuid"] for row in sh.json("volume connector list", "--node", uuid)], [connector])
    sh("volume connector delete", connector)
    target = ["--type", "iscsi", "--boot-index", "0", "--volume-id", "04452bed"]
    target = sh.json("volume target create", "--node", uuid, *target)["uuid"]
    sh("volume target set", target, "--extra", "a=b")
    sh("volume target unset", target, "--extra", "a")
    same(sh.json("volume target show", target)["volume_id"], "04452bed")
    same([row["uuid"] for row in sh.json("volume target list", "--node", uuid)], [target])
    sh("volume target delete", target)
    sh("node provide", "n2", "--wait", "60")


def allocations(sh: Shell) -> None:
    """An allocation of n2."""
    sh("allocation create", "--resource-class", "baremetal", "--name", "mine", "--wait", "60")
    made = sh.json("allocation show", "mine")
    same((made["state"], made["node_uuid"]), ("active", show(sh, "n2", "uuid")))
    sh("allocation set", "mine", "--extra", "a=b")
    sh("allocation unset", "mine", "--extra", "a")
    same([row["name"] for row in sh.json("allocation list")], ["mine"])
    said = refused(sh, "allocation create", "--resource-class", "gold", "--name", "dream", "--wait", "60")
    assert "gold" in said, said
    sh("allocation delete", "mine", "dream")


def from_file(sh: Shell) -> None:
    """``baremetal create`` from a file, and the end of it all."""
    document = {"nodes": [{"name": "n3", "driver": "fake-hardware", "ports": [{"address": "52:54:00:00:03:01"}]}]}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "site.json"
        file.write_text(json.dumps(document))
        sh("create", str(file))
    same(len(sh.json("port list", "--address", "52:54:00:00:03:01")), 1)
    sh("node delete", "n3")
    assert "could not be found" in refused(sh, "node show", "n3")


ACTS = [drivers, chassis, nodes, hardware, inspection, cleaning, deployment, networking, volumes, allocations, from_file]


def main() -> None:
    """Plays all acts against a server of its own, or against ``--endpoint``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", help="a server that runs already, in place of one of our own")
    options = parser.parse_args()
    tally = Tally()
    if options.endpoint:
        play(options.endpoint, tally)
    else:
        with Site() as site:
            play(site.url, tally)
    tally.end()


def play(endpoint: str, tally: Tally) -> None:
    """Every act, and in the end: was every command given?"""
    sh = Shell(endpoint)
    for act in ACTS:
        with tally.case(act.__name__):
            act(sh)
    with tally.case("every command of the client was given"):
        left = sorted(sh.known() - sh.given)
        assert not left, f"not given: {', '.join(left)}"
