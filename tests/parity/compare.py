"""What differs between two normalised answers, place by place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterator


class _Absent:
    """Stands for a value that one side does not have; `None` is JSON's null."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """One place, such as `body.driver_info.a`, and what stands there."""

    place: str
    ironic: Any
    billet: Any

    def lines(self) -> list[str]:
        """For a person."""
        return [self.place, f"  ironic: {shown(self.ironic)}", f"  billet: {shown(self.billet)}"]


def differences(ironic: Any, billet: Any, place: str = "") -> Iterator[Difference]:
    """Every place where the two are not the same JSON. `1`, `1.0` and `true` are three things."""
    if isinstance(ironic, dict) and isinstance(billet, dict) and not _unlike(ironic, billet):
        for key in sorted(ironic.keys() | billet.keys()):
            below = f"{place}.{key}" if place else key
            yield from differences(ironic.get(key, ABSENT), billet.get(key, ABSENT), below)
    elif isinstance(ironic, list) and isinstance(billet, list) and len(ironic) == len(billet):
        for index, (left, right) in enumerate(zip(ironic, billet)):
            yield from differences(left, right, f"{place}.{index}")
    elif type(ironic) is not type(billet) or ironic != billet:
        yield Difference(place, ironic, billet)


def _unlike(ironic: dict[str, Any], billet: dict[str, Any]) -> bool:
    """Is one an error, or an error of another shape, and the other not? Then telling every key apart tells nothing."""
    return any((key in ironic) != (key in billet) for key in ("error_message", "faultcode"))


def shown(value: Any) -> str:
    """A value on one line."""
    return repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False)
