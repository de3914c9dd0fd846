"""Makes the virtual environment of schemathesis, and goes on inside of it."""

import os
import sys
from pathlib import Path

from ..support.venv import ensure

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def main() -> None:
    """Re-executes itself with the environment's Python, then runs the suite."""
    python = ensure("fuzz", REQUIREMENTS.read_text().splitlines()) / "bin" / "python"
    if sys.prefix != str(python.parent.parent):
        os.execv(python, [str(python), "-B", "-m", "tests.fuzz", *sys.argv[1:]])
    from .suite import main as fuzz

    fuzz(int(os.environ.get("EXAMPLES", "10")))


main()
