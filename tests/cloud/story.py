"""Plays every act and asks in the end whether a command was forgotten."""

import argparse

from ..support.site import Site
from ..support.tally import Tally
from . import cannot, compute, documentation, identity, image, network, object_store, sdk, server
from .world import CONFIGURATION, World, same

ACTS = [*identity.ACTS, *image.ACTS, *network.ACTS, *compute.ACTS, *server.ACTS, *object_store.ACTS, *sdk.ACTS]
#: Played when what can't be done has been tried.
LAST_ACTS = [*server.LAST_ACTS, *identity.LAST_ACTS]


def main() -> None:
    """Plays all acts, or those whose module or name is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("acts", nargs="*", help="only these: `image`, `server.reboots` …")
    parser.add_argument("--write-docs", action="store_true", help="write docs/CLIENTS.md and end")
    options = parser.parse_args()
    if options.write_docs:
        documentation.write()
        return
    tally = Tally()
    with Site(CONFIGURATION) as site:
        world = World(site)
        try:
            play(world, tally, options.acts)
        finally:
            world.close()
    tally.end()


def is_wanted(act, names: list[str]) -> bool:
    """Was this act asked for, by its module's name or its own?"""
    module = act.__module__.rsplit(".", 1)[-1]
    return not names or module in names or f"{module}.{act.__name__}" in names


def play_acts(world: World, tally: Tally, acts: list, names: list[str]) -> None:
    """Those of the acts that are wanted, in their order."""
    for act in acts:
        if is_wanted(act, names):
            with tally.case(f"{act.__module__.rsplit('.', 1)[-1]}.{act.__name__}"):
                act(world)


def play(world: World, tally: Tally, names: list[str]) -> None:
    """Every act, then what can't be done, then: was every command given?"""
    with tally.case("the cast"):
        identity.cast(world)
    with tally.case("the machines"):
        world.enrol()
    play_acts(world, tally, ACTS, names)
    for command, case in cannot.CASES.items():
        if not names or "cannot" in names:
            with tally.case(f"cannot: {command}"):
                cannot.check(world, command, case)
    play_acts(world, tally, LAST_ACTS, names)
    if names:
        return
    with tally.case("every command of the client was given"):
        left = sorted(world.admin.known() - world.given)
        assert not left, f"not given: {', '.join(left)}"
    with tally.case("docs/CLIENTS.md lists what can't be done"):
        same(documentation.PAGE.read_text(), documentation.page())
