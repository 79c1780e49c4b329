"""Model-local functions: ours must be ours, and no function may unfold into more than can be held."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from onnx import FunctionProto, ModelProto, NodeProto

from sparse_qonnx.checks.fingerprint import fingerprint
from sparse_qonnx.checks.structure import STANDARD_DOMAINS
from sparse_qonnx.errors import ModelFileError, UnsupportedNodeError
from sparse_qonnx.limits import Limits
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.origin import mark_parts
from sparse_qonnx.standard import rule_of
from sparse_qonnx.uses import subgraphs

Key = tuple[str, str]


def foreign_functions(model: ModelProto, where: str) -> list[FunctionProto]:
    """The functions that are not of operators of ours, after those that are were compared with their definitions.

    A native kernel, the reference and the firmware each take the place of a function of that name: a file with another
    body would compute something else in each.

    Raises:
        ModelFileError: naming the function that is there twice or redefines what has a definition.
    """
    seen: set[Key] = set()
    for function in model.functions:
        key = (function.domain, function.name)
        if not all(isinstance(text, str) for text in key):
            raise ModelFileError(where, f"has a function of the name {key}", allowed="UTF-8 text")
        if key in seen:
            raise ModelFileError(where, f"has two functions {function.name!r} of domain {function.domain!r}")
        seen.add(key)
    return [function for function in model.functions if not _is_own(function)]


def check_calls(model: ModelProto, functions: list[FunctionProto], where: str, limits: Limits) -> None:
    """Nodes of our domain exist, and what calls functions does not unfold into too much.

    Raises:
        ModelFileError: functions that call themselves, are nested too deep, or become too large.
        UnsupportedNodeError: an operator of this package's domain that does not exist.
    """
    _check_unfolding(model, {(f.domain, f.name): f for f in functions}, where, limits)
    for node in model.graph.node:
        if node.domain == DOMAIN and node.op_type not in operators():
            raise UnsupportedNodeError(
                f"node {node.name!r} ({node.op_type})", f"is not in {DOMAIN!r}", allowed=", ".join(operators())
            )


def _is_own(function: FunctionProto) -> bool:
    """Whether it is the function of an operator that has a definition here; an error where it is another one."""
    where = f"function {function.name!r} of domain {function.domain!r}"
    if function.domain in STANDARD_DOMAINS or function.domain.startswith("ai.onnx"):
        raise ModelFileError(where, "redefines a standard operator", fix="give it a domain of its own")
    rule, overload = rule_of(function.domain, function.name), str(getattr(function, "overload", ""))
    if rule is None and not function.domain.startswith(("sparse_qonnx", "qonnx.", "onnx.brevitas")):
        return False
    if function.SerializeToString(deterministic=True) in _as_written(function.domain, function.name):
        return True
    if overload or fingerprint(function) not in own_bodies(function.domain, function.name):
        raise ModelFileError(
            where,
            "is not the definition of this operator: what is registered for it would compute something else",
            allowed="the body that this version of sparse-qonnx writes",
            fix="delete the function from the file: what it lacks of these is added when it is read",
        )
    return True


@cache
def _bodies(domain: str, name: str) -> tuple[FunctionProto, ...]:
    """The bodies that a file may carry: an operator chooses one by the inputs that nodes have."""
    rule = rule_of(domain, name)
    most = max(len(getattr(rule, "inputs", ())), 1)
    counts = range(1, most + 1) if rule is not None else ()
    bodies = [rule.function([NodeProto(input=["x"] * count)]) for count in counts if rule is not None]
    known = tuple(body for body in bodies if body is not None)
    for body in known:
        mark_parts(body)
    return known


@cache
def _as_written(domain: str, name: str) -> frozenset[bytes]:
    """The bodies to the byte: what files of this version hold, which need no closer look."""
    return frozenset(body.SerializeToString(deterministic=True) for body in _bodies(domain, name))


@cache
def own_bodies(domain: str, name: str) -> dict[bytes, int]:
    """What the bodies compute, and their nodes."""
    return {fingerprint(body): _count(body.node, lambda _: 1) for body in _bodies(domain, name)}


def is_earlier_body(function: FunctionProto) -> bool:
    """Whether an earlier version of this package wrote the function, with another body than today's."""
    earlier: frozenset[str] = getattr(rule_of(function.domain, function.name), "earlier_bodies", frozenset())
    return bool(earlier) and fingerprint(function).hex() in earlier


def _check_unfolding(model: ModelProto, functions: dict[Key, FunctionProto], where: str, limits: Limits) -> None:
    """Nodes once every function is written out at its calls; two calls a function double it at every level."""
    sizes: dict[Key, int] = {}
    open_calls: list[Key] = []

    def size(key: Key) -> int:
        if key not in functions:
            return max(own_bodies(*key).values(), default=1)
        if key not in sizes:
            if key in open_calls:
                raise ModelFileError(where, f"function {key[1]!r} calls itself", allowed="functions without recursion")
            open_calls.append(key)
            limits.check("nesting", len(open_calls), where)
            sizes[key] = _count(functions[key].node, size)
            limits.check("inlined_nodes", sizes[key], where)
            open_calls.pop()
        return sizes[key]

    for key in functions:
        size(key)
    limits.check("inlined_nodes", _count(model.graph.node, size), where)


def _count(nodes: Iterable[NodeProto], size: Callable[[Key], int]) -> int:
    return sum(
        size((node.domain, node.op_type)) + sum(_count(graph.node, size) for graph in subgraphs(node)) for node in nodes
    )
