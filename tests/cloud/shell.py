"""The real client, called within this process: starting Python anew for each command would take minutes."""

import contextlib
import io
import json
import logging
import os

from openstackclient.shell import OpenStackShell
from osc_lib.clientmanager import ClientCache, ClientManager


class Refused(Exception):
    """The client ended with an error; the text is what it said."""


class Shell:
    """``openstack …`` as one user."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.given: set[str] = set()

    def known(self, family: str) -> set[str]:
        """Every command of a family that the client lists."""
        listing = self._run(["help", *family.split()])
        return {line.strip() for line in listing.splitlines() if line.startswith(f"  {family} ")}

    def __call__(self, command: str, *arguments: str) -> str:
        """Gives a command; returns what it printed."""
        self.given.add(command)
        return self._run([*command.split(), *arguments])

    def json(self, command: str, *arguments: str):
        """The same with ``-f json``, decoded; keys in lower case, with underscores."""

        def named(row):
            return {key.lower().replace(" ", "_"): value for key, value in row.items()} if isinstance(row, dict) else row

        decoded = json.loads(self(command, *arguments, "-f", "json"))
        return [named(row) for row in decoded] if isinstance(decoded, list) else named(decoded)

    def refused(self, command: str, *arguments: str) -> str:
        """What the client says when the server refuses."""
        try:
            self(command, *arguments)
        except Refused as error:
            return str(error)
        raise AssertionError(f"{command} {arguments} was not refused")

    def _run(self, arguments: list[str]) -> str:
        # Nothing of the caller's environment may change what the client does.
        for name in [name for name in os.environ if name.startswith("OS_")]:
            del os.environ[name]
        os.environ.update(self._environment)
        # A process is one user to the client: what it made for the one before would serve the next.
        for cache in vars(ClientManager).values():
            if isinstance(cache, ClientCache):
                cache._handle = None
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = OpenStackShell().run(arguments)
            except SystemExit as end:
                code = end.code
            finally:
                # Each shell adds handlers for its own stderr.
                logging.getLogger("").handlers.clear()
        if code:
            said = err.getvalue().strip() or out.getvalue().strip()
            raise Refused(f"openstack {' '.join(arguments)}: {said[-2000:]}")
        return out.getvalue()
