"""Random sparse networks, composed layer by layer over what sparsepixels and HGQ2 can say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from fuzz.composer import Dense, Sparse
from fuzz.quantizers import OVERFLOWS, ROUNDINGS, SEEDS, features, quantizations
from fuzz.recipe import Layer, Network
from fuzz.sparse_layers import SparseComposer

SIZES = st.sampled_from([4, 5, 3, 6, 7, 2, 1, 8, 10])


def _outputs(composer: SparseComposer, values: list[Sparse], side: Dense | None) -> list[str]:
    """Heads on the last value and rarely on another; rarely the sparse feature map itself."""
    chosen = [values[-1]]
    if len(values) > 1 and composer.rarely(4):
        chosen.append(composer.pick(values[:-1]))
    names = []
    for value in chosen:
        if composer.rarely(5) and not value.filled:
            composer.note("sparse output")
            names.append(value.name)
        else:
            vector = composer.to_dense(value)
            if side is not None and len(vector.shape) == 1:
                vector = composer.joined(vector, side)
            names.append(composer.head(composer.tail(vector)).name)
    return names


def _scope(composer: SparseComposer) -> tuple[tuple[tuple[str, Any], ...], ...]:
    if not composer.rarely(3):
        return ()
    composer.scoped = True
    composer.note("QuantizerConfigScope")
    rounding, overflow = composer.pick(ROUNDINGS[:4]), composer.pick(OVERFLOWS[:3])
    everywhere = {"place": "all", "overflow_mode": "SAT_SYM", "default_q_type": "kbi"}
    data = {"place": "datalane", "round_mode": rounding, "overflow_mode": overflow, "default_q_type": "kif"}
    return tuple(everywhere.items()), tuple(data.items())


def _before(composer: SparseComposer, shape: tuple[int, int, int]) -> tuple[tuple[int, ...], list[Layer]]:
    """The shape of an input, and layers that make an image of `shape` of it; mostly none."""
    height, width, channels = shape
    if not composer.rarely(5):
        return shape, []
    kinds = ["flat", "flat", "turned", "cropped", "scaled", "padded"]
    kind = composer.pick(kinds if min(height, width) > 2 else kinds[:-1])
    composer.note(f"input {kind}")
    if kind == "flat":
        return (height * width * channels,), [Layer("Reshape", "shaped", (shape,))]
    if kind == "turned":
        return (channels, height, width), [Layer("Permute", "turned", ((2, 3, 1),))]
    if kind == "cropped":
        return (height + 1, width + 2, channels), [Layer("Cropping2D", "cropped", (((1, 0), (1, 1)),))]
    if kind == "scaled":
        return shape, [Layer("Rescaling", "scaled", (0.5,))]
    return (height - 2, width - 2, channels), [Layer("ZeroPadding2D", "padded", (1,))]


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A network with one reduction, rarely two (of one input or of two)."""
    composer = SparseComposer(draw)
    if composer.rarely(5):
        composer.wide = True
        composer.note("wide formats")
    scope = _scope(composer)
    inputs: list[tuple[str, tuple[int, ...]]] = []
    outputs: list[str] = []
    side = Dense("side1", (3,)) if composer.rarely(10) else None
    for number in range(2 if composer.rarely(6) else 1):
        if number == 0 or draw(st.booleans()):
            name = f"image{number + 1}"
            shape = (draw(SIZES), draw(SIZES), composer.pick([1, 2, 3]))
            given, moves = _before(composer, shape)
            inputs.append((name, given))
        composer.note("several channels" if shape[2] > 1 else "one channel")
        source = name
        for move in moves:
            (source,) = composer.call(replace(move, name=composer.name(move.name)), source)
        if composer.rarely(8):
            found = draw(quantizations("datalane", 4))
            composer.note("Quantizer before InputReduce", *features("standalone", found))
            layer = replace(composer.layer("Quantizer", "quantizer", found), widths=(("", found.widths),))
            (source,) = composer.call(layer, source)
        values = composer.body(composer.reduction(source, shape))
        outputs += _outputs(composer, values, side)
    if any("side1" in step.inputs for step in composer.steps):
        inputs.append(("side1", (3,)))
        composer.note("a vector as another input")
    if len(inputs) > 1:
        composer.note("several inputs")
    elif len([s for s in composer.steps if s.layer.name.startswith("reduce")]) > 1:
        composer.note("two reductions of one input")
    if len(outputs) > 1:
        composer.note("several outputs")
    narrow = ["ap_fixed<6,3>", None, "ap_ufixed<4,2>", "ap_fixed<12,5>"]
    precision = composer.pick(["ap_fixed<20,6>", "ap_ufixed<16,4>"] if composer.wide else narrow)
    composer.note("input precision given" if precision else "input precision derived")
    return Network(
        tuple(inputs),
        tuple(composer.steps),
        tuple(outputs),
        scope,
        precision,
        draw(SEEDS),
        tuple(composer.near),
        frozenset(composer.features),
    )
