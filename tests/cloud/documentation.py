"""``docs/CLIENTS.md``, written from the list of what can't be done, so that it is never stale."""

from ..support.venv import TOP
from .cannot import CASES
from .shell import FAMILIES

PAGE = TOP / "docs" / "CLIENTS.md"

HEAD = """# Commands of the `openstack` client

`python3 -m tests.cloud` asks today's client which commands it has in the families {families}, and gives each of them at least once. All
work but those below, which end with a clear error; the test tries them too. `python3 -m tests.clients` does the same for
`openstack baremetal`, whose commands all work.

Written by `python3 -m tests.cloud --write-docs` from `tests/cloud/cannot.py`.

| commands that can't be served | why, and what to do instead |
|---|---|
"""


def page() -> str:
    """The page's text."""
    reasons: dict[str, list[str]] = {}
    for command, case in CASES.items():
        reasons.setdefault(case.reason, []).append(command)
    *most, last = [f"`{family}`" for family in FAMILIES]
    rows = [f"| {', '.join(f'`{command}`' for command in commands)} | {reason} |" for reason, commands in reasons.items()]
    return HEAD.format(families=f"{', '.join(most)} and {last}") + "\n".join(rows) + "\n"


def write() -> None:
    """Writes the page."""
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(TOP)}: {len(CASES)} commands")
