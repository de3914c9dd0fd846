"""Networks, subnets and ports, and how they are kept apart."""

from .identity import names
from .world import World, same, says


def networks(w: World) -> None:
    """``network``. Leaves the shared flat ``provider`` and alice's own ``private``."""
    flat = ["--share", "--provider-network-type", "flat", "--provider-physical-network", "physnet1"]
    made = w.admin.json("network create", *flat, "provider")
    same((made["name"], made["shared"], made["provider:network_type"]), ("provider", True, "flat"))
    same((made["status"], made["admin_state_up"], made["subnets"]), ("ACTIVE", True, []))
    own = w.alice.json("network create", "--description", "mine", "--mtu", "1400", "private")
    same((own["project_id"], own["shared"], own["mtu"]), (w.project, False, 1400))
    same(names(w.alice.json("network list")) & {"provider", "private"}, {"provider", "private"})
    same(names(w.bob.json("network list")) & {"provider", "private"}, {"provider"})
    same(names(w.alice.json("network list", "--share")), {"provider"})
    says(w.bob.refused("network show", own["id"]), own["id"])
    w.alice("network set", "--description", "all mine", "--tag", "lab", "private")
    shown = w.alice.json("network show", "private")
    same((shown["description"], shown["tags"]), ("all mine", ["lab"]))
    w.alice("network unset", "--tag", "lab", "private")
    same(w.alice.json("network show", "private")["tags"], [])
    says(w.alice.refused("network create", *flat, "x"), "403")
    says(w.admin.refused("network create", "--provider-network-type", "carrier-pigeon", "x"), "carrier-pigeon")
    says(w.bob.refused("network delete", own["id"]), own["id"])
    w.alice("network create", "gone")
    w.alice("network delete", "gone")
    says(w.alice.refused("network show", "gone"), "gone")


def subnets(w: World) -> None:
    """``subnet``. Leaves ``provider-v4`` (20 addresses) and ``private-v4``."""
    pool = ["--allocation-pool", "start=10.20.0.10,end=10.20.0.29", "--gateway", "10.20.0.1", "--dns-nameserver", "10.20.0.2"]
    made = w.admin.json("subnet create", "--network", "provider", "--subnet-range", "10.20.0.0/24", *pool, "provider-v4")
    same((made["gateway_ip"], made["enable_dhcp"], made["ip_version"]), ("10.20.0.1", True, 4))
    same(made["allocation_pools"], [{"start": "10.20.0.10", "end": "10.20.0.29"}])
    same(w.alice.json("network show", "provider")["subnets"], [made["id"]])
    own = w.alice.json("subnet create", "--network", "private", "--subnet-range", "10.30.0.0/28", "private-v4")
    same((own["gateway_ip"], own["allocation_pools"]), ("10.30.0.1", [{"start": "10.30.0.2", "end": "10.30.0.14"}]))
    six = w.alice.json("subnet create", "--network", "private", "--ip-version", "6", "--subnet-range", "fd00:30::/64", "private-v6")
    same((six["ip_version"], six["gateway_ip"]), (6, "fd00:30::1"))
    w.alice("subnet set", "--name", "v4", "--dns-nameserver", "10.30.0.3", "--host-route", "destination=10.9.0.0/16,gateway=10.30.0.9", "private-v4")
    shown = w.alice.json("subnet show", "v4")
    same(shown["dns_nameservers"], ["10.30.0.3"])
    same(shown["host_routes"], [{"destination": "10.9.0.0/16", "nexthop": "10.30.0.9"}])
    w.alice("subnet unset", "--dns-nameserver", "10.30.0.3", "v4")
    same(w.alice.json("subnet show", "v4")["dns_nameservers"], [])
    w.alice("subnet set", "--name", "private-v4", "v4")
    same(names(w.alice.json("subnet list", "--network", "private")), {"private-v4", "private-v6"})
    assert "private-v4" not in names(w.bob.json("subnet list"))
    overlap = ["--network", "private", "--subnet-range", "10.30.0.0/27"]
    says(w.alice.refused("subnet create", *overlap, "x"), "overlap", "10.30.0.0/28")
    says(w.alice.refused("subnet create", "--network", "private", "--subnet-range", "10.31.0.0/33", "x"), "10.31.0.0/33")
    outside = ["--allocation-pool", "start=10.40.0.1,end=10.40.0.9"]
    w.alice.refused("subnet create", "--network", "private", "--subnet-range", "10.41.0.0/24", *outside, "x")
    w.alice("subnet delete", "private-v6")
    same(names(w.alice.json("subnet list", "--network", "private")), {"private-v4"})


def ports(w: World) -> None:
    """``port``: addresses are given once, and a pool comes to its end."""
    fixed = ["--fixed-ip", "subnet=private-v4,ip-address=10.30.0.7"]
    made = w.alice.json("port create", "--network", "private", *fixed, "--mac-address", "52:54:00:bb:00:01", "--description", "seven", "seven")
    same([pair["ip_address"] for pair in made["fixed_ips"]], ["10.30.0.7"])
    same((made["mac_address"], made["project_id"], made["status"]), ("52:54:00:bb:00:01", w.project, "DOWN"))
    says(w.alice.refused("port create", "--network", "private", *fixed, "again"), "10.30.0.7")
    says(w.alice.refused("port create", "--network", "private", "--mac-address", "52:54:00:bb:00:01", "again"), "52:54:00:bb:00:01")
    w.alice("port set", "--name", "lucky", "--extra-dhcp-option", "name=bootfile-name,value=x.efi", "seven")
    shown = w.alice.json("port show", "lucky")
    same([(option["opt_name"], option["opt_value"]) for option in shown["extra_dhcp_opts"]], [("bootfile-name", "x.efi")])
    w.alice("port unset", "--fixed-ip", "subnet=private-v4,ip-address=10.30.0.7", "lucky")
    same(w.alice.json("port show", "lucky")["fixed_ips"], [])
    same(names(w.alice.json("port list", "--network", "private")) - {""}, {"lucky"})
    same(w.alice.json("port list", "--mac-address", "52:54:00:bb:00:01")[0]["id"], made["id"])
    assert made["id"] not in {row["id"] for row in w.bob.json("port list")}
    says(w.bob.refused("port delete", made["id"]), made["id"])
    w.alice("port delete", "lucky")
    given = set()
    for number in range(13):
        [pair] = w.alice.json("port create", "--network", "private", f"p{number}")["fixed_ips"]
        given.add(pair["ip_address"])
    same(len(given), 13)
    says(w.alice.refused("port create", "--network", "private", "one-too-many"), "No more IP addresses")
    says(w.alice.refused("subnet delete", "private-v4"), "409")
    w.alice("port delete", *[f"p{number}" for number in range(13)])


def agents(w: World) -> None:
    """``network agent``: a site that serves no interface has none. And what is never there."""
    same(w.admin.json("network agent list"), [])
    nobody = "8c1ad4a4-0000-4000-8000-000000000000"
    says(w.admin.refused("network agent show", nobody), nobody)
    same(w.admin.json("subnet pool list"), [])
    same(w.admin.json("network service provider list"), [])


ACTS = [networks, subnets, ports, agents]
