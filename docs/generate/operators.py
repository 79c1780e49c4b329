"""A page an operator of the domain `sparse_qonnx.ops`, from what its class says about itself.

The example is computed while the page is written, by the NumPy reference and by the function body in stock onnxruntime;
the two must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from sparse_qonnx.graph import IR_VERSION, OPSET
from sparse_qonnx.ops import DOMAIN, VERSION, operators
from sparse_qonnx.ops._base import Attribute, Port, SparseOp

Array = NDArray[Any]

SIDE, SLOTS = 5, 6
IMAGE = np.zeros((1, SIDE, SIDE, 1), np.float32)
for _place, _value in {(0, 1): 1, (1, 1): 2, (1, 3): -1.5, (2, 2): 0.5, (4, 0): 0.75, (4, 4): 3}.items():
    IMAGE[0, _place[0], _place[1], 0] = _value
FEATURES, COORDS = operators()["InputReduce"].compute(IMAGE, n_max_pixels=SLOTS, threshold=0.0)

INPUTS: dict[str, Array] = {
    "X": IMAGE,
    "features": FEATURES,
    "coords": COORDS,
    "W": np.array([[0, -1, 0], [-1, 2, -1], [0, -1, 0]], np.float32)[None, None],
    "bias": np.array([0.5], np.float32),
    "x": np.array([-1.5, -0.5, 0.5, 0.75, 1.5, 3], np.float32)[None, :, None],
    "signed": np.array(1, np.float32),
    "integer_bits": np.array(1, np.float32),
    "fractional_bits": np.array(0, np.float32),
}
"""What an input of this name is in the example."""
ATTRIBUTES: dict[str, Any] = {
    "n_max_pixels": 3,
    "threshold": 0.5,
    "spatial_shape": (SIDE, SIDE),
}
"""What an attribute of this name is in the example; another has its default."""
KERNELS = {True: (3, 3), False: (2, 2)}
"""The kernel of the example, by whether the operator has weights."""


def pages(docs: Path) -> dict[str, str]:
    """The pages, by path below the generated folder."""
    return {f"operators/{name}.md": "\n".join(_page(op, docs.parent)) for name, op in operators().items()}


def _page(op: type[SparseOp], root: Path) -> Iterator[str]:
    name = op.__name__
    stem = op.__module__.rpartition(".")[2]
    yield from (f"# {name}", "", (op.__doc__ or "").splitlines()[0], "", op.doc, "")
    yield from (f"Domain `{DOMAIN}`, version {VERSION}. `T` is float32 or float64, the same for all that have it.", "")
    yield from ("## Inputs", "", *_ports(op.inputs), "", "## Outputs", "", *_ports(op.outputs), "")
    if op.attributes:
        yield from ("## Attributes", "", *_attributes(op.attributes), "")
    yield from ("## Example", "", *_examples(op), "")
    yield from ("## Function body", "", "What stock onnxruntime runs, and anybody else who knows ONNX:", "")
    yield from (
        "```text",
        onnx.printer.to_text(_node_and_function(op, _feeds(op), _choices(op)[0])[1]).strip(),
        "```",
        "",
    )
    yield from ("## Where it is written", "")
    rooms = {
        "definition, shapes, proof, function body": f"sparse_qonnx/ops/{stem}.py",
        "native kernel": f"custom_ops/kernels/{stem}.cc",
        "firmware": f"hls_backend/kernels/{stem}.h",
    }
    yield from (f"- {what}: `{path}`" for what, path in rooms.items() if (root / path).is_file())
    yield ""


def _ports(ports: Sequence[Port]) -> Iterator[str]:
    yield from ("| name | type | shape | meaning |", "|---|---|---|---|")
    for port in ports:
        meaning = f"{port.doc} (optional)" if port.optional else port.doc
        yield f"| `{port.name}` | {'int64' if port.name.startswith('coords') else 'T'} | `{port.shape}` | {meaning} |"


def _attributes(attributes: Sequence[Attribute]) -> Iterator[str]:
    kinds = {"i": "int", "f": "float", "s": "string", "ints": "ints"}
    yield from ("| name | type | default | meaning |", "|---|---|---|---|")
    for a in attributes:
        default = (
            "required" if a.default is None else f"`{list(a.default) if isinstance(a.default, tuple) else a.default}`"
        )
        allowed = f": {', '.join(f'`{v}`' for v in sorted(a.allowed))}" if a.allowed and "`" not in a.doc else ""
        yield f"| `{a.name}` | {kinds[a.kind]} | {default} | {a.doc}{allowed} |"


# ---- the example ----------------------------------------------------------------------------------------------------


def _feeds(op: type[SparseOp]) -> dict[str, Array]:
    """Inputs of the example; maps by pixel are left out where the operator can do without."""
    return {p.name: INPUTS[p.name] for p in op.inputs if not (p.optional and p.name == "coords")}


def _choices(op: type[SparseOp]) -> list[dict[str, Any]]:
    """Attributes of the example: one set for each value of a required choice."""
    values: dict[str, Any] = {}
    choices: list[dict[str, Any]] = [{}]
    for a in op.attributes:
        if a.name in ATTRIBUTES:
            values[a.name] = ATTRIBUTES[a.name]
        elif a.name == "kernel_shape":
            values[a.name] = KERNELS["W" in _feeds(op)]
        elif a.default is not None:
            values[a.name] = a.default
        else:
            choices = [{a.name: value} for value in sorted(a.allowed or ())]
    return [choice | values for choice in choices]


def _examples(op: type[SparseOp]) -> Iterator[str]:
    feeds = _feeds(op)
    yield from ("The inputs:", "", "```text", *_shown(feeds), "```", "")
    for chosen in _choices(op):
        outputs = _computed(op, feeds, chosen)
        attributes = ", ".join(f"`{k} = {list(v) if isinstance(v, tuple) else v}`" for k, v in chosen.items())
        yield from (f"With {attributes}:", "", "```text", *_shown(outputs, feeds.get("coords")), "```", "")
    for a in op.attributes:
        if a.allowed is not None and a.default is not None:
            yield from (f"The same with every `{a.name}`:", "", "```text", *_alternatives(op, feeds, a), "```", "")


def _alternatives(op: type[SparseOp], feeds: dict[str, Array], attribute: Attribute) -> Iterator[str]:
    """The first output, on a line, for every allowed value."""
    assert attribute.allowed is not None
    chosen = _choices(op)[0]
    width = max(map(len, attribute.allowed))
    for value in sorted(attribute.allowed):
        (result, *_) = _computed(op, feeds, chosen | {attribute.name: value}).values()
        yield f"{value.ljust(width)}  " + "  ".join(f"{v:g}".rjust(5) for v in result.reshape(-1))


def _computed(op: type[SparseOp], feeds: dict[str, Array], chosen: dict[str, Any]) -> dict[str, Array]:
    """Outputs of the NumPy reference, which the function body in stock onnxruntime must give, too."""
    node, function = _node_and_function(op, feeds, chosen)
    results = op.compute(*(feeds.get(p.name) for p in op.inputs), **op.read_attributes(node))
    typed = [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
             for n, a in feeds.items()]  # fmt: skip
    wanted = [onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(r.dtype), r.shape)
              for n, r in zip(node.output, results, strict=True)]  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(DOMAIN, VERSION)]
    graph = onnx.helper.make_graph([node], "example", typed, wanted)
    model = onnx.helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=IR_VERSION)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, want, got in zip(node.output, results, session.run(None, feeds), strict=True):
        assert np.array_equal(want, got), f"{op.__name__}: {name} of the function body differs: {got} {want}"
    return dict(zip(node.output, results, strict=True))


def _node_and_function(
    op: type[SparseOp], feeds: dict[str, Array], chosen: dict[str, Any]
) -> tuple[onnx.NodeProto, onnx.FunctionProto]:
    inputs = [p.name if p.name in feeds else "" for p in op.inputs]
    while not inputs[-1]:
        inputs.pop()
    outputs = [p.name for p in op.outputs]
    node = onnx.helper.make_node(op.__name__, inputs, outputs, name="example", domain=DOMAIN, **chosen)
    return node, op.function([node])


def _shown(tensors: dict[str, Array], places: Array | None = None) -> Iterator[str]:
    """Images as images, slots as a row, and what has places also as an image; the rest as NumPy has it."""
    places = next((value for name, value in tensors.items() if name.startswith("coords")), places)
    for n, (name, value) in enumerate(tensors.items()):
        shape = f"{name} {list(value.shape)}"
        if n:
            yield ""
        if value.ndim == 4 and value.shape[-1] == 1:
            yield from (shape, *_image(value[0, :, :, 0]))
        elif value.ndim == 4:
            yield from (shape, *_image(value[0, 0]))
        elif name.startswith("coords"):
            yield from (shape, "  " + "  ".join(f"({row},{column})" for row, column in value[0]))
        elif value.ndim == 3:
            yield from (shape, "  " + "  ".join(f"{v:g}".rjust(5) for v in value[0, :, 0]))
            if places is not None:
                side = SIDE if places.max() > SIDE // 2 else SIDE // 2
                yield from ("  at its places:", *_image(_scattered(value, places, side)))
        else:
            yield f"{shape}  {value.tolist()}"


def _scattered(features: Array, coords: Array, side: int) -> Array:
    image = np.full((side, side), np.nan)
    for (row, column), value in zip(coords[0], features[0, :, 0], strict=True):
        if row:
            image[row - 1, column - 1] = value
    return image


def _image(values: Array) -> Iterator[str]:
    """Rows of numbers; a dot where no pixel is, or where an image is 0."""
    sparse = np.isnan(values).any()
    for row in values:
        cells = ("." if np.isnan(v) or (v == 0 and not sparse) else f"{v:g}" for v in row)
        yield "  " + " ".join(cell.rjust(5) for cell in cells)
