"""The documented differences: rows of the table in docs/DIFFERENCES.md whose first column is an id in backquotes.

A step names the row that it shows (`expect`). A few differences go through the whole API; those stand here once (`STANDING`), with the
condition under which they must show.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

from .compare import Difference

_ROW = re.compile(r"^\|\s*`([a-z0-9-]+)`\s*\|")

Answer = dict[str, Any]
Agrees = Callable[[Answer, Answer], bool]


@dataclass(frozen=True)
class Expected:
    """A documented difference that a step must show, and the only places where it may show it.

    A place covers everything below it: `body` covers the whole body. `*` stands for anything.
    """

    row: str
    places: tuple[str, ...]
    #: Does Billet's answer still say what it must? Of Ironic's and Billet's.
    agrees: Agrees = lambda ironic, billet: True

    def covers(self, difference: Difference) -> bool:
        """Is the difference at one of the places?"""
        return any(
            fnmatch.fnmatchcase(difference.place, pattern) for place in self.places for pattern in (place, f"{place}.*")
        )


def expect(row: str, *places: str, agrees: Agrees | None = None) -> Expected:
    """`expect("mask-kept", "body.driver_info")`; the whole answer where no place is named."""
    expected = Expected(row, places or ("status", "headers", "body"))
    return expected if agrees is None else replace(expected, agrees=agrees)


def refused(row: str, status: int = 400) -> Expected:
    """Ironic lets something through, or fails; Billet refuses it with this status."""
    return expect(row, agrees=lambda ironic, billet: billet["status"] == status)


def accepted(row: str, status: int) -> Expected:
    """Ironic refuses something, or fails; Billet does it and answers with this status."""
    return expect(row, agrees=lambda ironic, billet: billet["status"] == status)


@dataclass(frozen=True)
class Standing:
    """A difference that shows whenever Ironic's answer is of a kind."""

    expected: Expected
    #: Does it show? Of the method, the path and Ironic's answer.
    applies: Callable[[str, str, Answer], bool]
    #: Ironic's answer alone does not tell whether it shows.
    may_be_absent: bool = False


#: Here Python's jsonschema begins to tell the schema and the whole value.
_DUMP = "\n\nFailed validating"


def _fault(answer: Answer, key: str) -> Any:
    body = answer["body"]
    message = body.get("error_message") if isinstance(body, dict) else None
    return message.get(key) if isinstance(message, dict) else None


def _said_too(ironic: Answer, billet: Answer) -> bool:
    """Billet's text is that of Ironic, if it has one, in the shape of all other errors."""
    description = _fault(ironic, "description")
    return _fault(billet, "faultcode") == "Client" and description in ("", _fault(billet, "faultstring"))


def _undumped(ironic: Answer, billet: Answer) -> bool:
    """Billet's text is that of Ironic before the schema and the value that it goes on with."""
    return bool(_fault(billet, "faultstring") == str(_fault(ironic, "faultstring")).partition(_DUMP)[0])


def _limit(method: str, path: str, ironic: Answer) -> bool:
    """The middleware in front of Ironic refuses a body for its size or depth, and knows no versions."""
    body = ironic["body"]
    return isinstance(body, dict) and "faultcode" in body


#: What Ironic says below a route's microversion: as error text, or as the description of an error before routing.
_BELOW = re.compile(
    r"(The r|R)esource could not be found\.|The API is not supported for this version|This endpoint is supported starting .*|The API version does not allow .*"
)

#: Billet's error text goes on where Ironic's ends, with what to do.
MORE_SAID = expect(
    "more-said",
    "body.error_message.faultstring",
    agrees=lambda ironic, billet: str(_fault(billet, "faultstring")).startswith(str(_fault(ironic, "faultstring"))),
)

STANDING = (
    # Before the rest: a failure of Ironic's has many shapes.
    Standing(
        expect("server-error", agrees=lambda ironic, billet: billet["status"] < 500),
        lambda method, path, ironic: ironic["status"] >= 500,
    ),
    Standing(
        expect(
            "route-below",
            "body.error_message",
            "headers",
            agrees=lambda ironic, billet: "API version" in str(_fault(billet, "faultstring")),
        ),
        lambda method, path, ironic: bool(
            _BELOW.fullmatch(str(_fault(ironic, "faultstring") or _fault(ironic, "description")))
        ),
        may_be_absent=True,
    ),
    Standing(
        expect("error-shape", "body.error_message", "headers", agrees=_said_too),
        lambda method, path, ironic: _fault(ironic, "title") is not None,
    ),
    Standing(
        expect("schema-dump", "body.error_message.faultstring", agrees=_undumped),
        lambda method, path, ironic: _DUMP in str(_fault(ironic, "faultstring")),
    ),
    Standing(expect("error-shape", "headers"), _limit),
    Standing(
        expect(
            # Ironic's notes of the machine's power stand in the same answer.
            "patch-reservation",
            "body.reservation",
            "body.driver_internal_info",
            agrees=lambda ironic, billet: billet["body"]["reservation"] is None,
        ),
        lambda method, path, ironic: method == "PATCH" and path.startswith("/v1/nodes/") and ironic["status"] == 200,
    ),
    Standing(
        expect("rule-links", "*links", "body.next"),
        lambda method, path, ironic: path.startswith("/v1/inspection_rules")
        and ironic["status"] < 300
        and "/v1/inspection/" in str(ironic["body"]),
    ),
)


def standing(method: str, path: str, ironic: Answer) -> Standing | None:
    """The difference that such an answer of Ironic must come with."""
    return next((one for one in STANDING if one.applies(method, path, ironic)), None)


def read_rows(path: Path) -> set[str]:
    """The ids of the document's rows."""
    ids = [match.group(1) for line in path.read_text().splitlines() if (match := _ROW.match(line))]
    double = {one for one in ids if ids.count(one) > 1}
    if double:
        raise SystemExit(f"{path}: more than one row has the id {', '.join(sorted(double))}")
    return set(ids)
