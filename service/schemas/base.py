"""Base classes of the schemas: strict validation of requests, exact numbers in answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, FiniteFloat, WithJsonSchema

Number = Annotated[
    float,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
            ],
            "description": "A number; a non-finite one is a string, as in protobuf's JSON.",
        }
    ),
]
"""A number in an answer: a diverging fit is a result, so it may be non-finite."""

Finite = FiniteFloat
"""A number in a request."""


class Request(BaseModel):
    """A request body. Unknown fields and coercions ("1.5" for 1.5) are refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class Answer(BaseModel):
    """A response body. Non-finite numbers are written as strings, never as literals."""

    model_config = ConfigDict(
        frozen=True,
        ser_json_inf_nan="strings",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
        protected_namespaces=(),
    )

    def document(self) -> bytes:
        """Its JSON."""
        return self.model_dump_json().encode()


class Sparse(Answer):
    """An answer that omits the fields that are null."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    def document(self) -> bytes:
        """Its JSON, without nulls."""
        return self.model_dump_json(exclude_none=True).encode()
