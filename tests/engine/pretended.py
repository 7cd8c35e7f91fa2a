"""A pretended CUDA device, for machines without one: what mixes devices by accident fails on it.

A `Pretended` tensor says that it is on `cuda:0`; its numbers lie in ordinary memory and the CPU
does its arithmetic. An operation that mixes it with a tensor of the CPU raises as CUDA does, and so
does NumPy's way in; `.to`, `.cpu` and `.tolist` are the ways between the two. It is stricter than
CUDA in two things: an index and the right side of an assignment have to be on the device too, where
CUDA copies them silently. The kernel's operators are dispatched as for CUDA, to plain torch. It
shows that each tensor is where it belongs. It cannot show that CUDA has a kernel for each
operation, nor how those round.

The device is told in Python alone, by `__torch_function__`. A wrapper made with
`_make_wrapper_subclass(..., device="cuda")` tells it to C++ as well, where a torch that is built
without CUDA has no guard for it: it ends the process at the first view, or in autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode

from service.engine.kernel.operators import IMPLEMENTATIONS

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
        special = SPECIAL.get(func)
        if special is not None:
            return special(args, dict(kwargs or {}))
        if isinstance(func, OpOverload) and func.namespace == "descent":
            with PretendedCuda():  # which is off in what it has called
                return _dispatched(func)(*args, **(kwargs or {}))
        for each in args:
            if type(each) is not Pretended and isinstance(each, Tensor | list | tuple):
                _check(func, each)
        target = None
        if kwargs:
            _check(func, list(kwargs.values()))
            target = _device(kwargs.get("device"))
            kwargs = {name: value for name, value in kwargs.items() if name != "device"}
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
            if target is not None and target.type == "cpu":
                return _plain(result)
            return _pretended(result)


class PretendedCuda(TorchFunctionMode):
    """While it is on, `device="cuda"` and `.to("cuda")` give pretended tensors."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if Pretended in types or (func not in MOVERS and given.get("device") is None):
            return func(*args, **given)
        if func is Tensor.to:
            return _to(args, dict(given))
        if func is Tensor.cuda:
            return _there(args[0])
        target = _device(given.get("device"))
        if target is None or target.type != "cuda":
            return func(*args, **given)
        if given.get("generator") is not None:
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        return _there(func(*args, **{n: value for n, value in given.items() if n != "device"}))


def _to(args: Sequence[Any], given: dict[str, Any]) -> Tensor:
    """`Tensor.to` with a device, a dtype, both, or a tensor like which it shall be."""
    tensor: Tensor = args[0]
    target, others = _device(given.pop("device", None)), []
    for each in args[1:]:
        if isinstance(each, Tensor):
            target, given["dtype"] = each.device, each.dtype
        elif isinstance(each, str | torch.device):
            target = _device(each)
        else:
            others.append(each)
    here = tensor.device.type
    if others or given:
        moved = Tensor.to(_plain(tensor), *others, **given)
        tensor = moved if here == "cpu" else moved.as_subclass(Pretended)
    if target is None or target.type == here:
        return tensor
    return _there(tensor) if target.type == "cuda" else _plain(tensor).clone()


def _dispatched(operator: OpOverload) -> Callable[..., Any]:
    """What torch's dispatcher calls for an operator of the kernel with a tensor of CUDA among its
    arguments, in lists of them too."""
    name = operator._schema.name.removeprefix("descent::")
    plain = IMPLEMENTATIONS[name][1]
    if plain is None:
        raise NotImplementedError(f"Could not run 'descent::{name}' with arguments from 'CUDA'")
    return plain


def _refused(args: Sequence[Any], given: dict[str, Any]) -> Any:
    raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")


def _getter(name: str) -> Any:
    return vars(torch._C.TensorBase)[name].__get__


MOVERS = frozenset({Tensor.to, Tensor.cuda})
SPECIAL: Mapping[Any, Callable[[Sequence[Any], dict[str, Any]], Any]] = {
    Tensor.to: _to,
    Tensor.cpu: lambda args, given: _plain(args[0]).clone(),
    Tensor.cuda: lambda args, given: args[0],
    Tensor.__deepcopy__: lambda args, given: _there(args[0]),
    Tensor.numpy: _refused,
    Tensor.__array__: _refused,
    Tensor.tolist: lambda args, given: _plain(args[0]).tolist(),
    _getter("device"): lambda args, given: CUDA,
    _getter("is_cuda"): lambda args, given: True,
    _getter("is_cpu"): lambda args, given: False,
}
"""What tells where a tensor is, and the ways between the devices."""


def _check(func: Callable[..., Any], given: Any) -> None:
    """Raises where a tensor of the CPU is among the arguments, other than a number."""
    if isinstance(given, list | tuple):
        for each in given:
            _check(func, each)
        return
    if type(given) is Pretended or not isinstance(given, Tensor):
        return
    name = getattr(func, "__name__", "")
    if given.dim() or name in TOGETHER:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"cuda:0 and cpu! ({name})"
        )


def _device(given: Any) -> torch.device | None:
    return None if given is None else torch.device(given)


def _there(tensor: Tensor) -> Tensor:
    """A copy on the device, whose memory is its own."""
    return _plain(tensor).clone().as_subclass(Pretended)


def _pretended(result: Any) -> Any:
    if type(result) is Tensor:
        return result.as_subclass(Pretended)
    if isinstance(result, tuple | list):
        return type(result)(map(_pretended, result))
    return result


def _plain(tensor: Tensor) -> Tensor:
    with torch._C.DisableTorchFunctionSubclass():
        return tensor.as_subclass(Tensor)
