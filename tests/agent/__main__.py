"""Installs the agent and goes on inside of the enclosure."""

import os
import subprocess
import sys
from pathlib import Path

from ..support.site import BINARY
from ..support.venv import TOP, ensure

REQUIREMENTS = ["ironic-python-agent==13.0.0"]
SYSTEM_PYTHON = Path("/usr/bin/python3")
ENCLOSURE = Path(__file__).with_name("enclosure.sh")


def everybody_may_run(program: Path) -> bool:
    """Whether an unprivileged user gets at a program."""
    return all(place.stat().st_mode & 0o001 for place in [program, *program.parents])


def main() -> None:
    """Ends with the suite's own code."""
    python = Path(sys.executable).resolve()
    if not everybody_may_run(python):
        if python == SYSTEM_PYTHON.resolve():
            raise SystemExit(f"{python} can't be run by unprivileged users, as whom the agent runs")
        os.execv(SYSTEM_PYTHON, [str(SYSTEM_PYTHON), "-m", "tests.agent", *sys.argv[1:]])
    binary = Path(os.environ.get("BILLET", BINARY)).resolve()
    if not binary.exists():
        raise SystemExit(f"{binary} is not there: run `make build` first, or name another with BILLET=")
    venv = ensure("agent", REQUIREMENTS)
    namespaces = ["--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.getuid() != 0:
        namespaces += ["--user", "--map-root-user"]
    # It ends with this process, however that ends.
    enclosed = ["setpriv", "--pdeathsig", "KILL", "unshare", *namespaces, "sh", str(ENCLOSURE)]
    arguments = map(str, [os.getuid(), TOP / "tests", venv, binary])
    sys.exit(subprocess.run([*enclosed, *arguments], stdin=subprocess.DEVNULL, cwd="/", check=False).returncode)


main()
