"""The netlist: reading it, running it, and passes that change nothing of what it computes."""

from __future__ import annotations

import numpy as np
import pytest

from rtl_random import random_events, random_netlist
from sparse_qonnx.errors import NetlistError
from sparse_qonnx.rtl.interpret import interpret
from sparse_qonnx.rtl.netlist import Netlist, Op
from sparse_qonnx.rtl.passes import PASSES
from sparse_qonnx.rtl.reader import read_netlist

SUM = """sparse_qonnx_netlist 1
# the sum of four values, and the largest of them
layer sum_config sum
input 0 x 0 4 1 -8 7
input 1 x 1 4 1 -8 7
input 2 x 2 4 1 -8 7
input 3 x 3 4 1 -8 7
loop 0 - 4 1 i
counter 4 0 0 3
reg 5 0 -32 28 c0
reg 6 0 -8 7 c-8
node 7 pick -8 7 n4 n0 n1 n2 n3
node 8 add -40 35 n5 n7
node 9 wrap -32 31 n8 6
node 10 lt 0 1 n6 n7
node 11 mux -8 7 n10 n7 n6
node 12 lt 0 1 n9 c29
node 13 mux -32 31 n12 n9 c0
node 14 slice 0 15 n13 0 4
next 5 n14
next 6 n11
endloop 0
last 15 5 -32 28
last 16 6 -8 7
output y 0 6 1 n15
output y 1 4 1 n16
endlayer
end
"""


def test_a_netlist_is_read_and_run() -> None:
    netlist = read_netlist(SUM.splitlines())
    (layer,) = netlist.layers
    assert (layer.name, layer.kernel, layer.nests[0].trips) == ("sum_config", "sum", (4,))
    x = np.array([[1, 2, 3, -4], [-8, -7, -8, -1], [7, 7, 7, 7]])
    y = interpret(netlist, {"x": x}, check=True)["y"]
    total = np.zeros(3, dtype=int)
    for column in x.T:
        total = (total + column) & 15
    assert np.array_equal(y, np.stack([total, x.max(axis=1)], axis=1))


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ("sparse_qonnx_netlist 1", "sparse_qonnx_netlist 2", "first line"),
        ("node 8 add -40 35 n5 n7", "node 8 add -40 35 n5 n70", "no earlier line"),
        ("node 8 add -40 35 n5 n7", "node 8 add -30 35 n5 n7", "does not hold"),
        ("node 8 add -40 35 n5 n7", "node 8 add -40 35 n5", "operands"),
        ("node 8 add -40 35 n5 n7", "node 8 plus -40 35 n5 n7", "not of the format"),
        ("next 6 n11", "", "no `next`"),
        ("next 5 n14", "next 5 n9", "more than its register can hold"),
        ("counter 4 0 0 3", "counter 4 0 0 4", "does not count"),
        ("endloop 0", "", "inside of a loop"),
        ("output y 0 6 1 n15", "output y 0 6 1 n9", "outside of it"),
        ("output y 0 6 1 n15", "output y 0 4 1 n15", "has values"),
        ("reg 5 0 -32 28 c0", "reg 5 0 -32 28 c40", "cannot hold its reset"),
        ("loop 0 - 4 1 i", "loop 0 - 1 1 i", "too few trips"),
        ("endlayer", "", "not whole"),
        ("end", "", "not whole"),
        ("layer sum_config sum", "leyer sum_config sum", "begins with"),
    ],
)
def test_what_does_not_hold_is_refused(line: str, instead: str, says: str) -> None:
    assert f"{line}\n" in SUM
    with pytest.raises(NetlistError, match=says):
        read_netlist(SUM.replace(f"{line}\n", f"{instead}\n" if instead else "").splitlines())


@pytest.mark.parametrize("seed", range(12))
def test_passes_change_no_value(seed: int) -> None:
    netlist = read_netlist(random_netlist(seed, 8).splitlines())
    inputs = {"x": random_events(seed, 50)}
    expected = interpret(netlist, inputs, check=True)
    for one in PASSES:
        netlist = Netlist([one(layer) for layer in netlist.layers])
        found = interpret(netlist, inputs, check=True)
        for name, values in expected.items():
            assert np.array_equal(found[name], values), (one.__name__, name)


def test_no_product_with_a_constant_and_no_division_is_left() -> None:
    netlist = read_netlist(random_netlist(3, 20).splitlines())
    for one in PASSES:
        netlist = Netlist([one(layer) for layer in netlist.layers])
    for layer in netlist.layers:
        for node in layer.nodes:
            assert node.op not in (Op.DIV, Op.MOD)
            assert node.op is not Op.MUL or all(layer.nodes[a].op is not Op.CONST for a in node.args)
