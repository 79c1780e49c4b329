"""Configurations from strangers, names that break a project, code that raises; exit codes of everything that fails."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import sparse_qonnx as sq
from sparse_qonnx import cli
from sparse_qonnx.cli import terminal
from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.headers import find_ap_headers
from sparse_qonnx.hls.options import OPTIONS
from sparse_qonnx.hls.safe_yaml import load_yaml
from sparse_qonnx.text import shown

Refused = Callable[[str | bytes], str]


@pytest.fixture
def refused(small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """`qonnx-to-hls --config` must refuse this content within seconds, in one short line; gives the line."""

    def call(content: str | bytes) -> str:
        path = tmp_path / "hls.yml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        begin = time.monotonic()
        assert cli.main_hls([str(small_model), "-o", str(tmp_path / "fw"), "--config", str(path)]) == 2
        assert time.monotonic() - begin < 20
        message = capsys.readouterr().err
        assert message.startswith("error:") and message.count("\n") == 1 and len(message) < 3000
        assert "unexpected" not in message and not (tmp_path / "fw").exists()
        return message

    return call


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)
YAML = {
    "alias bomb": BOMB,
    "alias": "top: &x name\nnamespace: *x\n",
    "merge": "x: &x {top: a}\n<<: *x\n",
    "many keys": "".join(f"k{n}: 1\n" for n in range(40_000)),
    "many layers": "layers:\n" + "".join(f"  k{n}: {{variant: x}}\n" for n in range(10_000)),
    "many inputs": "input_precision:\n" + "".join(f"  k{n}: 1\n" for n in range(10_000)),
    "date": "top: 2020-01-01\n",
    "time": "test_events: 2020-01-01 10:00:00\n",
    "huge integer": f"test_events: {'9' * 5000}\n",
    "huge hexadecimal": f"test_events: 0x{'f' * 50_000}\n",
    "infinite": "clock_period: .inf\n",
    "no number": "clock_period: .nan\n",
    "tag int": "test_events: !!int x\n",
    "tag float": "clock_period: !!float x\n",
    "tag bool": "top: !!bool x\n",
    "tag time": "top: !!timestamp x\n",
    "tag binary": "top: !!binary x\n",
    "tag set": "top: !!set {a, b}\n",
    "tag python": "top: !!python/object/apply:os.system ['touch x']\n",
    "tag own": "top: !mine x\n",
    "deep": "[" * 100_000,
    "deep lists": "layers: " + "[" * 30 + "]" * 30,
    "deep mappings": "{a: " * 3000,
    "twice": "top: a\ntop: b\n",
    "list key": "? [1]\n: 2\n",
    "mapping key": "? {a: 1}\n: 2\n",
    "number key": "5: 2\n",
    "null key": "~: 2\n",
    "two documents": "top: a\n---\ntop: b\n",
    "not UTF-8": b"top: \xff\n",
    "UTF-16": "top: a\n".encode("utf-16"),
    "control": "top: \x07\n",
    "large": "# " + "x" * 2**22 + "\n",
    "large value": f"top: {'x' * 10**6}\n",
    "large list": f"head: [{'1,' * 10**5}]\n",
    "layers list": "layers: [1]\n",
    "layers date": "layers: {2020-01-01: {variant: x}}\n",
    "layer number": "layers: {conv: 5}\n",
    "precision list": "input_precision: [1]\n",
    "precision number": "input_precision: {image: 5}\n",
    "precision key": "input_precision: {5: ap_fixed<8,1>}\n",
    "precision deep": "input_precision: {image: {a: b}}\n",
    "precision null": "input_precision: {image: ~}\n",
}


@pytest.mark.parametrize("name", list(YAML))
def test_configurations_that_are_none(refused: Refused, name: str) -> None:
    refused(YAML[name])


@pytest.mark.parametrize("key", list(OPTIONS))
@pytest.mark.parametrize("value", ["[]", "{a: {b: [c]}}", "-1", "1.5", "''", "'\\0'", "true"])
def test_values_of_every_option(small_model: Path, tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "hls.yml").write_text(f"{key}: {value}\n")
    command = [str(small_model), "--write-config", str(tmp_path / "out.yml"), "--config", str(tmp_path / "hls.yml")]
    assert cli.main_hls(command) in ({0, 2} if (key, value) in MEANT else {2})


MEANT = {("clock_period", "1.5"), ("clock_uncertainty", "1.5"), ("input_precision", "''"), ("namespace", "''")}


def test_what_is_shown_is_short() -> None:
    value: list[object] = []
    for _ in range(1000):
        value = [value, value]
    cyclic: dict[str, object] = {}
    cyclic["self"] = cyclic
    for given in (
        value,
        cyclic,
        "x" * 10**6,
        [[["x" * 1000] * 1000] * 1000] * 1000,
        10**10_000,
        dict.fromkeys(range(999), 5),
    ):
        assert len(shown(given)) < 1100
        for config in (
            {"top": given},
            {"layers": given},
            {"layers": {"a": given}},
            {"layers": {"a": {"variant": [given]}}},
        ):
            with pytest.raises(ConfigurationError):
                HlsConfig.read(config)


def test_yaml_is_what_it_says() -> None:
    text = "a: 1\nb: [1.5, yes, ~, 'x']\nc: {d: 2020-01-01}\n"
    assert load_yaml(text.encode(), "x") == {"a": 1, "b": [1.5, True, None, "x"], "c": {"d": "2020-01-01"}}
    assert load_yaml(b"", "x") is None


# ---- names ----------------------------------------------------------------------------------------------------------

TAKEN = ["defines", "parameters", "trace", "inputs", "outputs", "event", "size_t", "uint8_t", "bridge", "constants"]
TAKEN += ["ap_fixed", "ap_int", "sparse_qonnx", "std", "main", "class", "int", "template", "Defines", "PARAMETERS"]
TAKEN += [
    "image",
    "conv_config",
    "image_t",
    "conv_t",
    "dense_kernel",
    "softmax_config",
    "read",
    "compare",
    "hls_stream",
]
TAKEN += ["sparse_conv", "n_changed", "targets", "view", "blocks", "double", "memcpy_v", "conv", "n_arrays", "weights"]


TAKEN += ["string", "exp", "index", "printf", "abort", "y0", "signal"]
FREE = ["image", "image_t", "conv", "conv_t", "conv_config", "dense_kernel", "softmax_config", "memcpy_v", "weights"]
FREE += ["bridge", "math", "complex", "limits"]


@pytest.mark.parametrize("key", ["top", "namespace"])
@pytest.mark.parametrize("name", sorted({*TAKEN} - {*FREE}))
def test_names_that_the_firmware_uses_are_refused(small_model: Path, tmp_path: Path, name: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=key):
        sq.to_hls(small_model, tmp_path / "fw", config={key: name})
    assert not (tmp_path / "fw").exists()


@pytest.mark.csim
@pytest.mark.parametrize("names", [("image_t", "memcpy_v"), ("math", "bridge"), ("bridge", "limits")])
def test_names_that_are_free_compile(small_model: Path, tmp_path: Path, names: tuple[str, str]) -> None:
    """Those of tensors are free, since the tensors are called otherwise then; so are those of headers in `<>`."""
    top, namespace = names
    project = sq.to_hls(small_model, tmp_path / "fw", config={"top": top, "namespace": namespace})
    sources = [project.folder / "firmware" / f"{top}.cpp", project.folder / "sim" / "bridge.cpp"]
    command = ["g++", "-std=c++11", "-fsyntax-only", "-Wno-unknown-pragmas", "-isystem", str(find_ap_headers())]
    command += ["-DSPARSE_QONNX_TRACE", "-iquote", str(project.folder / "sim"), *map(str, sources)]
    done = subprocess.run([*command, str(project.folder / f"{top}_test.cpp")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FREE)
def test_names_that_are_free_are_taken(small_model: Path, tmp_path: Path, name: str) -> None:
    project = sq.to_hls(small_model, tmp_path / "fw", config={"top": name})
    assert (project.folder / "firmware" / f"{name}.cpp").read_text().count(f"void {name}(") == 1


# ---- code of other people -------------------------------------------------------------------------------------------


@pytest.mark.keras
@pytest.mark.parametrize(
    "body",
    [
        "def build(): raise RuntimeError('my own\\nfault')",
        "def build(): return 1 / 0",
        "def build(): raise SystemExit(1)",
        "def build(): raise KeyError",
        "def build(): return None",
        "def build(x): return x",
        "raise ValueError('at import')",
        "import sys; sys.exit(1)",
        "import no_such_module",
        "def build(:",
        "build = 5",
    ],
)
def test_a_builder_that_raises(
    tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("sparsepixels")
    h5py.File(tmp_path / "m.weights.h5", "w").close()
    monkeypatch.chdir(tmp_path)
    name = f"builder_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body)
    arguments = ["export", "--builder", f"{name}:build", "--weights", "m.weights.h5", "-o", "m.onnx"]
    assert cli.main(arguments) == 2
    message = capsys.readouterr().err
    assert "builder" in message and "unexpected" not in message and not (tmp_path / "m.onnx").exists()


# ---- errors that nobody expected ------------------------------------------------------------------------------------

ERRORS = [TypeError("a\nb"), MemoryError(), RecursionError("deep"), OSError(28, "No space"), ZeroDivisionError()]
ERRORS += [AssertionError(), KeyError("x"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), SystemError("c")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("traceback", [False, True])
def test_any_exception_is_one_line_and_code_2(
    small_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    traceback: bool,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("sparse_qonnx.info.describe", fail)
    if traceback:
        monkeypatch.setenv(terminal.TRACEBACK_VARIABLE, "1")
    assert cli.main(["info", str(small_model)]) == 2
    message = capsys.readouterr().err
    assert ("Traceback" in message) == traceback
    assert message.splitlines()[-1].startswith("error:") and (traceback or message.count("\n") == 1)
    assert isinstance(error, MemoryError) or "report it" in message


def test_a_reader_that_ends(small_model: Path) -> None:
    """`sparse-qonnx info model.onnx | head -0`: no traceback, and not the code of a difference."""
    code = f"""
import os, sys
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
from sparse_qonnx import cli
sys.exit(cli.main(["info", {str(small_model)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not done.stderr


def test_a_full_disk_behind_stdout(small_model: Path, tmp_path: Path) -> None:
    code = f"""
import os, resource, sys
os.dup2(os.open({str(tmp_path / "out")!r}, os.O_WRONLY | os.O_CREAT), 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from sparse_qonnx import cli
sys.exit(cli.main(["info", {str(small_model)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
