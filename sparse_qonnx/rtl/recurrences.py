"""Which nodes depend on themselves, one trip later: what has to close in one trip."""

from __future__ import annotations

from sparse_qonnx.rtl.netlist import Layer, Op

NONE = -1


def recurrences(layer: Layer) -> list[int]:
    """The number of the recurrence that each node belongs to, NONE where it belongs to none."""
    found = [NONE] * len(layer.nodes)
    for number, members in enumerate(components(layer)):
        if is_recurrence(layer, members):
            for i in members:
                found[i] = number
    return found


def is_recurrence(layer: Layer, members: list[int]) -> bool:
    """Whether a component depends on itself."""
    return len(members) > 1 or members[0] in operands(layer, members[0])


def operands(layer: Layer, i: int) -> tuple[int, ...]:
    """What a node depends on; a register depends on what it takes, a lane on whether a word is taken."""
    node = layer.nodes[i]
    if node.op is Op.REG:
        return (layer.registers[node.param[0]].next,)
    return (layer.words[node.param[0]].enable,) if node.op is Op.LANE else node.args


def components(layer: Layer) -> list[list[int]]:
    """Strongly connected components, what they depend on first, the nodes of each in their order.

    Tarjan's algorithm, without recursion.
    """
    n = len(layer.nodes)
    order = [0] * n  # 0: not seen
    low = [0] * n
    on_stack = [False] * n
    found: list[list[int]] = []
    stack: list[int] = []
    seen = 0

    for root in range(n):
        if order[root]:
            continue
        work = [(root, 0)]
        while work:
            i, at = work.pop()
            if at == 0:
                seen += 1
                order[i] = low[i] = seen
                stack.append(i)
                on_stack[i] = True
            args = operands(layer, i)
            if at > 0:
                low[i] = min(low[i], low[args[at - 1]])
            while at < len(args) and order[args[at]]:
                if on_stack[args[at]]:
                    low[i] = min(low[i], order[args[at]])
                at += 1
            if at < len(args):
                work += [(i, at + 1), (args[at], 0)]
                continue
            if low[i] == order[i]:
                members: list[int] = []
                while not members or members[-1] != i:
                    members.append(stack.pop())
                    on_stack[members[-1]] = False
                found.append(sorted(members))
    return found
