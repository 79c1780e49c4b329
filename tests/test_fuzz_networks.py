"""A hundred random sparse networks through every implementation; `make fuzz` runs more."""

from __future__ import annotations

import pytest

from fuzz.run import BLOCK, run_block

pytest.importorskip("sparsepixels")


@pytest.mark.keras
@pytest.mark.parametrize("block", range(100 // BLOCK))
def test_random_networks(block: int) -> None:
    """Always the same networks; a failure ends with a script that rebuilds the smallest failing one."""
    tally = run_block(0, block, BLOCK)
    assert not tally.failures, str(tally.failures[0])
    assert tally.exported >= BLOCK // 2, f"most networks were refused: {dict(tally.refusals)}"
