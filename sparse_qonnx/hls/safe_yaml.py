"""YAML as data: mappings, lists, numbers and text of bounded size and depth. No aliases, no other types."""

from __future__ import annotations

from typing import Any, ClassVar

import yaml

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.limits import current
from sparse_qonnx.text import shortened, shown

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is written in C, where it was built
_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map"))
_LONGEST_NUMBER = 100
"""Characters."""


class _Loader(_BASE):  # type: ignore[misc]
    """Refuses every type but those of JSON, and a key that is given twice, of which YAML would take the last."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _TAGS]
        for first, resolvers in _BASE.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag not in _TAGS:
            raise _error(f"the type {shown(node.tag)}; allowed are mappings, lists, numbers and text", node)
        if node.tag in {f"{_TAG}int", f"{_TAG}float"} and len(str(node.value)) > _LONGEST_NUMBER:
            raise _error(f"a number of {len(node.value):,} characters", node)
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError, TypeError, OverflowError) as error:  # such as !!int x
            raise _error(f"{shown(node.value)} is no {node.tag.removeprefix(_TAG)}", node) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _error("a key that is a mapping or a list", key_node)
            key = self.construct_object(key_node, deep=True)
            if key in found:
                raise _error(f"key {shown(key)} is given twice", node)
            found[key] = self.construct_object(value_node, deep=True)
        return found


def _construct_map(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(f"{_TAG}map", _construct_map)


def _error(problem: str, node: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def load_yaml(data: bytes, where: str) -> Any:
    """What a YAML document holds.

    Args:
        data: the document, in UTF-8.
        where: how messages name it.

    Raises:
        ConfigurationError: it is larger or deeper than the limits allow, no YAML, or uses aliases or other types.
    """
    limits = current()
    limits.check("configuration_bytes", len(data), where, "bytes or more", error=ConfigurationError)
    try:
        text = data.decode("utf-8-sig")
        depth = 0
        for event in yaml.parse(text, _BASE):  # before anything is built: this needs no stack
            if isinstance(event, yaml.AliasEvent):
                raise _error(f"the alias {shown(event.anchor)}; write the value again", event)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            limits.check("nesting", depth, where, "lists and mappings in each other", error=ConfigurationError)
        return yaml.load(text, _Loader)  # a SafeLoader
    except UnicodeDecodeError as error:
        raise ConfigurationError(where, "cannot be read: it is not text", fix="write it in UTF-8") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = shortened(" ".join(str(error).split()), 400)
        raise ConfigurationError(where, f"is not YAML: {problem}", fix="write it as 'key: value' lines") from error
