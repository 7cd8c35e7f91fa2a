"""The pages docs/reference/requests.md and answers.md, from the schemas of openapi.json: every
field, its type, its default and what it means. `make docs` writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"

Json = Mapping[str, Any]
_NAME = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LIMITS = {"minimum": "≥ ", "maximum": "≤ ", "exclusiveMinimum": "> ", "exclusiveMaximum": "< "}
_NON_FINITE = {"NaN", "Infinity", "-Infinity"}
_REQUESTS = """\
# Requests

Every field of every body and every query parameter, from the schemas themselves (`openapi.json`).
A field without a default is required; – is a default of null. What the names of models, losses,
optimizers and schedules mean: [the catalogue](catalogue.md).

With a body that is a file, every field of the body but `data` is a query parameter: a dot leads
into an object, as in `optimizer.learning_rate=0.1`, and a value may be JSON.
"""
_IN_BODY = "For a body that is not JSON: "
_OF_CSV = "For CSV: "
_ANSWERS = """\
# Answers

Every field of every answer, from the schemas themselves (`openapi.json`). A number that is not
finite is a string: `"NaN"`, `"Infinity"`, `"-Infinity"`. `null` is what does not exist. The
statistics of a fit are under [Statistics](#statistics), each with its formula.
"""


def pages() -> Mapping[str, str]:
    """The pages by name."""
    document = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
    schemas: Json = document["components"]["schemas"]
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    asked = _reached(schemas, (ref for _, op in operations for ref in _refs(op.get("requestBody"))))
    answered = _reached(schemas, (ref for _, op in operations for ref in _refs(op["responses"])))
    objects = [_object(name, schemas, answer=False) for name in asked]
    others = dict.fromkeys([*answered, *_reached(schemas, schemas)])
    answers = [_object(name, schemas, answer=True) for name in others if name not in asked]
    routes = [found for name, operation in operations if (found := _route(name, operation))]
    csv = {each["name"]: each for _, op in operations for each in _parameters(op, of_csv=True)}
    options = "\n".join(["## Options of CSV\n", *_table(csv.values()), ""])
    made = {
        "requests.md": "\n".join([_REQUESTS, *routes, options, *objects]),
        "answers.md": "\n".join([_ANSWERS, *answers]),
    }
    return {
        name: _linked(page, next(other for other in made if other != name))
        for name, page in made.items()
    }


def _linked(page: str, other: str) -> str:
    """The page with its links to what it does not have leading to the other."""
    own = {_anchor(title) for title in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    return re.sub(
        r"\]\(#([^)]*)\)", lambda link: link[0] if link[1] in own else f"]({other}#{link[1]})", page
    )


def fields(page: str) -> set[tuple[str, str]]:
    """(heading, field) of each row of a page."""
    found, heading = set(), ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif row := re.match(r"\| `(\w+)` \|", line):
            found.add((heading, row[1]))
    return found


def heading(name: str) -> str:
    """`SgdOptimizer` as "Sgd optimizer"."""
    return _NAME.sub(" ", name).capitalize()


def _refs(node: Any) -> Iterator[str]:
    """The names of the schemas that a node refers to."""
    if isinstance(node, dict):
        if node.get("$ref", "").startswith("#/components/schemas/"):
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def _reached(schemas: Json, roots: Iterable[str]) -> list[str]:
    """The schemas that are reached from others, nearest first, but for those without fields."""
    found = list(dict.fromkeys(roots))
    for name in found:
        found += [each for each in dict.fromkeys(_refs(schemas[name])) if each not in found]
    return [name for name in found if schemas[name].get("properties")]


def _parameters(operation: Json, *, of_csv: bool = False) -> list[Json]:
    """Its parameters but for those that stand for fields of the body: of CSV, or the others."""
    found = [each for each in operation.get("parameters", ()) if "name" in each]
    plain = [each for each in found if not each.get("description", "").startswith(_IN_BODY)]
    return [each for each in plain if each.get("description", "").startswith(_OF_CSV) is of_csv]


def _route(name: str, operation: Json) -> str:
    """A route: what it does, its body, and its parameters."""
    body = next(_refs(operation.get("requestBody")), None)
    parameters = _parameters(operation)
    if body is None and not parameters:
        return ""
    lines = [f"## {name}\n", _line(operation["summary"]) + ".\n"]
    if body is not None:
        lines.append(f"Body: [{heading(body)}](#{_anchor(heading(body))}).\n")
    return "\n".join([*lines, *_table(parameters), ""])


def _table(parameters: Iterable[Json]) -> list[str]:
    rows = ["| parameter | in | type | default | |", "|---|---|---|---|---|"]
    for each in parameters:
        schema = each.get("schema", {})
        about = (each.get("description") or schema.get("description", "")).removeprefix(_OF_CSV)
        default = "" if each.get("required") else _default(schema)
        rows.append(
            f"| `{each['name']}` | {each['in']} | {_type(schema)} | {default} | {_line(about)} |"
        )
    return rows if len(rows) > 2 else []


def _object(name: str, schemas: Json, *, answer: bool) -> str:
    """A schema as a section. A field of which nothing is said is what its type is."""
    schema = schemas[name]
    lines = [f"## {heading(name)}\n", f"{_line(schema.get('description', ''))}\n"]
    required = set(schema.get("required", ()))
    if answer:
        lines += ["| field | type | |", "|---|---|---|"]
    else:
        lines += ["| field | type | default | |", "|---|---|---|---|"]
    for field, each in schema["properties"].items():
        default = "" if field in required else _default(each)
        middle = "" if answer else f" {default} |"
        kind = next(_refs(each), None)
        about = each.get("description") or (schemas[kind].get("description", "") if kind else "")
        about = about or ("Which it is." if "const" in each else "")
        lines.append(f"| `{field}` | {_type(each)} |{middle} {_line(about)} |")
    return "\n".join([*lines, ""])


def _default(schema: Json) -> str:
    """The default; for an optional field without one, a dash."""
    if schema.get("default") is None:
        return "–"
    return f"`{json.dumps(schema['default'], ensure_ascii=False)}`"


def _type(schema: Json) -> str:
    """A type in words: "number > 0 or null"."""
    return " or ".join(dict.fromkeys(_types(schema))) or "anything"


def _types(schema: Json) -> Iterator[str]:
    if "$ref" in schema:
        title = heading(schema["$ref"].rpartition("/")[2])
        yield f"[{title}](#{_anchor(title)})" if title else ""
        return
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            for each in schema[several]:
                if set(each.get("enum", ())) != _NON_FINITE:
                    yield from _types(each)
            return
    if "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"])
    elif "const" in schema:
        yield f"`{schema['const']}`"
    else:
        kinds = schema.get("type", [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            yield _of_kind(kind, schema)


def _of_kind(kind: str, schema: Json) -> str:
    match kind:
        case "array" if "prefixItems" in schema:
            return f"list of {len(schema['prefixItems'])}"
        case "array":
            return f"list of {_type(schema.get('items', {}))}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {_type(schema['additionalProperties'])}"
        case "integer" | "number":
            limits = [f"{sign}{schema[key]:.12g}" for key, sign in _LIMITS.items() if key in schema]
            return " ".join([kind, ", ".join(limits)]).strip()
        case _:
            return kind


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _line(text: str) -> str:
    """A text as a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def undescribed(names: Sequence[str] = ("requests.md",)) -> list[tuple[str, str]]:
    """The fields of these pages that nothing is said of."""
    found = []
    for name in names:
        title = ""
        for line in pages()[name].splitlines():
            if line.startswith("## "):
                title = line[3:]
                continue
            row = re.match(r"\| `(\w+)` \| (\w+)?.*\|  \|$", line)
            if row and row[1] != "name" and row[2] != "path":
                found.append((title, row[1]))
    return found


def write() -> None:
    """Writes the pages."""
    for name, page in pages().items():
        (REFERENCE / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write()
