"""The two commands: `sparse-qonnx` and `qonnx-to-hls`.

Exit codes: 0 success, 1 a comparison found mismatches, 2 an error, told in one message on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sparse_qonnx.errors import ConfigurationError, OutputPathError, SparseQonnxError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OK, MISMATCH, ERROR, INTERRUPTED = 0, 1, 2, 130

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


# ---- what long work shows -------------------------------------------------------------------------------------------


@contextmanager
def _working(what: str) -> Iterator[None]:
    """A spinner on a terminal, nothing elsewhere."""
    if not _err.is_terminal:
        yield
        return
    with _err.status(escape(what)):
        yield


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere; yields a function of (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_err, transient=True, disable=not _err.is_terminal) as bar:
        task = bar.add_task(escape(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _quiet_imports() -> Iterator[None]:
    """TensorFlow talks about its build while it is imported, past Python's stderr: what follows is only our own."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _import_keras() -> None:
    """Import what `sparse_qonnx.export` needs; what is missing is its own message."""
    with _quiet_imports(), suppress(ImportError):
        import hgq  # noqa: F401
        import sparsepixels.layers  # noqa: F401


def _say(text: str) -> None:
    _out.print(escape(text))


def _require_folder(output: str) -> None:
    """Refuse an output file that cannot be, before the work and not after it."""
    path = Path(output)
    if path.is_dir():
        raise OutputPathError(f"output {output!r}", "is a folder", allowed="a file name")
    if not path.parent.is_dir():
        raise OutputPathError(f"output {output!r}", f"the folder {str(path.parent)!r} does not exist", fix="create it")


# ---- sparse-qonnx ---------------------------------------------------------------------------------------------------


def _export(args: argparse.Namespace) -> int:
    from sparse_qonnx.export import export
    from sparse_qonnx.passes.infer_grids import input_types

    _require_folder(args.output)
    source = _keras_source(args)
    precision = _input_precisions(args.input_precision)
    _import_keras()
    with _working(f"exporting {source}"):
        model = export(source, args.output, precision, builder=args.builder, safe_mode=not args.trust)
    _say(f"wrote {args.output}: {len(model.graph.node)} nodes, {Path(args.output).stat().st_size:,} bytes")
    types = input_types(model)
    for value in model.graph.input:
        stated = types.get(value.name)
        _say(f"input {value.name}: {stated or 'no fixed-point type; firmware needs one: give --input-precision'}")
    return OK


def _keras_source(args: argparse.Namespace) -> str:
    """The saved model, or the weights that go with a builder."""
    with_builder = args.builder is not None
    if (args.weights is not None) != with_builder or (args.model is not None) == with_builder:
        allowed = "MODEL.keras, or --builder PACKAGE.MODULE:FUNCTION with --weights FILE.weights.h5"
        given = [n for n in ("model", "builder", "weights") if getattr(args, n) is not None]
        raise ConfigurationError("sparse-qonnx export", f"got {' and '.join(given) or 'no model'}", allowed=allowed)
    return str(args.weights if with_builder else args.model)


def _input_precisions(texts: Sequence[str]) -> str | dict[str, str] | None:
    """One type for every input, or a mapping from `NAME=TYPE`."""
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not equals:
            allowed = "one TYPE for all inputs, or NAME=TYPE for each"
            raise ConfigurationError("--input-precision", f"{name!r} names no input", allowed=allowed)
    return {name: kind for name, _, kind in pairs} or None


def _run(args: argparse.Namespace) -> int:
    import numpy as np

    from sparse_qonnx.arrays import batches, read_inputs, write_array
    from sparse_qonnx.files import read_model
    from sparse_qonnx.runtime import InferenceSession, with_outputs

    _require_folder(args.output)
    model = read_model(args.model)
    name = args.tensor or model.graph.output[0].name
    inputs = read_inputs(model, args.input)
    session = InferenceSession(with_outputs(model, [name]), kernels=args.kernels)
    parts: list[NDArray[Any]] = []
    with _progress("running") as advance:
        for done, total, batch in batches(inputs, args.batch):
            parts.append(session.run([name], batch)[0])
            advance(done, total)
    result: NDArray[np.generic] = np.concatenate(parts)
    write_array(result, args.output)
    _say(f"wrote {args.output}: {name} {list(result.shape)} {result.dtype}")
    return OK


def _verify(args: argparse.Namespace) -> int:
    from sparse_qonnx.arrays import random_inputs, read_inputs
    from sparse_qonnx.files import read_model

    model = read_model(args.model)
    inputs = read_inputs(model, args.input) if args.input else random_inputs(model, args.events)
    keras_model = None
    if args.keras:
        from sparse_qonnx.export.loading import load_model

        _import_keras()
        with _working(f"loading {args.keras}"):
            keras_model = load_model(args.keras)
    with tempfile.TemporaryDirectory(prefix="sparse-qonnx-") as folder:
        project = None
        if args.csim:
            from sparse_qonnx.hls import to_hls

            with _working("compiling the C-simulation"):
                project = to_hls(args.model, Path(folder) / "firmware")
                project.compile()
        return _compare(keras_model, model, project, inputs)


def _compare(keras_model: Any, model: Any, project: Any, inputs: dict[str, NDArray[np.float32]]) -> int:
    from sparse_qonnx.verify import verify

    with _progress("comparing") as advance:
        report = verify(keras_model, model, project, inputs, progress=advance)
    _out.print(report.table)
    for line in report.remarks:
        _say(line)
    return OK if report.ok else MISMATCH


def _info(args: argparse.Namespace) -> int:
    from sparse_qonnx.info import describe

    for part in describe(args.model):
        _out.print(part)
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sparse-qonnx", description="Sparse quantized CNNs as one ONNX file.")
    _add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    export = commands.add_parser("export", help="write a Keras model as an ONNX file")
    export.set_defaults(run=_export)
    export.add_argument("model", nargs="?", metavar="MODEL.keras", help="saved Keras model")
    export.add_argument("--builder", metavar="PACKAGE.MODULE:FUNCTION", help="builds the model whose weights are given")
    export.add_argument("--weights", metavar="FILE.weights.h5", help="saved weights, with --builder")
    trust = "load Python code that the saved model carries (Keras safe mode off): only for files you made"
    export.add_argument("--trust", action="store_true", help=trust)
    export.add_argument("-o", "--output", required=True, metavar="MODEL.onnx", help="file to write")
    precision = (
        "fixed-point type of the inputs, such as 'ap_ufixed<8,1>', or NAME=TYPE for one of several (repeatable); "
        "derived from the quantizers by default"
    )
    export.add_argument("--input-precision", action="append", default=[], metavar="TYPE", help=precision)

    run = commands.add_parser("run", help="run an ONNX file in onnxruntime")
    run.set_defaults(run=_run)
    run.add_argument("model", metavar="MODEL.onnx", help="model file")
    _add_input(run, required=True)
    run.add_argument("-o", "--output", required=True, metavar="Y.npy", help="file to write")
    run.add_argument("--tensor", metavar="NAME", help="tensor to write instead of the first output")
    kernels = "native kernels (default), or the function bodies in the file, as stock onnxruntime runs them"
    run.add_argument("--kernels", choices=["native", "function"], default="native", help=kernels)
    run.add_argument("--batch", type=_positive, default=256, metavar="N", help="events at a time (default 256)")

    verify = commands.add_parser("verify", help="compare all implementations of an ONNX file, value for value")
    verify.set_defaults(run=_verify)
    verify.add_argument("model", metavar="MODEL.onnx", help="model file")
    _add_input(verify, required=False)
    verify.add_argument(
        "--events", type=_positive, default=256, metavar="N", help="random events without --input (256)"
    )
    verify.add_argument("--keras", metavar="MODEL.keras", help="compare the Keras model that was exported, too")
    verify.add_argument("--csim", action="store_true", help="compile and compare the C-simulation, too")

    info = commands.add_parser("info", help="show what is in an ONNX file: nodes, shapes, number formats")
    info.set_defaults(run=_info)
    info.add_argument("model", metavar="MODEL.onnx", help="model file")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `sparse-qonnx`."""
    return _call(_parser(), argv)


# ---- qonnx-to-hls ---------------------------------------------------------------------------------------------------


def _to_hls(args: argparse.Namespace) -> int:
    from sparse_qonnx.arrays import read_inputs
    from sparse_qonnx.files import read_model
    from sparse_qonnx.hls import to_hls
    from sparse_qonnx.hls.yaml_config import read_config

    model = read_model(args.model)
    config = read_config(args.config) if args.config is not None else {}
    target = {"backend": args.backend, "part": args.part, "clock_period": args.clock_period}
    if args.write_config is not None:
        return _write_config(model, config, target, args.write_config)
    if args.output is None:
        raise ConfigurationError("qonnx-to-hls", "has no folder to write to", fix="give -o FOLDER")
    inputs = read_inputs(model, args.csim) if args.csim else None
    with _working(f"writing {args.output}"):
        project = to_hls(args.model, args.output, config=config, force=args.force, **target)
    chosen = project.config
    _say(f"wrote {args.output}: {chosen.backend} project for {chosen.part}, {chosen.clock_period:g} ns")
    if args.census:
        with _working("counting operations"):
            census = project.census()
        _out.print(census.table)
    code = OK
    if inputs is not None:
        with _working("compiling the C-simulation"):
            project.compile()
        code = _compare(None, model, project, inputs)
    if args.build:
        with _working(f"running {project.tool.command[0]}"):
            project.build(log=_log)
        _out.print(project.report())
    return code


def _write_config(model: Any, config: dict[str, Any], target: dict[str, Any], path: str) -> int:
    from sparse_qonnx.hls.config import HlsConfig
    from sparse_qonnx.hls.yaml_config import write_config

    _require_folder(path)
    write_config(model, path, HlsConfig.read(config, **target))
    _say(f"wrote {path}: every option, for qonnx-to-hls --config")
    return OK


def _log(line: str) -> None:
    _err.print(escape(line), style="dim")


def _hls_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qonnx-to-hls", description="Write FPGA firmware (HLS C++) of an ONNX file.")
    _add_version(parser)
    parser.set_defaults(run=_to_hls)
    parser.add_argument("model", metavar="MODEL.onnx", help="model file")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="project folder to write")
    parser.add_argument("--backend", choices=["Vitis", "Vivado", "VitisUnified"], help="HLS tool (default Vitis)")
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
    parser.add_argument("--build", action="store_true", help="run the HLS tool, which must be installed")
    return parser


def main_hls(argv: Sequence[str] | None = None) -> int:
    """Entry point of `qonnx-to-hls`."""
    return _call(_hls_parser(), argv)


# ---- both -----------------------------------------------------------------------------------------------------------


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _add_version(parser: argparse.ArgumentParser) -> None:
    import sparse_qonnx

    parser.add_argument("--version", action="version", version=f"%(prog)s {sparse_qonnx.__version__}")


def _add_input(parser: argparse.ArgumentParser, required: bool) -> None:
    text = "events as a NumPy array; NAME=X.npy for each input where the model has several"
    parser.add_argument("--input", action="append", required=required, metavar="X.npy", help=text)


def _call(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run the chosen command; an expected error becomes one message and exit code 2."""
    args = parser.parse_args(argv)
    show = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: _err.print(f"[yellow]warning:[/yellow] {escape(str(message))}")
    try:
        code: int = args.run(args)
    except SparseQonnxError as error:
        _err.print(f"[bold red]error:[/bold red] {escape(str(error))}")
        return ERROR
    except KeyboardInterrupt:
        _err.print("interrupted")
        return INTERRUPTED
    finally:
        warnings.showwarning = show
    return code


if __name__ == "__main__":
    sys.exit(main())
