"""Makes the client's virtual environment, and goes on inside of it."""

import os
import sys

from ..support.venv import TOP, ensure

REQUIREMENTS = TOP / "crates" / "lab" / "assets" / "client" / "requirements.txt"


def main() -> None:
    """Re-executes itself with the environment's Python, then runs the suite."""
    python = ensure("clients", REQUIREMENTS.read_text().splitlines()) / "bin" / "python"
    if sys.prefix != str(python.parent.parent):
        os.execv(python, [str(python), "-m", "tests.cloud", *sys.argv[1:]])
    from .story import main as play

    play()


main()
