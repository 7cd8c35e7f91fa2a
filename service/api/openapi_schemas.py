"""The schemas of openapi.json: requests in pydantic's validation mode, answers in its serialization
mode."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    models_json_schema,
)

from service.api.answers import Health
from service.schemas import (
    answers,
    catalogue,
    certification,
    compare,
    comparisons,
    compute,
    draws,
    fit,
    grouped,
    jobs,
    plot,
    problems,
    readable,
    unknowns,
)

Part = dict[str, Any]

_REQUESTS = (
    fit.FitRequest,
    compare.CompareRequest,
    compute.PredictRequest,
    compute.LossRequest,
    compute.GradientRequest,
    unknowns.InvertRequest,
    plot.PlotRequest,
    readable.ReadRequest,
)
_ANSWERS = (
    Health,
    answers.Fit,
    grouped.GroupedFit,
    comparisons.Comparison,
    comparisons.GroupedComparison,
    answers.History,
    draws.Draws,
    catalogue.DiagnosticEntry,
    catalogue.DiagnosticList,
    catalogue.LikelihoodList,
    catalogue.LossList,
    catalogue.ModelList,
    catalogue.OptimizerList,
    certification.Certification,
    compute.GradientAnswer,
    compute.LossAnswer,
    compute.Predictions,
    jobs.DoneEvent,
    jobs.Job,
    jobs.JobList,
    jobs.ProgressEvent,
    problems.Problem,
    readable.Columns,
    unknowns.Unknowns,
)


class Untitled(GenerateJsonSchema):
    """Omits titles, which only repeat a field's name, and defaults that are objects."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def tuple_schema(self, schema: Any) -> JsonSchemaValue:
        """A tuple of equal types is an array of them: many tools know no `prefixItems`."""
        made = super().tuple_schema(schema)
        parts = made.get("prefixItems", ())
        if parts and all(part == parts[0] for part in parts):
            made["items"] = made.pop("prefixItems")[0]
        return made

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """A default that is an object is given by its name where a name is accepted, else omitted:
        client generators do not support it."""
        made = super().default_schema(schema)
        if isinstance(default := made.get("default"), dict):
            del made["default"]
            short = default.get("name", default.get("method"))
            if any(short in part.get("enum", ()) for part in made.get("anyOf", ())):
                made["default"] = short
        return made


def component_schemas() -> Part:
    """The schemas by name."""
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((schema, "validation") for schema in _REQUESTS),
        *((schema, "serialization") for schema in _ANSWERS),
    ]
    _, made = models_json_schema(
        modes, schema_generator=Untitled, ref_template="#/components/schemas/{model}"
    )
    schemas: Part = made["$defs"]
    # A problem omits members that do not apply.
    optional = {name for name, f in problems.Problem.model_fields.items() if not f.is_required()}
    problem = schemas["Problem"]
    problem["required"] = [name for name in problem["required"] if name not in optional]
    for schema in schemas.values():
        _require_discriminators(schema)
    return dict(sorted(schemas.items()))


def _require_discriminators(schema: Part) -> None:
    """A constant that distinguishes the members of a union is required, its default apart."""
    for name in ("name", "method"):
        own = schema.get("properties", {}).get(name, {})
        if "const" in own:
            own.pop("default", None)
            schema["required"] = list(dict.fromkeys([name, *schema.get("required", ())]))
