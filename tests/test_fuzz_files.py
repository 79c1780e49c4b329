"""Some hundreds of hostile files through every command; `make fuzz-files` runs more."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fuzz_files.run import run_cases
from native import requires_library


@pytest.mark.parametrize("options", [[], pytest.param(["--kernels"], marks=requires_library)], ids=["files", "kernels"])
def test_hostile_files_do_no_harm(options: list[str], tmp_path: Path) -> None:
    tally = run_cases(0, 400, "suite", options, timeout=300, until=math.inf, folder=tmp_path)
    assert not tally.harm, tally.harm[0]
    assert tally.files == 400
    assert tally.outcomes["kernel" if options else "load", "ok"] > 50
