"""`make variants`: published models and random networks through every kernel variant and parallel factor, C-simulated.

With `--netlist` the netlist that each design records is interpreted instead, with `--rtl` its hardware is simulated.
Every tensor of every design is compared with stock onnxruntime's, value for value. The record is written as the run
goes on, so that a run that is stopped has said what it did.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from numpy.typing import NDArray
from onnx import ModelProto

import sparse_qonnx as sq
from fuzz.networks import networks
from fuzz.recipe import Network, load
from sparse_qonnx.errors import PrecisionError, SparseQonnxError, UnsupportedNodeError
from sparse_qonnx.passes.infer_grids import infer_grids, input_types
from sparse_qonnx.runtime import Kernels, run_tensors
from variants import cases, diagonal, mismatches

Events = dict[str, NDArray[Any]]

PAPER = Path(__file__).resolve().parents[2] / "shared" / "paper" / "paper_models.py"
PAPER_MODELS = [(d, b, s) for d in ("jet", "sparsemnist") for b in ("8b", "16b") for s in "tsml"]
PAPER_PRECISION = "ap_ufixed<18,1>"
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "KERAS_BACKEND": "tensorflow",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "CXXFLAGS": "-O0",  # few events: compiling is what takes the time
}
"""What the run is to have where nothing else is said."""
DRAWN_PER_CASE = 20  # many networks have no hardware, or the structure of one that was drawn before


@dataclass
class Tally:
    """What a run came to."""

    models: int = 0
    designs: int = 0
    values: int = 0
    mismatches: int = 0
    no_hardware: int = 0
    seconds: int = 0
    failures: list[str] = field(default_factory=list)

    def take(
        self,
        name: str,
        model: ModelProto,
        events: Events,
        shift: int | None,
        is_netlist: bool = False,
        is_rtl: bool = False,
    ) -> None:
        """Simulate all designs of a model, or the third of them that `shift` names; print one line."""
        tensors = [n for node in model.graph.node for n in node.output if n in infer_grids(model).grids]
        wanted = run_tensors(model, events, [v.name for v in model.graph.output], kernels=Kernels.FUNCTION)
        wanted |= run_tensors(model, events, _data(model, tensors), kernels=Kernels.FUNCTION)
        designs = cases(model)
        self.models += 1
        for case, config in (designs if shift is None else diagonal(designs, shift)).items():
            start, before = time.monotonic(), self.values
            if is_rtl and config.get("io_type") == "io_stream":
                continue  # no RTL of streams
            config = {**config, "backend": "Verilog"} if is_rtl else config
            found = mismatches(model, events, wanted, config, is_netlist)
            self.designs += 1
            self.values += sum(wanted[tensor].size for tensor in found)
            wrong = {tensor: count for tensor, count in found.items() if count}
            self.mismatches += sum(wrong.values())
            if wrong:
                self.failures.append(f"{name} {case}: {wrong}")
            line = f"{name} {case}: {self.values - before} values of {len(found)} tensors, mismatches {wrong or 0}"
            print(f"{line}, {time.monotonic() - start:.0f} s", flush=True)


def _data(model: ModelProto, tensors: list[str]) -> list[str]:
    """Tensors that depend on an input."""
    live = {value.name for value in model.graph.input}
    for node in model.graph.node:
        if live.intersection(node.input):
            live.update(node.output)
    return [name for name in tensors if name in live]


def published(names: list[str], n_events: int) -> Iterator[tuple[str, ModelProto, Events, int]]:
    """The trained models of arXiv:2512.06208 with real events, from the folder beside the repository."""
    if not PAPER.is_file():
        print(f"no {PAPER}: the published models are left out")
        return
    spec = importlib.util.spec_from_file_location("paper_models", PAPER)
    assert spec is not None and spec.loader is not None
    paper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(paper)
    for number, (dataset, bits, size) in enumerate(PAPER_MODELS):
        name = f"{dataset}-{bits}-{size}"
        if not names or name in names:
            model = sq.export(paper.build(dataset, bits, size), input_precision=PAPER_PRECISION)
            grid = input_types(model)["x_in"]
            yield name, model, {"x_in": grid.quantize(paper.load(dataset)[0][:n_events])}, number


def drawn(n_networks: int, hypothesis_seed: int) -> Iterator[tuple[str, ModelProto, Events, int]]:
    """Random networks that have hardware, their events, and which third of the designs they go through."""
    found: list[Network] = []

    @seed(hypothesis_seed)
    @settings(
        max_examples=DRAWN_PER_CASE * n_networks,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def collect(network: Network) -> None:
        if network.structure() not in {known.structure() for known in found}:
            found.append(network)

    collect()
    left = n_networks
    for number, network in enumerate(found):
        script = load(network.script())
        script["keras"].backend.clear_session()
        try:
            model = sq.export(
                script["float_model"](script["build"], "float32"), input_precision=network.input_precision
            )
            cases(model)
        except (SparseQonnxError, ValueError, TypeError):  # refused, or on purpose no model at all
            continue
        if left == 0:
            return
        left -= 1
        events = {}
        for n, (name, shape) in enumerate(network.inputs):
            kind = input_types(model)[name]
            limits = [max(min(m, 2**24), -(2**24)) for m in (kind.lowest, kind.highest)]
            own = network.events_seed + n
            events[name] = script["random_events"](shape, own, *limits, kind.frac, script["NEAR"])
        yield f"network {hypothesis_seed}-{number}", model, events, number


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="every hardware variant of many models, C-simulated")
    parser.add_argument("--paper", nargs="*", metavar="NAME", help="published models such as jet-8b-l; all by default")
    parser.add_argument("--events", type=int, default=20, help="events of a published model")
    parser.add_argument("--networks", type=int, default=20, help="random networks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, default=Path("build/variants.json"), help="counts as JSON")
    parser.add_argument("--all", action="store_true", help="all fifteen designs of each model, not five that rotate")
    parser.add_argument("--netlist", action="store_true", help="the netlist that is recorded, not C-simulation")
    parser.add_argument("--rtl", action="store_true", help="the simulated hardware, with pauses and resets")
    options = parser.parse_args()
    os.environ.update({key: value for key, value in ENVIRONMENT.items() if key not in os.environ})
    tally, start = Tally(), time.monotonic()
    options.record.parent.mkdir(parents=True, exist_ok=True)

    def take(name: str, model: ModelProto, events: Events, shift: int | None) -> None:
        try:
            tally.take(name, model, events, shift, options.netlist, options.rtl)
        except (UnsupportedNodeError, PrecisionError):
            tally.no_hardware += 1
        tally.seconds = round(time.monotonic() - start)
        options.record.write_text(json.dumps(asdict(tally), indent=2) + "\n")

    sources = [published(options.paper or [], options.events)] if options.paper != ["none"] else []
    sources += [drawn(options.networks, options.seed)] if options.networks else []
    for name, model, events, number in itertools.chain(*sources):
        take(name, model, events, None if options.all else number % 3)
    print(json.dumps(asdict(tally), indent=2))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
