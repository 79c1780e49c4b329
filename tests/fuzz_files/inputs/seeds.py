"""Valid files of every format that a command reads beside models: what is mutated."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.hls.config import HlsConfig

SHAPE = (4, 4, 1)
"""Of an event of the model `network`."""


@cache
def events() -> NDArray[np.float32]:
    """Events on the input grid of the model, most pixels empty."""
    rng = np.random.default_rng(3)
    values = rng.integers(0, 16, (7, *SHAPE)).astype(np.float32) / 8
    values[rng.random(values.shape) > 0.4] = 0
    return values


def npy() -> list[bytes]:
    return [_saved(events()), _saved(np.asfortranarray(events())), _saved(events().astype(">f8")), _old(events())]


def _saved(values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def _old(values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, values, version=(2, 0))
    return stream.getvalue()


def npz() -> list[bytes]:
    found = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, x=events())
        found.append(stream.getvalue())
    stream = io.BytesIO()
    np.savez(stream, x=events(), y=np.zeros(3))
    return [*found, stream.getvalue()]


@cache
def hdf5() -> list[bytes]:
    """Contiguous, chunked, compressed, in groups; the oldest and the newest format of files."""
    import h5py

    found = []
    for version in ("earliest", "latest"):
        for options in ({}, {"chunks": (3, *SHAPE)}, {"compression": "gzip", "shuffle": True, "fletcher32": True}):
            stream = io.BytesIO()
            with h5py.File(stream, "w", libver=version) as file:
                file.create_dataset("group/x", data=events(), **options)
                file["group"].attrs["note"] = "text"
                if not options:
                    file["soft"], file["y"] = h5py.SoftLink("/group/x"), np.arange(5)
            found.append(stream.getvalue())
    return found


@cache
def weights() -> bytes:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for n in range(3):
            file.create_group(f"layers/dense_{n}/vars")["0"] = np.full((4, 4), n, np.float32)
    return stream.getvalue()


@cache
def keras() -> bytes:
    """An archive as Keras writes it, of a model that it could build."""
    layers = [{"class_name": "Dense", "config": {"units": 4, "name": f"dense_{n}"}} for n in range(3)]
    config = {"class_name": "Sequential", "config": {"name": "model", "layers": layers}, "build_config": {}}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights())
    return stream.getvalue()


@cache
def saved() -> bytes:
    """A model that Keras saved."""
    import tempfile
    from pathlib import Path

    import keras
    from hgq.layers import QDense
    from sparsepixels.layers import QConv2DSparse

    from keras_models import sparse_model

    def body(x: Any, mask: Any) -> Any:
        x = QConv2DSparse(2, 3, name="conv", padding="same")([x, mask])
        return QDense(2, name="dense")(keras.layers.Flatten()(x))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.keras"
        sparse_model(body, SHAPE).save(path)
        return path.read_bytes()


YAML = """# Options
backend: Vitis
part: xcu250-figd2104-2L-e
clock_period: 5.0
clock_uncertainty: 12.5%
top: sparse_cnn
namespace: net
io_type: io_parallel
target_interval: 20
input_precision: {image: 'ap_ufixed<4,1>'}
head: table
test_events: 3
layers:
  conv.linear:
    pixels_per_cycle: 1
    precision: ap_fixed<20,8>
  dense: {strategy: latency}
"""


def yaml() -> list[bytes]:
    return [YAML.encode(), b"top: [a, b]\nlayers: {conv.linear: {variant: gather}}\n", json.dumps(_config()).encode()]


def _config() -> dict[str, Any]:
    return HlsConfig().as_dict()


XML = """<?xml version="1.0" encoding="UTF-8"?>
<profile>
  <UserAssignments><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>
  <PerformanceEstimates>
    <SummaryOfTimingAnalysis><EstimatedClockPeriod>3.650</EstimatedClockPeriod></SummaryOfTimingAnalysis>
    <SummaryOfOverallLatency>
      <Best-caseLatency>140</Best-caseLatency><Worst-caseLatency>undef</Worst-caseLatency>
      <Interval-min>84</Interval-min><Interval-max>84</Interval-max>
    </SummaryOfOverallLatency>
  </PerformanceEstimates>
  <AreaEstimates>
    <Resources><BRAM_18K>4</BRAM_18K><DSP>0</DSP><FF>81234</FF><LUT>421014</LUT><URAM>0</URAM></Resources>
    <AvailableResources><LUT>1728000</LUT></AvailableResources>
  </AreaEstimates>
</profile>
"""

FLAT = """+----------------------------+-------+-------+
|          Site Type         |  Used | Fixed |
+----------------------------+-------+-------+
| CLB LUTs*                  | 56445 |     0 |
| CLB Registers              | 20318 |     0 |
| Block RAM Tile             |   2.5 |     0 |
| URAM                       |     0 |     0 |
| DSPs                       |     0 |     0 |
"""

HIERARCHICAL = """| Instance | Module | Total LUTs | Logic LUTs | FFs | RAMB36 | RAMB18 | URAM | DSP Blocks |
| net | (top) | 7000 | 7000 | 900 | 1 | 2 | 0 | 0 |
|   conv_U0 | conv | 5000 | 5000 | 500 | 0 | 1 | 0 | 0 |
"""

COSIM = """|   RTL    |  Status  |   min   |   avg   |   max   |   min   |   avg   |   max   |
|   VHDL   |    NA    |   NA    |   NA    |   NA    |   NA    |   NA    |   NA    |
| Verilog  |   Pass   |   140   |   140   |   141   |   84    |   84    |   84    |
"""
