"""The jet classifier of arXiv:2512.06208 from bare NumPy weights: no Keras, no training framework.

    python examples/numpy_jet/jet.py jet_sparse_l-8b.h5 --pixels 20 -o jet.onnx [--events jet.npz]

The weights are the authors' (https://github.com/hftsoi/sparse-pixels); reading their `.h5` files needs h5py, an `.npz`
file with arrays `conv1.kernel`, `conv1.bias`, … needs nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import sparse_qonnx as sq

Array = NDArray[np.float32]

SIDE = 56
PIXEL = "ap_ufixed<18,1>"
"""Fixed-point type of a pixel."""
LAYERS = ("conv1", "conv2", "dense1", "dense2")


def read_weights(path: Path) -> dict[str, Array]:
    """Kernels and biases by name, `conv1.kernel`, …, in Keras's layouts."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return dict(arrays)
    import h5py

    found: dict[str, Array] = {}

    def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            layer, *_, last = name.split("/")
            found[f"{layer}.{last.split(':')[0]}"] = np.array(item)

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def on_grid(values: Array, bits: int, integer_bits: int) -> Array:
    """The published weight quantizer: signed, saturating, half to even, steps of `2 ** (integer_bits - bits + 1)`."""
    step = 2.0 ** (integer_bits - bits + 1)
    steps = np.clip(np.round(values.astype(np.float64) / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return (steps * step).astype(np.float32)


def build(weights: Mapping[str, Array], n_max_pixels: int, bits: int = 8, integer_bits: int = 4) -> sq.Network:
    """Two 9x9 sparse convolutions, a 4x4 average, two dense layers, softmax.

    Args:
        weights: as `read_weights` gives them, not yet quantized.
        n_max_pixels: pixel budget: 8, 12, 16, 20 for the published sizes t, s, m, l.
        bits: width of weights and activations.
        integer_bits: bits left of the binary point, without the sign.
    """
    w = {name: on_grid(values, bits, integer_bits) for name, values in weights.items()}
    activation = {"bits": bits, "fractional_bits": bits - integer_bits, "signed": False}

    net = sq.Network("jet")
    image = net.input("x_in", (SIDE, SIDE, 1), precision=PIXEL)
    x = net.input_reduce(image, n_max_pixels, threshold=0.0, name="input_reduce")
    for layer in ("conv1", "conv2"):
        kernel = w[f"{layer}.kernel"].transpose(3, 2, 0, 1)  # Keras [kh, kw, C, F] -> [F, C, kh, kw]
        x = net.sparse_conv(x, kernel, w[f"{layer}.bias"], name=layer)
        x = net.quant(net.relu(x, name=f"{layer}_relu"), **activation, name=f"{layer}_q")
    x = net.sparse_pool(x, (4, 4), "average", name="pool")
    y = net.dense(net.flatten(x, name="flatten"), w["dense1.kernel"], w["dense1.bias"], name="dense1")
    y = net.quant(net.relu(y, name="dense1_relu"), **activation, name="dense1_q")
    y = net.dense(y, w["dense2.kernel"], w["dense2.bias"], name="dense2")
    net.output(net.op("Softmax", [y], axis=-1, name="softmax"))
    return net


def main() -> int:
    """Write the file; with events, compare with predictions stored beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help=".h5 or .npz file")
    parser.add_argument("--pixels", type=int, default=20, help="pixel budget")
    parser.add_argument("-o", "--output", type=Path, default=Path("jet.onnx"))
    parser.add_argument("--events", type=Path, help=".npz with `x` and, to compare with, published predictions")
    parser.add_argument("--predictions", default="y_sparse_l_8b", help="name of the predictions in that file")
    arguments = parser.parse_args()
    build(read_weights(arguments.weights), arguments.pixels).save(arguments.output)
    print(f"{arguments.output} written")
    if arguments.events is None:
        return 0
    with np.load(arguments.events) as data:
        x, wanted = data["x"], data[arguments.predictions]
    (got,) = sq.InferenceSession(arguments.output).run(None, {"x_in": x})
    print(f"{len(x)} events, largest difference from the published predictions {np.abs(got - wanted).max():.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
