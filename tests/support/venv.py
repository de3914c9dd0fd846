"""Virtual environments with pinned packages, made once and kept under ``target/``."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
VENVS = TOP / "target" / "venvs"


def ensure(name: str, requirements: list[str]) -> Path:
    """Returns a virtual environment that has exactly these requirements (lines as pip reads them); makes it if need be.

    Half-made ones of an interrupted run are made anew. Two runs at once wait for each other.
    """
    lines = [line.strip() for line in requirements if line.strip() and not line.startswith("#")]
    key = hashlib.sha256("\n".join([sys.version, *lines]).encode()).hexdigest()[:12]
    place = VENVS / f"{name}-{key}"
    VENVS.mkdir(parents=True, exist_ok=True)
    with open(VENVS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = place / "ready"
        if not ready.exists():
            print(f"installing {name} into {place.relative_to(TOP)}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            listed = place / "requirements.txt"
            listed.write_text("\n".join(lines) + "\n")
            pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--requirement", str(listed)], check=True)
            ready.touch()
    return place
