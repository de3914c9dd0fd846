"""Counts steps and shows those that failed."""

from __future__ import annotations

import json
from typing import Any

from .play import Outcome

#: Of a long answer so many characters are shown: alone, and beside the differences, which are shown whole.
_SHOWN = 1500
_SHOWN_BESIDE = 200


class Report:
    """What was played so far."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self.passed = 0
        self.failed = 0

    def step(self, outcome: Outcome) -> None:
        """Counts a step."""
        if outcome.passed:
            self.passed += 1
        else:
            self.failed += 1
        if outcome.passed and not self._verbose:
            return
        word = "passed" if outcome.passed else "FAILED"
        print(f"{word} {outcome.scenario} step {outcome.number}: {outcome.line}")
        if outcome.request:
            print(f"    body: {outcome.request}")
        for name, answer in outcome.answers:
            print(f"    {name}: {_answer(answer, _SHOWN if not outcome.found else _SHOWN_BESIDE)}")
        for complaint in outcome.complaints:
            print(f"    {complaint}")
        for difference in outcome.found:
            for line in difference.lines():
                print(f"      {line}")

    def failure(self, scenario: str, text: str) -> None:
        """Counts what is no step's fault."""
        self.failed += 1
        print(f"FAILED {scenario}: {text}")


def _answer(answer: dict[str, Any], limit: int) -> str:
    body = json.dumps(answer["body"], ensure_ascii=False)
    if len(body) > limit:
        body = f"{body[:limit]}… ({len(body)} characters)"
    location = answer["headers"].get("location")
    return f"{answer['status']} {body}" + (f" (location {location})" if location else "")
