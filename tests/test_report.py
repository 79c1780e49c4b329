"""The HTML report: whole, well-formed, escaped, and loaded by a browser without a request or a message."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from test_plots import renamed

pytest.importorskip("jinja2", reason="needs the [report] extra")
pytest.importorskip("matplotlib", reason="needs the [report] extra")

import sparse_qonnx as sq
from sparse_qonnx import cli, html
from sparse_qonnx.comparison import Comparison, ComparisonTable, Report
from sparse_qonnx.files import read_model, write_model
from sparse_qonnx.offgrid import OffGrid

NAME = "<script>alert(1)</script>'\"&"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Checked(HTMLParser):
    """Every element is closed in its order; what is in the page is remembered."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.targets: set[str] = set()
        self.links: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.targets.update(value or "" for name, value in attrs if name == "id")
        self.links.update(value or "" for name, value in attrs if name == "href" and tag == "a")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Path:
    """The small model; its convolution, and the file, have a name that is markup."""
    path = tmp_path_factory.mktemp("hostile") / "<b>model.onnx"
    write_model(renamed(read_model(small_model), "conv", NAME), path)
    return path


@pytest.fixture(scope="module")
def page(hostile: Path, small_events: np.ndarray) -> Path:
    events, output = hostile.parent / "x.npy", hostile.parent / "report.html"
    np.save(events, small_events)
    arguments = ["report", str(hostile), "--data", str(events), "-o", str(output), "--events", "10"]
    assert cli.main([*arguments, "--no-firmware", "--pictures", "2"]) == 0
    return output


def test_page_is_well_formed_and_refers_to_nothing_outside(page: Path) -> None:
    text = page.read_text()
    found = Checked(text)
    assert {"svg", "section", "table", "article"} <= set(found.tags)
    assert "script" not in found.tags
    assert {link.removeprefix("#") for link in found.links} <= found.targets
    places = [value for name, value in found.attributes if name in ("src", "href", "xlink:href", "srcset", "action")]
    assert all(value.startswith(("#", "data:")) for value in places)
    assert not any(name.startswith("on") for name, _ in found.attributes)
    assert not re.search(r"@import|url\((?!#)", text)
    assert text.count("event ") >= 2
    for word in ("ap_ufixed", "float32 holds 24", "No mismatch", "at most 5", "Quantizers", "RND, WRAP"):
        assert word in text


def test_names_are_escaped(page: Path) -> None:
    text = page.read_text()
    assert "<script" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_same_model_gives_the_same_page(page: Path, hostile: Path) -> None:
    before = page.read_bytes()
    arguments = ["report", str(hostile), "--data", str(hostile.parent / "x.npy"), "-o", str(page), "--events", "10"]
    assert cli.main([*arguments, "--no-firmware", "--pictures", "2"]) == 0
    assert page.read_bytes() == before


@pytest.mark.csim
def test_firmware_is_shown(tmp_path: Path, small_model: Path) -> None:
    output = tmp_path / "report.html"
    assert cli.main(["report", str(small_model), "-o", str(output), "--events", "5", "--pictures", "1"]) == 0
    text = output.read_text()
    Checked(text)
    for word in ("Counted operations", "Chosen", "input_reduce", "What the design instantiates", "an event every"):
        assert word in text


def test_errors(
    tmp_path: Path,
    small_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "report.html"
    assert cli.main(["report", str(small_model), "-o", str(output), "--data", str(tmp_path / "none.npy")]) == 2
    assert "none.npy" in capsys.readouterr().err
    monkeypatch.setattr(html, "_environment", html._environment.__wrapped__)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert cli.main(["report", str(small_model), "-o", str(output)]) == 2
    assert "sparse-qonnx[report]" in capsys.readouterr().err
    assert ComparisonTable([])._repr_html_() is None
    assert not output.exists()


def test_notebooks(small_model: Path, small_events: np.ndarray, tmp_path: Path) -> None:
    report = sq.verify(small_model, small_events[:3])
    project = sq.to_hls(small_model, tmp_path / "firmware")
    for shown, words in (
        (report, ("softmax", "No mismatch")),
        (report.table, ("softmax",)),
        (project, ("Vitis project", "pixels_per_cycle")),
    ):
        text = shown._repr_html_()
        Checked(text)
        assert all(word in text for word in words)


def test_what_disagrees_is_marked() -> None:
    rows = [Comparison(NAME, "onnxruntime", "NumPy", values=3, mismatches=2, largest=np.inf)]
    text = Report(ComparisonTable(rows), 1, OffGrid(1))._repr_html_()
    assert text is not None
    assert '<tr class="bad">' in text
    assert "<script" not in text


# ---- in a browser ---------------------------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --enable-logging=stderr --v=0"


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback: its address, and the paths that it is asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_browser_loads_it_without_requests_or_messages(page: Path, tmp_path: Path) -> None:
    """One request: the page. The console stays empty, and the screenshot is not one colour."""
    assert CHROMIUM is not None
    picture = tmp_path / "page.png"
    with served(page.parent) as (address, asked):
        options = [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", "--window-size=500,1500"]
        command = [CHROMIUM, *FLAGS.split(), *options, "--blink-settings=preferredColorScheme=0"]
        done = subprocess.run([*command, f"{address}/report.html"], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert asked == ["/report.html"]
    assert "CONSOLE" not in done.stderr
    from matplotlib import image

    pixels = image.imread(picture)[..., :3].reshape(-1, 3)
    background = np.median(pixels, axis=0)
    assert background.max() < 0.3, "dark mode is on"
    assert (np.abs(pixels - background).max(axis=1) > 0.3).mean() > 0.01, "light text on it"
