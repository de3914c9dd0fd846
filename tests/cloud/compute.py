"""What servers are made of: flavors, keys, hypervisors, zones, quotas, limits."""

import subprocess

from .identity import names
from .world import MACHINES, World, among, same, says


def flavors(w: World) -> None:
    """``flavor``. Leaves ``gold`` (by resource class), ``plain`` (by size, as in 2017) and ``huge``, which nothing fits."""
    gold = ["resources:CUSTOM_GOLD=1", "resources:VCPU=0", "resources:MEMORY_MB=0", "resources:DISK_GB=0"]
    flags = [word for text in gold for word in ("--property", text)]
    made = w.admin.json("flavor create", "--ram", "16384", "--vcpus", "8", "--disk", "100", *flags, "gold")
    same((made["name"], made["ram"], made["vcpus"], made["disk"]), ("gold", 16384, 8, 100))
    w.admin("flavor create", "--ram", "8192", "--vcpus", "4", "--disk", "20", "plain")
    w.admin("flavor create", "--ram", "9999999", "--vcpus", "4", "--disk", "20", "huge")
    shown = w.alice.json("flavor show", "gold")
    same(shown["properties"]["resources:CUSTOM_GOLD"], "1")
    w.admin("flavor set", "--property", "cpu_arch=x86_64", "--property", "spare=1", "--description", "of 2017", "plain")
    w.admin("flavor unset", "--property", "spare", "plain")
    shown = w.admin.json("flavor show", "plain")
    same((shown["properties"], shown["description"]), ({"cpu_arch": "x86_64"}, "of 2017"))
    same({"gold", "plain", "huge"} - names(w.alice.json("flavor list")), set())
    same(names(w.alice.json("flavor list", "--min-ram", "100000")), {"huge"})
    w.admin("flavor create", "--private", "--project", "bobs", "--ram", "1", "--vcpus", "1", "--disk", "1", "bobs-own")
    among("bobs-own", names(w.bob.json("flavor list")))
    assert "bobs-own" not in names(w.alice.json("flavor list"))
    says(w.alice.refused("flavor create", "--ram", "1", "mine"), "403")
    says(w.admin.refused("flavor create", "--ram", "1", "gold"), "409")
    w.admin("flavor delete", "bobs-own")
    says(w.admin.refused("flavor show", "bobs-own"), "bobs-own")


def keypairs(w: World) -> None:
    """``keypair``: uploaded and generated. Leaves alice's ``mine``."""
    path = w.files / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "suite", "-f", str(path)], check=True)
    made = w.alice.json("keypair create", "--public-key", f"{path}.pub", "mine")
    printed = subprocess.run(["ssh-keygen", "-l", "-E", "md5", "-f", f"{path}.pub"], capture_output=True, text=True, check=True)
    among(made["fingerprint"], printed.stdout)
    among(path.with_suffix(".pub").read_text().split()[1], w.alice("keypair show", "--public-key", "mine"))
    private = w.files / "generated"
    w.alice("keypair create", "--private-key", str(private), "generated")
    private.chmod(0o600)
    derived = subprocess.run(["ssh-keygen", "-y", "-f", str(private)], capture_output=True, text=True, check=True).stdout
    among(derived.split()[1], w.alice("keypair show", "--public-key", "generated"))
    same(names(w.alice.json("keypair list")), {"mine", "generated"})
    same(w.bob.json("keypair list"), [])
    says(w.bob.refused("keypair show", "mine"), "mine")
    says(w.alice.refused("keypair create", "--public-key", f"{path}.pub", "mine"), "409")
    says(w.alice.refused("keypair create", "--public-key", w.file("no-key", "this is no key"), "x"), "400")
    w.alice("keypair delete", "generated")
    same(names(w.alice.json("keypair list")), {"mine"})


def hypervisors(w: World) -> None:
    """``hypervisor``: each node is one, as with Nova's driver for Ironic."""
    rows = w.admin.json("hypervisor list")
    same(len(rows), MACHINES)
    nodes = {row["uuid"] for row in w.admin.json("baremetal node list")}
    same({row["hypervisor_hostname"] for row in rows}, nodes)
    shown = w.admin.json("hypervisor show", rows[0]["id"])
    same((shown["hypervisor_type"], shown["state"]), ("ironic", "up"))
    same(w.admin.json("hypervisor stats show")["count"], MACHINES)
    says(w.alice.refused("hypervisor list"), "403")


def zones(w: World) -> None:
    """``availability zone``."""
    rows = w.alice.json("availability zone list", "--compute")
    among("nova", {row["zone_name"] for row in rows})
    same({row["zone_status"] for row in rows}, {"available"})
    rows = w.alice.json("availability zone list", "--network")
    assert rows, "no zone for networks"


def quotas(w: World) -> None:
    """``quota`` and ``limits``: what is set is shown, and holds."""
    w.admin("quota set", "--instances", "7", "--networks", "3", "alices")

    def quota(*flags: str) -> dict:
        return {row["resource"]: row["limit"] for row in w.admin.json("quota show", *flags, "alices")}

    same((quota("--compute")["instances"], quota("--network")["networks"]), (7, 3))
    limits = {row["name"]: row["value"] for row in w.alice.json("limits show", "--absolute")}
    same((int(limits["max_total_instances"]), int(limits["instances_used"])), (7, 0))
    w.alice("limits show", "--rate")
    same([row["instances"] for row in w.admin.json("quota list", "--compute") if row["project_id"] == w.project], [7])
    w.alice("network create", "second")
    w.alice("network create", "third")
    says(w.alice.refused("network create", "fourth"), "quota")
    w.alice("network delete", "second", "third")
    says(w.alice.refused("quota set", "--instances", "1000", "alices"), "403")
    w.admin("quota delete", "--all", "alices")
    assert quota("--compute")["instances"] != 7, "the quota is still set"


ACTS = [flavors, keypairs, hypervisors, zones, quotas]
