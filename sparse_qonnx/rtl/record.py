"""The netlist of a firmware: its kernels, compiled with number types that record, and run once.

`hls_backend/sim/netlist` says how. What is recorded depends on the graph only, never on data.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sparse_qonnx import _paths, limits
from sparse_qonnx.errors import ModelFileError, ToolError, UnsupportedNodeError
from sparse_qonnx.hls import emit
from sparse_qonnx.hls.headers import compiler_command
from sparse_qonnx.hls.templates import render
from sparse_qonnx.hls.typed import Layer, Tensor, TypedGraph
from sparse_qonnx.system.atomic import as_output_error, scratch_folder
from sparse_qonnx.system.processes import child

FLAGS = ("-std=c++11", "-O0", "-Wno-unknown-pragmas", "-DSPARSE_QONNX_NETLIST")
_SCOPE = "sparse_qonnx::netlist::"
_CANNOT_RECORD, _TOO_LARGE = 3, 4
"""Exit codes of the recorder."""


def record(graph: TypedGraph) -> str:
    """The netlist of all layers as text.

    Args:
        graph: with variants and factors chosen.

    Raises:
        ToolError: no compiler, or it fails.
        UnsupportedNodeError: a kernel does something that is no hardware; names layer, kernel and reason.
        ModelFileError: the netlist would have more lines, or take longer, than the limits allow.
        OutputPathError: the folder of temporary files is full or cannot be written.
    """
    with scratch_folder() as scratch:
        program = _compile(graph, scratch)
        target = scratch / "netlist.txt"
        _run(program, target, limits.current())
        return target.read_text(encoding="ascii")


def recorder_source(graph: TypedGraph) -> str:
    """The C++ program that calls every layer once."""
    body = emit.using(graph)
    for layer in (la for la in graph.layers if not la.trace_only):
        body += ["    {", *_layer_lines(layer), "    }"]
    return render("netlist.cpp.in", BODY="\n".join(body))


def _layer_lines(layer: Layer) -> Iterator[str]:
    pad = emit.INDENT
    name, kernel = layer.config_name, layer.call.function_name
    yield f'{pad}{_SCOPE}begin_layer("{name}", "{kernel}", most_lines);'
    for direction, tensors in (("in", layer.inputs), ("out", layer.outputs)):
        for t in _distinct(tensors):
            if t.values_per_word:
                yield f'{pad}{t.stream_type()} {t.identifier}("{t.identifier}");'
                yield f'{pad}{_SCOPE}stream_port<{t.type_name}>("{t.identifier}", "{direction}", {t.values_per_word});'
            elif direction == "in":
                yield f'{pad}const {_SCOPE}input_array<{t.type_name}> {t.identifier}_("{t.identifier}", {t.size});'
                yield f"{pad}const {t.type_name}* {t.identifier} = {t.identifier}_.get();"
            else:
                yield f'{pad}{_SCOPE}output_array<{t.type_name}> {t.identifier}_("{t.identifier}", {t.size});'
                yield f"{pad}{t.type_name}* {t.identifier} = {t.identifier}_.get();"
    yield from emit.call_lines(layer)
    yield from (f"{pad}{t.identifier}_.show();" for t in layer.outputs if not t.values_per_word)
    yield f"{pad}{_SCOPE}end_layer();"


def _distinct(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    return list({t.identifier: t for t in tensors}.values())


def _compile(graph: TypedGraph, scratch: Path) -> Path:
    compiler, backend = compiler_command(), _paths.hls_backend()
    tables = [t for layer in graph.layers for t in layer.tables]
    texts = {
        "netlist.cpp": recorder_source(graph),
        "defines.h": emit.defines(graph),
        "parameters.h": emit.parameters(graph),
        **{f"weights/{t.identifier}.h": emit.weights(t, graph.namespace) for t in tables},
    }
    with as_output_error("temporary folder"):
        (scratch / "weights").mkdir()
        (scratch / "kernels").symlink_to(backend / "kernels", target_is_directory=True)
        for name, text in texts.items():
            (scratch / name).write_text(text, encoding="utf-8")
    program = scratch / "record"
    command = [*compiler, *FLAGS, "-iquote", str(backend / "sim" / "netlist"), "-iquote", str(scratch)]
    done = _finished([*command, "-o", str(program), str(scratch / "netlist.cpp")], scratch)
    if done.returncode != 0:
        error = next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr[:300])
        raise ToolError(shlex.join(compiler), f"cannot compile the recorder: {error}")
    return program


def _run(program: Path, target: Path, allowed: limits.Limits) -> None:
    done = _finished([str(program), str(target), str(allowed.netlist_lines)], program.parent)
    problem = done.stderr.strip()
    if done.returncode == _CANNOT_RECORD:
        where, _, reason = problem.partition(": ")
        raise UnsupportedNodeError(where, f"cannot be recorded as hardware: {reason}")
    if done.returncode == _TOO_LARGE:
        where, _, reason = problem.partition(": ")
        raise _above(where, reason, "netlist_lines", allowed.netlist_lines)
    if done.returncode != 0:
        raise ToolError("recorder", f"ended with code {done.returncode}: {problem[:300]}")


def _above(where: str, problem: str, name: str, most: int) -> ModelFileError:
    fix = f"give its layers smaller parallel factors, or raise the limit: --limit {name}={2 * most}"
    return ModelFileError(where, problem, allowed=f"at most {most:,}", fix=fix)


def _finished(command: list[str], scratch: Path) -> subprocess.CompletedProcess[str]:
    """A program that has ended in the time that it may take."""
    seconds = limits.current().netlist_seconds
    with child(command, env={"TMPDIR": str(scratch)}) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise _above(
                "netlist", f"{command[0]} runs for more than {seconds} s", "netlist_seconds", seconds
            ) from error
    return subprocess.CompletedProcess(command, process.returncode, output, errors)
