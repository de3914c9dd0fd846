"""Plays steps: one request to every server, and the answers side by side.

A scenario is a function that takes a `Play`. `${name}` in its paths, bodies and headers stands for what `keep` took from an earlier
answer of the same server, so that generated UUIDs may differ.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from .client import Answer, Client, Request
from .compare import Difference, differences
from .differences import Expected, standing
from .normal import Normaliser, parse

#: The newest microversion's minor number: what steps ask for where they say nothing else.
LATEST = 115
#: How long a state may take to be reached, and how often it is asked for; seconds.
PATIENCE = 10.0
PAUSE = 0.02

_REFERENCE = re.compile(r"\$\{(\w+)\}")

Predicate = Callable[[Any], bool]


class Stopped(Exception):
    """A scenario can't go on: what a later step needs is not there."""


@dataclass
class Side:
    """One server as a scenario sees it."""

    name: str
    client: Client
    normaliser: Normaliser
    kept: dict[str, Any]

    @classmethod
    def of(cls, name: str, client: Client) -> Side:
        """A side that has seen nothing yet."""
        return cls(name, client, Normaliser(client.authority), {})

    def fill(self, value: Any) -> Any:
        """Puts what was kept in the place of references. A text that is one reference becomes the value, whatever its type."""
        if isinstance(value, str):
            whole = _REFERENCE.fullmatch(value)
            if whole:
                return self._get(whole.group(1))
            return _REFERENCE.sub(lambda match: str(self._get(match.group(1))), value)
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        return value

    def _get(self, name: str) -> Any:
        if name not in self.kept:
            raise Stopped(f"{self.name} gave no {name}")
        return self.kept[name]


@dataclass(frozen=True)
class Outcome:
    """One step as it was played."""

    scenario: str
    number: int
    line: str
    request: str
    answers: tuple[tuple[str, dict[str, Any]], ...]
    found: tuple[Difference, ...]
    complaints: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Nothing to complain of."""
        return not self.complaints


class Play:
    """One scenario's run."""

    def __init__(self, scenario: str, sides: Sequence[Side], report: Callable[[Outcome], None]) -> None:
        self._scenario = scenario
        self._sides = sides
        self._report = report
        self.number = 0
        self.versions: set[int] = set()
        self.rows: set[str] = set()

    def get(self, path: str, **options: Any) -> None:
        """`GET`; for the options see `step`."""
        self.step("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> None:
        """`POST`"""
        self.step("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> None:
        """`PUT`"""
        self.step("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> None:
        """`PATCH`"""
        self.step("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> None:
        """`DELETE`"""
        self.step("DELETE", path, **options)

    def step(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        at: int | str | None = LATEST,
        headers: Mapping[str, str] | None = None,
        keep: Mapping[str, str] | None = None,
        until: Predicate | None = None,
        differs: Expected | None = None,
    ) -> None:
        """Sends the request to every server and compares the answers.

        `body`: bytes go out as they are, everything else as JSON.
        `at`: minor microversion, a header's whole text, or `None` for no header.
        `keep`: names for values of the answers, by their place in the body (`nodes.0.uuid`).
        `until`: repeats the request until the body fits, on each server by itself.
        `differs`: the documented difference that must show.
        """
        self.number += 1
        self.versions.add(at if isinstance(at, int) else 1)
        for side in self._sides:
            side.normaliser.know(path, body)
        answers = []
        complaints = []
        for side in self._sides:
            answer, late = _ask(side, _request(side, method, path, body, at, headers), until)
            if late:
                complaints.append(f"{side.name} did not get there within {PATIENCE:g} s")
            answers.append((side.name, side.normaliser.answer(answer)))
            for name, place in (keep or {}).items():
                _keep(side, name, place, answer)
        found: list[Difference] = []
        if len(answers) == 2:
            found = list(differences(answers[0][1], answers[1][1]))
            complaints += self._judge(method, path, answers[0][1], answers[1][1], found, differs)
        version = "" if at is None else f" at {f'1.{at}' if isinstance(at, int) else at}"
        shown = "" if body is None else _shown(body)
        self._report(
            Outcome(
                self._scenario,
                self.number,
                f"{method} {path}{version}",
                shown,
                tuple(answers),
                tuple(found),
                tuple(complaints),
            )
        )

    def _judge(
        self,
        method: str,
        path: str,
        ironic: dict[str, Any],
        billet: dict[str, Any],
        found: list[Difference],
        differs: Expected | None,
    ) -> list[str]:
        """What is wrong with the differences that were found, or with their absence."""
        general = None if differs else standing(method, path, ironic)
        expected = general.expected if general else differs
        if expected is None:
            return ["the answers differ"] if found else []
        if not found and general and general.may_be_absent:
            return []
        self.rows.add(expected.row)
        complaints = []
        if any(not expected.covers(one) for one in found):
            complaints.append(f"the answers differ beyond what the difference `{expected.row}` is about")
        if not found:
            complaints.append(f"the difference `{expected.row}` does not occur")
        if found and not expected.agrees(ironic, billet):
            complaints.append(f"Billet's answer is not what the difference `{expected.row}` allows")
        return complaints


def _request(
    side: Side, method: str, path: str, body: Any, at: int | str | None, headers: Mapping[str, str] | None
) -> Request:
    own: dict[str, str] = {}
    if at is not None:
        own["X-OpenStack-Ironic-API-Version"] = f"1.{at}" if isinstance(at, int) else at
    raw: bytes | None
    if body is None or isinstance(body, bytes):
        raw = body
    else:
        raw = json.dumps(side.fill(body)).encode()
    if raw is not None:
        own["Content-Type"] = "application/json"
    own["Accept"] = "application/json"
    for name, value in (headers or {}).items():
        own[name] = side.fill(value)
    return Request(method, side.fill(path), own, raw)


def _ask(side: Side, request: Request, until: Predicate | None) -> tuple[Answer, bool]:
    """The answer, and whether it is not what was waited for."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = side.client.send(request)
        if until is None or _fits(until, answer):
            return answer, False
        if time.monotonic() >= deadline:
            return answer, True
        time.sleep(PAUSE)


def _fits(until: Predicate, answer: Answer) -> bool:
    try:
        return until(parse(answer.body))
    except (KeyError, IndexError, TypeError):
        return False


def _keep(side: Side, name: str, place: str, answer: Answer) -> None:
    value = parse(answer.body)
    try:
        for part in place.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (KeyError, IndexError, TypeError, ValueError):
        side.kept.pop(name, None)
        return
    side.kept[name] = value


def _shown(body: Any) -> str:
    text = repr(body) if isinstance(body, bytes) else json.dumps(body)
    return text if len(text) <= 400 else f"{text[:400]}… ({len(text)} characters)"
