"""A sparse network from the weights of a PyTorch model: its `state_dict`, saved as `.safetensors`, `.pt` or `.npz`.

    python examples/pytorch/from_state_dict.py weights.safetensors -o model.onnx --shape 28 28 --pixels 20

The weights are those of the module below, trained in whatever way you like, with fake quantization so that they lie on
the grid of WEIGHT_BITS; what lies beside it is rounded. Its forward pass is what the file computes:

    class Classifier(torch.nn.Module):
        def __init__(self, side, classes):
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 4, 5, padding="same")
            self.fc = torch.nn.Linear(4 * (side // 4) ** 2, classes)

        def forward(self, x):                              # [B, 1, H, W]
            active = keep_first(x, n_max_pixels, threshold)  # [B, 1, H, W]: the first N pixels above the threshold
            y = torch.nn.functional.conv2d(x * active, self.conv.weight, padding="same")
            y = torch.where(y != 0, y + self.conv.bias[:, None, None], y) * active
            y = quantize(torch.relu(y))                    # ACTIVATION: unsigned, half to even, saturating
            return self.fc(torch.nn.functional.avg_pool2d(y, 4).flatten(1))

Two things differ from a file that PyTorch itself would export: the bias of a sparse convolution is added only where the
filter's sum is not 0, and images are channels last, so the columns of `fc.weight` change their order.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sparse_qonnx as sq

WEIGHT_BITS = 8
WEIGHT_FRACTION = 7
ACTIVATION = {"bits": 8, "fractional_bits": 4, "signed": False}
POOL = 4

Array = NDArray[np.float32]


def read_state_dict(path: Path) -> dict[str, Array]:
    """Tensors by name. `.pt` needs torch, `.safetensors` the small package safetensors, `.npz` nothing."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return dict(arrays)
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return dict(load_file(path))
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def on_grid(tensor: Any) -> Array:
    """A tensor (NumPy's or PyTorch's) on the grid of the weights: half to even, saturating."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu().numpy()
    steps = np.round(np.asarray(tensor, np.float64) * 2**WEIGHT_FRACTION)
    limit = 2 ** (WEIGHT_BITS - 1)
    return (np.clip(steps, -limit, limit - 1) / 2**WEIGHT_FRACTION).astype(np.float32)


def build(state: Mapping[str, Any], shape: tuple[int, int], n_max_pixels: int, threshold: float = 0.0) -> sq.Network:
    """The network of the module above.

    Args:
        state: its `state_dict()`: `conv.weight [F, C, kh, kw]`, `conv.bias [F]`, `fc.weight [classes, F * h * w]`,
            `fc.bias [classes]`.
        shape: rows and columns of the image.
        n_max_pixels: pixel budget.
        threshold: a pixel is kept when it is greater.
    """
    kernel = on_grid(state["conv.weight"])
    filters, channels = kernel.shape[:2]
    net = sq.Network("classifier")
    x = net.input_reduce(net.input("image", (*shape, channels)), n_max_pixels, threshold, name="reduce")
    x = net.sparse_conv(x, kernel, on_grid(state["conv.bias"]), name="conv")
    x = net.quant(net.relu(x, name="conv.relu"), **ACTIVATION, name="conv.quant")
    x = net.sparse_pool(x, (POOL, POOL), "average", name="pool")
    # PyTorch flattens [F, h, w], this network [h, w, F]
    fc = on_grid(state["fc.weight"]).reshape(-1, filters, x.height, x.width).transpose(2, 3, 1, 0)
    matrix = fc.reshape(-1, fc.shape[-1])
    net.output(net.dense(net.flatten(x, name="flatten"), matrix, on_grid(state["fc.bias"]), name="fc"))
    return net


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help=".safetensors, .pt or .npz file")
    parser.add_argument("--shape", type=int, nargs=2, default=(28, 28), help="rows and columns of the image")
    parser.add_argument("--pixels", type=int, default=20, help="pixel budget")
    parser.add_argument("--threshold", type=float, default=0.0)
    parser.add_argument("--input-precision", default="ap_ufixed<8,0>", help="fixed-point type of the pixels")
    parser.add_argument("-o", "--output", type=Path, default=Path("model.onnx"))
    arguments = parser.parse_args()
    net = build(read_state_dict(arguments.weights), tuple(arguments.shape), arguments.pixels, arguments.threshold)
    net.save(arguments.output, arguments.input_precision)
    print(f"{arguments.output} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
