"""The cloud of the suite: a server with users of its own, the operator of its ``clouds.yaml``, two tenants, and fake machines."""

import os
import stat
import tempfile
from pathlib import Path

import yaml

from ..support.site import Site, wait_until
from .shell import Shell

#: Its own users; fake hardware that is done at once; no boot services, so that it needs no rights.
CONFIGURATION = """
[api]
enabled_hardware_types = ["fake-hardware"]
[netboot]
enabled = false
"""
PASSWORD = "Of the suite 1!"
MACHINES = 6
#: Descriptions, tags and reasons of a lock are asked for by microversion.
NEWEST = ["--os-compute-api-version", "2.96"]


def same(found: object, wanted: object) -> None:
    """Fails where two values differ."""
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def among(wanted: object, found) -> None:
    """Fails where a value is not one of many."""
    assert wanted in found, f"{wanted!r} is not among {found!r}"


def says(text: str, *words: str) -> None:
    """Fails where an error does not name what it is about."""
    for word in words:
        assert word.lower() in text.lower(), f"{word!r} is not in: {text}"


class World:
    """What the acts share. Each act leaves for the next what its docstring says."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.given: set[str] = set()
        self._files = tempfile.TemporaryDirectory(prefix="billet-cloud-")
        self.files = Path(self._files.name)
        self.clouds = site.directory / "state" / "clouds.yaml"
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(self.clouds)
        self.cloud = self._cloud_of_the_admin()
        self.admin = Shell(["--os-cloud", self.cloud, *NEWEST], self.given)
        self.project = ""
        self.alice = self.bob = self.admin

    def _cloud_of_the_admin(self) -> str:
        mode = stat.S_IMODE(self.clouds.stat().st_mode)
        same(oct(mode), "0o600")
        clouds = yaml.safe_load(self.clouds.read_text())["clouds"]
        return next(name for name, cloud in clouds.items() if cloud["auth"].get("username") == "admin" and "project_name" in cloud["auth"])

    def user(self, name: str, project: str, password: str = PASSWORD) -> Shell:
        """The client as a user of a project, by options alone."""
        url = yaml.safe_load(self.clouds.read_text())["clouds"][self.cloud]["auth"]["auth_url"]
        domains = ["--os-user-domain-name", "Default", "--os-project-domain-name", "Default"]
        who = ["--os-username", name, "--os-password", password, "--os-project-name", project]
        return Shell(["--os-auth-url", url, *who, *domains, "--os-identity-api-version", "3", *NEWEST], self.given)

    def of_2_1(self, shell: Shell) -> Shell:
        """The same user with the compute service's first microversion, which is the client's default."""
        return Shell([word for word in shell.options if word not in NEWEST], self.given)

    def file(self, name: str, content: bytes | str = b"") -> str:
        """A file's path; it is written unless it is there."""
        path = self.files / name
        if not path.exists():
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def enrol(self) -> None:
        """Machines of fake hardware that can be deployed, through the same client."""
        for number in range(MACHINES):
            name = f"machine-{number}"
            properties = {"cpus": 8, "memory_mb": 16384, "local_gb": 100, "cpu_arch": "x86_64"}
            flags = [word for key, value in properties.items() for word in ("--property", f"{key}={value}")]
            node = self.admin.json(
                "baremetal node create", "--driver", "fake-hardware", "--name", name, "--resource-class", "gold", *flags
            )
            self.admin("baremetal port create", f"52:54:00:aa:00:{number:02x}", "--node", node["uuid"])
            self.admin("baremetal node manage", name, "--wait", "60")
            self.admin("baremetal node provide", name, "--wait", "60")

    def until_server(self, shell: Shell, server: str, status: str) -> None:
        """Waits for a server's status; an error ends the wait."""

        def has_come() -> bool:
            shown = shell.json("server show", server)
            if shown["status"] == "ERROR" and status != "ERROR":
                raise AssertionError(f"{server} is in ERROR: {shown.get('fault')}")
            return shown["status"] == status

        wait_until(has_come, f"{server}: {status}", 60)

    def close(self) -> None:
        """Removes the suite's files."""
        self._files.cleanup()
