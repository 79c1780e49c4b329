"""Which nodes depend on themselves, one trip later: what has to close in one trip."""

from __future__ import annotations

from sparse_qonnx.rtl.netlist import Layer, Op

NONE = -1


def recurrences(layer: Layer) -> list[int]:
    """The number of the recurrence that each node belongs to, NONE where it belongs to none.

    Strongly connected components of more than one node, where a register follows what it takes (Tarjan's algorithm,
    without recursion).
    """
    n = len(layer.nodes)
    order = [0] * n  # 0: not seen
    low = [0] * n
    on_stack = [False] * n
    found = [NONE] * n
    stack: list[int] = []
    seen = components = 0

    def operands(i: int) -> tuple[int, ...]:
        node = layer.nodes[i]
        return (layer.registers[node.param[0]].next,) if node.op is Op.REG else node.args

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
            args = operands(i)
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
                members = []
                while not members or members[-1] != i:
                    members.append(stack.pop())
                    on_stack[members[-1]] = False
                if len(members) > 1 or i in args:
                    for member in members:
                        found[member] = components
                    components += 1
    return found
