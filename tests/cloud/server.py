"""Servers on fake machines: their life, what hangs on them, and why there is none."""

import json
import os

from ..support.site import wait_until
from .identity import names
from .world import World, among, same, says


def node_of(w: World, server: str) -> dict:
    """The node that a server runs on, as the operator sees it."""
    uuid = w.alice.json("server show", server)["id"]
    [row] = [row for row in w.admin.json("baremetal node list", "--long") if row["instance_uuid"] == uuid]
    return row


def births(w: World) -> None:
    """``server create``, list, show. Leaves alice's ``web``."""
    data = w.file("user-data", "#!/bin/sh\ntrue\n")
    flags = ["--flavor", "gold", "--image", "disk", "--network", "provider", "--key-name", "mine", "--user-data", data]
    made = w.alice.json("server create", *flags, "--property", "role=web", "--use-config-drive", "--wait", "web")
    same((made["name"], made["status"]), ("web", "ACTIVE"))
    shown = w.alice.json("server show", "web")
    same((shown["id"], shown["properties"], shown["key_name"]), (made["id"], {"role": "web"}, "mine"))
    same(shown["project_id"], w.project)
    [address] = shown["addresses"]["provider"]
    assert address.startswith("10.20.0."), address
    among("disk", str(shown["image"]))
    among("gold", str(shown["flavor"]))
    same([row["status"] for row in w.alice.json("server list", "--name", "web")], ["ACTIVE"])
    [port] = w.alice.json("port list", "--server", "web")
    node = node_of(w, "web")
    same(node["provision_state"], "active")
    macs = {row["address"] for row in w.admin.json("baremetal port list", "--node", node["uuid"])}
    among(port["mac_address"].lower(), macs)
    same(w.bob.json("server list"), [])
    says(w.bob.refused("server show", made["id"]), made["id"])
    says(w.bob.refused("server delete", made["id"]), made["id"])
    among("web", names(w.admin.json("server list", "--all-projects")))


def events(w: World) -> None:
    """``server event``."""
    rows = w.alice.json("server event list", "web")
    [create] = [row for row in rows if row["action"] == "create"]
    same(w.alice.json("server event show", "web", create["request_id"])["action"], "create")


def settings(w: World) -> None:
    """``server set``, ``unset``, ``lock``."""
    w.alice("server set", "--name", "shop", "--property", "tier=1", "--description", "sells", "--tag", "open", "web")
    shown = w.alice.json("server show", "shop")
    same((shown["properties"], shown["description"], shown["tags"]), ({"role": "web", "tier": "1"}, "sells", ["open"]))
    w.alice("server unset", "--property", "tier", "--tag", "open", "shop")
    shown = w.alice.json("server show", "shop")
    same((shown["properties"], shown["tags"]), ({"role": "web"}, []))
    w.alice("server set", "--name", "web", "shop")
    w.admin("server lock", "--reason", "audit", w.alice.json("server show", "web")["id"])
    says(w.alice.refused("server delete", "web"), "locked")
    w.admin("server unlock", w.alice.json("server show", "web")["id"])


def power(w: World) -> None:
    """``server stop``, ``start``, ``reboot``; ``unshelve``, which today's client leaves at that where a server isn't shelved."""
    w.alice("server stop", "web")
    w.until_server(w.alice, "web", "SHUTOFF")
    same(node_of(w, "web")["power_state"], "power off")
    w.alice("server start", "web")
    w.until_server(w.alice, "web", "ACTIVE")
    same(node_of(w, "web")["power_state"], "power on")
    w.alice("server reboot", "--soft", "--wait", "web")
    w.alice("server reboot", "--hard", "--wait", "web")
    w.alice("server unshelve", "web")
    same(w.alice.json("server show", "web")["status"], "ACTIVE")


def rebirth(w: World) -> None:
    """``server rebuild``, ``rescue``, ``unrescue``."""
    w.until_server(w.alice, "web", "ACTIVE")
    w.alice("server rebuild", "--image", "disk", "--wait", "web")
    same(w.alice.json("server show", "web")["status"], "ACTIVE")
    w.alice("server rescue", "--password", "s3cret-of-rescue", "web")
    w.until_server(w.alice, "web", "RESCUE")
    same(node_of(w, "web")["provision_state"], "rescue")
    w.alice("server unrescue", "web")
    w.until_server(w.alice, "web", "ACTIVE")


def interfaces(w: World) -> None:
    """``server add|remove port|network|fixed ip|security group``: fake machines have one card, which is taken."""
    w.alice("port create", "--network", "provider", "second")
    says(w.alice.refused("server add port", "web", "second"), "network card", "in use")
    says(w.alice.refused("server add network", "web", "provider"), "network card", "in use")
    [port] = w.alice.json("port list", "--server", "web")
    w.alice("server remove port", "web", port["id"])
    same(w.alice.json("port list", "--server", "web"), [])
    w.alice("server add port", "web", "second")
    same(names(w.alice.json("port list", "--server", "web")), {"second"})
    w.alice("server remove network", "web", "provider")
    same(w.alice.json("port list", "--server", "web"), [])
    w.alice("server add network", "web", "provider")
    [address] = w.alice.json("server show", "web")["addresses"]["provider"]
    said = w.of_2_1(w.alice).refused("server remove fixed ip", "web", address)
    says(said, "server remove port")
    w.alice("server remove network", "web", "provider")
    w.alice("server add fixed ip", "--fixed-ip-address", "10.20.0.25", "web", "provider")
    same(w.alice.json("server show", "web")["addresses"], {"provider": ["10.20.0.25"]})
    group = w.alice.json("security group list")[0]["name"]
    w.alice("server add security group", "web", group)
    w.alice("server remove security group", "web", group)


def groups(w: World) -> None:
    """``server group``."""
    made = w.alice.json("server group create", "--policy", "anti-affinity", "apart")
    same((made["name"], made["policy"]), ("apart", "anti-affinity"))
    assert not w.alice.json("server group show", "apart")["members"]
    among("apart", names(w.alice.json("server group list")))
    same(w.bob.json("server group list"), [])
    w.alice("server group delete", "apart")
    says(w.alice.refused("server group show", "apart"), "apart")


def by_size(w: World) -> None:
    """A flavor as in 2017, without a resource class, and a port of one's own."""
    # Who doesn't own a network can't choose addresses on it; its owner can do so for others.
    fixed = ["--network", "provider", "--fixed-ip", "subnet=provider-v4,ip-address=10.20.0.20"]
    says(w.alice.refused("port create", *fixed, "twenty"), "403")
    w.admin("port create", *fixed, "--project", "alices", "twenty")
    made = w.alice.json("server create", "--flavor", "plain", "--image", "disk", "--port", "twenty", "--wait", "sized")
    same((made["status"], made["addresses"]), ("ACTIVE", {"provider": ["10.20.0.20"]}))
    w.alice("server delete", "--wait", "sized")
    # A port that was there before stays.
    same(w.alice.json("port show", "twenty")["device_id"], "")
    w.alice("port delete", "twenty")


def refusals(w: World) -> None:
    """What fits nothing says what would; nothing half-made is left."""
    before = {row["id"] for row in w.alice.json("port list")}
    flags = ["--image", "disk", "--network", "provider"]
    w.alice.refused("server create", "--flavor", "huge", *flags, "--wait", "never")
    shown = w.alice.json("server show", "never")
    same(shown["status"], "ERROR")
    says(json.dumps(shown["fault"]), "memory_mb", "9999999")
    w.alice("server delete", "--wait", "never")
    same({row["id"] for row in w.alice.json("port list")}, before)
    says(w.alice.refused("server create", "--flavor", "no-such-flavor", *flags, "x"), "no-such-flavor")
    says(w.alice.refused("server create", "--flavor", "gold", "--image", "no-such-image", "--network", "provider", "x"), "no-such-image")
    says(w.bob.refused("server create", "--flavor", "gold", *flags, "--key-name", "mine", "x"), "key")
    w.admin("quota set", "--instances", "1", "alices")
    says(w.alice.refused("server create", "--flavor", "gold", *flags, "x"), "quota")
    w.admin("quota delete", "--all", "alices")


def ssh(w: World) -> None:
    """``server ssh`` runs the host's ssh with the server's address."""
    place = w.files / "bin"
    place.mkdir(exist_ok=True)
    written = w.files / "ssh-arguments"
    (place / "ssh").write_text(f'#!/bin/sh\necho "$@" > {written}\n')
    (place / "ssh").chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{place}:{path}"
    try:
        w.alice("server ssh", "--address-type", "provider", "web", "--", "-l", "debian")
    finally:
        os.environ["PATH"] = path
    address = w.alice.json("server show", "web")["addresses"]["provider"][0]
    says(written.read_text(), address, "-l debian")


def migrations(w: World) -> None:
    """``server migration list`` and ``server volume list`` are empty, which they may be."""
    same(w.admin.json("server migration list"), [])
    same(w.alice.json("server volume list", "web"), [])


def death(w: World) -> None:
    """``server delete``: the node is offered again and the address is free."""
    [address] = w.alice.json("server show", "web")["addresses"]["provider"]
    node = node_of(w, "web")["uuid"]
    w.alice("server delete", "--wait", "web")
    same(w.alice.json("server list"), [])
    assert address not in json.dumps(w.admin.json("port list"), default=str), f"{address} is still taken"
    state = lambda: w.admin.json("baremetal node show", node)["provision_state"]  # noqa: E731
    wait_until(lambda: state() == "available", f"{node}: available", 60)
    says(w.alice.refused("server delete", "web"), "web")


ACTS = [births, events, settings, power, rebirth, interfaces, groups, by_size, refusals, ssh, migrations]
#: Played when what can't be done has been tried on ``web``.
LAST_ACTS = [death]
