"""Traits of nodes."""

from __future__ import annotations

from ..differences import MORE_SAID, expect
from ..play import Play
from .nodes import NODE


def traits(play: Play) -> None:
    play.post("/v1/nodes", {**NODE, "name": "n"}, keep={"node": "uuid"})
    path = "/v1/nodes/n/traits"
    play.get(path)
    play.get(path, at=36, differs=MORE_SAID)
    play.put(path, {"traits": ["CUSTOM_B", "CUSTOM_A", "HW_CPU_X86_VMX", "CUSTOM_A"]})
    play.get(path)
    play.get("/v1/nodes/n?fields=traits")
    for body in (
        {}, {"traits": None}, {"traits": "CUSTOM_A"}, {"traits": ["custom_a"]}, {"traits": ["CUSTOM_a"]}, {"traits": ["NOTHING"]},
        {"traits": [5]}, {"traits": [""]}, {"traits": ["CUSTOM_" + "A" * 249]},
        {"other": []}, [], None, {"traits": ["CUSTOM_A", "bad", "worse"]},
    ):  # fmt: skip
        play.put(path, body)
    counted = expect("row-numbers", "body.error_message.faultstring")
    play.put(path, {"traits": [f"CUSTOM_{n}" for n in range(51)]}, differs=counted)
    play.get(path)
    play.put(f"{path}/CUSTOM_C")
    play.put(f"{path}/CUSTOM_C")
    play.put(f"{path}/CUSTOM_D", {"traits": ["CUSTOM_D"]})
    play.put(f"{path}/bad")
    play.put(f"{path}/CUSTOM_E", {})
    play.put(f"{path}/CUSTOM_F", at=36)
    play.get(path)
    play.get(f"{path}/CUSTOM_C")
    play.delete(f"{path}/CUSTOM_C")
    play.delete(f"{path}/CUSTOM_C")
    play.delete(f"{path}/bad")
    play.post(path, {"traits": []})
    play.patch(path, [])
    play.put(path, {"traits": [f"CUSTOM_{n:02}" for n in range(50)]})
    play.put(f"{path}/CUSTOM_50", differs=counted)
    play.put(f"{path}/CUSTOM_49")
    play.delete(path)
    play.get(path)
    play.delete(path)
    play.put(path, {"traits": []})
    play.get("/v1/nodes/nobody/traits")
    play.put("/v1/nodes/nobody/traits", {"traits": []})
    play.get(f"{path}?x=1")
