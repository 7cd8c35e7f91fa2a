"""The body of POST /compare: models of the same target, to be fitted to the same rows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Tag
from pydantic.json_schema import SkipJsonSchema
from pydantic.types import Discriminator

from service.schemas.base import Finite, Request
from service.schemas.columns import Data, Units
from service.schemas.comparisons import Criterion, TestName
from service.schemas.fit import Tags
from service.schemas.likelihoods import Bins, Likelihood
from service.schemas.models import Model
from service.schemas.names import DType, Missing, Name
from service.schemas.noise import NoiseModel, Sigma, Weights
from service.schemas.numbers import named
from service.schemas.optimizers import AUTOMATIC, Optimizer
from service.schemas.options import GroupBy, Param, Report, Scaling, Tolerance
from service.schemas.rows import Rows

Label = Annotated[str, Field(min_length=1, max_length=256)]
_MOST_MODELS = 64


def _for_all(value: Any) -> Any:
    if value is None:
        return None
    raise ValueError(
        "models are compared on the same rows with the same noise: give it once, beside `models`"
    )


def _likelihood(value: Any) -> Any:
    if value in (None, "mse", {"name": "mse"}):
        return None
    raise ValueError("models are compared by their Gaussian likelihood: the loss must be 'mse'")


def _without_prior(value: float | Param) -> float | Param:
    if isinstance(value, Param) and value.prior is not None:
        raise ValueError(
            "models are compared by the likelihood of the data alone, without a prior: omit it"
        )
    return value


_Param = Annotated[Finite | Param, AfterValidator(_without_prior)]
_ForAll = SkipJsonSchema[Annotated[Any, AfterValidator(_for_all)]]
_Loss = SkipJsonSchema[Annotated[Any, AfterValidator(_likelihood)]]


class Candidate(Request):
    """One of the models to compare, with how to fit it: the fields of a request of `POST /fit`."""

    model: Model
    """A formula, with or without its left side; a name of `GET /models`; or an object."""
    label: Label | None = None
    """Its name in the answer. Default: the model as given."""
    params: dict[Name, _Param] = {}
    """Initial values, or objects with `value`, `min`, `max`, `fixed`."""
    optimizer: Optimizer = AUTOMATIC
    """A name of `GET /optimizers`, or an object with its options; `auto` chooses by the formula,
    the bounds and the loss."""
    scaling: Scaling | None = None
    """x' = scale·x + offset of inputs, in which the `params` are; as for `POST /fit`."""
    epochs: Annotated[int, Field(ge=1, le=10**8)] | None = None
    """Maximum number of epochs."""
    tolerance: Tolerance = Tolerance()
    challenge: bool = True
    """Whether the minimum of a nonlinear fit is compared with those found from other starts."""
    report: Report | None = None
    """Quantities derived from the params. Default: those of the comparison."""
    loss: _Loss = None
    data: _ForAll = None
    sigma: _ForAll = None
    sigma_absolute: _ForAll = None
    weights: _ForAll = None
    outliers: _ForAll = None
    missing: _ForAll = None
    units: _ForAll = None
    dtype: _ForAll = None
    seed: _ForAll = None
    likelihood: _ForAll = None
    bins: _ForAll = None


class Catalogue(Request):
    """Every family of the catalogue."""

    name: Literal["catalogue"] = "catalogue"
    """Always `catalogue`."""
    inputs: Annotated[list[str], Field(min_length=1, max_length=1)] | None = None
    """The predictor column. Default: `x` if the data have it, else the only column besides the
    target."""
    target: str | None = None
    """The response column. Default: `y` if the data have it, else the last column."""


def _candidate(value: Any) -> Any:
    bare = isinstance(value, str) or (isinstance(value, dict) and "model" not in value)
    return {"model": value} if bare else value


def _split(value: Any) -> Any:
    """The models of a text, which are separated by commas outside parentheses."""
    if not isinstance(value, str):
        return value
    parts, depth = [""], 0
    for character in value:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _kind(value: object) -> str:
    is_catalogue = value == "catalogue" or isinstance(value, dict | Catalogue)
    return "catalogue" if is_catalogue else "list"


_Candidate = Annotated[
    Candidate, BeforeValidator(_candidate, json_schema_input_type=Model | Candidate)
]
Models = Annotated[
    Annotated[
        list[_Candidate],
        Field(min_length=1, max_length=_MOST_MODELS),
        BeforeValidator(_split, json_schema_input_type=str | list[_Candidate]),
        Tag("list"),
    ]
    | Annotated[
        Catalogue,
        BeforeValidator(named, json_schema_input_type=Literal["catalogue"] | Catalogue),
        Tag("catalogue"),
    ],
    Discriminator(_kind),
]


class Sharing(Request):
    """One hypothesis about the curves of groups: which params have one value for all groups."""

    shared: Literal["all"] | Annotated[list[Name], Field(max_length=64)]
    """Names of params; none are separate curves, `all` is one curve."""
    label: Label | None = None
    """Its name in the answer. Default: `K shared`, `separate` or `one curve`."""


def _names(value: Any) -> Any:
    """`K, Vm` as an object; `all` is that text."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    names = [name.strip() for name in text.split(",")] if text else []
    return {"shared": "all" if text == "all" else names}


def _several(value: Any) -> Any:
    """The hypotheses of a text, separated by semicolons."""
    is_list = isinstance(value, str) and ";" in value
    return [_names(part) for part in value.split(";")] if is_list else value


def _count(value: object) -> str:
    return "list" if isinstance(value, list) else "one"


_One = Annotated[Sharing, BeforeValidator(_names, json_schema_input_type=str | Sharing)]
Nulls = Annotated[
    Annotated[_One, Tag("one")]
    | Annotated[list[Sharing], Field(min_length=1, max_length=_MOST_MODELS), Tag("list")],
    Discriminator(_count),
    BeforeValidator(_several),
]


class CompareRequest(Request):
    """Models, and the data to compare them on. Only `data` is required."""

    models: Models = Catalogue()
    """The models: formulas, names of `GET /models`, objects, or requests of `POST /fit` without
    their data; formulas and names also as one text, separated by commas; or `catalogue`, every
    family of the catalogue."""
    data: Data
    """Named columns of equal length."""
    criterion: Criterion = "aicc"
    """By which the models are ranked: the smallest is the first."""
    tests: Annotated[list[TestName], Field(max_length=3)] | None = None
    """`f` and `lrt` (likelihood ratio) compare a model with one that is nested in it;
    `lack_of_fit` compares each model with the means of rows that have equal inputs. Default: `f`,
    with a likelihood or an expression of sigma `lrt`; none for the catalogue."""
    nested: Annotated[list[tuple[str, str]], Field(max_length=256)] = []
    """Pairs of labels, of a smaller model and a larger one of which it is a special case, for which
    this cannot be proved from their formulas."""
    group_by: GroupBy | None = None
    """The column by whose values the rows are grouped; the models are compared in each group. With
    `null`, the curves of the groups are."""
    null: Nulls | None = None
    """Which params the groups share if their curves do not differ otherwise, such as `{"shared":
    ["K"]}`; one model is then fitted so, and as `alternative` says, to all rows with one noise. A
    list has several. As text: names separated by commas, or `all`."""
    alternative: _One | None = None
    """Which params the groups share if the curves differ. Default: none."""
    report: Report | None = None
    """Quantities derived from the params of every model that has no `report` of its own; `default`
    are those of its family."""
    rows: Rows | None = None
    """Which rows to use: a condition on the columns, such as `x > 2 and x < 10`. Default: all."""
    units: Units = {}
    """Units of columns, by name, for reports."""
    sigma: Sigma | NoiseModel | None = None
    """The standard deviation of the target's noise: a column's name, a number, a list, or an
    expression of the prediction, `{"expr": "0.05*pred"}`, which each model then has at its own."""
    likelihood: Likelihood | None = None
    """Of a target of counts, `poisson` or `binomial`: the models are compared by it in place of the
    Gaussian, their `rss` is the deviance, and the test of nested ones is `lrt`."""
    bins: Bins | None = None
    """Two columns, the edges of the bins over which each model is integrated."""
    sigma_absolute: bool = False
    """Whether `sigma` is in the units of the target. False: it gives relative weights, whose scale
    is estimated from the residuals."""
    weights: Weights | None = None
    """Weights of the rows, 1/sigma², in place of `sigma`: a column's name, an expression of columns
    such as `1/x**2`, or a list. A row of weight 0 is left out."""
    missing: Missing = "error"
    """Rows with null in a column that a model uses: `error` refuses them, `drop` drops them for
    every model."""
    dtype: DType = "float64"
    """The precision of the computation."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Of the random numbers: the same request with the same seed has the same answer."""
    time_limit_s: Annotated[Finite, Field(gt=0, le=86_400)] | None = None
    """Seconds of computing after which the models that have been fitted are compared. Default: the
    server's."""
    background: bool = False
    """Whether to answer immediately with 202 and the job."""
    tags: Tags = {}
    """Up to 16 tags, names with text values, kept with the job."""

    @property
    def compares_curves(self) -> bool:
        """Whether the fits compared are of one model whose groups share different params."""
        return self.null is not None

    @property
    def hypotheses(self) -> list[tuple[str, Sharing]]:
        """The hypotheses about curves, with their pointers: each null, then the alternative."""
        asked = self.null
        if asked is None:
            return []
        nulls = (
            [(f"/null/{i}", each) for i, each in enumerate(asked)]
            if isinstance(asked, list)
            else [("/null", asked)]
        )
        return [*nulls, ("/alternative", self.alternative or Sharing(shared=[]))]
