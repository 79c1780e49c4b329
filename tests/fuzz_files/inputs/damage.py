"""Mutations of a file's content: bytes, text, JSON, archives, HDF5; all follow from the random numbers given."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from typing import Any

from fuzz_files.mutate import raw_bytes

NUMBERS = ["-1", "0", "1", "1.5", "nan", "inf", "-inf", "1e999", "9" * 30, "9" * 5000, "0x" + "f" * 300, "2**70", "²"]
WORDS = ["", "null", "true", "~", "[]", "{}", "[[[[", "}}", "()", "'", '"', "\0", "\x1b[31m", "\u202e", "\ud800", "%s"]
WORDS += [
    "!!int x",
    "!!python/name:os.system",
    "&a",
    "*a",
    "<<",
    "---",
    "...",
    "|",
    ">",
    "? x",
    "- - - -",
    "2020-01-01",
]
WORDS += [
    "x" * 3000,
    "a" * 300,
    "../../x",
    "/etc/hostname",
    "$(touch CANARY)",
    "`touch CANARY`",
    "a;b",
    "<a>",
    "&x;",
    "]]>",
]
WORDS += [
    "<!DOCTYPE a [<!ENTITY x 'y'>]>",
    "<?xml version='1.0' encoding='klingon'?>",
    "défaut",
    "\U0001f600",
    "size_t",
]
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    1.5,
    2**31,
    2**63,
    10**30,
    "",
    "x",
    "x" * 3000,
    "\0",
    "\ud800",
    [],
    {},
    [[[]]],
]
VALUES += [
    {"a": {"b": []}},
    float("inf"),
    float("nan"),
    ["x"] * 50,
    "../x",
    "/etc/hostname",
    "0123456789abcdef",
    [1, 2],
]


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes of any file: one to a few places changed, or a piece of it alone."""
    return raw_bytes(rng, data) if data else rng.randbytes(rng.randrange(20))


def damaged_text(rng: random.Random, data: bytes) -> bytes:
    """Text: numbers, words and lines replaced, doubled, moved, nested; sometimes bytes after all."""
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3, 8))):
        spans = [match.span() for match in re.finditer(r"[0-9.]+|\w+|[^\w\s]|\n[^\n]*", text)]
        if not spans:
            break
        start, end = rng.choice(spans)
        other = text[slice(*rng.choice(spans))]
        piece = rng.choice(
            (
                rng.choice(NUMBERS),
                rng.choice(WORDS),
                other,
                "",
                text[start:end] * 2,
                text[start:end] * rng.choice((3, 900)),
            )
        )
        text = text[:start] + piece + text[end:]
        if rng.random() < 0.05:
            depth = rng.choice((5, 40, 5000))
            text = text[:start] + rng.choice("[{(<") * depth + text[start:]
    encoding = rng.choice(("utf-8",) * 8 + ("utf-16", "latin-1", "utf-32"))
    found = text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")
    return damaged(rng, found) if rng.random() < 0.1 else found


def damaged_json(rng: random.Random, value: Any) -> Any:
    """JSON: a value somewhere in it replaced, gone, or under another key."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        match rng.randrange(10):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, rng.choice((*WORDS, "x")): value[key]}
            case _:
                return {**value, key: damaged_json(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], damaged_json(rng, value[place]), *value[place + rng.randrange(2) :]]
    return rng.choice(VALUES)


def dumped(rng: random.Random, value: Any) -> bytes:
    """JSON as bytes, now and then no JSON, or nested without an end."""
    match rng.randrange(30):
        case 0:
            return damaged(rng, json.dumps(value).encode())
        case 1:
            return b"[" * rng.choice((10, 500, 100_000))
        case 2:
            return damaged_text(rng, json.dumps(value).encode())
    return json.dumps(value).encode()


def damaged_archive(rng: random.Random, data: bytes) -> bytes:
    """An archive whose members are damaged, gone, doubled, renamed, or compressed by another method; or its bytes."""
    if rng.random() < 0.5:
        return damaged(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    place = rng.randrange(len(members))
    name, content = members[place]
    method = zipfile.ZIP_DEFLATED
    match rng.randrange(7):
        case 0:
            del members[place]
        case 1:
            members.append(members[place])
        case 2:
            members[place] = rng.choice(("x", "../x", "/x", "a" * 300, "\x1b", "x.npy", ".npy")), content
        case 3:
            members[place] = name, b"\0" * 3_000_000 + content
        case 4:
            method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        case _:
            members[place] = name, (damaged_text if name.endswith(".json") else damaged)(rng, content)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for member, content in members:
            archive.writestr(member, content)
    return damaged(rng, stream.getvalue()) if rng.random() < 0.1 else stream.getvalue()


def damaged_npy(rng: random.Random, data: bytes) -> bytes:
    """A `.npy` file: its header as text, lengths kept right, or any byte."""
    if rng.random() < 0.4:
        return damaged(rng, data)
    wide = data[6] == 2
    begin = 12 if wide else 10
    length = int.from_bytes(data[8:begin], "little")
    header = damaged_text(rng, data[begin : begin + length])[: 2**16 - 1]
    return data[:8] + len(header).to_bytes(begin - 8, "little") + header + data[begin + length :]


def made_hdf5(rng: random.Random) -> bytes:
    """An HDF5 file made of what the format can say: links, sources elsewhere, sizes, types, names, depths."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w", libver=rng.choice(("earliest", "latest"))) as file:
        group = file
        for n in range(rng.choice((0, 0, 1, 3, 20))):
            group = group.create_group(f"g{n}")
        for _ in range(rng.choice((1, 1, 1, 1, 1, 2, 5))):
            name = rng.choice(("x", "x", "x", "x", "y", "a\nb", "é", "x" * 300, "z\x1b[0m", "\U0001f600"))
            try:
                _add(rng, h5py, group, name)
            except (ValueError, TypeError, OSError, RuntimeError, OverflowError, KeyError):
                continue  # the library does not write it, or the name is taken
    return stream.getvalue()


def _add(rng: random.Random, h5py: Any, group: Any, name: str) -> None:
    import numpy as np

    shape = rng.choice((*[(7, 4, 4, 1)] * 6, (0, 4, 4, 1), (10**12, 4, 4, 1), (7, 4), (), (1,) * 32, (7, 2**40)))
    kind = rng.choice((*["f4"] * 8, ">f8", "f2", "i8", "u1", "c8", "S5", "V3", "?", [("a", "f4")], h5py.string_dtype()))
    match rng.randrange(9):
        case 0:
            group[name] = rng.choice((h5py.SoftLink("/x"), h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink(".")))
        case 1:
            layout = h5py.VirtualLayout((7, 4, 4, 1), "f4")
            layout[:] = h5py.VirtualSource(rng.choice((".", "other.h5", "/etc/hostname")), name, (7, 4, 4, 1))
            group.create_virtual_dataset(name, layout)
        case 2:
            group.create_dataset(name, (7, 4, 4, 1), "f4", external=[(rng.choice(("other", "/etc/hostname")), 0, 448)])
        case 3:
            group[name] = rng.choice((group.file, group, h5py.Empty("f4"), np.zeros(3, "f4")))
        case 4:
            space = h5py.h5s.create_simple((7, 4, 4, 1))
            kinds = (h5py.h5t.UNIX_D32LE, h5py.h5t.STD_REF_OBJ, h5py.h5t.C_S1, h5py.h5t.IEEE_F32LE)
            h5py.h5d.create(group.id, b"\xff" + name.encode()[:5], rng.choice(kinds), space)
        case 5:
            chunks = tuple(max(1, min(n, rng.choice((1, 3, 10**6)))) for n in shape)
            group.create_dataset(name, shape, kind, chunks=chunks, compression=rng.choice((None, "gzip", "lzf")))
        case _:
            if len(shape) and max(shape) < 1000:
                group.create_dataset(name, data=np.zeros(shape, kind))
            else:
                group.create_dataset(name, shape, kind)
