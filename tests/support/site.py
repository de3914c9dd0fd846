"""A ``billet serve`` of a suite's own: free loopback port, temporary state directory, gone at the end whatever happens."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from .venv import TOP

BINARY = TOP / "target" / "release" / "billet"

#: Fake hardware and every interface that it has; no boot services, so that it needs no rights.
FAKE_SITE = """
[api]
auth = "none"
enabled_hardware_types = ["fake-hardware", "ipmi"]
[netboot]
enabled = false
"""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(predicate, what: str, seconds: float = 30.0) -> None:
    """Waits until the predicate holds; ``TimeoutError`` names what was waited for."""
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.02)


def end(process: "subprocess.Popen[bytes] | None", patience: float = 20.0) -> None:
    """Ends a process that the suite started: by SIGTERM, and by SIGKILL if that is not enough."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Site:
    """A running server. Use it as a context manager."""

    def __init__(self, configuration: str = FAKE_SITE, binary: Path | None = None) -> None:
        self.binary = Path(os.environ.get("BILLET", binary or BINARY))
        if not self.binary.exists():
            raise SystemExit(f"{self.binary} is not there: run `make build` first, or name another with BILLET=")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._directory = tempfile.TemporaryDirectory(prefix="billet-site-")
        self.directory = Path(self._directory.name)
        (self.directory / "billet.toml").write_text(configuration)
        self.log = self.directory / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Site":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if kind is not None:
            print("\n".join(self.log.read_text(errors="replace").splitlines()[-20:]))
        self._directory.cleanup()

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        state = self.directory / "state"
        command = [self.binary, "serve", "--config", self.directory / "billet.toml", "--state-dir", state]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [*map(str, command), "--listen", f"127.0.0.1:{self.port}"], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            wait_until(self._answers, "the server's first answer")
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"billet ended with {self._process.returncode}: {self.log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.url}/healthcheck", timeout=5).status == 200
        return False

    def stop(self) -> None:
        """Stops the server."""
        end(self._process)
        self._process = None

    def call(self, method: str, path: str, body: object = None, version: str = "latest") -> tuple[int, object]:
        """One request; status and decoded JSON (``None`` without a body)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("X-OpenStack-Ironic-API-Version", version)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if text else None
