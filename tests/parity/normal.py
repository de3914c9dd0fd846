"""An answer without what must differ between two servers: generated UUIDs and tokens, times, ports, request ids.

Each server has a `Normaliser` of its own. Everything that it does not name here is compared as it came.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .client import Answer

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_REQUEST_ID = re.compile(r"\breq-[0-9a-f-]{36}\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?")

_SET = re.compile(r"enabled_\w+_interfaces")
_UNEXPECTED = "Unexpected arguments: "

#: Headers that are compared; of request ids only that they are there.
HEADERS = (
    "x-openstack-ironic-api-minimum-version",
    "x-openstack-ironic-api-maximum-version",
    "x-openstack-ironic-api-version",
    "content-type",
    "location",
    "allow",
    "www-authenticate",
    "x-openstack-request-id",
    "openstack-request-id",
)


class Normaliser:
    """Gives the UUIDs that one server made names in the order in which they are seen."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._uuids: dict[str, str] = {}
        self._made = 0

    def know(self, path: str, body: Any) -> None:
        """UUIDs that a step itself names are the same at both servers and stay as they are."""
        for uuid in _UUID.findall(path if body is None else f"{path} {body}"):
            self._uuids.setdefault(uuid, uuid)

    def text(self, text: str) -> str:
        """A text with everything replaced that may differ."""
        text = text.replace(self._authority, "<host>")
        text = _REQUEST_ID.sub("<request id>", text)
        text = _UUID.sub(lambda match: self._name(match.group()), text)
        return _TIME.sub(_time, text)

    def value(self, value: Any) -> Any:
        """A JSON value with every text in it normalised. Objects are walked by key, so that both servers name alike."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(_plain(key, value[key])) for key in sorted(value)}
        return value

    def answer(self, answer: Answer) -> dict[str, Any]:
        """What is compared of an answer: `status`, `headers`, `body`."""
        headers = {}
        for name in HEADERS:
            value = answer.header(name)
            if value is not None:
                headers[name] = self.text(value)
        return {"status": answer.status, "headers": headers, "body": self.value(parse(answer.body))}

    def _name(self, uuid: str) -> str:
        if uuid not in self._uuids:
            self._made += 1
            self._uuids[uuid] = f"<uuid {self._made}>"
        return self._uuids[uuid]


def parse(body: bytes) -> Any:
    """A body as JSON, the text inside an `error_message` too; as text where it is none."""
    if not body:
        return None
    text = body.decode("utf-8", "backslashreplace")
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict) and isinstance(value.get("error_message"), str):
        try:
            value["error_message"] = json.loads(value["error_message"])
        except ValueError:
            pass
    return value


def _plain(key: str, value: Any) -> Any:
    """A value under a key, without what means nothing: the order of Python's sets, the letters of tokens."""
    if _SET.fullmatch(key) and isinstance(value, list):
        return sorted(value)
    if key == "agent_token" and isinstance(value, str) and len(value) > len("******"):
        return f"<token of {len(value)} characters>"
    if key == "faultstring" and isinstance(value, str) and value.startswith(_UNEXPECTED):
        names = value.removeprefix(_UNEXPECTED).split(", ")
        return _UNEXPECTED + ", ".join(sorted(names))
    return value


def _time(match: re.Match[str]) -> str:
    """What is left of a time is its form: whether it has a fraction, and its offset."""
    fraction = f".{len(match.group(1)) - 1}" if match.group(1) else ""
    return f"<time{match.group()[10]}{fraction}{match.group(2) or ''}>"
