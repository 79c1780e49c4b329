"""Names that the firmware uses itself: looked for in what is written, not kept in a list."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable
from contextlib import suppress
from ctypes.util import find_library
from dataclasses import replace
from functools import cache
from pathlib import PurePosixPath

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.hls import emit, testbench
from sparse_qonnx.hls.csim import bridge_source
from sparse_qonnx.hls.identifiers import is_type
from sparse_qonnx.hls.templates import words
from sparse_qonnx.hls.typed import TypedGraph

_TOP, _NAMESPACE = "stand_in_for_the_top_function", "stand_in_for_the_namespace"


def check_names(graph: TypedGraph, headers: Iterable[tuple[str, bytes]]) -> None:
    """Refuse a name of the top function or the namespace that something else in the project has.

    Such a name would overwrite another file, or hide what the C++ around it means.

    Args:
        graph: the firmware.
        headers: path and content of the files that are the same in every project.

    Raises:
        ConfigurationError: naming the key.
    """
    used = _used(graph, headers)
    for key, name in (("top", graph.top), ("namespace", graph.namespace)):
        if name and (name.lower() in used or is_type(name) or _is_in_c_library(name)):
            fix = f"use another name, such as {key}: my_{name}"
            problem = f"{key} is {name!r}, a name that the firmware uses itself"
            raise ConfigurationError("HLS configuration", problem, allowed="a name of its own", fix=fix)


@cache
def _c_libraries() -> tuple[ctypes.CDLL, ...]:
    found = []
    for name in ("c", "m"):
        path = find_library(name)
        with suppress(OSError):
            found.append(ctypes.CDLL(path))
    return tuple(found)


def _is_in_c_library(name: str) -> bool:
    """Whether the C library has a function of that name: its headers declare it, beside every namespace."""
    return any(hasattr(library, name) for library in _c_libraries())


def _used(graph: TypedGraph, headers: Iterable[tuple[str, bytes]]) -> frozenset[str]:
    """What a project, with other names for these two, has beside them: files, macros, and words of its programs.

    Names within kernels are in a namespace of their own, and tensors and layers are called otherwise than these two.
    """
    other = replace(graph, top=_TOP, namespace=_NAMESPACE)
    programs = [emit.defines(other), emit.top_header(other), bridge_source(other), testbench.source(other, 1)]
    found = set(words())
    for text in programs:
        found.update(re.findall(r"[A-Za-z_]\w*", re.sub(r"//[^\n]*|\"[^\"\n]*\"", "", text)))
    for text in (
        *programs,
        emit.parameters(other),
        emit.top_source(other),
        *(content.decode() for _, content in headers),
    ):
        found.update(re.findall(r"^\s*#\s*(?:define|ifn?def)\s+(\w+)", text, re.MULTILINE))
        found.update(
            PurePosixPath(name).stem for name in re.findall(r"^\s*#\s*include\s+\"([^\"]+)\"", text, re.MULTILINE)
        )
    found.update(PurePosixPath(name).stem for name, _ in headers)
    return frozenset(word.lower() for word in found)
