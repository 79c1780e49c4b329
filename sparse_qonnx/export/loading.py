"""Models on disk: what `keras.models.load_model` cannot do with sparsepixels.

sparsepixels' layers are not registered with Keras, and `QConv2DSparse.get_config` stores `use_bias` and `activation`
twice: in the configuration of the convolution it wraps and beside it. `QConv2DSparse.from_config` then passes both to
the constructor, which fails, and it hands over quantizer configurations as plain dictionaries. The stand-in below reads
such files as they are; newer ones with the duplicates removed are read the same way.
"""

from __future__ import annotations

import importlib
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparse_qonnx.datasets.hdf5 import check_weights
from sparse_qonnx.errors import ConfigurationError, ModelFileError, SparseQonnxError
from sparse_qonnx.export.archive import check_archive
from sparse_qonnx.system.regular import check_regular, reason
from sparse_qonnx.text import shortened

_LAYERS = ("InputReduce", "RemoveDilatedPixels", "AveragePooling2DSparse", "MaxPooling2DSparse")


def build_conv(config: dict[str, Any]) -> Any:
    """A `QConv2DSparse` from the configuration that its `get_config` writes.

    Args:
        config: configuration, with Keras objects serialized or alive.
    """
    import keras
    from sparsepixels.layers import QConv2DSparse

    config = dict(config)
    arguments = dict(keras.saving.deserialize_keras_object(dict(config.pop("conv_config"))))
    arguments["name"] = config.get("name", arguments.get("name"))
    bq_conf = config.get("bq_conf")
    layer = QConv2DSparse(
        **{
            **arguments,
            "use_bias": config.get("use_bias", True),
            "bq_conf": keras.saving.deserialize_keras_object(bq_conf) if isinstance(bq_conf, dict) else bq_conf,
            "activation": config.get("activation"),
        }
    )
    layer.trainable = config.get("trainable", True)
    return layer


def sparse_objects() -> dict[str, Any]:
    """The layers of sparsepixels by the names saved models use, for `custom_objects`."""
    from sparsepixels import layers

    class QConv2DSparse:
        """Stands in for the class while a configuration is read."""

        from_config = staticmethod(build_conv)

    return {"QConv2DSparse": QConv2DSparse, **{name: getattr(layers, name) for name in _LAYERS}}


def load_model(
    path: str | os.PathLike[str], *, safe_mode: bool = True, custom_objects: dict[str, Any] | None = None
) -> Any:
    """Load a `.keras` file, today's broken sparsepixels serialization included.

    Args:
        path: file written by `model.save("….keras")`.
        safe_mode: Keras's safe mode: refuse files that carry Python code (lambda functions).
        custom_objects: further classes and functions by name.

    Returns:
        The Keras model, not compiled.

    Raises:
        ModelFileError: a file that is missing, not a Keras archive, or not readable by the installed packages.
    """
    import hgq.layers  # noqa: F401  # registers HGQ2's classes
    import keras

    file = Path(path)
    where = f"file {str(path)!r}"
    _check_regular(file, where)
    if file.suffix != ".keras" or not zipfile.is_zipfile(file):
        raise ModelFileError(
            where,
            "is not a Keras archive",
            allowed="a .keras file, as model.save('name.keras') writes it",
            fix="save the model in that format; for a .weights.h5 file give the function that builds the model",
        )
    check_archive(file, where)
    objects = {**sparse_objects(), **(custom_objects or {})}
    return _reading(
        where, lambda: keras.models.load_model(file, custom_objects=objects, compile=False, safe_mode=safe_mode)
    )


def _check_regular(path: Path, where: str) -> None:
    try:
        check_regular(path)
    except FileNotFoundError as error:
        raise ModelFileError(where, "does not exist", fix="check the path") from error
    except (OSError, ValueError) as error:
        raise ModelFileError(where, f"cannot be read: {reason(error)}", fix="check the path") from error


def load_weights(builder: str | Callable[[], Any], path: str | os.PathLike[str]) -> Any:
    """Build a model and load a `.weights.h5` file into it.

    Args:
        builder: function without arguments that returns the untrained model, or where it is: `package.module:function`.
        path: file written by `model.save_weights("….weights.h5")`.

    Raises:
        ModelFileError: a file that is missing, damaged, or made by another model.
        ConfigurationError: a builder that cannot be found, or returns no model.
    """
    import keras

    where = f"file {str(path)!r}"
    _check_regular(Path(path), where)
    _reading(where, lambda: check_weights(os.fspath(path), where, ModelFileError))
    model = _built(find_builder(builder) if isinstance(builder, str) else builder, f"builder {builder!r}")
    if not isinstance(model, keras.Model):
        raise ConfigurationError(f"builder {builder!r}", f"returns {type(model).__name__}", allowed="a Keras model")
    _reading(where, lambda: model.load_weights(os.fspath(path)))
    return model


def find_builder(place: str) -> Callable[[], Any]:
    """The function at `package.module:function`; modules in the working folder are found as well.

    Raises:
        ConfigurationError: naming what is not there.
    """
    where, allowed = f"builder {place!r}", "package.module:function"
    module, _, name = place.partition(":")
    if not module or not name:
        raise ConfigurationError(where, "names no function", allowed=allowed)
    folder = str(Path.cwd())
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        problem, fix = f"cannot be imported: {error}", "check PYTHONPATH"
        raise ConfigurationError(where, problem, allowed=allowed, fix=fix) from error
    except (Exception, SystemExit) as error:  # whatever the module does
        problem = f"cannot be imported: {_told(error)}"
        raise ConfigurationError(where, problem, fix=f"run python -c 'import {module}'") from error
    finally:
        if added:
            sys.path.remove(folder)
    if not callable(found):
        raise ConfigurationError(where, f"module {module!r} has no function {name!r}", allowed=allowed)
    return found  # type: ignore[no-any-return]


def _built(builder: Callable[[], Any], where: str) -> Any:
    try:
        return builder()
    except SparseQonnxError:
        raise
    except (Exception, SystemExit) as error:  # somebody's own code
        raise ConfigurationError(where, f"raises {_told(error)}", fix="call it in Python to see where") from error


def _told(error: BaseException) -> str:
    return shortened(f"{type(error).__name__}: {error}", 300)


def _reading(where: str, read: Callable[[], Any]) -> Any:
    """Run a reader of Keras's; whatever it raises becomes one line."""
    try:
        return read()
    except SparseQonnxError:
        raise
    except Exception as error:
        fix = _TRUST if "safe_mode" in str(error) else _CHECK
        raise ModelFileError(where, f"Keras cannot read it: {_reason(error)}", fix=fix) from error


_TRUST = "pass safe_mode=False if you trust its author"
_CHECK = "check that the file is whole and was saved with the installed versions; name other classes in custom_objects"


def _reason(error: Exception) -> str:
    """The innermost cause: Keras wraps it in the configuration of every layer around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Exception encountered")]
    reason = [*lines[:1], *causes][-1] if lines else type(error).__name__
    return reason.removeprefix("Exception encountered: ")[:300]
