"""Everything that is asked of a model before it is used: a file may come from anywhere.

In this order, each step relying on the ones before: the functions that carry our names, how much there is and whether
every name means one thing, the constants' sizes, onnx's own checker, how functions call each other, and the shapes,
which are inferred anew rather than believed.
"""

from __future__ import annotations

import onnx
from onnx import ModelProto

from sparse_qonnx.checks.bodies import check_calls, foreign_functions
from sparse_qonnx.checks.constants import check_constants
from sparse_qonnx.checks.shapes import with_inferred_shapes
from sparse_qonnx.checks.structure import check_structure, with_node_names
from sparse_qonnx.checks.tidy import tidied, with_functions, with_own_names, without_earlier_bodies
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.limits import Limits
from sparse_qonnx.text import printable


def checked(model: ModelProto, where: str, limits: Limits) -> ModelProto:
    """The model with every node named and every shape that can be inferred stated; a copy where something was missing.

    Args:
        model: as it was parsed, its external data read.
        where: how messages name it.
        limits: what it may ask for.

    Raises:
        ModelFileError: it is not valid, asks for too much, or redefines an operator of this package.
        UnsupportedNodeError: an operator of this package with attributes or inputs that it does not have.
        PrecisionError: a constant that is not finite.
    """
    model = without_earlier_bodies(with_own_names(tidied(model)))
    functions = foreign_functions(model, where)
    check_structure(model, functions, where, limits)
    check_constants(model, functions, where, limits)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        lines = str(error).strip().splitlines() or [repr(error)]
        problem = f"is not a valid ONNX model: {printable(lines[0])}"
        raise ModelFileError(where, problem, fix="export it again with sparse-qonnx export") from error
    check_calls(model, functions, where, limits)
    return with_inferred_shapes(with_functions(with_node_names(model)), limits)
