"""Random quantizers: every type, axis choice, rounding and overflow, with widths as training leaves them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fuzz.recipe import Quantization, Widths

ROUNDINGS = ("RND", "RND_CONV", "TRN", "TRN_ZERO", "RND_ZERO", "RND_MIN_INF", "RND_INF", "S_RND", "S_RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM", "WRAP_SM")
SEEDS = st.integers(0, 999)


def axes(place: str, rank: int) -> dict[str, dict[str, Any]]:
    """Keyword arguments that share widths, by what they are per; empty: HGQ2's default."""
    choices: dict[str, dict[str, Any]] = {
        "default": {},
        "tensor": {"heterogeneous_axis": ()},
        "channel": {"heterogeneous_axis": (rank - 1,)},
    }
    if place == "datalane":
        choices["element"] = {"homogeneous_axis": (0,)}
        if rank == 4:
            choices["row"] = {"heterogeneous_axis": (1,)}
    return choices


@st.composite
def trained_widths(draw: st.DrawFn, weight: bool = False, wide: bool = False) -> Widths:
    """Random widths; one in four quantizers has elements of width 0, some are 0 altogether.

    Args:
        draw: hypothesis's.
        weight: whether it quantizes weights, which have fewer bits.
        wide: formats that need float64 in sums.
    """
    least = draw(st.sampled_from([3, 2, 4, 1, 5, 2, 0, -1] if not weight else [3, 2, 4, 1, 5, 0]))
    # From wide enough for all that comes to one bit; formats that hold nothing have `dead` for them.
    first = draw(st.sampled_from([2, 3, 1, 4, 2, 0] if not weight else [1, 0, 2, 1, -1]))
    first = max(first, 1 - least)
    spread = st.sampled_from([0, 1, 2])
    least += 7 if wide else 0
    return Widths(
        seed=draw(SEEDS),
        signed=draw(st.sampled_from([1.0, 1.0, 0.0, 0.5])),
        integer=(first, first + draw(spread)),
        fractional=(least, least + draw(spread)),
        dead=draw(st.sampled_from([0.0] * 30 + [0.1, 0.1, 0.1, 0.3, 0.3, 0.5, 0.5, 1.0])),
    )


@st.composite
def quantizations(draw: st.DrawFn, place: str, rank: int, wide: bool = False) -> Quantization:
    """A configuration and widths for a tensor of `rank` dimensions, batch (or filters' own) axis included."""
    overflow = draw(st.sampled_from(OVERFLOWS))
    rounding = draw(st.sampled_from(ROUNDINGS if overflow != "WRAP_SM" else ("RND", "RND_CONV", "S_RND")))
    shared = axes(place, rank)
    settings = {"round_mode": rounding, "overflow_mode": overflow, **shared[draw(st.sampled_from(sorted(shared)))]}
    if place == "datalane" and draw(st.integers(0, 19)) == 19:
        settings["scaler"] = draw(st.sampled_from([0.5, 4.0]))
    widths = draw(trained_widths(weight=place != "datalane", wide=wide))
    if draw(st.integers(0, 29)) == 29:
        return Quantization("dummy", place, (), widths)
    return Quantization(draw(st.sampled_from(["kif", "kbi"])), place, tuple(settings.items()), widths)


def features(what: str, quantization: Quantization) -> set[str]:
    """What occurs in a quantizer, for the statistics."""
    settings, widths = dict(quantization.settings), quantization.widths
    if quantization.q_type == "dummy":
        return {f"{what}: {quantization.q_type}"}
    found = {f"{what}: {quantization.q_type}", f"rounding {settings['round_mode']}"}
    found.add(f"overflow {settings['overflow_mode']}")
    if widths.dead:
        found.add("width 0: whole tensor" if widths.dead == 1.0 else "width 0: single elements")
    if widths.signed == 0.5:
        found.add("mixed signedness")
    if "scaler" in settings:
        found.add("scaler")
    if what == "iq":
        shared = [k for k in ("heterogeneous_axis", "homogeneous_axis") if k in settings]
        found.add(f"iq per {settings[shared[0]]} {shared[0]}" if shared else "iq per element (default)")
    return found
