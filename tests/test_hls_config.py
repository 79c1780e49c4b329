"""Options: every key checked, nothing silently ignored, the same in Python and YAML."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparse_qonnx.errors import ConfigurationError, PrecisionError, SparseQonnxError
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.config import HlsConfig, LayerConfig
from sparse_qonnx.hls.options import LAYER_OPTIONS, OPTIONS
from sparse_qonnx.hls.yaml_config import read_config, write_config

WIDE = "ap_fixed<42,31>"


def test_the_table_and_the_classes_agree() -> None:
    config = HlsConfig()
    assert [f.name for f in fields(HlsConfig)] == [*OPTIONS, "layers"]
    assert {key: getattr(config, key) for key in OPTIONS} == {key: o.default for key, o in OPTIONS.items()}
    assert [f.name for f in fields(LayerConfig)] == list(LAYER_OPTIONS)
    assert HlsConfig.read(config.as_dict()) == config
    for option in (*OPTIONS.values(), *LAYER_OPTIONS.values()):
        assert option.check(option.default) and option.allowed and option.help


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"backend": "Quartus"}, "backend is 'Quartus'.*Vitis, Vivado, VitisUnified or Verilog"),
    ({"part": "fpga"}, r"part is 'fpga'.*xcu250-figd2104-2L-e"),
    ({"part": 'xcu250-a"; exec rm'}, "part"),
    ({"part": None}, "part is None"),
    ({"clock_period": True}, "clock_period is True.*0.1 to 1000 ns"),
    ({"clock_uncertainty": "a lot"}, "clock_uncertainty.*12.5%"),
    ({"clock_uncertainty": "1; exit"}, "clock_uncertainty"),
    ({"top": "a-b"}, "top.*identifier"),
    ({"namespace": "a::b"}, "namespace.*identifier"),
    ({"namespace": "sparse_cnn"}, "namespace.*another name"),
    ({"interface": "axis"}, "interface is 'axis' and io_type is 'io_parallel'.*ap_vld with.*io_type: io_stream"),
    ({"interface": "m_axi"}, "interface is 'm_axi'.*ap_vld or axis"),
    ({"io_type": "io_serial"}, "io_type is 'io_serial'.*io_parallel or io_stream"),
    ({"weights": "rom"}, "weights is 'rom'.*code or bram"),
    ({"target_interval": 0}, "target_interval is 0.*1 to 1000000"),
    ({"target_interval": 84.0}, "target_interval"),
    ({"head": "none"}, "head is 'none'.*table or skip"),
    ({"clock_perid": 5}, "unknown key 'clock_perid'.*did you mean 'clock_period'"),
    ({"layers": ["conv"]}, "layers is"),
    ({"layers": {"conv": 3}}, "layer 'conv': is 3"),
    ({"layers": {"conv": {"varient": "pairs"}}}, "layer 'conv': unknown key 'varient'.*did you mean 'variant'"),
    ({"layers": {"conv": {"pixels_per_cycle": -1}}}, "layer 'conv': pixels_per_cycle is -1.*from 1"),
    ({"layers": {"conv": {"strategy": "fast"}}}, "layer 'conv': strategy is 'fast'.*latency, resource or distr"),
    ({"layers": {"con": {"variant": "pairs"}}}, "layer 'con': is not in the firmware.*conv"),
    ({"layers": {"dense": {"implementation": "skip"}}}, "layer 'dense': implementation is 'skip', not implemented"),
    ({"layers": {"dense": {"precision": "float"}}}, "layer 'dense'.*'float'.*ap_fixed"),
]


@pytest.mark.parametrize(("config", "message"), WRONG, ids=[f"{n}-{next(iter(c))}" for n, (c, _) in enumerate(WRONG)])
def test_refusals(config: dict[str, Any], message: str, small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SparseQonnxError, match=message):
        to_hls(small_model, tmp_path / "firmware", config=config)
    assert list(tmp_path.iterdir()) == []


def test_arguments_go_before_the_mapping(small_model: Path, tmp_path: Path) -> None:
    config = {"backend": "Vivado", "part": "xc7z020clg400-1", "clock_period": 8}
    project = to_hls(small_model, tmp_path / "firmware", part="xcvu13p-flga2577-2-e", config=config)
    assert (project.config.backend, project.config.part, project.config.clock_period) == (
        "Vivado", "xcvu13p-flga2577-2-e", 8,
    )  # fmt: skip
    script = (tmp_path / "firmware" / "build_prj.tcl").read_text()
    assert "set_part xcvu13p-flga2577-2-e" in script and "-period 8 " in script


@pytest.mark.parametrize(
    "narrow", ["ap_fixed<4,3>", "ap_fixed<20,4>", "ap_ufixed<20,10>", "ap_fixed<30,10>", "ap_fixed<8,20>"]
)
def test_narrowing_is_refused_by_name(narrow: str, small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(PrecisionError, match=rf"layer 'dense'.*{narrow}.*bits could be lost.*ap_fixed<"):
        to_hls(small_model, tmp_path / "firmware", config={"layers": {"dense": {"precision": narrow}}})


def test_widening_and_a_namespace_change_no_value(small_model: Path, small_events: np.ndarray, tmp_path: Path) -> None:
    plain = to_hls(small_model, tmp_path / "plain")
    kinds = {name: plain.tensors[name].type for name in ("conv.linear", "dense")}
    wider = {n: {"precision": f"ap_fixed<{k.width + 3},{k.integer + 3}>"} for n, k in kinds.items()}
    config = {"namespace": "tiny", "layers": wider | {"softmax": {"implementation": "skip"}}}
    project = to_hls(small_model, tmp_path / "wide", config=config)
    assert project.tensors["dense"].cpp_type == wider["dense"]["precision"]
    assert "namespace tiny {" in (tmp_path / "wide" / "firmware" / "defines.h").read_text()
    assert "softmax" not in project.tensors
    names = [name for name in project.tensors if name in plain.tensors]
    a, b = (p.predict_tensors(small_events, names) for p in (plain, project))
    for name in names:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# ---- block RAM -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "directive"),
    [
        ("Vivado", "RESOURCE variable=dense_weights core=ROM_2P_BRAM"),
        ("Vitis", "BIND_STORAGE variable=dense_weights type=rom_2p impl=bram"),
        ("VitisUnified", "BIND_STORAGE variable=dense_weights type=rom_2p impl=bram"),
    ],
)
def test_weights_in_block_ram(backend: str, directive: str, small_model: Path, tmp_path: Path) -> None:
    """Everywhere, or of one layer, which then is a kernel that reads them word by word."""
    config: dict[str, Any] = {"weights": "bram", "layers": {"dense": {"variant": "sparse"}}}
    to_hls(small_model, tmp_path / "all", backend=backend, config=config)
    text = (tmp_path / "all" / "firmware" / "sparse_cnn.cpp").read_text()
    assert directive in text and "softmax_inverse" in text.split("#pragma HLS ")[-1]
    config = {"layers": {"dense": {"variant": "matrix", "weights": "bram"}}}
    project = to_hls(small_model, tmp_path / "one", backend=backend, config=config)
    text = (tmp_path / "one" / "firmware" / "sparse_cnn.cpp").read_text()
    assert directive in text and text.count("BIND_STORAGE") + text.count("RESOURCE") == 1
    assert {row.layer: row.kernel for row in project.choices.table}["dense"] == "dense_reuse"
    assert "bram" not in (to_hls(small_model, tmp_path / "none").folder / "firmware" / "sparse_cnn.cpp").read_text()


def test_constants_that_are_logic_cannot_be_in_block_ram(small_model: Path, tmp_path: Path) -> None:
    for layer, options in (("conv.linear", {}), ("dense", {"strategy": "latency"})):
        config = {"layers": {layer: {**options, "weights": "bram"}}}
        with pytest.raises(ConfigurationError, match=f"layer '{layer}'.*weights"):
            to_hls(small_model, tmp_path / "firmware", config=config)


# ---- YAML ------------------------------------------------------------------------------------------------------------


def test_a_written_configuration_is_complete_and_reads_back(small_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "hls.yml"
    write_config(small_model, path)
    text = path.read_text()
    given = read_config(path)
    assert [*OPTIONS, "layers"] == list(given) and HlsConfig.read(given) == replace(
        HlsConfig(), layers={name: LayerConfig() for name in given["layers"]}
    )
    layers = {layer.node for layer in to_hls(small_model, tmp_path / "a").graph.layers if layer.op_type != "fork"}
    assert set(given["layers"]) == layers
    # Each line that is commented out can be uncommented as it is.
    lines = [line.replace("    # ", "    ", 1) if line.startswith("    # ") else line for line in text.splitlines()]
    path.write_text("\n".join(lines))
    options = read_config(path)["layers"]
    assert options["softmax"]["implementation"] == "table" and options["dense"]["precision"].startswith("ap_fixed<")
    for layer, chosen in options.items():
        for key, value in chosen.items():
            to_hls(small_model, tmp_path / "b", config={"layers": {layer: {key: value}}}, force=True)


def test_all_suggestions_together_are_the_design_that_is_chosen(small_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "hls.yml"
    write_config(small_model, path)
    text = path.read_text()
    assert "## strategy, with another variant" in text and "# variant: sparse  #" in text
    path.write_text(text.replace("\n    # ", "\n    "))
    given = read_config(path)["layers"]
    assert given["dense"]["variant"] == "sparse" and given["conv.linear"]["pixels_per_cycle"] >= 1
    for name, config in (("chosen", None), ("given", {"layers": given})):
        to_hls(small_model, tmp_path / name, config=config)
    files = [p.relative_to(tmp_path / "chosen") for p in (tmp_path / "chosen" / "firmware").rglob("*.*")]
    for file in files:
        assert (tmp_path / "chosen" / file).read_bytes() == (tmp_path / "given" / file).read_bytes(), file


def test_what_was_chosen_is_written(small_model: Path, tmp_path: Path) -> None:
    config = HlsConfig.read({"head": "skip", "clock_uncertainty": "10%", "layers": {"dense": {"precision": WIDE}}})
    write_config(small_model, tmp_path / "hls.yml", config)
    given = read_config(tmp_path / "hls.yml")
    assert (given["head"], given["clock_uncertainty"]) == ("skip", "10%")
    assert given["layers"]["dense"] == {"precision": WIDE} and given["layers"]["softmax"] == {"implementation": "skip"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("top: a\ntop: b\n", "'top' is given twice"),
        ("- top\n", "holds a list"),
        ("top: [\n", "is not YAML"),
        ("? [a]\n: 3\n", "is not YAML|unknown key"),
        ("!!python/object/apply:os.system ['x']", "is not YAML"),
    ],
)
def test_files_that_are_no_configuration(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "hls.yml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        HlsConfig.read(read_config(tmp_path / "hls.yml"))


JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    3.5,
    float("nan"),
    float("inf"),
    10**30,
    "",
    "x\n",
    "a;b",
    "ü",
    [],
    {},
    {"a": 1},
    b"x",
]


def refusal(config: dict[str, Any], model: Path, folder: Path) -> str | None:
    """Why a configuration is refused, None where it is not; any other error is one."""
    try:
        to_hls(model, folder, config=config)
    except SparseQonnxError as error:
        return "left a folder behind\n" if folder.exists() else str(error)
    return None


@pytest.mark.parametrize("key", [*OPTIONS, "layers"])
def test_junk_is_refused_or_works_but_never_breaks(key: str, small_model: Path, tmp_path: Path) -> None:
    for n, value in enumerate(JUNK):
        message = refusal({key: value}, small_model, tmp_path / str(n))
        assert message is None or message.isprintable(), value


@pytest.mark.parametrize("key", LAYER_OPTIONS)
@pytest.mark.parametrize("layer", ["conv.linear", "dense", "softmax", "reduce"])
def test_junk_of_a_layer(key: str, layer: str, small_model: Path, tmp_path: Path) -> None:
    for n, value in enumerate(JUNK):
        message = refusal({"layers": {layer: {key: value}}}, small_model, tmp_path / str(n))
        assert message is None or (layer in message and key in message), value
