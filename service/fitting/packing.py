"""Checkpoints, requests and curves as bytes: a JSON head and the arrays after it. Nothing that is
read can run code: classes are looked up in a table, and arrays are raw numbers.

    length of the head (8 bytes, little-endian) | head | arrays, each from a multiple of 64

The head holds a version, which is that of the classes in the table: a checkpoint of another
version is refused (`OtherVersion`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel
from torch import Tensor

from service import __version__
from service.catalogue import optimizers
from service.engine.iterate import Checkpoint
from service.engine.orthogonal_run import OrthogonalCheckpoint
from service.engine.outlier_run import OutlierCheckpoint
from service.engine.resampling.run import ResampledCheckpoint
from service.engine.result import Best, Ends, GroupedResult, Result, Rows
from service.engine.reweighted_state import ReweightedCheckpoint
from service.engine.shared_run import SharedCheckpoint
from service.engine.solvers import (
    descent,
    exact,
    first_order,
    marquardt,
    quasi_newton,
    shared,
    single,
)
from service.engine.solvers.contract import Recorded
from service.engine.start.groups import Starts
from service.engine.start.ranges import Range
from service.engine.start.search import Search
from service.engine.start.shared import Known
from service.fitting.drawn import Drawn
from service.fitting.grouped_curves import Curves
from service.schemas.answers import Fit
from service.schemas.columns import Labels
from service.schemas.grouped import GroupedFit

_ALIGNED = 64


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """The models that the annotation of a field names, and those of their fields."""
    for part in get_args(kind):
        yield from _models(part)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation)


_CLASSES: Final[Mapping[str, Any]] = {
    f"{cls.__module__}.{cls.__qualname__}": cls
    for cls in (
        *(Checkpoint, SharedCheckpoint, ResampledCheckpoint, ReweightedCheckpoint),
        *(OrthogonalCheckpoint, OutlierCheckpoint, Result, GroupedResult),
        *(Starts, Known, Search, Range, Ends, Best, Rows, Recorded),
        *(optimizers.State, descent.Moments, exact.State, first_order.State, marquardt.State),
        *(quasi_newton.State, shared.State, single.At, single.SequentialState),
        *(Curves, Drawn, Labels),
        *_models(Fit | GroupedFit),
    )
}


class OtherVersion(ValueError):
    """The bytes were written by another version of the service."""


def _names(cls: Any) -> tuple[str, ...]:
    if issubclass(cls, BaseModel):
        return tuple(cls.model_fields)
    return tuple(f.name for f in fields(cls)) if is_dataclass(cls) else tuple(cls._fields)


VERSION: Final = blake2b(
    repr((__version__, [(name, _names(cls)) for name, cls in _CLASSES.items()])).encode(),
    digest_size=8,
).hexdigest()
"""Changes with the release and with the fields of any of the classes."""


def pack(value: Any) -> bytes:
    """The bytes of a value. Raises TypeError for what has no entry in the table of classes."""
    arrays: list[npt.NDArray[Any]] = []
    tree = _encoded(value, arrays)
    described = [(array.dtype.str, array.shape) for array in arrays]
    head = json.dumps([VERSION, tree, described], separators=(",", ":")).encode()
    parts: list[bytes | memoryview] = [len(head).to_bytes(8, "little"), head]
    at = 8 + len(head)
    for array in arrays:
        filler = -at % _ALIGNED
        parts += [bytes(filler), array.data.cast("B") if array.size else b""]
        at += filler + array.nbytes
    return b"".join(parts)


def unpack(data: bytes | memoryview, *, any_version: bool = False) -> Any:
    """The value of `pack`; its arrays are writable copies. Raises OtherVersion, unless what is read
    means the same in `any_version`."""
    size = int.from_bytes(data[:8], "little")
    version, tree, described = json.loads(bytes(data[8 : 8 + size]))
    if version != VERSION and not any_version:
        raise OtherVersion("the bytes were written by another version of the service")
    arrays, at = [], 8 + size
    for kind, shape in described:
        at += -at % _ALIGNED
        dtype, count = np.dtype(kind), int(np.prod(shape, dtype=np.int64))
        if dtype.hasobject:
            raise ValueError("arrays of objects are not read")
        arrays.append(np.frombuffer(data, dtype, count, at).reshape(shape).copy())
        at += count * dtype.itemsize
    return _decoded(tree, arrays)


def _encoded(value: Any, arrays: list[npt.NDArray[Any]]) -> Any:
    """JSON: scalars as they are, anything else as a list that begins with its kind."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Tensor):
        order = _order(value)
        whole = value.detach().cpu().permute(order).contiguous()
        return ["tensor", _added(whole.numpy(), arrays), order, str(value.device)]
    if isinstance(value, np.generic):
        return ["scalar", _added(np.asarray(value), arrays)]
    if isinstance(value, np.ndarray):
        return ["array", _added(value, arrays)]
    if isinstance(value, bytes | memoryview):
        return ["bytes", _added(np.frombuffer(value, np.uint8), arrays)]
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if name in _CLASSES:
        parts = [_encoded(getattr(value, each), arrays) for each in _names(type(value))]
        return ["record", name, parts]
    if type(value) in (list, tuple):
        return [type(value).__name__, [_encoded(each, arrays) for each in value]]
    if type(value) is dict:
        return ["dict", [[_encoded(k, arrays), _encoded(v, arrays)] for k, v in value.items()]]
    raise TypeError(f"{name} has no entry in the table of classes that are stored")


def _added(array: npt.NDArray[Any], arrays: list[npt.NDArray[Any]]) -> int:
    arrays.append(np.ascontiguousarray(array).reshape(array.shape))
    return len(arrays) - 1


def _order(tensor: Tensor) -> list[int]:
    """The dimensions in the order of their strides: kept, so that sums are formed in the same
    order."""
    return sorted(range(tensor.dim()), key=lambda d: -tensor.stride()[d])


def _decoded(tree: Any, arrays: list[npt.NDArray[Any]]) -> Any:
    if not isinstance(tree, list):
        return tree
    kind, content, *more = tree
    if kind == "array":
        return arrays[content]
    if kind == "scalar":
        return arrays[content][()]
    if kind == "bytes":
        return arrays[content].tobytes()
    if kind == "tensor":
        order, device = more
        back = [order.index(d) for d in range(len(order))]
        return torch.from_numpy(arrays[content]).permute(back).to(device)
    if kind == "record":
        return _record(_CLASSES[content], [_decoded(part, arrays) for part in more[0]])
    if kind == "dict":
        return {_decoded(k, arrays): _decoded(v, arrays) for k, v in content}
    items = [_decoded(each, arrays) for each in content]
    return tuple(items) if kind == "tuple" else items


def _record(cls: Any, values: list[Any]) -> Any:
    if issubclass(cls, BaseModel):
        return cls.model_construct(**dict(zip(_names(cls), values, strict=True)))
    if hasattr(cls, "_make"):
        return cls._make(values)
    made = object.__new__(cls)
    for name, value in zip(_names(cls), values, strict=True):
        object.__setattr__(made, name, value)
    return made
