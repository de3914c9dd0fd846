"""Images: made, uploaded, downloaded, shared, hidden, and refused where they are not what they say."""

import hashlib
import os
import struct

from .identity import names
from .world import World, among, same, says

CONTENT = os.urandom(300_000)


def qcow2(backing: bytes = b"", size: int = 1 << 20) -> bytes:
    """The header of a qcow2 of version 3 with an empty table, and the name of a backing file if there is one."""
    offset = 104 if backing else 0
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, offset, len(backing), 16, size, 0, 1, 3 << 16, 1 << 16, 1, 0, 0, 0, 0, 0, 4, 104
    )
    return (header + backing).ljust(4 << 16, b"\0")


def images(w: World) -> None:
    """``image create`` with a file, list, show, set, unset, save. Leaves the public image ``disk``."""
    file = w.file("disk.raw", CONTENT)
    said = ["--disk-format", "raw", "--container-format", "bare", "--property", "os_distro=debian", "--tag", "stable"]
    made = w.admin.json("image create", "--public", "--file", file, "--min-disk", "1", *said, "disk")
    shown = w.admin.json("image show", "disk")
    same((shown["id"], shown["status"], shown["size"]), (made["id"], "active", len(CONTENT)))
    same((shown["visibility"], shown["min_disk"], shown["disk_format"]), ("public", 1, "raw"))
    among("stable", shown["tags"])
    properties = shown["properties"]
    same(properties["os_distro"], "debian")
    same(properties["os_hash_value"], hashlib.new(properties["os_hash_algo"], CONTENT).hexdigest())
    among("disk", names(w.alice.json("image list")))
    same(names(w.alice.json("image list", "--property", "os_distro=debian")), {"disk"})
    same(names(w.alice.json("image list", "--name", "disk", "--long")), {"disk"})
    same(w.alice.json("image list", "--tag", "nightly"), [])
    saved = str(w.files / "saved.raw")
    w.alice("image save", "--file", saved, "disk")
    with open(saved, "rb") as copy:
        assert copy.read() == CONTENT, "what was downloaded is not what was uploaded"
    w.admin("image set", "--name", "disc", "--property", "os_version=12", "--tag", "nightly", "disk")
    same(w.admin.json("image show", "disc")["properties"]["os_version"], "12")
    w.admin("image unset", "--property", "os_version", "--tag", "nightly", "disc")
    shown = w.admin.json("image show", "disc")
    assert "os_version" not in shown["properties"] and "nightly" not in shown["tags"], shown
    w.admin("image set", "--name", "disk", "disc")
    w.admin("image set", "--deactivate", "disk")
    # The client takes the refusal's text for the image, and finds that its checksum is another.
    w.alice.refused("image save", "--file", saved, "disk")
    w.admin("image set", "--activate", "disk")


def sharing(w: World) -> None:
    """Members: an image of alice's for bob, who has to accept it."""
    made = w.alice.json("image create", "--shared", "--disk-format", "raw", "--container-format", "bare", "--file", w.file("disk.raw"), "ours")
    same((made["visibility"], made["owner"]), ("shared", w.project))
    says(w.bob.refused("image show", made["id"]), made["id"])
    bobs = w.admin.json("project show", "bobs")["id"]
    same(w.alice.json("image add project", made["id"], bobs)["status"], "pending")
    assert "ours" not in names(w.bob.json("image list"))
    w.bob("image set", "--accept", made["id"])
    among("ours", names(w.bob.json("image list", "--shared")))
    same([row["status"] for row in w.alice.json("image member list", made["id"])], ["accepted"])
    same(w.alice.json("image member get", made["id"], bobs)["status"], "accepted")
    says(w.bob.refused("image delete", made["id"]), "40")
    w.alice("image remove project", made["id"], bobs)
    says(w.bob.refused("image show", made["id"]), made["id"])
    w.alice("image set", "--protected", made["id"])
    says(w.alice.refused("image delete", made["id"]), "403")
    w.alice("image set", "--unprotected", made["id"])
    w.alice("image delete", "ours")
    says(w.alice.refused("image show", "ours"), "ours")
    says(w.alice.refused("image create", "--public", "mine"), "403")


def staging(w: World) -> None:
    """``image stage``, ``image import``, and what the service says of its ways, its stores and its tasks."""
    among("glance-direct", str(w.alice.json("image import info")))
    rows = w.alice.json("image stores list")
    assert len(rows) >= 1, rows
    made = w.alice.json("image create", "--disk-format", "raw", "--container-format", "bare", "staged")
    same(w.alice.json("image show", "staged")["status"], "queued")
    w.alice("image stage", "--file", w.file("disk.raw"), made["id"])
    same(w.alice.json("image show", "staged")["status"], "uploading")
    w.alice("image import", "--method", "glance-direct", "--wait", made["id"])
    shown = w.alice.json("image show", "staged")
    same((shown["status"], shown["size"]), ("active", len(CONTENT)))
    tasks = w.admin.json("image task list")
    if tasks:
        same(w.admin.json("image task show", tasks[0]["id"])["id"], tasks[0]["id"])
    else:
        says(w.admin.refused("image task show", made["id"]), made["id"])
    w.alice("image delete", "staged")
    same(w.alice.json("image metadef namespace list"), [])


def hostile(w: World) -> None:
    """A file that says it is qcow2 and is not; one with a backing file: refused, and no active image is left."""
    lie = w.file("lie.qcow2", b"this is no qcow2" * 4096)
    reads = w.file("backed.qcow2", qcow2(b"/etc/shadow"))
    for name, file in (("lie", lie), ("backed", reads)):
        w.alice.refused("image create", "--disk-format", "qcow2", "--container-format", "bare", "--file", file, name)
        for row in w.alice.json("image list", "--name", name):
            assert row["status"] != "active", row
            w.alice("image delete", row["id"])
    good = w.file("good.qcow2", qcow2())
    w.alice("image create", "--disk-format", "qcow2", "--container-format", "bare", "--file", good, "good")
    same(w.alice.json("image show", "good")["status"], "active")
    w.alice("image delete", "good")
    says(w.alice.refused("image create", "--disk-format", "floppy", "x"), "floppy")
    says(w.alice.refused("image delete", "no-such-image"), "no-such-image")


ACTS = [images, sharing, staging, hostile]
