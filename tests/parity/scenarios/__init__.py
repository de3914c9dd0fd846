"""The scenarios, one file a resource. Every public function of a file that takes a `Play` is one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Callable, Sequence

from ..play import Play

Scenario = Callable[[Play], None]


def load(only: Sequence[str]) -> dict[str, Scenario]:
    """All scenarios as `file.function`, in the order in which they stand; those alone that one of `only` names or begins."""
    found: dict[str, Scenario] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for name, function in vars(module).items():
            own = inspect.isfunction(function) and function.__module__ == module.__name__
            if own and not name.startswith("_"):
                found[f"{module_info.name}.{name}"] = function
    for wanted in only:
        if not any(_is_of(name, wanted) for name in found):
            raise SystemExit(f"there is no scenario {wanted}")
    return {name: one for name, one in found.items() if not only or any(_is_of(name, wanted) for wanted in only)}


def _is_of(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.")
