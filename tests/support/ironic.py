"""The real Ironic: installed once, all in one process, without authentication, on loopback.

``python3 -m tests.support.ironic prepare DIR --port N`` makes a directory ready for a server and prints, as JSON, its version, the
command that starts it and what that needs in its environment; ``copy`` and ``settle`` change its rows (``ironic_rows.py``). All are for the benchmark beside Ironic
(``billet-lab bench beside``), which starts and measures the server itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterable

from .venv import TOP, ensure

HOST = "127.0.0.1"
REQUIREMENTS = TOP / "tests" / "parity" / "requirements.txt"
#: What SQLAlchemy needs beside them to reach a network database.
DATABASE_DRIVERS = {"mysql+pymysql": "PyMySQL==1.2.4"}

#: What is enabled. The first of a list has no meaning: hardware types have an order of their own.
HARDWARE_TYPES = ("fake-hardware", "ipmi")
INTERFACES = {
    "bios": ("fake", "no-bios"),
    "boot": ("fake", "ipxe", "pxe"),
    "console": ("fake", "no-console"),
    "deploy": ("fake", "direct", "ramdisk"),
    "firmware": ("fake", "no-firmware"),
    "inspect": ("fake", "agent", "no-inspect"),
    "management": ("fake", "ipmitool"),
    "network": ("noop",),
    "power": ("fake", "ipmitool"),
    "raid": ("fake", "agent", "no-raid"),
    "rescue": ("fake", "no-rescue"),
    "storage": ("fake", "noop"),
    "vendor": ("fake", "ipmitool", "no-vendor"),
}


def install() -> Path:
    """Makes a virtual environment with the pinned Ironic, unless it is there; its ``bin`` directory."""
    return ensure("ironic", REQUIREMENTS.read_text().splitlines()) / "bin"


def environment(database: str | None) -> dict[str, str]:
    """What Ironic's programs need in their environment: the way to the driver of a network database, which is installed by itself."""
    if database is None:
        return {}
    driver = database.partition(":")[0]
    place = ensure(driver.replace("+", "-"), [DATABASE_DRIVERS[driver]])
    return {"PYTHONPATH": str(next((place / "lib").glob("python3*/site-packages")))}


def prepare(binaries: Path, directory: Path, port: int, database: str | None, conductor: Iterable[str]) -> list[str]:
    """Writes a server's configuration and makes its database; the command that starts it.

    ``database`` is SQLAlchemy's URL, SQLite in ``directory`` by default; ``conductor`` are lines for ``[conductor]``.
    """
    for name in ("httpboot", "tftpboot", "images"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    file = directory / "ironic.conf"
    file.write_text(_configuration(directory, port, database or f"sqlite:///{directory}/ironic.db", conductor))
    create = [str(binaries / "ironic-dbsync"), "--config-file", str(file), "create_schema"]
    variables = {**os.environ, **environment(database)}
    made = subprocess.run(create, capture_output=True, text=True, check=False, env=variables)
    if made.returncode:
        raise SystemExit(f"{' '.join(create)} failed:\n{(made.stderr or made.stdout)[-2000:]}")
    return [str(binaries / "ironic"), "--config-file", str(file)]


def _configuration(directory: Path, port: int, database: str, conductor: Iterable[str]) -> str:
    lines = [
        "[DEFAULT]",
        "auth_strategy = noauth",
        "rpc_transport = none",
        "transport_url = fake://",
        "host = conductor-1",
        f"state_path = {directory}",
        f"enabled_hardware_types = {','.join(HARDWARE_TYPES)}",
        *(f"enabled_{kind}_interfaces = {','.join(names)}" for kind, names in INTERFACES.items()),
        "[api]",
        f"host_ip = {HOST}",
        f"port = {port}",
        "[conductor]",
        *conductor,
        # A busy host must not make the conductor look dead.
        "heartbeat_timeout = 3600",
        "[inspector]",
        # Machines of `fake-hardware` are booted by nobody.
        "require_managed_boot = False",
        "[database]",
        f"connection = {database}",
        "[deploy]",
        f"http_root = {directory}/httpboot",
        f"http_url = http://{HOST}:1",
        "[pxe]",
        f"tftp_root = {directory}/tftpboot",
        f"tftp_master_path = {directory}/tftpboot/master_images",
        f"images_path = {directory}/images",
        f"instance_master_path = {directory}/images/master",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line, for a caller that is no Python."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.support.ironic", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    preparing = verbs.add_parser("prepare", help="install, write a configuration, make the database; print the command")
    preparing.add_argument("directory", type=Path)
    preparing.add_argument("--port", type=int, required=True)
    copying = verbs.add_parser("copy", help="copy the row of one node until there are so many")
    settling = verbs.add_parser("settle", help="record every node as powered off")
    copying.add_argument("--nodes", type=int, required=True)
    for verb in (copying, settling):
        verb.add_argument("directory", type=Path)
    for verb in (preparing, copying, settling):
        verb.add_argument("--database", metavar="URL", help="SQLAlchemy's URL of a network database")
    arguments = parser.parse_args()
    directory, database = arguments.directory.resolve(), arguments.database
    # Standard output has the answer alone.
    answer, sys.stdout = sys.stdout, sys.stderr
    binaries, variables = install(), environment(database)
    if arguments.verb == "prepare":
        command = prepare(binaries, directory, arguments.port, database, ["sync_power_state_interval = 0"])
        pinned = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("ironic=="))
        print(json.dumps({"version": pinned.partition("==")[2], "command": command, "environment": variables}), file=answer)
        return
    words = ["copy", str(arguments.nodes)] if arguments.verb == "copy" else ["settle"]
    script = Path(__file__).with_name("ironic_rows.py")
    url = database or f"sqlite:///{directory}/ironic.db"
    subprocess.run([str(binaries / "python"), str(script), url, *words], check=True, env={**os.environ, **variables})


if __name__ == "__main__":
    main()
