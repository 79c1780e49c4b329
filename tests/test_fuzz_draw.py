"""The same key draws the same network, whatever the process has done before."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from fuzz.draw import network_of, smallest
from fuzz.recipe import Network

KEYS = range(20)
DIGEST = """
import sys
sys.path.insert(0, sys.argv[1])
from test_fuzz_draw import digest
print(digest())
"""


def digest() -> str:
    """Of the scripts of twenty networks."""
    scripts = "".join(network_of(f"7/0/{key}").script() for key in KEYS)
    return hashlib.sha256(scripts.encode()).hexdigest()


def test_networks_do_not_depend_on_the_process() -> None:
    """Not on hash seeds, on the modules imported (hypothesis draws constants found in them) or on earlier draws."""
    found = {digest(), digest()}
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-c", DIGEST, str(Path(__file__).parent)]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_different_keys_draw_different_networks() -> None:
    assert len({network_of(f"7/0/{key}").script() for key in KEYS}) == len(KEYS)


def test_a_failure_is_made_smaller() -> None:
    """A network with a convolution: little is left beside it."""

    def failure(network: Network) -> Network | None:
        return network if any(step.layer.name.startswith("conv") for step in network.steps) else None

    key = next(
        f"3/0/{n}" for n in range(100) if len(network_of(f"3/0/{n}").steps) > 9 and failure(network_of(f"3/0/{n}"))
    )
    small = smallest(key, failure)
    assert small is not None
    assert [step.layer.name for step in small.steps[:2]] == ["reduce1", "conv1"]
    assert len(small.steps) <= 4
    assert smallest(key, lambda _: None) is None
