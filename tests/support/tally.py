"""Counts what passed and what failed, and says so in the end."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class Tally:
    """One suite's result."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """A case: it fails by an exception, and the suite goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a case raises is its failure
            self.failed += 1
            print(f"FAILED {name}: {error}", flush=True)
            if not isinstance(error, AssertionError):
                traceback.print_exc(limit=4)
        else:
            self.passed += 1

    def end(self) -> None:
        """Prints the closing line and ends the process: 1 if anything failed, or nothing ran."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)
