"""Containers and objects."""

import os

from .identity import names
from .world import World, same, says

CONTENT = os.urandom(200_000)


def containers(w: World) -> None:
    """``container``. Leaves alice's ``logs``."""
    w.alice("container create", "logs", "spare")
    same(names(w.alice.json("container list")), {"logs", "spare"})
    same(names(w.alice.json("container list", "--prefix", "lo")), {"logs"})
    w.alice("container set", "--property", "Owner=rack 1", "logs")
    shown = w.alice.json("container show", "logs")
    same((shown["container"], str(shown["object_count"])), ("logs", "0"))
    says(str(shown["properties"]), "rack 1")
    w.alice("container unset", "--property", "Owner", "logs")
    assert "rack 1" not in str(w.alice.json("container show", "logs"))
    same(w.bob.json("container list"), [])
    says(w.bob.refused("container show", "logs"), "40")
    w.alice("container delete", "spare")
    same(names(w.alice.json("container list")), {"logs"})


def objects(w: World) -> None:
    """``object`` and what a container that is not empty says to its deletion."""
    w.file("first.log", CONTENT)
    w.file("second.log", b"two\n")
    before = os.getcwd()
    os.chdir(w.files)
    try:
        [row] = w.alice.json("object create", "logs", "first.log")
        same((row["object"], row["container"]), ("first.log", "logs"))
        w.alice("object create", "--name", "2026/second.log", "logs", "second.log")
    finally:
        os.chdir(before)
    same(names(w.alice.json("object list", "logs")), {"first.log", "2026/second.log"})
    same(names(w.alice.json("object list", "--prefix", "2026/", "logs")), {"2026/second.log"})
    w.alice("object set", "--property", "Colour=blue", "logs", "first.log")
    shown = w.alice.json("object show", "logs", "first.log")
    same(int(shown["content-length"]), len(CONTENT))
    says(str(shown["properties"]), "blue")
    w.alice("object unset", "--property", "Colour", "logs", "first.log")
    saved = w.files / "saved.log"
    w.alice("object save", "--file", str(saved), "logs", "first.log")
    assert saved.read_bytes() == CONTENT, "what was downloaded is not what was uploaded"
    place = w.files / "whole"
    place.mkdir()
    os.chdir(place)
    try:
        w.alice("container save", "logs")
    finally:
        os.chdir(before)
    same((place / "2026" / "second.log").read_bytes(), b"two\n")
    says(w.alice.refused("container delete", "logs"), "409")
    says(w.bob.refused("object show", "logs", "first.log"), "40")
    w.alice("object delete", "logs", "2026/second.log")
    says(w.alice.refused("object save", "--file", "-", "logs", "2026/second.log"), "404")
    w.alice("container delete", "--recursive", "logs")
    same(w.alice.json("container list"), [])


def account(w: World) -> None:
    """``object store account``."""
    w.alice("object store account set", "--property", "Plan=small")
    says(str(w.alice.json("object store account show")), "small")
    w.alice("object store account unset", "--property", "Plan")
    assert "small" not in str(w.alice.json("object store account show"))


ACTS = [containers, objects, account]
