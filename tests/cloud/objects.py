"""Containers and objects, by ``openstack container``, ``openstack object`` and ``openstack object store``."""

import os
import tempfile
from pathlib import Path

from ..support.tally import Tally
from .shell import Shell

FAMILIES = ("container", "object", "object store")


def same(found: object, wanted: object) -> None:
    """Fails where two values differ."""
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def play(tally: Tally, sh: Shell, other: Shell) -> None:
    """Every command of the families, as one user; another project's user sees nothing of it."""
    with tempfile.TemporaryDirectory(prefix="billet-objects-") as directory:
        before = os.getcwd()
        os.chdir(directory)
        try:
            for case in (containers, objects, names, accounts, strangers, removal):
                with tally.case(f"objects: {case.__name__}"):
                    case(sh, other)
        finally:
            os.chdir(before)


def containers(sh: Shell, _other: Shell) -> None:
    """Made, described, listed."""
    made = sh.json("container create", "photos", "c ü")
    same([row["container"] for row in made], ["photos", "c ü"])
    sh("container create", "--public", "open")
    same({row["name"] for row in sh.json("container list")}, {"photos", "c ü", "open"})
    same([row["name"] for row in sh.json("container list", "--prefix", "ph")], ["photos"])
    same(sh.json("container list", "--long", "--marker", "open")[0]["count"], 0)
    sh("container set", "photos", "--property", "owner=me", "--property", "year=2017")
    sh("container unset", "photos", "--property", "year")
    shown = sh.json("container show", "photos")
    same((shown["properties"], shown["object_count"]), ({"owner": "me"}, "0"))
    same(sh.json("container show", "open")["read_acl"], ".r:*,.rlistings")


def objects(sh: Shell, _other: Shell) -> None:
    """Uploaded, described, listed, fetched."""
    content = os.urandom(3_000_000)
    Path("cat.raw").write_bytes(content)
    [made] = sh.json("object create", "photos", "cat.raw")
    sh("object create", "photos", "cat.raw", "--name", "pets/dog.raw")
    shown = sh.json("object show", "photos", "cat.raw")
    same((shown["content-length"], shown["etag"]), (str(len(content)), made["etag"]))
    same([row["name"] for row in sh.json("object list", "photos")], ["cat.raw", "pets/dog.raw"])
    same(sh.json("object list", "photos", "--long", "--prefix", "pets/")[0]["bytes"], len(content))
    same(len(sh.json("object list", "photos", "--all", "--limit", "1")), 2)
    sh("object set", "photos", "cat.raw", "--property", "color=black", "--property", "legs=4")
    sh("object unset", "photos", "cat.raw", "--property", "color")
    same(sh.json("object show", "photos", "cat.raw")["properties"], {"legs": "4"})
    sh("object save", "photos", "cat.raw", "--file", "copy.raw")
    same(Path("copy.raw").read_bytes() == content, True)
    Path("saved").mkdir()
    os.chdir("saved")
    sh("container save", "photos")
    os.chdir("..")
    same(Path("saved/pets/dog.raw").read_bytes() == content, True)
    same(sh.json("container show", "photos")["bytes_used"], str(2 * len(content)))


def names(sh: Shell, _other: Shell) -> None:
    """What names may be."""
    Path("ein/ordner").mkdir(parents=True)
    Path("ein/ordner/50% für ?&#.txt").write_text("x")
    sh("object create", "c ü", "ein/ordner/50% für ?&#.txt")
    same([row["name"] for row in sh.json("object list", "c ü")], ["ein/ordner/50% für ?&#.txt"])
    same(sh.json("object show", "c ü", "ein/ordner/50% für ?&#.txt")["content-length"], "1")


def accounts(sh: Shell, _other: Shell) -> None:
    """What is said about the account, and what it counts."""
    sh("object store account set", "--property", "plan=gold")
    shown = sh.json("object store account show")
    same((shown["properties"], shown["containers"], shown["objects"]), ({"plan": "gold"}, "3", "3"))
    sh("object store account unset", "--property", "plan")
    assert not sh.json("object store account show").get("properties")


def strangers(_sh: Shell, other: Shell) -> None:
    """Another project has an account of its own."""
    same(other.json("container list"), [])
    assert "404" in other.refused("container show", "photos")


def removal(sh: Shell, _other: Shell) -> None:
    """A container goes when it is empty, or with what it has."""
    assert "409" in sh.refused("container delete", "photos")
    sh("object delete", "photos", "cat.raw", "pets/dog.raw")
    assert "404" in sh.refused("object show", "photos", "cat.raw")
    sh("container delete", "photos", "open")
    sh("container delete", "--recursive", "c ü")
    same(sh.json("container list"), [])
