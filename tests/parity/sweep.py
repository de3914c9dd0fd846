"""Removes everything that a scenario left on a server, so that the next one finds it empty."""

from __future__ import annotations

import json
import time
from typing import Any

from .client import Client, Request
from .play import PATIENCE, PAUSE

#: Collections in the order in which they can be emptied, and the key that names one of their items.
_COLLECTIONS = (
    ("allocations", "uuid"),
    ("nodes", "uuid"),
    ("chassis", "uuid"),
    ("deploy_templates", "uuid"),
    ("runbooks", "uuid"),
    ("inspection_rules", "uuid"),
)


def sweep(client: Client) -> list[str]:
    """Empties a server; says what could not be removed. Nodes take their ports, portgroups and volumes along."""
    left = []
    for collection, key in _COLLECTIONS:
        # Children of a node are hidden from lists otherwise.
        query = "?include_children=true" if collection == "nodes" else ""
        status, body = _call(client, "GET", f"/v1/{collection}{query}")
        if status != 200:
            continue
        for item in body[collection]:
            path = f"/v1/{collection}/{item[key]}"
            if collection == "nodes":
                _call(client, "PATCH", path, [{"op": "replace", "path": "/protected", "value": False}])
                _call(client, "PUT", f"{path}/maintenance", {})
            status, body_of_refusal = _delete(client, path)
            if status not in (204, 404):
                left.append(f"{path}: {status} {body_of_refusal}")
    return left


def _delete(client: Client, path: str) -> tuple[int, Any]:
    """Locked objects are asked for again, within a limit."""
    deadline = time.monotonic() + PATIENCE
    while True:
        status, body = _call(client, "DELETE", path)
        if status != 409 or time.monotonic() >= deadline:
            return status, body
        time.sleep(PAUSE)


def _call(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"X-OpenStack-Ironic-API-Version": "latest", "Content-Type": "application/json"}
    raw = None if body is None else json.dumps(body).encode()
    answer = client.send(Request(method, path, headers, raw))
    try:
        return answer.status, json.loads(answer.body) if answer.body else None
    except ValueError:
        return answer.status, answer.body
