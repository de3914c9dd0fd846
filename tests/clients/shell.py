"""The real client, called within this process: starting Python anew for each of 118 commands would take minutes."""

import contextlib
import io
import json
import logging
import os

from openstackclient.shell import OpenStackShell


class Refused(Exception):
    """The client ended with an error; the text is what it said."""


class Shell:
    """``openstack baremetal …`` against one endpoint, without authentication."""

    def __init__(self, endpoint: str) -> None:
        # Nothing of the caller's environment may change what the client does.
        for name in [name for name in os.environ if name.startswith("OS_")]:
            del os.environ[name]
        self._options = ["--os-auth-type", "none", "--os-endpoint", endpoint]
        self.given: set[str] = set()

    def known(self) -> set[str]:
        """Every ``baremetal`` command that the client lists."""
        listing = self._run(["help", "baremetal"])
        return {line.strip() for line in listing.splitlines() if line.startswith("  baremetal")}

    def __call__(self, command: str, *arguments: str) -> str:
        """Gives a command (without the word ``baremetal``); returns what it printed."""
        self.given.add(f"baremetal {command}")
        return self._run(["baremetal", *command.split(), *arguments])

    def json(self, command: str, *arguments: str):
        """The same with ``-f json``, decoded. Some lists have titles for keys and some have names: all become names."""

        def named(row):
            return {key.lower().replace(" ", "_"): value for key, value in row.items()} if isinstance(row, dict) else row

        decoded = json.loads(self(command, *arguments, "-f", "json"))
        return [named(row) for row in decoded] if isinstance(decoded, list) else decoded

    def _run(self, arguments: list[str]) -> str:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = OpenStackShell().run([*self._options, *arguments])
            except SystemExit as end:
                code = end.code
            finally:
                # Each shell adds handlers for its own stderr.
                logging.getLogger("").handlers.clear()
        if code:
            said = err.getvalue().strip() or out.getvalue().strip()
            raise Refused(f"openstack {' '.join(arguments)}: {said[-2000:]}")
        return out.getvalue()
