"""What scenarios have in common: patches of one operation, and machines that are switched or led to a state."""

from __future__ import annotations

from typing import Any

from .play import Play


def one(op: Any, path: Any, *value: Any) -> list[dict[str, Any]]:
    """A patch of one operation, with a value or without."""
    return [{"op": op, "path": path, **({"value": value[0]} if value else {})}]


def switch(play: Play, node: str, state: str) -> None:
    """Switches a machine and waits until it is done. Ironic does not know a pretended machine's power before that."""
    play.put(f"/v1/nodes/{node}/states/power", {"target": state})
    play.get(
        f"/v1/nodes/{node}?fields=power_state,target_power_state,reservation",
        until=lambda body: body["power_state"] == state and body["reservation"] is None,
    )


def lead(play: Play, node: str, state: str, **verb: Any) -> None:
    """Carries out a verb and waits for a stable state."""
    play.put(f"/v1/nodes/{node}/states/provision", verb)
    play.get(
        f"/v1/nodes/{node}/states",
        until=lambda body: body["provision_state"] == state and body["target_provision_state"] is None,
    )
