"""The machine in the enclosure: an authority that signs for the API, and the agent's process."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType

#: Of the network card that the enclosure made.
MAC = "52:54:00:00:71:09"
PROGRAMS = Path("/mnt/bin")
PLUGIN = Path(__file__).with_name("plugin")

CONFIGURATION = """
[DEFAULT]
api_url = {url}
cafile = {authority}
listen_port = {port}
advertise_port = {port}
disk_wait_attempts = 1
disk_wait_delay = 0
debug = true
"""


class Authority:
    """A certificate authority of the test's own, by ``openssl``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate = directory / "authority.pem"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=authority", "-keyout", "authority.key", "-out", self.certificate.name,
        )  # fmt: skip

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")

    def certify(self, address: str) -> tuple[Path, Path]:
        """A certificate for an IP address, and its key."""
        (self.directory / "extensions").write_text(f"subjectAltName=IP:{address}\nbasicConstraints=critical,CA:FALSE\n")
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=billet", "-keyout", "key.pem", "-out", "request.pem",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", "request.pem", "-CA", self.certificate.name, "-CAkey", "authority.key",
            "-CAcreateserial", "-days", "1", "-extfile", "extensions", "-out", "certificate.pem",
        )  # fmt: skip
        return self.directory / "certificate.pem", self.directory / "key.pem"


class Agent:
    """One ``ironic-python-agent``. Use it as a context manager."""

    def __init__(self, url: str, authority: Path, directory: Path, port: int) -> None:
        directory.mkdir()
        self.directory = directory
        self.authority = authority
        self.log = directory / "log"
        self.log.touch()
        self._configuration = directory / "agent.conf"
        self._configuration.write_text(CONFIGURATION.format(url=url, authority=authority, port=port))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Agent":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it, as its ramdisk would."""
        program = Path(sys.prefix) / "bin" / "ironic-python-agent"
        environment = {**os.environ, "PATH": str(PROGRAMS), "PYTHONPATH": str(PLUGIN)}
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(program), "--config-file", str(self._configuration)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment,
            )  # fmt: skip

    def said(self, text: str) -> bool:
        """Whether its log has this text; ``RuntimeError`` if it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the agent ended with {self._process.returncode}")
        return text in self.log.read_text(errors="replace")

    def token(self) -> str:
        """The token that it has: it logs what it is called by."""
        found = re.search(r"agent_token=([\w-]+)", self.log.read_text(errors="replace"))
        assert found, "no call in its log"
        return found.group(1)

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
