"""The strongest dense rival: the same network as standard ONNX on whole images, channels first, everything folded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from sparse_qonnx.fusion import fold_constants
from sparse_qonnx.graph import initializers

Array = NDArray[np.float32]


class _Dense:
    """Translates node by node; scales of quantizers move into the weights around them."""

    def __init__(self, model: ModelProto) -> None:
        self.model = fold_constants(model)
        self.known = initializers(self.model)
        self.nodes: list[object] = []
        self.constants: dict[str, Array] = {}
        self.scale: dict[str, float] = {}  # what a tensor is multiplied by to give the original one
        self.channels = 1
        self.names: dict[str, str] = {}
        self.mask = ""

    def add(self, op_type: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], **attributes))
        return name

    def const(self, value: object, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def input_reduce(self, node: object, a: dict) -> None:
        """The first N pixels above the threshold, counted along the flat image."""
        graph_input = self.model.graph.input[0]
        height, width, channels = (d.dim_value for d in graph_input.type.tensor_type.shape.dim[1:])
        assert channels == 1
        flat = self.add("Reshape", graph_input.name, self.const([0, height * width], np.int64))
        above = self.add("Cast", self.add("Greater", flat, self.const(a["threshold"])), to=1)
        count = self.add("CumSum", above, self.const(1, np.int64))
        early = self.add("LessOrEqual", count, self.const(a["n_max_pixels"]))
        kept = self.add("Mul", above, self.add("Cast", early, to=1))
        to_image = self.const([0, 1, height, width], np.int64)
        x = self.add("Reshape", self.add("Mul", flat, kept), to_image)
        self.mask = self.add("Cast", self.add("Reshape", kept, to_image), to=9)
        self.names[node.output[0]] = x

    def conv(self, node: object, a: dict) -> None:
        quantizer = self.quantizer_behind(node.output[0])
        w = self.known[node.input[2]] * self.scale.get(node.input[0], 1.0) / quantizer["scale"]
        bias = self.known[node.input[3]].reshape(1, -1, 1, 1) / quantizer["scale"]
        assert node.op_type == "SparseConv" and a.get("group", 1) == 1 and (bias != 0).any()
        sums = self.add("Conv", self.names[node.input[0]], self.const(w), auto_pad="SAME_UPPER")
        lit = self.add("And", self.add("Cast", sums, to=9), self.mask)
        y = self.add("Where", lit, self.add("Add", sums, self.const(bias)), self.const(0))
        self.channels = len(w)
        self.quantize(y, quantizer)

    def quantizer_behind(self, tensor: str) -> dict:
        (relu,) = [n for n in self.model.graph.node if tensor in n.input]
        (quant,) = [n for n in self.model.graph.node if relu.output[0] in n.input]
        assert (relu.op_type, quant.op_type) == ("Relu", "Quant")
        scale, _, bits = (float(self.known[n].item()) for n in quant.input[1:4])
        return {"output": quant.output[0], "scale": scale, "top": 2.0**bits - 1}

    def quantize(self, x: str, quantizer: dict) -> None:
        """Relu is the lower limit of an unsigned quantizer."""
        self.names[quantizer["output"]] = self.add(
            "Round", self.add("Clip", x, self.const(0), self.const(quantizer["top"]))
        )
        self.scale[quantizer["output"]] = quantizer["scale"]

    def pool(self, node: object, a: dict) -> None:
        assert a["mode"] == b"average"
        shape = {"kernel_shape": a["kernel_shape"], "strides": a["kernel_shape"]}
        self.names[node.output[0]] = self.add("AveragePool", self.names[node.input[0]], **shape)
        self.scale[node.output[0]] = self.scale.get(node.input[0], 1.0)

    def flatten(self, node: object, a: dict) -> None:
        self.names[node.output[0]] = self.names[node.input[0]]
        self.scale[node.output[0]] = self.scale.get(node.input[0], 1.0)

    def to_dense(self, node: object, a: dict) -> None:
        """Only the order of the weights behind it knows that channels come first."""
        self.flatten(node, a)
        self.names[node.output[0]] = self.add("Flatten", self.names[node.input[0]])

    def dense(self, node: object, a: dict) -> None:
        w = self.known[node.input[1]] * self.scale.get(node.input[0], 1.0)
        if self.channels > 1:
            w = w.reshape(-1, self.channels, w.shape[1]).transpose(1, 0, 2).reshape(w.shape)
        self.channels = 1
        (add,) = [n for n in self.model.graph.node if node.output[0] in n.input]
        bias = self.known[add.input[1]]
        last = any(n.op_type == "Softmax" and add.output[0] in n.input for n in self.model.graph.node)
        quantizer = {"scale": 1.0} if last else self.quantizer_behind(add.output[0])
        w, bias = w / quantizer["scale"], bias / quantizer["scale"]
        y = self.add("Gemm", self.names[node.input[0]], self.const(w), self.const(bias))
        self.names[add.output[0]] = y
        if not last:
            self.quantize(y, quantizer)

    def softmax(self, node: object, a: dict) -> None:
        self.names[node.output[0]] = self.add("Softmax", self.names[node.input[0]], axis=-1)

    def run(self) -> ModelProto:
        table = {
            "InputReduce": self.input_reduce,
            "SparseConv": self.conv,
            "SparsePool": self.pool,
            "SparseToDense": self.to_dense,
            "Flatten": self.flatten,
            "MatMul": self.dense,
            "Softmax": self.softmax,
        }
        for node in self.model.graph.node:
            if node.op_type in table:
                table[node.op_type](node, {a.name: helper.get_attribute_value(a) for a in node.attribute})
        (output,) = self.model.graph.output
        self.nodes.append(helper.make_node("Identity", [self.names[output.name]], [output.name]))
        weights = [numpy_helper.from_array(v, k) for k, v in self.constants.items()]
        graph = helper.make_graph(self.nodes, "dense", self.model.graph.input, [output], weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def dense_graph(model: ModelProto) -> ModelProto:
    """A file of this package as dense ONNX; knows the layers of the networks that are measured, not more."""
    return _Dense(model).run()
