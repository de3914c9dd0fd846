"""The two servers: the real Ironic, all in one process on SQLite, and `billet serve`. Both with the same choices.

Each has a directory and a free loopback port of its own, is waited for, and is stopped when the context ends, whatever happened.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator

from ..support import ironic as real
from ..support.ironic import HARDWARE_TYPES, HOST, INTERFACES
from ..support.site import free_port
from .client import Client

#: How long a server may take to answer its first request, and to end; seconds.
START_PATIENCE = 120.0
STOP_PATIENCE = 10.0
PAUSE = 0.05

#: The conductor's name at both: it stands in links, texts and history.
CONDUCTOR = "conductor-1"


@contextlib.contextmanager
def ironic(binaries: Path, directory: Path) -> Iterator[Client]:
    """A running Ironic."""
    port = free_port()
    # The conductor takes up changes of its own registration at once.
    conductor = ["sync_power_state_interval = 0", "heartbeat_interval = 1"]
    serve = real.prepare(binaries, directory, port, None, conductor)
    with _running("ironic", serve, directory, port, ready="/v1/drivers/fake-hardware") as client:
        yield client


@contextlib.contextmanager
def billet(binary: Path, directory: Path) -> Iterator[Client]:
    """A running Billet."""
    port = free_port()
    directory.mkdir(parents=True)
    config = directory / "billet.toml"
    config.write_text(_billet_config(directory, port))
    serve = [str(binary), "serve", "--auth", "none", "--config", str(config)]
    with _running("billet", serve, directory, port, ready="/v1/drivers/fake-hardware") as client:
        yield client


def _billet_config(directory: Path, port: int) -> str:
    def listed(names: tuple[str, ...]) -> str:
        return "[" + ", ".join(f'"{name}"' for name in names) + "]"

    lines = [
        f'state_dir = "{directory}/state"',
        "[api]",
        f'listen = "{HOST}:{port}"',
        f"enabled_hardware_types = {listed(HARDWARE_TYPES)}",
        "[api.enabled_interfaces]",
        *(f"{kind} = {listed(names)}" for kind, names in INTERFACES.items()),
        "[conductor]",
        f'hostname = "{CONDUCTOR}"',
        "[netboot]",
        "enabled = false",
    ]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def _running(name: str, command: list[str], directory: Path, port: int, ready: str) -> Iterator[Client]:
    log = directory / f"{name}.log"
    with log.open("wb") as out:
        # A group of its own: Ironic forks, and all of it must go.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=directory, start_new_session=True
        )
    client = Client(HOST, port)
    try:
        _await_ready(name, process, client, ready, log)
        yield client
    finally:
        client.close()
        _stop(process)


def _await_ready(name: str, process: subprocess.Popen[bytes], client: Client, path: str, log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while True:
        if process.poll() is not None:
            raise SystemExit(f"{name} ended at once, its last words:\n{_tail(log)}")
        connection = http.client.HTTPConnection(client.authority, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", path, headers={"X-OpenStack-Ironic-API-Version": "latest"})
            if connection.getresponse().status == 200:
                return
        if time.monotonic() >= deadline:
            raise SystemExit(f"{name} does not answer after {START_PATIENCE:g} s, its last words:\n{_tail(log)}")
        time.sleep(PAUSE)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_PATIENCE)
            break
    # Children of a parent that has ended.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _tail(log: Path) -> str:
    text = log.read_text(errors="replace").replace("\0", "")
    return "\n".join(text.splitlines()[-20:])
