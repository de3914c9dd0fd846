"""The suite itself, inside of the enclosure (``enclosure.sh``)."""

import os
import stat
import sys
from pathlib import Path

from ..support.site import Site
from ..support.tally import Tally
from . import cases
from .machine import MAC, Agent, Authority

#: What the enclosure noted before it hid the disks: lines of a name and a device number.
DISKS = Path("/mnt/disks")
STATE = Path("/mnt/state")

CONFIGURATION = """
[api]
auth = "none"
enabled_hardware_types = ["fake-hardware"]
tls_certificate = "{certificate}"
tls_key = "{key}"
[netboot]
enabled = false
"""


def nobody_opens_a_disk() -> None:
    """Fails if any of this machine's disks can be opened, by its name or by its number."""
    noted = DISKS.read_text().splitlines()
    for line in noted:
        name, number = line.split()
        major, minor = map(int, number.split(":"))
        ways = [Path("/dev") / name]
        own = STATE / "disk"
        try:
            os.mknod(own, stat.S_IFBLK | 0o600, os.makedev(major, minor))
            ways.append(own)
        except PermissionError:
            pass
        for way in ways:
            try:
                os.close(os.open(way, os.O_RDONLY))
            except OSError:
                continue
            raise AssertionError(f"{name} could be opened as {way}")
    devices = sorted(entry.name for entry in Path("/dev").iterdir())
    assert devices == ["null", "random", "urandom", "zero"], devices
    assert not any(Path("/sys/class/block").iterdir()), "the agent would find disks in /sys"
    print(f"tried to open {len(noted)} disks and partitions of this machine: refused", flush=True)


def main() -> None:
    """Tries the enclosure, then the agent."""
    tally = Tally()
    with tally.case("no disk can be opened"):
        nobody_opens_a_disk()
    if tally.failed:
        print("the agent is not started where there is a disk", file=sys.stderr)
        tally.end()
    os.environ["TMPDIR"] = str(STATE)
    authority = Authority(STATE)
    # What `ssl` trusts by default, in this process.
    os.environ["SSL_CERT_FILE"] = str(authority.certificate)
    certificate, key = authority.certify("127.0.0.1")
    site = Site(CONFIGURATION.format(certificate=certificate, key=key))
    site.url = site.url.replace("http:", "https:")
    with site, Agent(site.url, authority.certificate, STATE / "agent", port=9999) as agent:
        cases.play(tally, site, agent, MAC)
        if tally.failed:
            print("the agent's log:", *agent.log.read_text(errors="replace").splitlines()[-60:], sep="\n")
            print("the server's log:", *site.log.read_text(errors="replace").splitlines()[-20:], sep="\n")
    tally.end()


main()
