"""docs/layers.md says what really happens: one model a row, made anew."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.keras, pytest.mark.slow]
pytest.importorskip("keras")
pytest.importorskip("tf2onnx")


def test_the_page_is_up_to_date_and_nothing_differs() -> None:
    import layer_support

    page = layer_support.page()
    assert "DIFFERS" not in page
    assert page == layer_support.TARGET.read_text(encoding="utf-8"), "run: python docs/layer_support.py"
