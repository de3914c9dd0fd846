"""The families, each a module with ``FAMILIES`` and a function ``play``. What a family has and nothing was given of is a failure."""

from ..support.site import Site
from ..support.tally import Tally
from . import objects
from .shell import Shell

MODULES = (objects,)


def main() -> None:
    """Plays every family against one site."""
    tally = Tally()
    with Site(auth="own") as site:
        for module in MODULES:
            shell = Shell(site.environment("demo"))
            other = Shell(site.environment("alt_demo"))
            module.play(tally, shell, other)
            for family in module.FAMILIES:
                for command in sorted(shell.known(family)):
                    with tally.case(f"{command} was given"):
                        assert command in shell.given, f"nothing of the story gives it: {command}"
    tally.end()
