"""Conversion of Arrow columns to float64 arrays, or Labels for text.


pyarrow is imported for the first body that needs it: it takes a tenth of a second and 60 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from service.api.reading import keys
from service.api.reading.table import Bounds
from service.schemas.columns import Labels, Numbers
from service.schemas.keys import EXACT_TO

if TYPE_CHECKING:
    import pyarrow as pa


@cache
def load() -> None:
    """Imports pyarrow and sets it to the system's allocator, which returns memory (`jobs.memory`);
    its own would retain the memory of a large body."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def numbers(chunks: Sequence[pa.Array], body: bytes | bytearray = b"") -> Numbers:
    """A column of numbers, null as NaN; a view into `body` where no cast is needed."""
    import pyarrow as pa

    parts: list[Numbers] = []
    for chunk in chunks:
        # Indices may be outside the dictionary, decimals longer than their declared precision.
        chunk.validate(full=pa.types.is_dictionary(chunk.type) or pa.types.is_decimal(chunk.type))
        if pa.types.is_float64(chunk.type) and not chunk.null_count:
            parts.append(_view(chunk, body))
        else:
            cast = chunk.cast(pa.float64(), safe=False)  # above 2^53 rounded: see `check_exact`
            parts.append(cast.to_numpy(zero_copy_only=False))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0)


def check_exact(name: str, chunks: Sequence[pa.Array]) -> None:
    """Raises InvalidData where a column of keys has a number that is not exact in float64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    before = 0
    for chunk in chunks:
        plain = chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk
        if pa.types.is_decimal(plain.type) or _is_long(plain):
            found = keys.first_inexact(plain.unique().to_pylist())
            if found is not None:
                row = pc.index(plain, pa.scalar(found, plain.type)).as_py()
                raise keys.refuse_inexact(name, before + row, found)
        before += len(chunk)


def _is_long(numbers: pa.Array) -> bool:
    """Whether integers exceed the range that is exact in float64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(numbers.type) or numbers.type.bit_width < 64:
        return False
    ends = pc.min_max(numbers).as_py().values()
    return any(end is not None and abs(end) > EXACT_TO for end in ends)


def _view(chunk: pa.Array, body: bytes | bytearray) -> Numbers:
    """A view of the numbers, made from `body` itself where they are in it: that one is writeable,
    as torch requires, while pyarrow's is not."""
    values = chunk.to_numpy()
    start = values.ctypes.data - np.frombuffer(body, np.uint8).ctypes.data
    if isinstance(body, bytearray) and 0 <= start <= len(body) - values.nbytes:
        return np.frombuffer(body, np.float64, len(values), start)
    return values  # type: ignore[no-any-return]


def labels(chunks: Sequence[pa.Array], bounds: Bounds) -> Labels:
    """A column of text: its distinct values in order of appearance, and each row's code."""
    import pyarrow as pa

    if not chunks:
        return Labels.of([])
    for chunk in chunks:
        chunk.validate(full=True)
    column: Any = pa.chunked_array([_without_views(chunk, bounds) for chunk in chunks])
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    # A dictionary may have unused values, duplicates, or another order: encode it again.
    known = whole.dictionary.dictionary_encode()
    places = known.indices.take(whole.indices).dictionary_encode()
    bounds.check_labels(len(places.dictionary))
    names = known.dictionary.take(places.dictionary).to_pylist()
    codes = places.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Labels(codes.astype(np.int32, copy=False), tuple(names))


def _without_views(text: pa.Array, bounds: Bounds) -> pa.Array:
    """String views as plain strings, since few Arrow functions accept views. Views may share
    characters, so the unpacked size is checked first."""
    import pyarrow as pa

    if pa.types.is_dictionary(text.type):
        plain = _without_views(text.dictionary, bounds)
        return pa.DictionaryArray.from_arrays(text.indices, plain)
    if not pa.types.is_string_view(text.type):
        return text
    views = np.frombuffer(text.buffers()[1], np.int32).reshape(-1, 4)[text.offset :][: len(text)]
    bounds.check_nbytes(int(views[:, 0].sum(dtype=np.int64)))
    return text.cast(pa.large_string())
