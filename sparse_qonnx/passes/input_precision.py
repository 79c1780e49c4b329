"""State the fixed-point type of every input: as given, or derived from the quantizers that read it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto

from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.graph import initializers, with_metadata
from sparse_qonnx.grid import Array
from sparse_qonnx.ops import DOMAIN
from sparse_qonnx.passes.infer_grids import PRECISION_KEY
from sparse_qonnx.standard import rule_of
from sparse_qonnx.uses import reads


def state_input_precision(model: ModelProto, given: str | Mapping[str, str] | None) -> ModelProto:
    """Write `sparse_qonnx.input_precision.<input>` into the metadata.

    Without a given type, an input gets the narrowest one that holds every format its quantizers can emit, provided
    that each path from it meets a quantizer first; otherwise nothing is stated and nothing can be proven.

    Raises:
        PrecisionError: if a type cannot be read or names an input the model does not have.
    """
    names = [v.name for v in model.graph.input]
    chosen = dict.fromkeys(names, given) if isinstance(given, str) else dict(given or {})
    for name in chosen:
        if name not in names:
            raise PrecisionError("input_precision", f"names the unknown input {name!r}", allowed=", ".join(names))
    entries = []
    for name in names:
        text = chosen.get(name)
        kind = _derive(model, name) if text is None else FixedPointType.parse(text)
        if kind is not None:
            entries.append((PRECISION_KEY + name, str(kind)))
            entries.append(("sparse_qonnx.input_precision_source." + name, "derived" if text is None else "given"))
    return with_metadata(model, entries)


def _derive(model: ModelProto, name: str) -> FixedPointType | None:
    formats = _formats(model, initializers(model), name)
    return _covering(formats) if formats else None


def _formats(model: ModelProto, constants: Mapping[str, Array], tensor: str) -> list[list[Array]] | None:
    """Formats (signed, integer, fractional) of all that reads a tensor; None where something else than quantizers does.

    Between the tensor and its quantizers values may be moved, and multiplied by powers of two.
    """
    found: list[list[Array]] = []
    for node in model.graph.node:
        if tensor not in reads(node):
            continue
        if node.domain == DOMAIN and node.op_type == "FixedPointQuant":
            found.append([np.asarray(constants[n]) for n in node.input[1:4]])
            continue
        rule = rule_of(node.domain, node.op_type)
        passed = {} if rule is None else rule.passed_on(node, constants)
        if not passed:
            return None
        for name, power in passed.items():
            behind = _formats(model, constants, name)
            if behind is None:
                return None
            found += [[k, i - power, f + power] for k, i, f in behind]
    if tensor in {value.name for value in model.graph.output}:
        return None
    return found


def _covering(formats: list[list[Array]]) -> FixedPointType | None:
    """The type that holds every value of all the given (signed, integer, fractional) formats."""
    parts = [np.broadcast_arrays(*triple) for triple in formats]
    k, i, f = (np.concatenate([p[n].ravel() for p in parts]).astype(np.int64) for n in range(3))
    live = k + i + f > 0
    if not live.any():
        return FixedPointType(False, 1, 1)
    signed, integer, frac = bool(k[live].any()), int(i[live].max()), int(f[live].max())
    width = int(signed) + integer + frac
    return FixedPointType(signed, width, integer + int(signed)) if 1 <= width <= 64 else None
