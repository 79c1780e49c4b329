"""`qonnx-to-hls`."""

from __future__ import annotations

import argparse
from typing import Any

from sparse_qonnx.cli.terminal import ERR, OK, OUT, add_limits, add_version, compare, say, working
from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.text import marked_up


def _to_hls(args: argparse.Namespace) -> int:
    from sparse_qonnx.datasets import open_events
    from sparse_qonnx.files import files_of_model, read_model
    from sparse_qonnx.hls import to_hls
    from sparse_qonnx.hls.yaml_config import read_config
    from sparse_qonnx.system.outputs import output_file

    if args.write_config is not None:
        given = [args.config] if args.config is not None else []
        output_file(args.write_config, [*files_of_model(args.model), *given])
    model = read_model(args.model)
    config = read_config(args.config) if args.config is not None else {}
    target = {"backend": args.backend, "part": args.part, "clock_period": args.clock_period}
    if args.write_config is not None:
        return _write_config(model, config, target, args.write_config)
    if args.output is None:
        raise ConfigurationError("qonnx-to-hls", "has no folder to write to", fix="give -o FOLDER")
    events = open_events(model, args.csim) if args.csim else None
    with working(f"writing {args.output}"):
        project = to_hls(args.model, args.output, config=config, force=args.force, **target)
    chosen = project.config
    say(f"wrote {args.output}: {chosen.backend} project for {chosen.part}, {chosen.clock_period:g} ns")
    for tensor in project.graph.inputs:
        say(f"input {tensor.name}: {tensor.cpp_type}")
    if args.census:
        with working("counting operations"):
            census = project.census()
        OUT.print(census.table)
    code = OK
    if events is not None:
        with working(f"compiling: {project.simulation}"):
            project.compile()
        code = compare(model, project, events)
    if args.build:
        with working(f"running {project.tool.command[0]}"):
            project.build(log=_log)
        OUT.print(project.report())
    return code


def _write_config(model: Any, config: dict[str, Any], target: dict[str, Any], path: str) -> int:
    from sparse_qonnx.hls.config import HlsConfig
    from sparse_qonnx.hls.yaml_config import write_config

    write_config(model, path, HlsConfig.read(config, **target))
    say(f"wrote {path}: every option, for qonnx-to-hls --config")
    return OK


def _log(line: str) -> None:
    ERR.print(marked_up(line), style="dim")


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    from sparse_qonnx.hls.tools import TOOLS

    parser = argparse.ArgumentParser(prog="qonnx-to-hls", description="Write FPGA firmware (HLS C++) of an ONNX file.")
    add_version(parser)
    parser.set_defaults(run=_to_hls)
    parser.add_argument("model", metavar="MODEL.onnx", help="model file")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="project folder to write")
    parser.add_argument("--backend", choices=[*TOOLS], help="HLS tool, or Verilog (default Vitis)")
    parser.add_argument("--part", help="FPGA part (default xcu250-figd2104-2L-e)")
    parser.add_argument("--clock-period", type=float, metavar="NS", help="in ns (default 5)")
    parser.add_argument("--config", metavar="HLS.yml", help="YAML file with options; the three above go before it")
    complete = "write a complete, commented configuration for the model instead of a project"
    parser.add_argument("--write-config", metavar="HLS.yml", help=complete)
    census = "count what every layer instantiates: multipliers, selectors, adders, registers"
    parser.add_argument("--census", action="store_true", help=census)
    parser.add_argument("--force", action="store_true", help="replace a project that is already in the folder")
    csim = "compile the C-simulation and compare it with onnxruntime on these events"
    parser.add_argument("--csim", action="append", metavar="X.npy", help=csim)
    parser.add_argument(
        "--build", action="store_true", help="run the HLS tool, or yosys for Verilog, which must be installed"
    )
    add_limits(parser)
    return parser
