"""Folders with anything in them, and what was changed in one."""

from __future__ import annotations

import os
import random
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

NAMES = ["y.npy", "y", "m.onnx", "x.npy", "fw", ".y.npy.old", ".fw.2025.old", ".y.npy.0000.aside", "y.npy.part"]
NAMES += [
    ".y.npy.0123456789abcdef.sparse-qonnx",
    "y.npy.0123456789abcdef.part",
    "y.npy.state",
    "manifest.json",
    "é",
    "a b",
]
NAMES += ["x" * 250, "x" * 255, "-o", "*.npy", "y.npy.tmp", "nested"]
MODES = (0o600, 0o644, 0o400, 0o000, 0o666, 0o755)


def grow(rng: random.Random, folder: Path, depth: int = 0) -> None:
    """Fill a folder with files, folders, links, pipes, sockets' names and devices that are nobody's."""
    for _ in range(rng.choice((0, 2, 4, 8))):
        path = folder / rng.choice(NAMES)
        with suppress(FileExistsError, OSError):
            _plant(rng, path, folder, depth)


def _plant(rng: random.Random, path: Path, folder: Path, depth: int) -> None:
    match rng.randrange(8):
        case 0 | 1:
            with path.open("xb") as stream:
                stream.write(rng.choice((b"", b"{}", b"years of work", b"\x93NUMPY\x01\x00")))
            path.chmod(rng.choice(MODES))
        case 2:
            path.mkdir(rng.choice((0o755, 0o700)))
            if depth < 2:
                grow(rng, path, depth + 1)
        case 3 | 4:
            targets = [*NAMES, "..", ".", str(folder / rng.choice(NAMES)), f"nested/{rng.choice(NAMES)}"]
            path.symlink_to(rng.choice(targets))
        case 5:
            os.mkfifo(path)
        case 6 if os.geteuid() == 0:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))  # takes everything, as the null device does
        case _:
            os.mknod(path, 0o600 | stat.S_IFSOCK)


def look(folder: Path) -> dict[str, Any]:
    """Everything in a folder by its path: kind, permissions, owner, and content."""
    found: dict[str, Any] = {}
    for root, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(root, name)
            status = path.lstat()
            content: Any = None
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            elif not stat.S_ISDIR(status.st_mode):
                content = (status.st_rdev, status.st_ino)
            found[str(path.relative_to(folder))] = (status.st_mode, status.st_uid, content)
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Paths that are new, gone, or another thing than before."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
