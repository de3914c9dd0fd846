"""One HTTP connection to one server: requests go out as they are, answers come back as bytes."""

from __future__ import annotations

import contextlib
import http.client
from dataclasses import dataclass, field
from typing import Mapping

#: A server that does not answer within so many seconds has failed the step.
TIMEOUT = 30.0


@dataclass(frozen=True)
class Request:
    """What is sent."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """All values of a header, joined as HTTP allows it; `None` where there is none."""
        values = [value for own, value in self.headers if own == name]
        return ", ".join(values) if values else None


class _Connection(http.client.HTTPConnection):
    """Sends any path: hostile ones are what some steps are about."""

    def _validate_path(self, url: str) -> None:
        pass

    def _encode_request(self, request: str) -> bytes:
        return request.encode("latin-1")


class Client:
    """Keeps a connection open between requests."""

    def __init__(self, host: str, port: int) -> None:
        self.authority = f"{host}:{port}"
        self._connection = _Connection(host, port, timeout=TIMEOUT)

    def send(self, request: Request) -> Answer:
        """Sends one request. A kept connection may have been closed at the other end, so it is tried once more."""
        try:
            return self._send(request)
        except (http.client.RemoteDisconnected, ConnectionResetError):
            self._connection.close()
            return self._send(request)

    def _send(self, request: Request) -> Answer:
        connection = self._connection
        connection.putrequest(request.method, request.path, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        if request.body is not None:
            connection.putheader("Content-Length", str(len(request.body)))
        elif request.method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", "0")
        # A server may answer before it has read the whole body, and close: its answer is what counts.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders(request.body)
        response = connection.getresponse()
        body = response.read()
        headers = tuple((name.lower(), value) for name, value in response.getheaders())
        if (response.getheader("Connection") or "").lower() == "close":
            connection.close()
        return Answer(response.status, headers, body)

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
