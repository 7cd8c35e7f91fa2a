"""A pretended CUDA device, for machines without one: what mixes devices by accident fails on it.

A `Pretended` tensor says that it is on `cuda:0`; its numbers lie in ordinary memory and the CPU
does its arithmetic. An operation that mixes it with a tensor of the CPU raises as CUDA does, and so
does NumPy's way in; `.to`, `.cpu` and `.tolist` are the ways between the two. It is stricter than
CUDA in two things: an index and the right side of an assignment have to be on the device too, where
CUDA copies them silently. It shows that each tensor is where it belongs. It cannot show that CUDA
has a kernel for each operation, nor how those round.

The device is told in Python alone, by `__torch_function__`. A wrapper made with
`_make_wrapper_subclass(..., device="cuda")` tells it to C++ as well, where a torch that is built
without CUDA has no guard for it: it ends the process at the first view, or in autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")
TOGETHER = frozenset({"stack", "cat", "concat", "concatenate", "dot", "matmul", "mm", "mv"})
"""Operations that take no number of another device either."""


class Pretended(Tensor):
    """A tensor that is where it says: on `cuda:0`."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        special = SPECIAL.get(getattr(func, "__name__", ""))
        if func == Tensor.device.__get__:
            return CUDA
        if func in (Tensor.is_cuda.__get__, Tensor.is_cpu.__get__):
            return func == Tensor.is_cuda.__get__
        if special is not None:
            return special(func, args, given)
        _check(func, [*args, *given.values()])
        target = _device(given.pop("device", None))
        result = super().__torch_function__(func, types, tuple(args), given)
        return result if target is None or target.type == "cuda" else _plain(result)


class PretendedCuda(TorchFunctionMode):
    """While it is on, `device="cuda"` and `.to("cuda")` give pretended tensors."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        tensors = list(_tensors([*args, *given.values()]))
        if any(isinstance(each, Pretended) for each in tensors):
            return func(*args, **given)
        if func is Tensor.to:
            return _to(func, args, given)
        if func is Tensor.cuda:
            return _there(args[0])
        if (target := _device(given.get("device"))) is None or target.type != "cuda":
            return func(*args, **given)
        if given.get("generator") is not None:
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        del given["device"]
        return _there(func(*args, **given))


def _to(func: Callable[..., Any], args: Sequence[Any], given: dict[str, Any]) -> Tensor:
    """`Tensor.to` with a device, a dtype, both, or a tensor like which it shall be."""
    tensor, *rest = args
    target, others = _device(given.pop("device", None)), []
    for each in rest:
        if isinstance(each, Tensor):
            target, given["dtype"] = each.device, each.dtype
        elif isinstance(each, str | torch.device):
            target = _device(each)
        else:
            others.append(each)
    here = tensor.device.type
    if others or given:
        tensor = Tensor.to(_plain(tensor), *others, **given) if here == "cpu" else _there(
            Tensor.to(_plain(tensor), *others, **given), copy=False
        )
    if target is None or target.type == here:
        return tensor
    return _there(tensor) if target.type == "cuda" else _plain(tensor).clone()


def _back(func: Callable[..., Any], args: Sequence[Any], given: dict[str, Any]) -> Tensor:
    return _plain(args[0]).clone()


def _refused(func: Callable[..., Any], args: Sequence[Any], given: dict[str, Any]) -> Any:
    raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")


def _listed(func: Callable[..., Any], args: Sequence[Any], given: dict[str, Any]) -> Any:
    return _plain(args[0]).tolist()


SPECIAL: Mapping[str, Callable[..., Any]] = {
    "to": _to,
    "cpu": _back,
    "cuda": lambda func, args, given: args[0],
    "numpy": _refused,
    "__array__": _refused,
    "tolist": _listed,
}
"""The ways between the devices."""


def _check(func: Callable[..., Any], arguments: Sequence[Any]) -> None:
    name = getattr(func, "__name__", "")
    for each in _tensors(arguments):
        if not isinstance(each, Pretended) and (each.dim() or name in TOGETHER):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"cuda:0 and cpu! ({name})"
            )


def _tensors(arguments: Any) -> Iterator[Tensor]:
    for each in arguments:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def _device(given: Any) -> torch.device | None:
    return None if given is None else torch.device(given)


def _there(tensor: Tensor, *, copy: bool = True) -> Tensor:
    plain = _plain(tensor)
    return (plain.clone() if copy else plain).as_subclass(Pretended)


def _plain(result: Any) -> Any:
    if isinstance(result, Tensor):
        with torch._C.DisableTorchFunctionSubclass():
            return result.as_subclass(Tensor)
    if isinstance(result, tuple):
        return type(result)(*map(_plain, result))
    return result
