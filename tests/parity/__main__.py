"""`python3 -m tests.parity`: plays every scenario against Ironic and Billet, and ends with `N passed, N failed`."""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

from ..support.ironic import install
from . import servers
from .client import Client
from .differences import read_rows
from .play import Play, Side, Stopped
from .report import Report
from .scenarios import Scenario, load
from .sweep import sweep

ROOT = Path(__file__).resolve().parents[2]
#: A run of everything proves less than it claims below these.
STEPS = 400
VERSIONS = 12


def main() -> int:
    """Reads the arguments, starts the servers, plays, reports; 0 where nothing failed."""
    arguments = _arguments()
    scenarios = load(arguments.only)
    names = list(scenarios)
    if arguments.seed is not None:
        random.Random(arguments.seed).shuffle(names)
    report = Report(arguments.verbose)
    with _directory(arguments.keep) as directory, contextlib.ExitStack() as stack:
        binaries = arguments.oracle_venv / "bin" if arguments.oracle_venv else None
        binaries = binaries or install()
        clients = {"ironic": stack.enter_context(servers.ironic(binaries, directory / "ironic"))}
        if not arguments.oracle_only:
            clients["billet"] = stack.enter_context(servers.billet(arguments.billet, directory / "billet"))
        _play_all(names, scenarios, clients, report, whole=not arguments.only and len(clients) == 2)
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


def _play_all(
    names: Sequence[str],
    scenarios: dict[str, Scenario],
    clients: dict[str, Client],
    report: Report,
    whole: bool,
) -> None:
    rows = read_rows(ROOT / "docs/DIFFERENCES.md")
    versions: set[int] = set()
    shown: set[str] = set()
    for name in names:
        play = Play(name, [Side.of(side, client) for side, client in clients.items()], report.step)
        try:
            scenarios[name](play)
        except Stopped as stopped:
            report.failure(name, f"stopped after step {play.number}: {stopped}")
        versions |= play.versions
        shown |= play.rows
        for side, client in clients.items():
            for left in sweep(client):
                report.failure(name, f"{side} keeps {left}")
    for row in sorted(shown - rows):
        report.failure("differences", f"docs/DIFFERENCES.md has no row `{row}`")
    if whole:
        for row in sorted(rows - shown):
            report.failure("differences", f"no step shows the row `{row}` of docs/DIFFERENCES.md")
        if report.passed + report.failed < STEPS or len(versions) < VERSIONS:
            report.failure("coverage", f"less than {STEPS} steps or {VERSIONS} microversions were played")
    print(f"{len(names)} scenarios at {len(versions)} microversions")


@contextlib.contextmanager
def _directory(keep: bool) -> Iterator[Path]:
    """Where the servers keep what they keep; it goes with them unless it is to be kept."""
    directory = Path(tempfile.mkdtemp(prefix="parity-"))
    try:
        yield directory
    finally:
        if keep:
            print(f"databases and logs are kept in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="parity", description="Plays the same requests against Ironic and Billet.")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="one file of scenarios, or one scenario (file.function)")
    parser.add_argument("--billet", metavar="PATH", type=Path, default=ROOT / "target/release/billet")
    parser.add_argument("--oracle-only", action="store_true", help="ask Ironic alone, and show its answers")
    parser.add_argument(
        "--oracle-venv",
        metavar="PATH",
        type=Path,
        default=os.environ.get("PARITY_ORACLE_VENV") or None,
        help="a virtual environment with Ironic, in place of an own one [environment: PARITY_ORACLE_VENV]",
    )
    parser.add_argument("--seed", metavar="N", type=int, help="play the scenarios in another order")
    parser.add_argument("--keep", action="store_true", help="keep the servers' databases and logs")
    parser.add_argument("--verbose", action="store_true", help="show steps that passed, too")
    arguments = parser.parse_args()
    arguments.verbose = arguments.verbose or arguments.oracle_only
    if isinstance(arguments.oracle_venv, str):
        arguments.oracle_venv = Path(arguments.oracle_venv)
    arguments.billet = arguments.billet.resolve()
    if not arguments.oracle_only and not arguments.billet.is_file():
        parser.error(f"there is no {arguments.billet}: build it (cargo build --release -p billet), or name another with --billet")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
