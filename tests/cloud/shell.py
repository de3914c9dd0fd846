"""The real client as one user, called within this process: starting Python anew for each of 300 commands would take minutes."""

import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Iterable

from openstackclient.common.clientmanager import ClientManager
from openstackclient.shell import OpenStackShell
from osc_lib.clientmanager import ClientCache

#: The families whose every command is given.
FAMILIES = (
    "user", "project", "role", "domain", "catalog", "service", "endpoint", "application credential", "token", "image", "network",
    "subnet", "port", "flavor", "keypair", "server", "hypervisor", "quota", "limits", "availability zone", "container", "object",
)  # fmt: skip


class Refused(AssertionError):
    """The client ended with an error; the text is what it said."""


def belongs(command: str, families: Iterable[str] = FAMILIES) -> bool:
    """Is the command one of these families?"""
    return any(command == family or command.startswith(f"{family} ") for family in families)


class Nobody(io.StringIO):
    """Standard input of a terminal where nobody types: the client takes anything else for the content of an image."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def forget_clients() -> None:
    """The client keeps its connections with the class: the next user would go on as the last one."""
    for kept in (kept for base in ClientManager.__mro__ for kept in vars(base).values()):
        if isinstance(kept, ClientCache):
            kept._handle = None


class Shell:
    """``openstack …`` with one user's options."""

    def __init__(self, options: list[str], given: set[str]) -> None:
        self.options = options
        #: Commands given so far, by every user of the suite.
        self.given = given

    def known(self) -> set[str]:
        """Every command of the families that the client lists."""
        groups = json.loads(self.run(["command", "list", "-f", "json"]))
        listed = [group["Commands"] for group in groups]
        commands = {name for names in listed for name in (names.split("\n") if isinstance(names, str) else names)}
        return {name for name in commands if belongs(name)}

    def __call__(self, command: str, *arguments: str) -> str:
        """Gives a command; returns what it printed."""
        self.given.add(command)
        return self.run([*command.split(), *arguments])

    def json(self, command: str, *arguments: str):
        """The same with ``-f json``, decoded. Some commands have titles for keys and some have names: all become names."""

        def named(row):
            return {key.lower().replace(" ", "_"): value for key, value in row.items()} if isinstance(row, dict) else row

        decoded = json.loads(self(command, *arguments, "-f", "json"))
        return [named(row) for row in decoded] if isinstance(decoded, list) else named(decoded)

    def refused(self, command: str, *arguments: str) -> str:
        """What the client says when the server refuses."""
        try:
            said = self(command, *arguments)
        except Refused as error:
            return str(error)
        raise AssertionError(f"openstack {command} {' '.join(arguments)} was not refused, but said: {said.strip()[:500]}")

    def run(self, arguments: list[str]) -> str:
        """Runs the client with these words; its standard output."""
        out, err = io.StringIO(), io.StringIO()
        # Nothing of the caller's environment may change what the client does.
        for name in [name for name in os.environ if name.startswith("OS_") and name != "OS_CLIENT_CONFIG_FILE"]:
            del os.environ[name]
        forget_clients()
        typed, sys.stdin = sys.stdin, Nobody()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = OpenStackShell().run([*self.options, *arguments])
            except SystemExit as end:
                code = end.code
            finally:
                sys.stdin = typed
                # Each shell adds handlers for its own stderr.
                logging.getLogger("").handlers.clear()
        if code:
            said = err.getvalue().strip() or out.getvalue().strip()
            raise Refused(f"openstack {' '.join(arguments)}: {said[-2000:]}")
        return out.getvalue()
