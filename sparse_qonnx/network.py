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
from dataclasses import dataclass
from typing import Any, TypeVar, final

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.files import write_model
from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.graph import BATCH, IR_VERSION, OPSETS, QUANT_DOMAIN, infer_node, weight_quantizer
from sparse_qonnx.naming import Names
from sparse_qonnx.ops import DOMAIN
from sparse_qonnx.origin import LAYER_KEY
from sparse_qonnx.passes import finalize
from sparse_qonnx.standard.quant import ROUNDING_NAMES

Array = NDArray[Any]


@final
@dataclass(frozen=True)
class SparseMap:
    """A sparse feature map: the kept pixels of an image of `height` rows and `width` columns.

    Attributes:
        features: values of the pixels, `[batch, N, C]`; an empty slot holds 0.
        coords: their 1-based rows and columns, int64 `[batch, N, 2]`; (0, 0) marks an empty slot.
    """

    features: ir.Value
    coords: ir.Value
    height: int
    width: int


Tensor = TypeVar("Tensor", ir.Value, SparseMap)


class Network:
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
        self.name = name
        self._tape = ir.tape.Tape()
        self._inputs: list[ir.Value] = []
        self._outputs: list[ir.Value] = []
        self._values: dict[str, ir.Value] = {}
        self._names = Names(first=0)
        self._infos: dict[str, ValueInfoProto] = {}
        self._tensors: dict[str, TensorProto] = {}

    # ---- inputs, outputs, constants -----------------------------------------------------------------------------

    def input(self, name: str, shape: Sequence[int]) -> ir.Value:
        """Declare a float32 input `[batch, *shape]`."""
        value = ir.val(self._new(name), ir.DataType.FLOAT, [BATCH, *shape])
        self._inputs.append(self._keep(value))
        return value

    def output(self, value: ir.Value) -> None:
        """Declare a result of the network."""
        self._outputs.append(self._own(value))

    def constant(self, name: str, values: ArrayLike) -> ir.Value:
        """A constant, in the type of the array."""
        return self._constant(self._new(name), values)

    def weights(self, name: str, values: ArrayLike) -> ir.Value:
        """Weights that already lie on a grid, with the standard `Quant` that says so."""
        return self._weights(self._new(name), values)

    # ---- any operator -------------------------------------------------------------------------------------------

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
        return self._op(op_type, inputs, self._named(op_type, name), domain, **attributes)

    # ---- sparse operators ---------------------------------------------------------------------------------------

    def input_reduce(
        self, image: ir.Value, n_max_pixels: int, threshold: float = 0.0, *, name: str | None = None
    ) -> SparseMap:
        """The first `n_max_pixels` pixels of `image [batch, H, W, C]` whose first channel is above the threshold."""
        name = self._named("InputReduce", name)
        attributes = {"n_max_pixels": n_max_pixels, "threshold": float(threshold)}
        features, coords = self._append(
            "InputReduce", [image], [name, self._names(f"{name}.coords")], DOMAIN, attributes
        )
        height, width = self._static(image)[:2]
        return SparseMap(features, coords, height, width)

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
        kernel = np.asarray(kernel)
        inputs = [x.features, x.coords, self._weights(self._names(f"{name}.kernel"), kernel)]
        if bias is not None:
            inputs.append(self._weights(self._names(f"{name}.bias"), bias))
        attributes: dict[str, Any] = {"kernel_shape": kernel.shape[2:], "dilations": dilations, "group": group}
        return self._on(x, self._op("SparseConv", inputs, name, DOMAIN, **attributes))

    def sparse_pool(
        self, x: SparseMap, kernel_shape: tuple[int, int], mode: str = "average", *, name: str | None = None
    ) -> SparseMap:
        """`average` or `max` pooling with stride = kernel; pixels of a partial window leave."""
        name = self._named("SparsePool", name)
        attributes = {"mode": mode, "kernel_shape": kernel_shape, "spatial_shape": (x.height, x.width)}
        inputs = [x.features, x.coords]
        features, coords = self._append("SparsePool", inputs, [name, self._names(f"{name}.coords")], DOMAIN, attributes)
        return SparseMap(features, coords, x.height // kernel_shape[0], x.width // kernel_shape[1])

    def to_dense(self, x: SparseMap, *, name: str | None = None) -> ir.Value:
        """The image `[batch, H, W, C]`, 0 where no pixel was kept."""
        return self._to_dense(x, self._named("SparseToDense", name))

    # ---- dense and elementwise operators ------------------------------------------------------------------------

    def flatten(self, x: ir.Value | SparseMap, *, name: str | None = None) -> ir.Value:
        """One vector an event, rows first, channels last: `[batch, H * W * C]`."""
        name = self._named("Flatten", name)
        image = self._to_dense(x, self._names(f"{name}.dense"), layer=name) if isinstance(x, SparseMap) else x
        return self._op("Flatten", [image], name)

    def dense(
        self, x: ir.Value, kernel: ArrayLike, bias: ArrayLike | None = None, *, name: str | None = None
    ) -> ir.Value:
        """`x @ kernel + bias` with `kernel [K, F]` and `bias [F]`."""
        name = self._named("Dense", name)
        matrix = self._weights(self._names(f"{name}.kernel"), kernel)
        if bias is None:
            return self._op("MatMul", [x, matrix], name)
        product = self._op("MatMul", [x, matrix], self._names(f"{name}.matmul"), layer=name)
        return self._op("Add", [product, self._weights(self._names(f"{name}.bias"), bias)], name)

    def relu(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """`max(x, 0)`."""
        return self._on(x, self.op("Relu", [self._data(x)], name=name))

    def add(self, a: Tensor, b: Tensor, *, name: str | None = None) -> Tensor:
        """The sum of two tensors, or of two feature maps on the same pixels."""
        if isinstance(a, SparseMap) and (not isinstance(b, SparseMap) or a.coords is not b.coords):
            where = f"{name or 'add'}: {a.features.name!r} and {self._data(b).name!r}"
            raise ConfigurationError(where, "live on different pixels", allowed="feature maps with the same coords")
        return self._on(a, self.op("Add", [self._data(a), self._data(b)], name=name))

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
        parts = {"scale": 2.0**-fractional_bits, "zero_point": 0.0, "bits": float(bits)}
        constants: list[ir.Value] = [
            self._constant(self._names(f"{name}.{part}"), np.float32(v)) for part, v in parts.items()
        ]
        attributes: dict[str, Any] = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": rounding_mode}
        inputs = [self._data(x), *constants]
        return self._on(x, self._op("Quant", inputs, name, QUANT_DOMAIN, **attributes))

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
        formats = [np.asarray(v, np.float32) for v in (signed, integer_bits, fractional_bits)]
        inputs = [self._data(x)]
        inputs += [self._constant(self._names(f"{name}.{part}"), v) for part, v in zip("kif", formats, strict=True)]
        if isinstance(x, SparseMap) and max(v.ndim for v in formats) == 3:
            inputs.append(x.coords)
        modes = {
            "rounding_mode": RoundingMode(rounding_mode).value,
            "overflow_mode": OverflowMode(overflow_mode).value,
        }
        return self._on(x, self._op("FixedPointQuant", inputs, name, DOMAIN, **modes))

    # ---- the file -----------------------------------------------------------------------------------------------

    def to_ir(self) -> ir.Model:
        """The network so far as an onnx-ir model: float32 throughout, nothing proven, no function bodies."""
        graph = ir.Graph(
            self._inputs,
            self._outputs,
            nodes=self._tape.nodes,
            initializers=self._tape.initializers,
            opset_imports=dict(OPSETS),
            name=self.name,
        )
        return ir.Model(graph, ir_version=IR_VERSION)

    def build(self, input_precision: str | Mapping[str, str] | None = None) -> ModelProto:
        """The finished file: types proven exact, function bodies attached, annotated.

        Args:
            input_precision: fixed-point type of the inputs, `ap_[u]fixed<W,I>`, or one by input name; derived from the
                quantizers that read them when None.

        Raises:
            PrecisionError: numbers that need more bits than float64 holds.
        """
        return finalize(ir.to_proto(self.to_ir()), input_precision, {"packages": f"onnx-ir {ir.__version__}"})

    def save(self, path: str | os.PathLike[str], input_precision: str | Mapping[str, str] | None = None) -> ModelProto:
        """Build the file and write it, whole or not at all."""
        model = self.build(input_precision)
        write_model(model, path)
        return model

    # ---- inside: names are settled here, made fresh unless the user gave them ------------------------------------

    def _constant(self, name: str, values: ArrayLike) -> ir.Value:
        array = np.asarray(values, order="C")  # not ascontiguousarray, which makes scalars vectors
        tensor = ir.tensor(array, name=name)
        self._tensors[name] = ir.to_proto(tensor)
        return self._keep(self._tape.initializer(tensor))

    def _weights(self, name: str, values: ArrayLike) -> ir.Value:
        array = np.asarray(values)
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

    def _append(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        names: Sequence[str],
        domain: str,
        attributes: Mapping[str, Any],
        layer: str = "",
    ) -> list[ir.Value]:
        """Append a node; it belongs to the layer of its first result unless another is given."""
        known = [None if value is None else self._own(value) for value in inputs]
        results = [ir.Value(name=name) for name in names]
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items()}
        first = names[0]
        says = {LAYER_KEY: layer or first}
        self._tape.op_multi_out(
            op_type, known, settings, domain=domain, outputs=results, name=first, metadata_props=says
        )
        for value, info in zip(results, self._infer(results), strict=True):
            ir.serde.deserialize_value_info_proto(info, value)
            self._keep(value)
        return results

    def _infer(self, results: Sequence[ir.Value]) -> list[ValueInfoProto]:
        producer = results[0].producer()
        assert producer is not None
        return infer_node(ir.to_proto(producer), self._infos, self._tensors)

    def _new(self, name: str) -> str:
        if name in self._names:
            raise ConfigurationError(
                f"name {name!r}", "is used twice", allowed="one value a name", fix="choose another"
            )
        self._names.keep(name)
        return name

    def _named(self, op_type: str, name: str | None) -> str:
        return self._new(name) if name else self._names.numbered(op_type.lower())

    def _keep(self, value: ir.Value) -> ir.Value:
        assert value.name is not None
        self._values[value.name] = value
        self._infos[value.name] = ir.to_proto(value)
        return value

    def _own(self, value: ir.Value) -> ir.Value:
        if value.name is None or self._values.get(value.name) is not value:
            raise ConfigurationError(f"value {value.name!r}", f"is not of the network {self.name!r}")
        return value

    def _static(self, value: ir.Value) -> tuple[int, ...]:
        return tuple(d for d in (value.shape or ()) if isinstance(d, int))

    @staticmethod
    def _data(x: ir.Value | SparseMap) -> ir.Value:
        return x.features if isinstance(x, SparseMap) else x

    @staticmethod
    def _on(x: Tensor, result: ir.Value) -> Tensor:
        """The result as what `x` is: on the same pixels where it is sparse."""
        if isinstance(x, SparseMap):
            return SparseMap(result, x.coords, x.height, x.width)
        return result
