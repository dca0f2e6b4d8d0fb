"""Parameters of OpenCV's features that mean nothing to SuperPoint: kept, readable, stored."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict

from . import storage
from .errors import bad_argument
from .feature2d import SuperPoint
from .parameters import INT_MAX, INT_MIN, Parameter

if TYPE_CHECKING:
    from pathlib import Path

    import torch

P = ParamSpec("P")


class SuperPointArguments(TypedDict, total=False):
    """Arguments of :class:`SuperPoint` that drop-ins take too, by name."""

    scoreThreshold: float
    nmsRadius: int
    model: str | None
    weights: str | Path | None
    device: str | torch.device | None
    precision: str
    threads: int | None


_ANY_FLOAT = float("-inf"), float("inf")


def none_is_default(constructor: Callable[P, None]) -> Callable[P, None]:
    """Let None stand for the default of each argument of OpenCV's, as in its bindings."""
    signature = inspect.signature(constructor)
    default = {
        p.name: p.default
        for p in signature.parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty
    }

    @functools.wraps(constructor)
    def construct(*args: P.args, **kwargs: P.kwargs) -> None:
        bound = signature.bind(*args, **kwargs)
        missing = [name for name, value in bound.arguments.items() if value is None]
        bound.arguments |= {name: default[name] for name in missing if name in default}
        constructor(*bound.args, **bound.kwargs)

    return construct


class DropIn(SuperPoint):
    """SuperPoint with parameters that are only kept."""

    # By the names in files. Replaced, never changed: copies share it.
    _kept: Mapping[str, int | float] = MappingProxyType({})

    def _keep(self, function: str, stored: str, parameter: Parameter, value: Any) -> None:
        value = parameter.check(value, function)
        self._kept = {**self._kept, stored: value}

    def _fields(self) -> storage.Record:
        return {**super()._fields(), **self._kept}

    def _take(self, found: storage.Record) -> None:
        kept = {
            name: _parameter(name, type(value)).check(found.pop(name), "read")
            for name, value in self._kept.items()
            if name in found
        }
        super()._take(found)
        self._kept = {**self._kept, **kept}


def _parameter(name: str, kind: type[int] | type[float]) -> Parameter:
    return Parameter(name, kind, *((INT_MIN, INT_MAX) if kind is int else _ANY_FLOAT))


def accessors(
    name: str, kind: type[int] | type[float], argument: str | None = None, stored: str | None = None
) -> tuple[Callable[[Any], Any], Callable[..., None]]:
    """Return the getter and the setter of a parameter that is only kept.

    Parameters
    ----------
    name
        As OpenCV spells it in ``getNAME`` and ``setNAME``.
    kind
        Of number.
    argument
        Of the setter, and `stored` in files; by default the name, its first letter small.
    """
    argument = argument or name[0].lower() + name[1:]
    key, function = stored or argument, f"set{name}"
    parameter = _parameter(argument, kind)
    shown = inspect.Parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)
    signature = inspect.Signature([shown])

    def get(self: DropIn) -> Any:
        return self._kept[key]

    def set_(self: DropIn, *args: Any, **kwargs: Any) -> None:
        try:
            (value,) = signature.bind(*args, **kwargs).arguments.values()
        except TypeError as error:
            raise bad_argument(function, str(error)) from None
        self._keep(function, key, parameter, value)

    get.__name__, set_.__name__ = f"get{name}", function
    get.__doc__ = f"Return {argument}, which does nothing here."
    set_.__doc__ = f"Set {argument}, which does nothing here."
    self_ = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    set_.__signature__ = inspect.Signature([self_, shown])  # type: ignore[attr-defined]
    return get, set_
