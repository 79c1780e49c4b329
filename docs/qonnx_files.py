"""The two files that the tables of other tools are made with, their events, what they must give; writing a table."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

import sparse_qonnx as sq
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import run_tensors

EVENTS = 3

Array = NDArray[Any]


def _grid(rng: np.random.Generator, *shape: int, bits: int = 4) -> Array:
    limit = 2 ** (bits - 1)
    return (rng.integers(1 - limit, limit, shape) / limit).astype(np.float32)


def narrow() -> sq.Network:
    """Sparse convolution, average pooling, dense layer, softmax; standard `Quant`s."""
    rng = np.random.default_rng(7)
    net = sq.Network("narrow")
    x = net.input_reduce(net.input("image", (6, 8, 1)), 5, 0.25, name="reduce")
    x = net.quant(x, bits=4, fractional_bits=3, signed=False, name="lane")
    x = net.relu(net.sparse_conv(x, _grid(rng, 2, 1, 3, 3), _grid(rng, 2), name="conv"), name="relu")
    x = net.sparse_pool(x, (2, 2), "average", name="pool")
    y = net.dense(net.flatten(x, name="flatten"), _grid(rng, 24, 3), _grid(rng, 3), name="dense")
    net.output(net.op("Softmax", [y], name="softmax"))
    return net


def wide() -> sq.Network:
    """Formats by pixel, wrapping, max pooling, a merge of two branches; weights of 18 bits ask for float64."""
    rng = np.random.default_rng(8)
    net = sq.Network("wide")
    x = net.input_reduce(net.input("image", (6, 8, 1)), 5, name="reduce")
    formats = (0, rng.integers(0, 2, (6, 8, 1)), rng.integers(2, 5, (6, 8, 1)))
    x = net.fixed_point_quant(x, *formats, "RND", "WRAP", name="lane")
    x = net.sparse_conv(x, _grid(rng, 4, 1, 5, 5, bits=18), _grid(rng, 4, bits=18), name="conv")
    x = net.add(x, net.relu(x, name="relu"), name="add")
    x = net.fixed_point_quant(x, 1, 3, 12, "RND", "SAT", name="middle")
    x = net.sparse_pool(x, (3, 2), "max", name="pool")
    y = net.dense(net.flatten(x, name="flatten"), _grid(rng, 32, 3, bits=16), _grid(rng, 3, bits=16), name="dense")
    net.output(y)
    return net


@cache
def files() -> dict[str, ModelProto]:
    """The two files by name."""
    return {net.name: net.build("ap_ufixed<6,1>") for net in (narrow(), wide())}


@cache
def events() -> Array:
    """Images on the input grid `[3, 6, 8, 1]`; the last one empty."""
    rng = np.random.default_rng(11)
    x = rng.integers(0, 64, (EVENTS, 6, 8, 1)) / 32 * (rng.random((EVENTS, 6, 8, 1)) < 0.25)
    x[-1] = 0
    return x.astype(np.float32)


@cache
def expected(name: str) -> Array:
    """Output of a file, by the NumPy reference; softmax, floating point, by onnxruntime."""
    model = files()[name]
    output = model.graph.output[0].name
    run = run_tensors if output == "softmax" else run_reference
    return run(model, {"image": events()})[output]


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put a text between two markers of a page; `text` ends with a line break."""
    pattern = re.compile(f"(?<={begin}\n).*(?={end})", re.DOTALL)
    page.write_text(pattern.sub(lambda _: text, page.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{page} written")
