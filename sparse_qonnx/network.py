"""Writing a sparse network by hand, without Keras: typed methods, one an operator, on onnx-ir values.

>>> net = Network("tiny")
>>> image = net.input("image", (28, 28, 1))
>>> x = net.input_reduce(image, n_max_pixels=20)
>>> x = net.relu(net.sparse_conv(x, kernel, bias, name="conv"))
>>> x = net.quant(x, bits=8, fractional_bits=4, signed=False)
>>> net.output(net.dense(net.flatten(net.sparse_pool(x, (4, 4))), weights))
>>> net.save("tiny.onnx", input_precision="ap_ufixed<8,0>")
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto

from sparse_qonnx.errors import ConfigurationError, PrecisionError
from sparse_qonnx.files import write_model
from sparse_qonnx.fixed import FixedPointType, OverflowMode, RoundingMode
from sparse_qonnx.graph import BATCH, QUANT_DOMAIN, weight_quantizer
from sparse_qonnx.network_arguments import (
    require_conv_weights,
    require_dense_weights,
    require_formats,
    require_image,
    require_integer,
    require_mode,
    require_number,
    require_numbers,
    require_operator,
    require_sizes,
    results_of,
)
from sparse_qonnx.network_graph import NetworkGraph, whole
from sparse_qonnx.network_graph import SparseMap as SparseMap
from sparse_qonnx.ops import DOMAIN
from sparse_qonnx.passes import finalize
from sparse_qonnx.passes.infer_grids import input_types
from sparse_qonnx.standard.quant import ROUNDING_NAMES

Array = NDArray[Any]


Tensor = TypeVar("Tensor", ir.Value, SparseMap)


class Network(NetworkGraph):
    """A network under construction; every method appends a node and returns its result, shape and type inferred.

    Results are `onnx_ir.Value`s, or `SparseMap`s of two of them. Weights must already lie on a grid of at most 24
    bits: they are stored with the narrowest standard `Quant`, which changes none of them.

    Args:
        name: name of the graph.

    Raises:
        ConfigurationError: by any method: a name that is used twice, a value of another network.
        ModelFileError: by any method: an operator that does not fit the shapes of its inputs.
        PrecisionError: by any method with weights: more than 24 bits, or not finite.
    """

    def __init__(self, name: str = "network") -> None:
        super().__init__(name)
        self._precisions: dict[str, str] = {}
        self._built: tuple[Any, ModelProto] = (None, ModelProto())

    # ---- inputs, outputs, constants -----------------------------------------------------------------------------

    @whole
    def input(self, name: str, shape: Sequence[int], precision: str | None = None) -> ir.Value:
        """Declare a float32 input `[batch, *shape]`.

        Args:
            name: of the input.
            shape: of one event.
            precision: its fixed-point type, `ap_[u]fixed<W,I>`; `build` may give another.
        """
        if precision is not None:
            FixedPointType.parse(precision, f"precision of input {name!r}")
        sizes = require_sizes(f"shape of input {name!r}", shape)
        value = self._keep(ir.val(self._new(name), ir.DataType.FLOAT, [BATCH, *sizes]))
        self._graph.inputs.append(value)
        if precision is not None:
            self._precisions[name] = precision
        return value

    def output(self, value: ir.Value) -> None:
        """Declare a result of the network."""
        known = self._dense("output", value)
        if known in self._graph.outputs:
            raise ConfigurationError(f"output {known.name!r}", "is declared twice", allowed="each output once")
        self._graph.outputs.append(known)

    @whole
    def constant(self, name: str, values: ArrayLike) -> ir.Value:
        """A constant, in the type of the array."""
        return self._constant(self._new(name), values)

    @whole
    def weights(self, name: str, values: ArrayLike) -> ir.Value:
        """Weights that already lie on a grid, with the standard `Quant` that says so."""
        return self._weights(self._new(name), values)

    # ---- any operator -------------------------------------------------------------------------------------------

    @whole
    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        *,
        name: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> ir.Value:
        """Append a standard ONNX operator with one result, or one of another domain that is known here.

        Args:
            op_type: operator of ONNX opset 19, or of `domain`.
            inputs: values of this network, None for an omitted optional input.
            name: of the result and the node; by default the operator's, numbered.
            domain: domain of the operator.
            attributes: its attributes.
        """
        where = f"node {name or op_type!r}"
        require_operator(where, op_type, domain)
        if results_of(op_type, domain) > 1:
            problem = f"{op_type!r} has {results_of(op_type, domain)} results"
            raise ConfigurationError(where, problem, allowed="operators with one result, or the method for this one")
        return self._op(op_type, inputs, self._named(op_type, name), domain, **attributes)

    # ---- sparse operators ---------------------------------------------------------------------------------------

    @whole
    def input_reduce(
        self, image: ir.Value, n_max_pixels: int, threshold: float = 0.0, *, name: str | None = None
    ) -> SparseMap:
        """The first `n_max_pixels` pixels of `image [batch, H, W, C]` whose first channel is above the threshold."""
        name = self._named("InputReduce", name)
        source = self._dense(name, image)
        height, width = require_image(name, source)
        slots = require_integer(f"n_max_pixels of {name!r}", n_max_pixels, 1)
        attributes = {"n_max_pixels": slots, "threshold": require_number(f"threshold of {name!r}", threshold)}
        features, coords = self._append(
            "InputReduce", [source], [name, self._names(f"{name}.coords")], DOMAIN, attributes
        )
        return SparseMap(features, coords, height, width)

    @whole
    def sparse_conv(
        self,
        x: SparseMap,
        kernel: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        dilations: Sequence[int] = (1, 1),
        group: int = 1,
        name: str | None = None,
    ) -> SparseMap:
        """A convolution on the pixels of `x`, stride 1, "same" padding; the bias only where a filter's sum is not 0.

        Args:
            x: feature map with C channels.
            kernel: weights `[F, C / group, kh, kw]`, the layout of ONNX and PyTorch.
            bias: `[F]`.
            dilations: distance between taps, rows and columns.
            group: channel groups.
            name: of the result.
        """
        name = self._named("SparseConv", name)
        x = self._map(name, x)
        array = require_numbers(f"kernel of {name!r}", kernel)
        added = None if bias is None else require_numbers(f"bias of {name!r}", bias)
        require_conv_weights(name, x.features, array, added, require_integer(f"group of {name!r}", group, 1))
        inputs = [x.features, x.coords, self._weights(self._names(f"{name}.kernel"), array)]
        if added is not None:
            inputs.append(self._weights(self._names(f"{name}.bias"), added))
        attributes: dict[str, Any] = {"kernel_shape": array.shape[2:], "dilations": dilations, "group": group}
        return self._on(x, self._op("SparseConv", inputs, name, DOMAIN, **attributes))

    @whole
    def sparse_pool(
        self, x: SparseMap, kernel_shape: tuple[int, int], mode: str = "average", *, name: str | None = None
    ) -> SparseMap:
        """`average`, `sum` or `max` pooling with stride = kernel; pixels of a partial window leave."""
        name = self._named("SparsePool", name)
        x = self._map(name, x)
        attributes = {"mode": mode, "kernel_shape": kernel_shape, "spatial_shape": (x.height, x.width)}
        inputs = [x.features, x.coords]
        features, coords = self._append("SparsePool", inputs, [name, self._names(f"{name}.coords")], DOMAIN, attributes)
        return SparseMap(features, coords, x.height // kernel_shape[0], x.width // kernel_shape[1])

    @whole
    def to_dense(self, x: SparseMap, *, name: str | None = None) -> ir.Value:
        """The image `[batch, H, W, C]`, 0 where no pixel was kept."""
        name = self._named("SparseToDense", name)
        return self._to_dense(self._map(name, x), name)

    # ---- dense and elementwise operators ------------------------------------------------------------------------

    @whole
    def flatten(self, x: ir.Value | SparseMap, *, name: str | None = None) -> ir.Value:
        """One vector an event, rows first, channels last: `[batch, H * W * C]`."""
        name = self._named("Flatten", name)
        image = self._to_dense(x, self._names(f"{name}.dense"), layer=name) if isinstance(x, SparseMap) else x
        return self._op("Flatten", [self._dense(name, image)], name)

    @whole
    def dense(
        self, x: ir.Value, kernel: ArrayLike, bias: ArrayLike | None = None, *, name: str | None = None
    ) -> ir.Value:
        """`x @ kernel + bias` with `kernel [K, F]` and `bias [F]`."""
        name = self._named("Dense", name)
        x = self._dense(name, x)
        array = require_numbers(f"kernel of {name!r}", kernel)
        added = None if bias is None else require_numbers(f"bias of {name!r}", bias)
        require_dense_weights(name, x, array, added)
        matrix = self._weights(self._names(f"{name}.kernel"), array)
        if added is None:
            return self._op("MatMul", [x, matrix], name)
        product = self._op("MatMul", [x, matrix], self._names(f"{name}.matmul"), layer=name)
        return self._op("Add", [product, self._weights(self._names(f"{name}.bias"), added)], name)

    def relu(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """`max(x, 0)`."""
        return self._on(x, self.op("Relu", [self._data(x)], name=name))

    def add(self, a: Tensor, b: Tensor, *, name: str | None = None) -> Tensor:
        """The sum of two tensors, or of two feature maps on the same pixels."""
        one, other = (self._own(self._data(x)) for x in (a, b))
        pixels = {id(x.coords) if isinstance(x, SparseMap) else None for x in (a, b)}
        if len(pixels) > 1:
            where = f"{name or 'add'}: {one.name!r} and {other.name!r}"
            raise ConfigurationError(where, "live on different pixels", allowed="feature maps with the same coords")
        return self._on(a, self.op("Add", [one, other], name=name))

    @whole
    def quant(
        self,
        x: Tensor,
        *,
        bits: int,
        fractional_bits: int,
        signed: bool,
        narrow: bool = False,
        rounding_mode: str = "ROUND",
        name: str | None = None,
    ) -> Tensor:
        """The standard QONNX `Quant`: `bits` in all, saturating; ROUND is half to even.

        Args:
            x: what to quantize.
            bits: total width, the sign included.
            fractional_bits: a step is `2 ** -fractional_bits`.
            signed: whether values can be negative.
            narrow: leave out the most negative value.
            rounding_mode: ROUND, HALF_UP, HALF_DOWN, FLOOR or DOWN, as in QONNX.
            name: of the result.
        """
        if rounding_mode not in ROUNDING_NAMES.values():
            allowed = ", ".join(sorted(ROUNDING_NAMES.values()))
            raise ConfigurationError(name or "quant", f"rounding_mode={rounding_mode!r}", allowed=allowed)
        name = self._named("Quant", name)
        bits = require_integer(f"bits of {name!r}", bits, 1)
        fractional_bits = require_integer(f"fractional_bits of {name!r}", fractional_bits)
        parts = {"scale": 2.0**-fractional_bits, "zero_point": 0.0, "bits": float(bits)}
        constants: list[ir.Value] = [
            self._constant(self._names(f"{name}.{part}"), np.float32(v)) for part, v in parts.items()
        ]
        attributes: dict[str, Any] = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": rounding_mode}
        inputs = [self._data(x), *constants]
        return self._on(x, self._op("Quant", inputs, name, QUANT_DOMAIN, **attributes))

    @whole
    def fixed_point_quant(
        self,
        x: Tensor,
        signed: ArrayLike,
        integer_bits: ArrayLike,
        fractional_bits: ArrayLike,
        rounding_mode: str = "RND",
        overflow_mode: str = "WRAP",
        *,
        name: str | None = None,
    ) -> Tensor:
        """Any fixed-point format, one for all elements, by channel, or by pixel; `ap_fixed`'s rounding and overflow.

        Args:
            x: what to quantize.
            signed: 1 or 0.
            integer_bits: without the sign.
            fractional_bits: a width of 0 or less gives 0.
            rounding_mode: RND, RND_CONV, TRN, …
            overflow_mode: WRAP, SAT, SAT_SYM, …
            name: of the result. The three formats broadcast against `x`; on a SparseMap those of shape `[H, W, C]`
                are read at each slot's pixel.
        """
        name = self._named("FixedPointQuant", name)
        given = {"signed": signed, "integer_bits": integer_bits, "fractional_bits": fractional_bits}
        formats = [require_numbers(f"{key} of {name!r}", v).astype(np.float32) for key, v in given.items()]
        pixels = (x.height, x.width) if isinstance(x, SparseMap) else None
        require_formats(name, self._own(self._data(x)), formats, pixels)
        inputs = [self._data(x)]
        inputs += [self._constant(self._names(f"{name}.{part}"), v) for part, v in zip("kif", formats, strict=True)]
        if isinstance(x, SparseMap) and max(v.ndim for v in formats) == 3:
            inputs.append(x.coords)
        modes = {
            "rounding_mode": require_mode(f"rounding_mode of {name!r}", rounding_mode, RoundingMode).value,
            "overflow_mode": require_mode(f"overflow_mode of {name!r}", overflow_mode, OverflowMode).value,
        }
        return self._on(x, self._op("FixedPointQuant", inputs, name, DOMAIN, **modes))

    # ---- the file -----------------------------------------------------------------------------------------------

    def to_ir(self) -> ir.Model:
        """The network so far as an onnx-ir model: float32 throughout, nothing proven, no function bodies."""
        return ir.from_proto(self._to_proto())

    def build(self, input_precision: str | Mapping[str, str] | None = None) -> ModelProto:
        """The finished file: types proven exact, function bodies attached, annotated; the network can still grow.

        Args:
            input_precision: fixed-point type of the inputs, `ap_[u]fixed<W,I>`, or one by input name; what `input` was
                told goes after it, and what can be derived from the quantizers that read the input after that.

        Raises:
            ConfigurationError: the network has no output.
            PrecisionError: numbers that need more bits than float64 holds; an input whose type is neither given nor
                that of quantizers.
        """
        if not self._graph.outputs:
            raise ConfigurationError(f"network {self.name!r}", "has no output", fix="declare one: output(value)")
        if not isinstance(input_precision, str):
            input_precision = self._precisions | dict(input_precision or {})
        proto = self._to_proto()
        key = (proto.SerializeToString(deterministic=True), repr(input_precision))
        if key != self._built[0]:
            made = finalize(proto, input_precision, {"packages": f"onnx-ir {ir.__version__}"})
            self._require_types(made)
            self._built = (key, made)
        result = ModelProto()
        result.CopyFrom(self._built[1])
        return result

    def _require_types(self, model: ModelProto) -> None:
        for name in (value.name for value in self._graph.inputs):
            if name not in input_types(model):
                problem = "has no fixed-point type: none was given, and not only quantizers read it"
                fix = "give input_precision='ap_ufixed<W,I>', W bits, I of them in front of the binary point"
                raise PrecisionError(f"input {name!r}", problem, fix=fix)

    def save(self, path: str | os.PathLike[str], input_precision: str | Mapping[str, str] | None = None) -> ModelProto:
        """Build the file and write it, whole or not at all."""
        model = self.build(input_precision)
        write_model(model, path)
        return model

    # ---- inside: names are settled here, made fresh unless the user gave them ------------------------------------

    def _constant(self, name: str, values: ArrayLike) -> ir.Value:
        return self._initializer(ir.tensor(require_numbers(f"constant {name!r}", values), name=name))

    def _weights(self, name: str, values: ArrayLike) -> ir.Value:
        array = require_numbers(f"weights {name!r}", values)
        parameters, attributes = weight_quantizer(name, array)
        parts = [self._constant(name, array.astype(np.float32))]
        parts += [self._constant(self._names(f"{name}.{part}"), value) for part, value in parameters.items()]
        return self._op("Quant", parts, self._names(f"{name}.q"), QUANT_DOMAIN, **attributes)

    def _to_dense(self, x: SparseMap, name: str, layer: str = "") -> ir.Value:
        shape = (x.height, x.width)
        return self._op("SparseToDense", [x.features, x.coords], name, DOMAIN, layer, spatial_shape=shape)

    def _op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        name: str,
        domain: str = "",
        layer: str = "",
        **attributes: Any,
    ) -> ir.Value:
        (result,) = self._append(op_type, inputs, [name], domain, attributes, layer)
        return result

    @staticmethod
    def _data(x: ir.Value | SparseMap) -> ir.Value:
        return x.features if isinstance(x, SparseMap) else x

    @staticmethod
    def _on(x: Tensor, result: ir.Value) -> Tensor:
        """The result as what `x` is: on the same pixels where it is sparse."""
        if isinstance(x, SparseMap):
            return SparseMap(result, x.coords, x.height, x.width)
        return result
