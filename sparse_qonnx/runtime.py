"""Running files in onnxruntime: stock, with native kernels, and in qonnx; any named tensor can be asked for."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, helper

from sparse_qonnx import fusion
from sparse_qonnx._paths import LIBRARY_VARIABLE, find_library, why_no_library
from sparse_qonnx._workarounds import qonnx_ir_version
from sparse_qonnx.checks.structure import all_nodes, require_known_nodes
from sparse_qonnx.errors import ConfigurationError, InputDataError, ModelFileError, SparseQonnxError, ToolError
from sparse_qonnx.files import ModelSource, describe_source, read_model
from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.limits import current
from sparse_qonnx.numerators import ValueNames
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.ops._base import sample_values
from sparse_qonnx.system.regular import check_regular, reason
from sparse_qonnx.text import shortened
from sparse_qonnx.uses import subgraphs

Array = NDArray[Any]


class Kernels(StrEnum):
    """What executes the operators of this package."""

    NATIVE = "native"  # the shared library of this package; falls back to FUNCTION, loudly, where it was not built
    FUNCTION = "function"  # the function bodies in the file: stock onnxruntime, nothing of ours registered


class SlowKernelsWarning(UserWarning):
    """The native library is missing; the function bodies give the same values, more slowly."""


def get_library_path() -> str:
    """Path of the shared library with the native kernels, for `SessionOptions.register_custom_ops_library`.

    Raises:
        ToolError: if the library was not built when the package was installed.
    """
    path = find_library()
    if path is None:
        fix = "install a C++17 compiler and reinstall, or use kernels='function'"
        raise ToolError("native kernels", why_no_library(), fix=fix)
    return str(path)


_registered: weakref.WeakSet[onnxruntime.SessionOptions] = weakref.WeakSet()
"""Options in which the kernels are registered: a session of options that have them twice is rejected by onnxruntime."""


def register(session_options: onnxruntime.SessionOptions) -> None:
    """Register the native kernels in the options of sessions that the caller builds; a second time changes nothing.

    Raises:
        ToolError: if the library was not built when the package was installed, or cannot be loaded.
    """
    if session_options in _registered:
        return
    path = get_library_path()
    try:
        check_regular(path)
        # as bytes where it is no text: onnxruntime takes both, but no text that is not UTF-8
        session_options.register_custom_ops_library(path if path.isprintable() else os.fsencode(path))
    except _LIBRARY_ERRORS as error:
        fix = f"reinstall sparse-qonnx, or check the environment variable {LIBRARY_VARIABLE}"
        problem = f"cannot be loaded: {shortened(reason(error), 300)}"
        raise ToolError(f"native kernels {path!r}", problem, fix=fix) from error
    _registered.add(session_options)


class InferenceSession(onnxruntime.InferenceSession):  # type: ignore[misc]  # onnxruntime ships no types
    """An `onnxruntime.InferenceSession` for a sparse model, with the same arguments; it can be sent to other processes.

    Args:
        path_or_bytes: a path, the bytes of a file, or a model in memory: of onnx, onnx-ir or qonnx.
        sess_options: options of the session; native kernels are registered in them, once. Without any the session can
            be pickled.
        providers: execution providers, by default the CPU.
        provider_options: options of the providers, in their order.
        kernels: `native` (the default) or `function`, see `Kernels`.
        fuse: with native kernels, let them do several nodes at once (`sparse_qonnx.fusion`); no value changes.
        options: whatever else onnxruntime's session takes by name.

    Raises:
        ModelFileError: if the model cannot be read or onnxruntime rejects it.
        ConfigurationError: for an unknown `kernels`.
    """

    def __init__(
        self,
        path_or_bytes: ModelSource,
        sess_options: onnxruntime.SessionOptions | None = None,
        providers: Sequence[Any] | None = None,
        provider_options: Sequence[Any] | None = None,
        *,
        kernels: str = "native",
        fuse: bool = True,
        **options: Any,
    ) -> None:
        if kernels not in {k.value for k in Kernels}:
            allowed = " or ".join(repr(k.value) for k in Kernels)
            raise ConfigurationError("InferenceSession", f"kernels={kernels!r}", allowed=allowed)
        native = Kernels(kernels) is Kernels.NATIVE
        proto = read_model(path_or_bytes)
        if not native and sess_options is not None and sess_options in _registered:
            proto = _with_own_functions(proto)
        if native and find_library() is None:
            native = False
            message = f"native kernels are missing ({why_no_library()}); the function bodies are many times slower"
            warnings.warn(message, SlowKernelsWarning, stacklevel=2)
        proto = fusion.fuse(proto) if native and fuse else proto
        more = {"providers": providers or ["CPUExecutionProvider"], "provider_options": provider_options, **options}
        self._open(describe_source(path_or_bytes), proto.SerializeToString(), sess_options, native, more)

    def _open(
        self,
        where: str,
        content: bytes,
        sess_options: onnxruntime.SessionOptions | None,
        native: bool,
        options: Mapping[str, Any],
    ) -> None:
        """Open what was read and fused already."""
        self._reopen = None if sess_options is not None else (where, content, None, native, options)
        sess_options = sess_options or onnxruntime.SessionOptions()
        if native:
            register(sess_options)
        try:
            super().__init__(content, sess_options, **options)
        except _ORT_ERRORS as error:
            if "Domain already set" in str(error):
                problem = "hold the native kernels already, or another library with operators of their domain"
                fix = "register them with sparse_qonnx.register, or give new SessionOptions"
                raise ConfigurationError("sess_options", problem, fix=fix) from error
            raise ModelFileError(where, f"onnxruntime rejects it: {error}") from error
        self._expected = {i.name: (i.type, i.shape) for i in self.get_inputs()}

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process opens the same session from.

        Raises:
            ConfigurationError: it was made with SessionOptions, which onnxruntime cannot send.
        """
        if self._reopen is None:
            fix = "make the session in the other process, or without sess_options"
            raise ConfigurationError("InferenceSession", "was made with SessionOptions: it cannot be pickled", fix=fix)
        return _reopened, (type(self), *self._reopen)

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any], run_options: Any = None
    ) -> list[Array]:
        """As onnxruntime's, after a check of names, shapes and types.

        Raises:
            InputDataError: if an input is missing, unknown, or of the wrong shape or type.
            ModelFileError: if onnxruntime cannot execute the model, for example because memory does not suffice.
        """
        check_inputs(self._expected, input_feed)
        try:
            result: list[Array] = super().run(output_names, dict(input_feed), run_options)
        except _ORT_ERRORS as error:
            raise ModelFileError("model", f"onnxruntime cannot execute it: {error}") from error
        return result


def _with_own_functions(model: ModelProto) -> ModelProto:
    """The model with its functions in domains of their own, where no kernel is registered that would go before them."""
    result = ModelProto()
    result.CopyFrom(model)
    known = {(function.domain, function.name) for function in result.functions}
    domains = {domain: f"{domain}.function" for domain, _ in known}
    for node, _ in all_nodes([result.graph.node, *(function.node for function in result.functions)]):
        if (node.domain, node.op_type) in known:
            node.domain = domains[node.domain]
    for function in result.functions:
        function.domain = domains[function.domain]
    result.opset_import.extend(helper.make_opsetid(domain, 1) for domain in domains.values())
    return result


def _reopened(kind: type[InferenceSession], *how: Any) -> InferenceSession:
    session = kind.__new__(kind)
    session._open(*how)
    return session


def _errors() -> tuple[type[Exception], ...]:
    state = onnxruntime.capi.onnxruntime_pybind11_state
    names = ("Fail", "InvalidGraph", "InvalidArgument", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, n) for n in names)


_ORT_ERRORS = _errors()
_LIBRARY_ERRORS: tuple[type[Exception], ...] = (*_ORT_ERRORS, OSError, ValueError)


def check_inputs(expected: Mapping[str, tuple[str, Sequence[Any]]], given: Mapping[str, Any]) -> None:
    """Raise InputDataError unless the arrays fit the inputs `{name: ("tensor(float)", shape)}`."""
    for name in given:
        if name not in expected:
            raise InputDataError(f"input {name!r}", "is not an input of the model", allowed=", ".join(expected))
    for name, (kind, shape) in expected.items():
        if name not in given:
            raise InputDataError(f"input {name!r}", "is missing", fix=f"pass an array of shape {list(shape)}")
        value = given[name]
        if not isinstance(value, np.ndarray):
            continue  # OrtValue: onnxruntime checks it
        fits = len(shape) == value.ndim and all(
            not isinstance(s, int) or s == v for s, v in zip(shape, value.shape, strict=True)
        )
        if not fits:
            raise InputDataError(f"input {name!r}", f"has shape {list(value.shape)}", allowed=str(list(shape)))
        if kind == "tensor(float)" and value.dtype != np.float32:
            fix = "convert it with x.astype(np.float32)"
            raise InputDataError(f"input {name!r}", f"has type {value.dtype}", allowed="float32", fix=fix)


def with_outputs(model: ModelProto, tensors: Iterable[str]) -> ModelProto:
    """The model with the named tensors as additional outputs.

    Raises:
        ModelFileError: if there is no such tensor, or nothing states its shape.
    """
    result = ModelProto()
    result.CopyFrom(model)
    values = all_values(result)
    present = {v.name for v in result.graph.output}
    for name in tensors:
        if name not in values:
            raise ModelFileError(f"tensor {name!r}", "is not in the model", allowed=", ".join(sorted(values)))
        if not values[name].type.tensor_type.HasField("shape"):
            problem = "is inside floating-point nodes, where nothing states its shape"
            raise ModelFileError(f"tensor {name!r}", problem, fix="ask for the result of the layer")
        if name not in present:
            result.graph.output.append(values[name])
            present.add(name)
    return result


def run_tensors(
    model: ModelSource, inputs: Mapping[str, Array], tensors: Iterable[str] | None = None, kernels: str = "function"
) -> dict[str, Array]:
    """Execute a model in onnxruntime and return named tensors, the outputs by default.

    Where the file holds numerators, the values that they stand for have a name, too.
    """
    proto = read_model(model)
    names, values = [v.name for v in proto.graph.output] if tensors is None else list(tensors), ValueNames(proto)
    held = values.all_held(names)
    session = InferenceSession(with_outputs(proto, held), kernels=kernels)
    return values.given(names, dict(zip(held, session.run(held, inputs), strict=True)))


def why_not_qonnx(model: ModelProto) -> str:
    """Why qonnx cannot execute a model node by node; "" where it can."""
    try:
        require_known_nodes(model, "qonnx")
    except SparseQonnxError as error:
        return str(error)
    values = all_values(model)
    for node in model.graph.node:
        if any(True for _ in subgraphs(node)):
            return f"node {node.name!r} ({node.op_type}) has a subgraph, which it does not execute"
        for name in filter(None, node.output):
            known = name in values and values[name].type.tensor_type.HasField("shape")
            if not known or not all(isinstance(size, int) for size in tensor_shape(values[name])[1:]):
                return f"the shape of {name!r} (node {node.name!r}, {node.op_type}) is not stated, which it asks for"
    return ""


def run_qonnx(
    model: ModelSource, inputs: Mapping[str, Array], tensors: Iterable[str] | None = None
) -> dict[str, Array]:
    """Execute a model node by node in qonnx and return named tensors, the outputs by default.

    qonnx wants every shape to be a number, so the batch dimension of a copy is set to that of the inputs.

    Raises:
        UnsupportedNodeError: a node of a domain that is not known here: qonnx imports the Python module of that name.
        ModelFileError: qonnx cannot execute the model.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    proto = read_model(model)
    require_known_nodes(proto, "qonnx")
    names = [v.name for v in proto.graph.output] if tensors is None else list(tensors)
    batch = len(next(iter(inputs.values())))
    try:
        with qonnx_ir_version(proto.ir_version):
            context = execute_onnx(ModelWrapper(with_batch(proto, batch)), dict(inputs), return_full_exec_context=True)
    except SparseQonnxError:
        raise
    except Exception as error:  # qonnx's own are bare Exceptions
        raise ModelFileError("model", f"qonnx cannot execute it: {error}") from error
    return ValueNames(proto).given(names, context)


def with_batch(model: ModelProto, batch: int) -> ModelProto:
    """The model with its symbolic first dimension fixed, and the type of each tensor stated once, as qonnx wants it."""
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    stated = {value.name: value for value in graph.value_info}
    outside = {value.name for value in (*graph.input, *graph.output)}
    inner = [value for name, value in stated.items() if name not in outside]
    del graph.value_info[:]
    graph.value_info.extend(inner)
    names = {shape[0] for value in graph.input if (shape := tensor_shape(value))}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for n, dim in enumerate(value.type.tensor_type.shape.dim):
            if not dim.HasField("dim_value") and (dim.dim_param or None) in names and (dim.dim_param or n == 0):
                dim.dim_value = batch
    return result


def affordable_batch(model: ModelProto, size: int) -> int:
    """At most `size` events, so few that the largest array that is made of them stays within the limit `batch_values`.

    That is a tensor of the model, or what an operator holds on the way, such as the taps that a convolution gathers.

    Raises:
        ModelFileError: if one event is too much already.
    """
    limits = current()
    values = all_values(model)
    held = [operators()[node.op_type].held_by(node, values) for node in model.graph.node if node.domain == DOMAIN]
    largest = max(held + [sample_values(tensor_shape(value)) for value in values.values()])
    limits.check("batch_values", largest, "model")
    return max(1, min(size, limits.batch_values // max(largest, 1)))


def input_dtypes(model: ModelProto) -> dict[str, np.dtype[Any]]:
    """NumPy's types of the model's inputs by name."""
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    return {name: np.dtype(helper.tensor_dtype_to_np_dtype(kind)) for name, kind in kinds.items()}


def input_shapes(model: ModelProto) -> dict[str, tuple[int | str | None, ...]]:
    """Shapes of the model's inputs by name."""
    return {v.name: tensor_shape(v) for v in model.graph.input}


__all__ = [
    "InferenceSession",
    "Kernels",
    "SlowKernelsWarning",
    "get_library_path",
    "register",
    "run_qonnx",
    "run_tensors",
]
