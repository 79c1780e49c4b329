"""The configuration as a YAML file: reading one, and writing a complete one with comments for a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from onnx import ModelProto

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.files import read_model, write_bytes
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.emit import layer_title
from sparse_qonnx.hls.factors import supported
from sparse_qonnx.hls.layer_options import listed
from sparse_qonnx.hls.lower import lower
from sparse_qonnx.hls.options import LAYER_OPTIONS, OPTIONS
from sparse_qonnx.hls.typed import Layer
from sparse_qonnx.passes.input_precision import state_input_precision

_INDENT = "  "


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for n, key in enumerate(keys):
            if key in keys[:n]:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The mapping in a YAML file, not yet checked.

    Raises:
        ConfigurationError: the file cannot be read, or is no mapping.
    """
    where = f"configuration {os.fspath(path)!r}"
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(where, f"cannot be read: {reason}", fix="check the path") from error
    except (yaml.YAMLError, TypeError) as error:
        problem = " ".join(str(error).split())
        raise ConfigurationError(where, f"is not YAML: {problem}", fix="write it as 'key: value' lines") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ConfigurationError(where, f"holds a {kind}", allowed="a mapping", fix="write it as 'key: value' lines")
    return content


def write_config(
    model: str | os.PathLike[str] | ModelProto, path: str | os.PathLike[str], config: HlsConfig | None = None
) -> None:
    """Write every option with its value, what is allowed, and every layer of the model with what it can do.

    Args:
        model: path or ModelProto.
        path: file to write.
        config: values; the defaults when None.

    Raises:
        OutputPathError: the file cannot be written; and everything that `to_hls` raises about the model.
    """
    write_bytes(config_text(read_model(model), config or HlsConfig()).encode(), path)


def config_text(model: ModelProto, config: HlsConfig) -> str:
    """The file's content; reading it gives `config` again."""
    stated = state_input_precision(model, config.input_precision) if config.input_precision else model
    graph = lower(stated, config)
    values = config.as_dict()
    lines = ["# Options of an HLS project: qonnx-to-hls MODEL.onnx -o FOLDER --config THIS.yml", ""]
    for key, option in OPTIONS.items():
        lines += [f"# {_sentence(option.help)}", f"# Allowed: {option.allowed}."]
        lines += [f"# Not implemented yet: {missing}." for missing in option.missing]
        lines += [f"{key}: {_scalar(values[key])}", ""]
    lines += ["# Options of single layers. What is commented out is chosen for you.", "layers:"]
    for layer in graph.layers:
        if layer.is_node:
            lines += _layer(layer, values["layers"].get(layer.node, {}))
    for name in graph.skipped:
        lines += [f"{_INDENT}{_scalar(name)}:", *_options({"implementation": "skip"}, {})]
    return "\n".join(lines) + "\n"


def _layer(layer: Layer, given: dict[str, Any]) -> list[str]:
    possible = {key: (str(values[0]), listed(values)) for key, values in supported(layer).items()}
    exact = [t for t in layer.outputs if not t.is_coordinates and not t.tolerance]
    if exact:
        possible["precision"] = (str(exact[0].type), LAYER_OPTIONS["precision"].allowed)
    free = {key: shown for key, shown in possible.items() if key not in given}
    return [f"{_INDENT}# {layer_title(layer)}", f"{_INDENT}{_scalar(layer.node)}:", *_options(given, free)]


def _options(given: dict[str, Any], free: dict[str, tuple[str, str]]) -> list[str]:
    lines = [f"{_INDENT * 2}{key}: {_scalar(value)}" for key, value in given.items()]
    for key, (value, allowed) in free.items():
        lines.append(f"{_INDENT * 2}# {key}: {value}  # {LAYER_OPTIONS[key].help}: {allowed}")
    return lines


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _scalar(value: object) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=False).strip()
    return text.removesuffix("...").strip()
