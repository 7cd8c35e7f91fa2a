"""Resolves a path of the body in its JSON Schema, to report what is allowed there."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

Path = tuple[str | int, ...]
Schema = dict[str, Any]


class SchemaWalk:
    """What the schema of `body` allows at a path of it."""

    def __init__(self, model: type[BaseModel], body: object) -> None:
        self._root = _json_schema(model)
        self._body = body

    def fields(self, path: Path) -> list[str]:
        """The names of the fields that the object at `path` may have."""
        return sorted({name for schema in self.at(path) for name in schema.get("properties", ())})

    def limits(self, path: Path) -> Schema:
        """`minimum`, `exclusiveMinimum`, `maximum`, `exclusiveMaximum` of the number at `path`."""
        names = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
        for schema in self.at(path):
            if limits := {name: schema[name] for name in names if name in schema}:
                return limits
        return {}

    def names(self, path: Path) -> list[str]:
        """The `name`s that the object at `path` may have."""
        return [name for schema in self.at(path) for name in _names(schema)]

    def takes_string(self, path: Path) -> bool:
        """Whether a string is allowed at `path`."""
        return any(schema.get("type") == "string" for schema in self.at(path))

    def items(self, schema: Schema) -> list[Schema]:
        """The schemas of the elements of a list of that schema."""
        return list(self._alternatives(schema["items"], None)) if "items" in schema else []

    def at(self, path: Path) -> list[Schema]:
        """The schemas that the value at `path` may have."""
        node = self._body
        candidates = list(self._alternatives(self._root, node))
        for part in path:
            node = _step(node, part)
            candidates = [
                alternative
                for candidate in candidates
                if isinstance(below := _below(candidate, part), dict)
                for alternative in self._alternatives(below, node)
            ]
        return candidates

    def _alternatives(self, schema: Schema, node: object) -> Iterator[Schema]:
        """The schemas that `schema` resolves to, without those of another discriminator."""
        if "$ref" in schema:
            schema = self._root["$defs"][schema["$ref"].rpartition("/")[2]]
        parts = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if parts:
            for part in parts:
                yield from self._alternatives(part, node)
        elif _matches_name(schema, node):
            yield schema


@cache
def _json_schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _step(node: object, part: str | int) -> object:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _below(schema: Schema, part: str | int) -> object:
    if isinstance(part, int):
        return schema.get("items")
    return schema.get("properties", {}).get(part, schema.get("additionalProperties"))


def _matches_name(schema: Schema, node: object) -> bool:
    names = _names(schema)
    name = node.get("name") if isinstance(node, dict) else None
    return not names or name is None or name in names


def _names(schema: Schema) -> list[str]:
    """The discriminator values of an alternative: `{"name": "sgd"}`."""
    tag = schema.get("properties", {}).get("name", {})
    return [tag["const"]] if "const" in tag else tag.get("enum", [])
