"""The network of a key, always the same one, and a smaller one that fails alike.

Hypothesis composes the networks and makes failing ones smaller, but what it draws on its own depends on more than its
seed: on constants found in the modules imported so far, on what it drew before, on its release. Its alternative
backends (`PrimitiveProvider`) let somebody else choose; here that is Python's `random.Random`, seeded with the key.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, ClassVar, Never, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, PrimitiveProvider

from fuzz.networks import networks
from fuzz.recipe import Network

SHRINK_SECONDS = 120
F = TypeVar("F")


class KeyedProvider(PrimitiveProvider):
    """Chooses uniformly, as the key says and nothing else."""

    key: ClassVar[str]

    def __init__(self, conjecturedata: Any, /) -> None:
        super().__init__(conjecturedata)
        self.random = random.Random(self.key)

    def draw_boolean(self, p: float = 0.5) -> bool:
        return self.random.random() < p

    def draw_integer(self, min_value: int | None = None, max_value: int | None = None, **hints: Any) -> int:
        if min_value is None or max_value is None:
            self._not_drawn()
        return self.random.randint(min_value, max_value)

    def _not_drawn(self, *_: Any, **__: Any) -> Never:
        raise NotImplementedError("networks draw bounded integers and booleans")

    draw_float = draw_string = draw_bytes = _not_drawn


def _run(key: str, phases: list[Phase], test: Callable[[Network], None]) -> None:
    """Give the test the simplest network of all, then the one of the key; then, where it failed, smaller ones."""
    AVAILABLE_PROVIDERS["keyed"] = type("Keyed", (KeyedProvider,), {"key": key})
    settled = settings(
        max_examples=2,
        backend="keyed",
        database=None,
        deadline=None,
        derandomize=False,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    settled(given(networks())(lambda network: test(network)))()


def network_of(key: str) -> Network:
    """The network of a key; the same on any machine, in any process, whatever was drawn before."""
    drawn: list[Network] = []
    _run(key, [Phase.generate], drawn.append)
    return drawn[-1]


def smallest(key: str, failure: Callable[[Network], F | None], seconds: float = SHRINK_SECONDS) -> F | None:
    """The failure of the smallest network found that fails, starting from that of the key.

    Args:
        key: of a network that fails.
        failure: what is wrong with a network; None where nothing is.
        seconds: how long to look for smaller ones.

    Returns:
        What `failure` said of it; None if no network failed (again).
    """
    end, found = time.monotonic() + seconds, None

    def fail(network: Network) -> None:
        nonlocal found
        failed = failure(network) if time.monotonic() < end else None
        if failed is not None:
            found = failed
            raise AssertionError

    try:
        _run(key, [Phase.generate, Phase.shrink], fail)
    except Exception:  # hypothesis's own, of which there are many: what counts is what was found
        if found is None:
            raise
    return found
