"""The params of a request that are tied to others by an expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.engine.expressions import Texts, pointer
from service.engine.formula import Formula
from service.engine.problem import Model
from service.errors import InvalidRequest
from service.schemas.options import Param, Tied

Given = Mapping[str, float | Param | Tied]


@dataclass(frozen=True, slots=True)
class Ties:
    """The tied params with their expressions, and the names of the other params that are given."""

    texts: Texts = ()
    given: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """The tied params."""
        return frozenset(name for name, _ in self.texts)


NO_TIES = Ties()


def ties_of(params: Given) -> Ties:
    """The ties among the params of a request. Raises InvalidRequest for a tied param that has a
    value, a bound, or is fixed."""
    tied: dict[str, str] = {}
    for name, param in params.items():
        if isinstance(param, Param | Tied) and param.expr is not None:
            if isinstance(param, Param):
                _check(name, param)
            tied[name] = param.expr
    if not tied:
        return NO_TIES
    return Ties(tuple(tied.items()), frozenset(name for name in params if name not in tied))


def _check(name: str, param: Param) -> None:
    at = f"/params{pointer(name)}".removesuffix("/expr")
    if param.value is not None:
        raise InvalidRequest(
            f"'{name}' has both a `value` and an `expr`; omit one of them", pointer=f"{at}/value"
        )
    if param.fixed:
        raise InvalidRequest(
            f"'{name}' is computed by its `expr` and cannot be fixed; omit `fixed`, or fix the "
            "params in the expression",
            pointer=f"{at}/fixed",
        )
    for side in ("min", "max"):
        if getattr(param, side) is not None:
            raise InvalidRequest(
                f"'{name}' is computed by its `expr` and cannot have a bound; omit `{side}`, or "
                "bound the params in the expression",
                pointer=f"{at}/{side}",
            )


def own_values(params: Mapping[str, float | Tied]) -> dict[str, float]:
    """The values of the params that are not tied."""
    return {name: value for name, value in params.items() if not isinstance(value, Tied)}


def texts_of(model: Model) -> dict[str, str]:
    """The expressions of the tied params of a model."""
    return dict(model.ties) if isinstance(model, Formula) else {}
