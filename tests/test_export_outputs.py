"""Outputs: dictionaries keep their keys as names, whatever layers are called; every output is compared with Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_models import assert_exact, events, sparse_model
from sparse_qonnx.runtime import InferenceSession

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")
L = keras.layers


def heads(x: Any) -> tuple[Any, Any]:
    from hgq.layers import QDense

    flat = L.Flatten(name="flat")(x)
    return QDense(3, name="first")(flat), QDense(2, name="second")(flat)


def outputs(model: Any) -> dict[str, Any]:
    """The file's outputs by name, after comparing them and every layer with Keras."""
    x = events()
    proto = assert_exact(model, x)
    session = InferenceSession(proto)
    found = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"x_in": x}), strict=True))
    want = model(x)
    for name, value in keras.tree.flatten_with_path(want):
        key = ".".join(map(str, name))
        if key in found:
            assert np.array_equal(found[key], value)
    return found


def test_keys_become_names_in_sorted_order() -> None:
    def body(x: Any, _: Any) -> Any:
        a, b = heads(x)
        return {"logits": a, "box": b}

    assert list(outputs(sparse_model(body))) == ["box", "logits"]


def test_nested_structures_are_joined_by_dots() -> None:
    def body(x: Any, _: Any) -> Any:
        a, b = heads(x)
        return {"heads": {"logits": a, "boxes": [b, a]}}

    assert list(outputs(sparse_model(body))) == ["heads.boxes.0", "heads.boxes.1", "heads.logits"]


def test_lists_keep_the_layers_names() -> None:
    assert list(outputs(sparse_model(lambda x, _: list(heads(x))))) == ["first", "second"]


def test_a_key_that_is_the_name_of_the_layer_costs_no_node() -> None:
    def body(x: Any, _: Any) -> Any:
        a, b = heads(x)
        return {"first": a, "second": b}

    proto = assert_exact(sparse_model(body), events())
    assert [o.name for o in proto.graph.output] == ["first", "second"]
    assert "Identity" not in {node.op_type for node in proto.graph.node}


@pytest.mark.parametrize("key", ["flat", "second", "reduce", "first.linear"])
def test_a_key_goes_before_another_tensor_of_that_name(key: str) -> None:
    """`second` is another layer's name, `first.linear` a tensor inside one."""

    def body(x: Any, _: Any) -> Any:
        a, b = heads(x)
        return {key: a, "rest": b}

    assert set(outputs(sparse_model(body))) == {key, "rest"}


def test_the_input_keeps_its_name() -> None:
    def body(x: Any, _: Any) -> Any:
        return {"x_in": heads(x)[0]}

    assert list(outputs(sparse_model(body))) == ["x_in.output"]


def test_a_sparse_map_and_its_vector() -> None:
    def body(x: Any, _: Any) -> Any:
        return {"map": x, "vector": L.Flatten()(x)}

    found = outputs(sparse_model(body))
    assert found["map"].shape[1:] == (8, 7, 2) and found["vector"].shape[1:] == (112,)


def test_one_tensor_under_two_keys() -> None:
    def body(x: Any, _: Any) -> Any:
        a, _ = heads(x)
        return {"one": a, "two": a}

    found = outputs(sparse_model(body))
    assert np.array_equal(found["one"], found["two"])


def test_outputs_are_in_the_reference_under_their_names() -> None:
    from sparse_qonnx.export.freeze import reference_outputs

    model = sparse_model(lambda x, _: {"map": x, "vector": heads(x)[0]})
    assert {"map", "vector"} <= reference_outputs(model, events()).keys()
