"""The commands that can't be served, each with the reason, and how it is tried. ``docs/CLIENTS.md`` is written from this."""

import re
from dataclasses import dataclass, field

from .shell import Refused
from .world import World

#: An error says so in one of these ways; which of them is often the client's choice, since it looks for things before it acts.
CLEAR = re.compile(r"\b(40[0-9]|501)\b|not found|could not find|no \w[\w ]* (found|exists|with)|not (supported|offered)|greater is required|does not exist", re.IGNORECASE)
#: What a client says that was not answered in a way which it understands.
UNCLEAR = re.compile(r"Traceback|NoneType|KeyError|AttributeError|\b500\b|Unexpected API Error")


@dataclass(frozen=True)
class Case:
    """How a command is tried."""

    reason: str
    arguments: tuple[str, ...] = ()
    #: Words of the error, beside a clear one.
    says: tuple[str, ...] = field(default=())
    #: By whom.
    user: str = "alice"


CASES: dict[str, Case] = {}


def group(reason: str, commands: str, user: str = "alice") -> None:
    """Adds commands with one reason: a line each, the command's words, ``|``, its arguments."""
    for line in commands.strip().splitlines():
        command, _, arguments = line.partition("|")
        CASES[command.strip()] = Case(reason, tuple(arguments.split()), user=user)


group(
    "A server is a machine: it stays where it is and is as large as it is. Make another server and delete this one.",
    """
    server migrate | web
    server migrate confirm | web
    server migrate revert | web
    server migration abort | web 1
    server migration confirm | web
    server migration force complete | web 1
    server migration revert | web
    server migration show | web 1
    server evacuate | web
    server resize | --flavor plain web
    server resize confirm | web
    server resize revert | web
    """,
    user="admin",
)
group(
    "The disk of a running machine can't be read from outside. Save what matters from within the server.",
    """
    server image create | --name copy web
    server backup create | --name copy web
    server shelve | web
    """,
)
group(
    "Hardware can't be paused. Use `server stop` and `server start`.",
    """
    server pause | web
    server unpause | web
    server suspend | web
    server resume | web
    """,
    user="admin",
)
group(
    "A deleted server's machine is cleaned at once: there is nothing to restore.",
    "server restore | web",
    user="admin",
)
group(
    "A crash dump is what the system writes when the operator sends it an NMI: `openstack baremetal node inject nmi`.",
    "server dump create | web",
    user="admin",
)
group(
    "An address goes with its port: `server remove port`.",
    "server remove fixed ip | web 10.20.0.10",
)
group(
    "There is no block storage service; a machine has the disks that it has.",
    """
    server add volume | web disk
    server remove volume | web disk
    server volume set | --preserve-on-termination web disk
    server volume update | --preserve-on-termination web disk
    """,
)
group(
    "There is no shared file system service.",
    """
    server add share | web x
    server remove share | web x
    server share list | web
    server share show | web x
    """,
)
group(
    "There are no routers: a server's address is the one on its wire.",
    """
    server add floating ip | web 192.0.2.7
    server remove floating ip | web 192.0.2.7
    network agent add router | x x
    network agent remove router | x x
    network agent router set | --ha-chassis-priority 1 x x
    network auto allocated topology create |
    network auto allocated topology delete |
    network l3 conntrack helper create | --helper tftp --protocol udp --port 69 x
    network l3 conntrack helper delete | x x
    network l3 conntrack helper list | x
    network l3 conntrack helper set | --port 70 x x
    network l3 conntrack helper show | x x
    network flavor create | --service-type L3_ROUTER_NAT x
    network flavor delete | x
    network flavor list |
    network flavor set | --name y x
    network flavor show | x
    network flavor add profile | x x
    network flavor remove profile | x x
    network flavor profile create | --driver x
    network flavor profile delete | x
    network flavor profile list |
    network flavor profile set | --driver y x
    network flavor profile show | x
    """,
    user="admin",
)
group(
    "The switches' work, which Billet leaves to them: metering, quality of service, trunks.",
    """
    network meter create | x
    network meter delete | x
    network meter list |
    network meter show | x
    network meter rule create | --remote-ip-prefix 10.0.0.0/8 x
    network meter rule delete | x
    network meter rule list |
    network meter rule show | x
    network qos policy create | x
    network qos policy delete | x
    network qos policy list |
    network qos policy set | --share x
    network qos policy show | x
    network qos rule create | --type dscp-marking --dscp-mark 8 x
    network qos rule delete | x x
    network qos rule list | x
    network qos rule set | --dscp-mark 10 x x
    network qos rule show | x x
    network qos rule type list |
    network qos rule type show | dscp_marking
    network trunk create | --parent-port x x
    network trunk delete | x
    network trunk list |
    network trunk set | --enable x
    network trunk show | x
    network trunk unset | --subport x x
    network trunk subport add | x x
    network trunk subport list | x
    network trunk subport remove | x x
    network subport list | --trunk x
    """,
    user="admin",
)
group(
    "A network is one segment, shared with nobody or with everybody (`network set --share`).",
    """
    network rbac create | --type network --action access_as_shared --target-all-projects provider
    network rbac delete | x
    network rbac list |
    network rbac set | --target-project bobs x
    network rbac show | x
    network segment create | --network provider --network-type flat x
    network segment delete | x
    network segment list |
    network segment set | --name y x
    network segment show | x
    network segment range create | --network-type vlan --physical-network physnet1 --minimum 1 --maximum 9 x
    network segment range delete | x
    network segment range list |
    network segment range set | --name y x
    network segment range show | x
    """,
    user="admin",
)
group(
    "The one agent is this process: it serves every network.",
    """
    network agent add network | --dhcp x provider
    network agent remove network | --dhcp x provider
    network agent delete | x
    network agent set | --disable x
    """,
    user="admin",
)
group(
    "Subnets are given their range (`subnet create --subnet-range`), not one out of a pool.",
    """
    subnet pool create | --pool-prefix 10.128.0.0/16 x
    subnet pool delete | x
    subnet pool set | --name y x
    subnet pool show | x
    subnet pool unset | --all-tag x
    subnet pool add network | provider x
    network onboard subnet | provider x
    """,
    user="admin",
)
group(
    "Every project sees the whole catalog.",
    """
    endpoint add project | x alices
    endpoint remove project | x alices
    endpoint group create | x FILTERS
    endpoint group delete | x
    endpoint group list |
    endpoint group set | --name y x
    endpoint group show | x
    endpoint group add project | x alices
    endpoint group remove project | x alices
    """,
    user="admin",
)
group(
    "No federation: users are Billet's own, or an outer Keystone's (`auth = \"keystone\"`).",
    """
    service provider create | --auth-url http://127.0.0.1/x --service-provider-url http://127.0.0.1/y x
    service provider list |
    service provider set | --disable x
    service provider show | x
    """,
    user="admin",
)
group(
    "No catalog of metadata definitions: properties of images and flavors are taken as they are.",
    """
    image metadef namespace create | x
    image metadef namespace delete | x
    image metadef namespace set | --description y x
    image metadef namespace show | x
    image metadef namespace unset | --all-tags x
    image metadef object create | --namespace x y
    image metadef object delete | x y
    image metadef object list | x
    image metadef object show | x y
    image metadef object update | --name z x y
    image metadef object property show | x y z
    image metadef property create | --name a --title b --type string --schema {} x
    image metadef property delete | x y
    image metadef property list | x
    image metadef property set | --title b x y
    image metadef property show | x y
    image metadef resource type list |
    image metadef resource type association create | x y
    image metadef resource type association delete | x y
    image metadef resource type association list | x
    """,
    user="admin",
)


def check(world: World, command: str, case: Case) -> None:
    """Gives the command: it must be refused, and in words that help."""
    shell = {"alice": world.alice, "admin": world.admin}[case.user]
    try:
        filters = world.file("filters.json", '{"interface": "admin"}')
        said = shell(command, *(filters if word == "FILTERS" else word for word in case.arguments))
    except Refused as error:
        text = str(error)
    else:
        raise AssertionError(f"it works now: take it off the list, and play it. It said: {said.strip()[:300]}")
    assert not UNCLEAR.search(text), f"no clear error: {text}"
    assert CLEAR.search(text), f"no clear error: {text}"
