"""The configuration as a YAML file: reading one, and writing a complete one with comments for a model."""

from __future__ import annotations

import os
from typing import Any

import yaml
from onnx import ModelProto

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.files import ModelSource, files_of_model, read_model, write_bytes
from sparse_qonnx.hls.balance import Choice, balance
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.emit import layer_title
from sparse_qonnx.hls.factors import STRATEGIES, supported
from sparse_qonnx.hls.layer_options import listed
from sparse_qonnx.hls.lower import lower
from sparse_qonnx.hls.options import LAYER_OPTIONS, OPTIONS
from sparse_qonnx.hls.safe_yaml import load_yaml
from sparse_qonnx.hls.typed import Layer
from sparse_qonnx.limits import current
from sparse_qonnx.passes.input_precision import state_input_precision
from sparse_qonnx.system.outputs import output_file
from sparse_qonnx.system.regular import read_regular, reason

_INDENT = "  "


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The mapping in a YAML file, not yet checked.

    Raises:
        ConfigurationError: the file cannot be read, or is no mapping.
    """
    where = f"configuration {os.fspath(path)!r}"
    try:
        data = read_regular(path, current().configuration_bytes)
    except (OSError, ValueError) as error:
        raise ConfigurationError(where, f"cannot be read: {reason(error)}", fix="check the path") from error
    content = load_yaml(data, where)
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ConfigurationError(where, f"holds a {kind}", allowed="a mapping", fix="write it as 'key: value' lines")
    return content


def write_config(model: ModelSource, path: str | os.PathLike[str], config: HlsConfig | None = None) -> None:
    """Write every option with its value, what is allowed, and every layer of the model with what it can do.

    Args:
        model: path or ModelProto.
        path: file to write.
        config: values; the defaults when None.

    Raises:
        OutputPathError: the file cannot be written; and everything that `to_hls` raises about the model.
    """
    output_file(path, files_of_model(model))
    write_bytes(config_text(read_model(model), config or HlsConfig()).encode(), path)


def config_text(model: ModelProto, config: HlsConfig) -> str:
    """The file's content; reading it gives `config` again."""
    stated = state_input_precision(model, config.input_precision) if config.input_precision else model
    lowered = lower(stated, config)
    choices = balance(lowered, config)
    alone = {layer.node: supported(layer) for layer in lowered.layers}
    chosen = {choice.layer: choice for choice in choices.table}
    values = config.as_dict()
    lines = ["# Options of an HLS project: qonnx-to-hls MODEL.onnx -o FOLDER --config THIS.yml", ""]
    for key, option in OPTIONS.items():
        lines += [f"# {_sentence(option.help)}", f"# Allowed: {option.allowed}."]
        lines += [f"{key}: {_scalar(values[key])}", ""]
    lines += ["# Options of single layers. What is commented out is what was chosen for you.", "layers:"]
    for layer in choices.graph.layers:
        if layer.is_node:
            possible = {key: listed(v) for key, v in {**alone[layer.node], **supported(layer)}.items()}
            lines += _layer(layer, possible, chosen.get(layer.node), values)
    for name in choices.graph.skipped:
        lines += [f"{_INDENT}{_scalar(name)}:", *_options({"implementation": "skip"}, {}, {})]
    return "\n".join(lines) + "\n"


def _layer(layer: Layer, possible: dict[str, str], choice: Choice | None, values: dict[str, Any]) -> list[str]:
    """The options of a layer: those that were given, the choices, and others that do not go with the variant."""
    given = values["layers"].get(layer.node, {})
    chosen = {"implementation": values["head"], "weights": values["weights"]}
    if choice is not None:
        chosen |= {"variant": choice.variant, "strategy": STRATEGIES.get(choice.kernel)} | dict(choice.factors)
    exact = [t for t in layer.outputs if not t.is_coordinates and not t.tolerance]
    if exact:
        possible = possible | {"precision": LAYER_OPTIONS["precision"].allowed}
        chosen["precision"] = str(exact[0].type)
    free = {key: chosen.get(key) for key in possible if key not in given}
    return [f"{_INDENT}# {layer_title(layer)}", f"{_INDENT}{_scalar(layer.node)}:", *_options(given, free, possible)]


def _options(given: dict[str, Any], free: dict[str, Any], allowed: dict[str, str]) -> list[str]:
    lines = [f"{_INDENT * 2}{key}: {_scalar(value)}" for key, value in given.items()]
    for key, value in free.items():
        what = f"{LAYER_OPTIONS[key].help}: {allowed[key]}"
        other = f"{_INDENT * 2}## {key}, with another variant or strategy: {what}"
        lines.append(f"{_INDENT * 2}# {key}: {value}  # {what}" if value else other)
    return lines


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _scalar(value: object) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=False).strip()
    return text.removesuffix("...").strip()
