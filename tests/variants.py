"""Every kernel variant of a model's firmware, with serial, middle and full parallel factors.

`make variants` runs the published models and random networks through them; see `tests/run_variants.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.absorb import can_read_pixels
from sparse_qonnx.hls.balance import balance
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.factors import supported
from sparse_qonnx.hls.lower import lower
from sparse_qonnx.hls.typed import Layer, Tensor, TypedGraph
from sparse_qonnx.rtl.interpret import interpret
from sparse_qonnx.rtl.project import VerilogProject
from sparse_qonnx.rtl.reader import read_netlist
from sparse_qonnx.rtl.record import record
from sparse_qonnx.rtl.simulate import NEVER

Options = dict[str, Any]
REDUCTIONS = ("stream", "chunk", "scan", "tree", "streamed")
"""Of an image that is there as a whole; `streamed` is all of them but the tree, of one that comes as a stream."""
LEVELS = ("serial", "middle", "full")
FACTORS = ("pixels_per_cycle", "inputs_per_cycle", "filters_per_cycle", "channels_per_cycle")


def cases(model: ModelProto) -> dict[str, Options]:
    """Configurations by name: every reduction with factors of every level; convolutions and dense layers take turns.

    `pairs` and `gather`, `sparse` and `matrix` each occur with factors of every level too.
    """
    found: dict[str, Options] = {}
    for r, reduction in enumerate(REDUCTIONS):
        ports = {"io_type": "io_stream"} if reduction == "streamed" else {}
        graph = lower(model, HlsConfig.read(ports))
        for n, level in enumerate(LEVELS):
            variant = REDUCTIONS[n] if ports else reduction
            design = ports | {"layers": dict(_layers(graph, variant, n, is_pairs=(r + n) % 2 == 0, is_sparse=r != 1))}
            if design not in found.values():
                found[f"{reduction}-{level}"] = design
    return found


def diagonal(found: Mapping[str, Options], shift: int) -> dict[str, Options]:
    """A third of the cases in which every reduction and every level still occurs."""
    names = [f"{r}-{LEVELS[(n + shift) % len(LEVELS)]}" for n, r in enumerate(REDUCTIONS)]
    return {name: found[name] for name in names if name in found}


def _layers(
    graph: TypedGraph, reduction: str, level: int, *, is_pairs: bool, is_sparse: bool
) -> Iterator[tuple[str, Options]]:
    scatters = {t.identifier: la for la in graph.layers if la.call.kernel == "sparse_to_dense" for t in la.outputs}
    for layer in graph.layers:
        possible = supported(layer)
        match layer.call.kernel:
            case "input_reduce":
                chosen = _factors(possible, level) if reduction in ("chunk", "scan") else {}
                yield layer.node, {"variant": reduction} | chosen
            case "sparse_conv":
                chosen = _factors(possible, level)
                gather = {"variant": "gather", "pixels_per_cycle": chosen["pixels_per_cycle"]}
                yield layer.node, {"variant": "pairs"} | chosen if is_pairs else gather
            case "sparse_pool" | "conv" | "gather":
                yield layer.node, _factors(possible, level)
            case "dense":
                yield layer.node, _dense(layer, scatters.get(layer.inputs[0].identifier), level, is_sparse=is_sparse)


def _dense(layer: Layer, scatter: Layer | None, level: int, *, is_sparse: bool) -> Options:
    if scatter is not None and is_sparse and can_read_pixels(layer, scatter):
        return {"variant": "sparse", "pixels_per_cycle": _pick(range(1, scatter.inputs[0].shape[0] + 1), level)}
    return {"variant": "matrix", "reuse_factor": _pick(supported(layer)["reuse_factor"], len(LEVELS) - 1 - level)}


def _factors(possible: Mapping[str, Sequence[object]], level: int) -> Options:
    return {key: _pick(possible[key], level) for key in FACTORS if key in possible}


def _pick(values: Sequence[Any], level: int) -> Any:
    return values[(0, len(values) // 2, -1)[level]]


def netlist_mismatches(
    graph: TypedGraph, inputs: Mapping[str, NDArray[Any]], wanted: Mapping[str, NDArray[Any]]
) -> dict[str, int]:
    """Values of the recorded netlist that differ from `wanted`, by tensor."""
    netlist = read_netlist(record(graph).splitlines())
    found = interpret(netlist, {t.identifier: steps_of(t, inputs[t.name]) for t in graph.inputs}, check=True)
    tensors = dict(graph.views) | {t.name: t for t in graph.outputs}
    return {
        name: int(np.count_nonzero(found[t.identifier][:, : t.size] != steps_of(t, wanted[name])))
        for name, t in tensors.items()
        if name in wanted and t.identifier in found
    }


def steps_of(tensor: Tensor, values: NDArray[Any]) -> NDArray[np.int64]:
    """The integers that an array of the firmware holds, `[B, size]`: numerators where a divisor is pending."""
    steps = np.asarray(values, np.float64).reshape(len(values), -1) * tensor.divisor * 2.0**tensor.type.frac
    return np.rint(steps).astype(np.int64)


def mismatches(
    model: ModelProto,
    inputs: Mapping[str, NDArray[Any]],
    wanted: Mapping[str, NDArray[Any]],
    config: Options,
    is_netlist: bool = False,
) -> dict[str, int]:
    """Values of the firmware that differ from `wanted`, by tensor; heads from tables by more than they state.

    With `is_netlist` those of the netlist that the firmware records, without C-simulation and without the heads.
    """
    if is_netlist:
        options = HlsConfig.read(config)
        graph = balance(lower(model, options), options).graph
        exact = {n: v for n, v in wanted.items() if n in graph.views and not graph.views[n].tolerance}
        return netlist_mismatches(graph, inputs, exact)
    with TemporaryDirectory() as folder:
        project = to_hls(model, Path(folder) / "firmware", config=config)
        names = [name for name in wanted if name in project.tensors]
        found = project.predict_tensors(inputs, names)
        if isinstance(project, VerilogProject):
            check_cycles(project, inputs, names)
    assert names
    return {n: differing(wanted[n], found[n], project.tensors[n]) for n in names}


def check_cycles(project: VerilogProject, inputs: Mapping[str, NDArray[Any]], names: list[str]) -> None:
    """Pauses between events and resets in the middle change no value; the schedule says what the simulation counts."""
    plan, rng = project.design.plan, np.random.default_rng(0)
    n = len(next(iter(inputs.values())))
    expected, timing = project.simulate(inputs, names)
    assert timing.latency == plan.latency
    assert timing.interval in (0, plan.interval)
    gaps = rng.integers(0, 2 * plan.interval, n)
    resets = np.where(rng.random(n) < 0.2, rng.integers(0, plan.latency + 1, n), NEVER)
    for restarts in (None, resets):
        found, _ = project.simulate(inputs, names, gaps, restarts)
        for name, values in expected.items():
            # An array that nobody reads can come after the outputs, and a reset then takes it away.
            probe = project.design.top.probes.get(project.tensors[name].identifier)
            if restarts is None or probe is None or max(probe.cycles) <= plan.latency:
                assert np.array_equal(values, found[name]), f"{name} with pauses and resets"


def differing(wanted: NDArray[Any], found: NDArray[Any], tensor: Tensor) -> int:
    """How many values are not equal; heads by more than they state.

    With a pending divisor a float is only near a quotient, after sums of them not even the nearest: its numerator is
    compared.
    """
    assert wanted.shape == found.shape
    if tensor.tolerance:
        return int(np.count_nonzero(~(np.abs(found - wanted) <= tensor.tolerance + 1e-6)))
    if tensor.divisor == 1:
        return int(np.count_nonzero(found.astype(wanted.dtype) != wanted))
    steps = (np.rint(values.astype(np.float64) * tensor.divisor * 2.0**tensor.type.frac) for values in (found, wanted))
    return int(np.count_nonzero(np.not_equal(*steps)))
