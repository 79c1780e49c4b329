"""What `verify` compares: the implementations of a network, what each takes and gives, and which tensors are paired.

Nothing that is given may drop out silently: outputs belong together by name where both sides use the same names, by
position where they do not; inner tensors by name where both sides have them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from sparse_qonnx._paths import find_library, why_no_library
from sparse_qonnx.files import read_model
from sparse_qonnx.graph import all_values, read_metadata, tensor_shape
from sparse_qonnx.numerators import ValueNames, read_numerators
from sparse_qonnx.passes.annotate import WEIGHTS_KEY
from sparse_qonnx.passes.infer_grids import infer_grids, input_types
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import InferenceSession, run_qonnx, why_not_qonnx, with_outputs
from sparse_qonnx.uses import reads

Array = NDArray[Any]
Tensors = dict[str, Array]
Sample = tuple[int | str | None, ...]
"""Shape of one event; what is no number is not known."""


@dataclass(frozen=True)
class Interface:
    """What a network takes and gives, in its own names and order.

    Attributes:
        inputs: shape of one event by name.
        outputs: names, all of them in `tensors`.
        tensors: every tensor that can be had, with the shape of one event.
    """

    inputs: Mapping[str, Sample]
    outputs: Sequence[str]
    tensors: Mapping[str, Sample]


@dataclass(frozen=True)
class Implementation:
    """Something that computes the network.

    Attributes:
        name: as the tables call it.
        interface: in its own names.
        run: from a batch by its input names and the names of tensors to those tensors.
        tolerances: stated largest errors of its tensors.
        why: the reason of these errors.
        left_out: outputs of the file that it says it does not compute.
        adds_quotients: whether it divides at once and adds rounded quotients, where the file carries the division.
        same_names: whether an inner tensor with the name of one in the file is that one.
    """

    name: str
    interface: Interface
    run: Callable[[Tensors, Sequence[str]], Mapping[str, Array]]
    tolerances: Mapping[str, float] = field(default_factory=dict)
    why: str = "the firmware computes it with a table, whose error is stated"
    left_out: Collection[str] = ()
    adds_quotients: bool = False
    same_names: bool = True


@dataclass(frozen=True)
class Pair:
    """A tensor of the file and the tensor of an implementation that has to be equal to it."""

    tensor: str
    counterpart: str


def pair_tensors(file: Interface, other: Implementation) -> tuple[list[Pair], list[str]]:
    """Which tensors are compared, and what of the outputs does not fit together, in words."""
    theirs = other.interface
    problems = (
        [] if pair_inputs(file, theirs) else [f"{other.name}: nothing can be compared: {_of_inputs(file, theirs)}"]
    )
    if problems:
        return [], problems
    pairs, problems = _pair_outputs(file, other)
    inner = [Pair(name, name) for name in file.tensors if other.same_names and name in theirs.tensors]
    return list(dict.fromkeys([*pairs, *inner])), problems


def pair_inputs(file: Interface, other: Interface) -> dict[str, str]:
    """The file's input for each input of the other: by name, or else by position; {} where the shapes do not fit."""
    names = list(file.inputs)
    if set(names) == set(other.inputs):
        found = {name: name for name in other.inputs}
    else:
        found = dict(zip(other.inputs, names, strict=False))
    same_number = len(found) == len(names) == len(other.inputs)
    return found if same_number and all(_fits(other.inputs[a], file.inputs[b]) for a, b in found.items()) else {}


def _pair_outputs(file: Interface, other: Implementation) -> tuple[list[Pair], list[str]]:
    theirs = other.interface
    ours, given = [name for name in file.outputs if name not in other.left_out], theirs.outputs
    by_name = set(ours) == set(given)
    pairs = [Pair(a, a if by_name else b) for a, b in zip(ours, given, strict=False)]
    problems = []
    if len(ours) != len(given):
        problems.append(
            f"{other.name}: gives {_counted(given)}, the file {_counted(ours)}: "
            f"{', '.join(map(repr, (ours if len(ours) > len(given) else given)[len(pairs) :]))} compared with nothing"
        )
    for pair in pairs:
        a, b = file.tensors[pair.tensor], theirs.tensors[pair.counterpart]
        if not _fits(a, b):
            here = f"output {pair.counterpart!r} has shape {_shape(b)}"
            problems.append(f"{other.name}: {here}, the file's {pair.tensor!r} {_shape(a)}")
    return pairs, problems


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} output{'' if len(names) == 1 else 's'} ({', '.join(names) or 'none'})"


def _fits(a: Sample, b: Sample) -> bool:
    known = (isinstance(n, int) and isinstance(m, int) for n, m in zip(a, b, strict=False))
    return len(a) == len(b) and all(n == m for n, m, both in zip(a, b, known, strict=True) if both)


def _shape(sample: Sample) -> str:
    return f"[{', '.join(['B', *('?' if n is None else str(n) for n in sample)])}]"


def _of_inputs(file: Interface, other: Interface) -> str:
    theirs, ours = (
        ", ".join(f"{name!r} {_shape(shape)}" for name, shape in side.inputs.items()) for side in (other, file)
    )
    return f"its inputs are {theirs or 'none'}, the file's {ours}"


# ---- the file itself ------------------------------------------------------------------------------------------------


def interface_of(proto: ModelProto) -> Interface:
    """Of a file: numeric tensors of stated shape that depend on an input, in the graph's order, and all outputs."""
    values = {n: v for n, v in all_values(proto).items() if v.type.tensor_type.HasField("shape")}
    numeric = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64)
    live = {value.name for value in proto.graph.input}
    found = []
    for node in proto.graph.node:
        if live.intersection(reads(node)):
            live.update(node.output)
            found += [n for n in node.output if n in values and values[n].type.tensor_type.elem_type in numeric]
    outputs = [value.name for value in proto.graph.output if found]
    names = ValueNames(proto)
    tensors = {names.shown(name): tensor_shape(values[name])[1:] for name in dict.fromkeys([*found, *outputs])}
    return Interface({v.name: tensor_shape(v)[1:] for v in proto.graph.input}, outputs, tensors)


def session_runner(proto: ModelProto, tensors: Sequence[str], kernels: str) -> Callable[[Tensors], Tensors]:
    """A session that gives these tensors."""
    names = ValueNames(proto)
    held = names.all_held(tensors)
    session = InferenceSession(with_outputs(proto, held), kernels=kernels)
    return lambda batch: names.given(tensors, dict(zip(held, session.run(held, batch), strict=True)))


def of_file(proto: ModelProto, file: Interface, notes: list[str]) -> Iterator[Implementation]:
    """What runs the file itself, but for stock onnxruntime; what is missing is written into the notes."""
    yield Implementation("NumPy", file, lambda batch, wanted: run_reference(proto, batch, wanted))
    if find_library() is None:
        notes.append(f"Native kernels not compared: {why_no_library()}")
    else:
        native = session_runner(proto, list(file.tensors), "native")
        yield Implementation("native kernels", file, lambda batch, _: native(batch))
    if why_not := why_not_qonnx(proto):
        notes.append(f"qonnx not compared: {why_not}")
    else:
        yield Implementation("qonnx", file, lambda batch, wanted: run_qonnx(proto, batch, wanted))


# ---- what else is given ---------------------------------------------------------------------------------------------


def of_keras(keras_model: Any, proto: ModelProto, notes: list[str]) -> Implementation:
    """The Keras model, as deployed; in float64 where the file holds a tensor in float64, or carries a division."""
    from sparse_qonnx.export.freeze import Reference
    from sparse_qonnx.export.loading import load_model
    from sparse_qonnx.export.source import describe_source

    if isinstance(keras_model, str | os.PathLike):
        keras_model = load_model(keras_model)
    tolerances = quotient_tolerances(proto)
    wide = bool(tolerances) or any(
        v.type.tensor_type.elem_type == TensorProto.DOUBLE for v in all_values(proto).values()
    )
    name = "Keras (float64)" if wide else "Keras"
    reference = Reference(keras_model, float64=wide)

    def run(batch: Tensors, _: Sequence[str] = ()) -> Tensors:
        return reference.run(reference.check([batch[name] for name in reference.inputs]))

    known = run({name: np.zeros((1, *shape), np.float32) for name, shape in reference.inputs.items()})
    tensors: dict[str, Sample] = {name: values.shape[1:] for name, values in known.items()}
    own, stated = describe_source(keras_model)["weights_sha256"], read_metadata(proto).get(WEIGHTS_KEY, "")
    if stated and own != stated:
        notes.append(f"{name}: its weights ({own[:12]}…) are not those that the file was made from ({stated[:12]}…)")
    renamed = own == stated and _are_renamed(tensors, interface_of(proto).tensors)
    if renamed:
        notes.append(f"{name}: the same weights under other names, so only outputs are compared")
    interface = Interface(dict(reference.inputs), reference.outputs, tensors)
    why = "Keras adds up quotients, each rounded once; the file divides an exact sum"
    adds = bool(tolerances)
    return Implementation(name, interface, run, tolerances, why, adds_quotients=adds, same_names=not renamed)


_FLOAT64_SUM = 2.0**-40
"""Relative to the largest value: what the roundings of a sum of quotients in float64 stay far below."""


def quotient_tolerances(proto: ModelProto) -> dict[str, float]:
    """By name, how far Keras may be off where a division is carried: it is made first there, and its result rounded."""
    proof, values, found = infer_grids(proto), all_values(proto), {}
    carried = read_numerators(proto)
    for name, grid in proof.grids.items():
        stated = carried.get(name)
        if grid is None or (grid.divisor == 1 and stated is None):
            continue
        narrow = stated is None and name in values and values[name].type.tensor_type.elem_type == TensorProto.FLOAT
        divisor = grid.divisor if stated is None else grid.divisor * stated.divisor
        largest = max(abs(grid.lowest), grid.highest) * 2.0**-grid.frac / divisor
        found[name if stated is None else stated.value] = largest * (2.0**-22 if narrow else _FLOAT64_SUM)
    return found


def _are_renamed(tensors: Mapping[str, Sample], file: Mapping[str, Sample]) -> bool:
    """Whether a name of the file may mean another layer in a model with the same weights.

    Keras counts unnamed layers anew in every process: what was `dense_2` may be `dense_1` of another model. Layers that
    only follow those of the file are no sign of it.
    """
    known = {name: n for n, name in enumerate(tensors) if name in file}
    alike = all(_fits(tensors[name], file[name]) for name in known)
    return not alike or len(known) <= max(known.values(), default=-1)


def of_project(project: Any, proto: ModelProto, notes: list[str]) -> Implementation:
    """A project's C-simulation, or what it simulates instead."""
    name = str(getattr(project, "simulation", "C-simulation"))
    if not project.is_made_from(proto):
        notes.append(f"{name}: the project was made from another file than this one, or another version of it")
    names, own = ValueNames(proto), project.tensors
    tensors: dict[str, Sample] = {name: tuple(tensor.shape) for name, tensor in own.items()}
    tensors |= {names.shown(name): shape for name, shape in tensors.items()}

    def run(batch: Tensors, wanted: Sequence[str]) -> Tensors:
        held = [name if name in own else names.held(name) for name in wanted]
        found = project.predict_tensors(batch, list(dict.fromkeys(held)))
        return names.given([name for name in wanted if name not in own], found) | {
            n: found[n] for n in wanted if n in own
        }

    interface = Interface({name: tensors[name] for name in project.inputs}, project.outputs, tensors)
    return Implementation(name, interface, run, project.tolerances, left_out=project.left_out)


def of_other_file(source: Any, number: int, proto: ModelProto, notes: list[str]) -> Implementation:
    """Another ONNX file, in stock onnxruntime."""
    is_path = isinstance(source, str | os.PathLike)
    name = Path(source).name if is_path else f"file {number}"
    other = read_model(source)
    interface = interface_of(other)
    run = session_runner(other, list(interface.tensors), "function")
    own, stated = (read_metadata(model).get(WEIGHTS_KEY, "") for model in (other, proto))
    if own != stated:
        notes.append(
            f"{name}: was made from weights {own[:12] or 'unknown'}…, the file from {stated[:12] or 'unknown'}…"
        )
    types = [[str(kind) for kind in input_types(model).values()] for model in (other, proto)]
    if types[0] != types[1]:
        notes.append(f"{name}: states the input types {types[0]}, the file {types[1]}, on which events are put")
    return Implementation(name, interface, lambda batch, _: run(batch))
