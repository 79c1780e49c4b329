"""The firmware as C++ text. One function a file; the text is meant to be read."""

from __future__ import annotations

from fractions import Fraction

from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.grid import Grid
from sparse_qonnx.hls.identifiers import comment
from sparse_qonnx.hls.typed import Layer, Table, Tensor, TypedGraph
from sparse_qonnx.hlscall import ConfigValue, Signed, Symbol, View

INDENT = "    "
WIDTH = 120
PLAIN_CONSTANTS = 64


def guarded(name: str, body: str) -> str:
    """`body` as a header with an include guard."""
    guard = f"{name.upper()}_H_"
    return f"#ifndef {guard}\n#define {guard}\n\n{body}\n#endif  // {guard}\n"


def defines(graph: TypedGraph) -> str:
    """`defines.h`: the type of every array."""
    lines = ['#include "ap_fixed.h"', '#include "ap_int.h"', "", "// Types from exact interval inference: no value"]
    lines[-1] += " overflows, no bit is spare."
    first_of_type: dict[str, Tensor] = {}
    for tensor in graph.arrays:
        first_of_type.setdefault(tensor.type_name, tensor)
    for tensor in first_of_type.values():
        pending = f", to be divided by {tensor.divisor}" if tensor.divisor != 1 else ""
        lines.append(f"typedef {tensor.cpp_type} {tensor.type_name};  // {comment(tensor.name)}{pending}")
    return guarded("defines", "\n".join(_enclosed(graph.namespace, lines, 2)) + "\n")


def weights(table: Table, namespace: str = "") -> str:
    """`weights/<table>.h`: one constant array, values as exact decimals, each written once.

    g++ takes minutes over thousands of `ap_fixed` constants and no time over as many doubles, so a large array is
    converted from doubles in C-simulation; synthesis sees constants.
    """
    lines = ['#include "ap_fixed.h"', '#include "ap_int.h"']
    if table.content.values.size > PLAIN_CONSTANTS:
        lines.append('#include "../kernels/common/constants.h"')
    includes = len(lines)
    return guarded(
        table.identifier, "\n".join(_enclosed(namespace, [*lines, "", *table_lines(table)], includes)) + "\n"
    )


def table_lines(table: Table) -> list[str]:
    """A table's type and its array; a large one reads `kernels/common/constants.h`."""
    content, name, kind = table.content, table.identifier, table.type_name
    size = content.values.size
    numerators = [int(m) for m in content.values.flat]
    texts = {m: _decimal(m, content.frac) for m in set(numerators)}
    rows = _wrapped([texts[m] for m in numerators])
    shape = " x ".join(str(n) for n in content.values.shape) or "1"
    constants = f"static const {kind} {name}[{size}] ="
    lines = [f"typedef {table.cpp_type} {kind};  // {shape}"]
    if size <= PLAIN_CONSTANTS:
        return [*lines, f"{constants} {{", *rows, "};"]
    held = f"static const sparse_qonnx::constants<{kind}, {size}> {name}_held({name}_values);"
    lines += ["#ifdef __SYNTHESIS__", constants, "#else", f"static const double {name}_values[{size}] =", "#endif"]
    lines += [f"{INDENT}{{", *rows, f"{INDENT}}};"]
    array = f"static const {kind} (&{name})[{size}] = {name}_held.values;"
    return [*lines, "#ifndef __SYNTHESIS__", held, array, "#endif"]


def parameters(graph: TypedGraph) -> str:
    """`parameters.h`: the kernels, the constant arrays, one configuration struct a layer."""
    kernels = sorted({layer.call.kernel for layer in graph.layers})
    tables = [t.identifier for layer in graph.layers for t in layer.tables]
    lines = ['#include "defines.h"', *(f'#include "kernels/{name}.h"' for name in kernels)]
    lines += [f'#include "weights/{name}.h"' for name in tables]
    includes = len(lines)
    for layer in graph.layers:
        lines += ["", f"// {layer_title(layer)}", f"struct {layer.config_name} {{"]
        lines += [*config_lines(layer), "};"]
    return guarded("parameters", "\n".join(_enclosed(graph.namespace, lines, includes)) + "\n")


def config_lines(layer: Layer) -> list[str]:
    """The members of a layer's configuration struct."""
    return [INDENT + _member(key, value) for key, value in layer.call.config.items()]


def top_header(graph: TypedGraph) -> str:
    """`<top>.h`: the interface."""
    words = '#include "kernels/common/stream.h"\n' if any(t.values_per_word for t in _ports(graph)) else ""
    return guarded(graph.top, f'#include "defines.h"\n{words}\n{_interface(graph)}\n{_signature(graph)};\n')


def top_source(graph: TypedGraph, packs_words: bool = False) -> str:
    """`<top>.cpp`: one call a layer.

    Args:
        graph: what it calls.
        packs_words: the tool is Vivado HLS, which makes a word of a structure only where it is told so.
    """
    body: list[str] = using(graph)
    body += [*_port_pragmas(graph, packs_words), "#pragma HLS DATAFLOW"]
    interface = {t.identifier for t in _ports(graph)}
    for layer in graph.layers:
        body.append("")
        if layer.trace_only:
            body.append("#ifdef SPARSE_QONNX_TRACE  // no hardware: a later layer does it; C-simulation shows it")
        body.append(f"{INDENT}// {layer_title(layer)}")
        body += [f"{INDENT}// {comment(note)}" for note in layer.call.notes]
        for tensor in layer.outputs:
            if tensor.identifier not in interface:
                body.append(f"{INDENT}{tensor.type_name} {tensor.identifier}[{tensor.size}];")
                body.append(f"#pragma HLS ARRAY_PARTITION variable={tensor.identifier} complete dim=0")
        body += [f"#pragma HLS {table.storage}" for table in layer.tables if table.storage]
        body += call_lines(layer)
        if layer.trace_only:
            body.append("#endif")
    body += ["", "#ifdef SPARSE_QONNX_TRACE  // C-simulation hands out every array"]
    arrays = [(i, t) for i, t in enumerate(graph.arrays) if not t.values_per_word]
    body += [f"{INDENT}sparse_qonnx::trace({i}, {t.identifier}, {t.size});" for i, t in arrays]
    body.append("#endif")
    head = f'#include "{graph.top}.h"\n\n#include "parameters.h"\n'
    trace = '#ifdef SPARSE_QONNX_TRACE\n#include "trace.h"\n#endif\n'
    return f"{head}{trace}\n{_signature(graph)} {{\n" + "\n".join(body) + "\n}\n"


# ---- pieces ---------------------------------------------------------------------------------------------------------


def _enclosed(namespace: str, lines: list[str], start: int) -> list[str]:
    """The lines from `start` on in a namespace, where there is one."""
    if not namespace:
        return lines
    return [*lines[:start], "", f"namespace {namespace} {{", *lines[start:], "", f"}}  // namespace {namespace}"]


def using(graph: TypedGraph) -> list[str]:
    """What a function begins with that uses the types of the project by their short names."""
    return [f"{INDENT}using namespace {graph.namespace};"] if graph.namespace else []


def _wrapped(values: list[str]) -> list[str]:
    """The values, separated by commas, in lines of at most WIDTH."""
    rows, line = [], ""
    for i, value in enumerate(values):
        text = value + ("," if i + 1 < len(values) else "")
        if line and len(INDENT) + len(line) + 1 + len(text) > WIDTH:
            rows.append(INDENT + line)
            line = ""
        line += (" " if line else "") + text
    return [*rows, INDENT + line]


def _decimal(numerator: int, frac: int) -> str:
    """`numerator * 2**-frac` as an exact decimal literal."""
    value = Fraction(numerator) / Fraction(2) ** frac
    if value.denominator == 1:
        return str(value.numerator)
    digits = value.denominator.bit_length() - 1
    text = str(abs(value.numerator) * 5**digits).rjust(digits + 1, "0")
    return f"{'-' if value < 0 else ''}{text[:-digits]}.{text[-digits:]}"


def _shape(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(str(n) for n in shape) + "]"


def layer_title(layer: Layer) -> str:
    """The layer's name, operator and shapes, for a comment."""
    shapes = ", ".join(_shape(t.shape) for t in layer.inputs), ", ".join(_shape(t.shape) for t in layer.outputs)
    return f"{comment(layer.node)} ({comment(layer.op_type)}): {shapes[0]} -> {shapes[1]}"


def _member(key: str, value: ConfigValue) -> str:
    if isinstance(value, FixedPointType | Grid):
        return f"typedef {value.type if isinstance(value, Grid) else value} {key};"
    if isinstance(value, View):
        return f"typedef sparse_qonnx::view<{', '.join(map(str, value.padded))}> {key};"
    if isinstance(value, bool):
        return f"static const bool {key} = {'true' if value else 'false'};"
    if isinstance(value, Symbol):
        enumeration = f"sparse_qonnx::{value.enumeration}"
        return f"static const {enumeration} {key} = {enumeration}::{value.name};"
    if isinstance(value, Signed):
        kind, suffix = ("int", "") if abs(value.value) < 2**31 else ("long long", "LL")
        return f"static const {kind} {key} = {value.value}{suffix};"
    kind, suffix = ("unsigned", "") if value < 2**32 else ("unsigned long long", "ULL")
    return f"static const {kind} {key} = {value}{suffix};"


def _ports(graph: TypedGraph) -> list[Tensor]:
    return [*graph.inputs, *graph.outputs]


def _port_pragmas(graph: TypedGraph, packs_words: bool) -> list[str]:
    words = [t.identifier for t in _ports(graph) if t.values_per_word]
    wires = [t.identifier for t in _ports(graph) if not t.values_per_word]
    lines = [f"#pragma HLS ARRAY_RESHAPE variable={t.identifier} complete dim=0" for t in graph.inputs]
    lines += [f"#pragma HLS ARRAY_PARTITION variable={t.identifier} complete dim=0" for t in graph.outputs]
    if words:
        lines = [f"#pragma HLS DATA_PACK variable={name}" for name in words if packs_words]
        lines.append(f"#pragma HLS INTERFACE axis port={','.join(words)}")
    if wires:
        lines.append(f"#pragma HLS INTERFACE ap_vld port={','.join(wires)}")
    return lines


def _parameter(graph: TypedGraph, tensor: Tensor, is_input: bool) -> str:
    scope = f"{graph.namespace}::" if graph.namespace else ""
    if tensor.values_per_word:
        return f"{tensor.stream_type(scope)}& {tensor.identifier}"
    return f"{'const ' if is_input else ''}{scope}{tensor.type_name} {tensor.identifier}[{tensor.size}]"


def _signature(graph: TypedGraph) -> str:
    parameters = [_parameter(graph, t, True) for t in graph.inputs]
    parameters += [_parameter(graph, t, False) for t in graph.outputs]
    line = f"void {graph.top}({', '.join(parameters)})"
    if len(line) + 2 <= WIDTH:
        return line
    return f"void {graph.top}(\n{INDENT}" + f",\n{INDENT}".join(parameters) + ")"


def _interface(graph: TypedGraph) -> str:
    lines = []
    for word, tensors in (("in ", graph.inputs), ("out", graph.outputs)):
        for t in tensors:
            pending = f", numerators to be divided by {t.divisor}" if t.divisor != 1 else ""
            error = f", at most {t.tolerance:.2g} off" if t.tolerance else ""
            what = f"{comment(t.name)}, {_shape(t.shape)}, {t.cpp_type}"
            what += f", words of {t.values_per_word}" if t.values_per_word else ""
            lines.append(f"// {word} {t.identifier}: {what}{pending}{error}")
    return "\n".join(lines)


def held(port: Tensor) -> str:
    """The array that a program around the firmware has for a port; no other name ends in an underscore."""
    return f"{port.identifier}_" if port.values_per_word else port.identifier


def called(graph: TypedGraph, pad: str) -> list[str]:
    """The firmware called by a program that has the arrays of its inputs and wants those of its outputs."""
    lines = [f"{pad}{t.type_name} {held(t)}[{t.size}];" for t in graph.outputs]
    lines += [f"{pad}{t.stream_type()} {t.identifier};" for t in _ports(graph) if t.values_per_word]
    lines += [
        f"{pad}sparse_qonnx::send<{t.size}>({held(t)}, {t.identifier});" for t in graph.inputs if t.values_per_word
    ]
    lines.append(f"{pad}{graph.top}({', '.join(t.identifier for t in _ports(graph))});")
    outputs = [t for t in graph.outputs if t.values_per_word]
    return lines + [f"{pad}sparse_qonnx::receive<{t.size}>({t.identifier}, {held(t)});" for t in outputs]


def call_lines(layer: Layer) -> list[str]:
    """The call of a layer's kernel."""
    operands = (*layer.inputs, *layer.outputs)
    types = ", ".join([*(t.type_name for t in operands), layer.config_name])
    arguments = ", ".join([*(t.identifier for t in operands), *(t.identifier for t in layer.tables)])
    head, tail = f"{INDENT}sparse_qonnx::{layer.call.function_name}<{types}>(", f"{arguments});"
    if len(head + tail) <= WIDTH:
        return [head + tail]
    if len(head) <= WIDTH:
        return [head, INDENT * 2 + tail]
    return [f"{INDENT}sparse_qonnx::{layer.call.function_name}<", f"{INDENT * 2}{types}>(", INDENT * 2 + tail]
