"""How large a model may be: what is looked at before anything is allocated, because a file may come from anywhere.

The defaults are far above every real sparse CNN. They are changed for a block of code (`using`), for one command
(`--limit NAME=VALUE`) or for every process (the environment variable `SPARSE_QONNX_LIMITS`, `NAME=VALUE` separated by
commas).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace

from sparse_qonnx.errors import ConfigurationError, ModelFileError, SparseQonnxError

VARIABLE = "SPARSE_QONNX_LIMITS"


def _limit(default: int, meaning: str) -> int:
    found: int = field(default=default, metadata={"meaning": meaning})
    return found


@dataclass(frozen=True)
class Limits:
    """The largest allowed value of everything that a file can ask for; all are counts."""

    file_bytes: int = _limit(
        2**30, "bytes of a model file, with its external data, or of a Keras file when it is unpacked"
    )
    configuration_bytes: int = _limit(2**22, "bytes of a configuration file")
    configuration_depth: int = _limit(128, "lists and mappings in each other in the configuration of a Keras model")
    events: int = _limit(10**9, "events in one file")
    nodes: int = _limit(20_000, "nodes in a file, those of subgraphs and functions included")
    inlined_nodes: int = _limit(500_000, "nodes once every function is written out at each of its calls")
    nesting: int = _limit(16, "depth of subgraphs, of functions that call functions, of groups in HDF5, of YAML")
    objects: int = _limit(100_000, "groups and datasets in an HDF5 file, members of a Keras file")
    name_characters: int = _limit(512, "characters of a name")
    attribute_values: int = _limit(2**16, "values of a list attribute, bytes of a text attribute")
    tensor_values: int = _limit(2**26, "values of one constant")
    sample_values: int = _limit(2**24, "values of one tensor in one event, those a convolution gathers included")
    batch_values: int = _limit(2**28, "values of the largest array in one batch; batches are made smaller for it")
    pixels: int = _limit(2**22, "pixels (height times width) of an image")
    slots: int = _limit(2**16, "pixel budget N of an input reduction")
    window: int = _limit(2**14, "taps of a kernel, and rows or columns that a dilated kernel spans")
    loops: int = _limit(0, "Loop, Scan and SequenceMap nodes: how long they run cannot be seen")
    firmware_bytes: int = _limit(2**22, "bytes of the arrays of a firmware in C-simulation, which lie on the stack")
    firmware_constants: int = _limit(2**20, "constants in the tables of a firmware")
    netlist_lines: int = _limit(2**23, "lines and operands of the recorded netlist of one layer")
    netlist_seconds: int = _limit(900, "seconds that compiling or running the recorder of a netlist may take")

    def check(
        self, name: str, value: int, where: str, what: str = "", error: type[SparseQonnxError] = ModelFileError
    ) -> None:
        """Raise an error if a value is above the limit of that name.

        Args:
            name: of the limit.
            value: what the file asks for.
            where: the thing that asks for it.
            what: what is counted; the meaning of the limit by default.
            error: its type.
        """
        most: int = getattr(self, name)
        if value > most:
            problem = f"{value:,} {what or self.meanings()[name]}"
            fix = f"if you trust the file, raise the limit: --limit {name}={value} or {VARIABLE}={name}={value}"
            raise error(where, problem, allowed=f"at most {most:,}", fix=fix)

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """What each limit counts, by name."""
        return {f.name: f.metadata["meaning"] for f in fields(cls)}

    def changed(self, texts: Iterable[str], where: str) -> Limits:
        """These limits with some of them replaced, each given as `NAME=VALUE`.

        Raises:
            ConfigurationError: an unknown name, or a value that is no count.
        """
        known, values = self.meanings(), {}
        for text in texts:
            name, _, value = (part.strip() for part in text.partition("="))
            if name not in known:
                raise ConfigurationError(where, f"unknown limit {name!r}", allowed=", ".join(known))
            if not (value.isascii() and value.isdecimal() and len(value) < 19):
                raise ConfigurationError(where, f"{name} is {value!r}", allowed="a whole number, 0 or more")
            values[name] = int(value)
        return replace(self, **values)


_current: ContextVar[Limits | None] = ContextVar("limits", default=None)


def current() -> Limits:
    """The limits that hold here: those of the innermost `using`, else of the environment, else the defaults.

    Raises:
        ConfigurationError: the environment variable cannot be read.
    """
    chosen = _current.get()
    if chosen is not None:
        return chosen
    text = os.environ.get(VARIABLE, "")
    return Limits().changed(filter(str.strip, text.split(",")), VARIABLE) if text else Limits()


@contextmanager
def using(limits: Limits) -> Iterator[None]:
    """Let these limits hold in a block; threads that it starts do not see them."""
    token = _current.set(limits)
    try:
        yield
    finally:
        _current.reset(token)
