"""OpenCV's ways to make an object, with the arguments of its constructor: stated there only."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def as_function(cls: Callable[P, T], name: str) -> Callable[P, T]:
    """Return a function that makes an object of a class, as ``cv2.ORB_create`` makes an ORB.

    Parameters
    ----------
    cls
        The class.
    name
        Of the function. Editors and type checkers see it with the signature of the constructor.
    """

    def make(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return cls(*args, **kwargs)
        except TypeError as error:  # such as an unknown argument
            error.args = (re.sub(r"\w+\.__init__(?=\(\))", name, str(error)),)
            raise

    make.__name__ = make.__qualname__ = name
    make.__module__ = cls.__module__
    make.__doc__ = f"Make an object of the class; same arguments.\n\n{inspect.getdoc(cls)}"
    signature = inspect.signature(cls).replace(return_annotation=cls)
    make.__signature__ = signature  # type: ignore[attr-defined]
    return make


class Factory(Generic[P]):
    """The class method ``create``, such as that of ``cv2.ORB``.

    Parameters
    ----------
    constructor
        ``__init__`` of the class.
    """

    def __init__(self, constructor: Callable[Concatenate[Any, P], None]) -> None:
        self._constructor = constructor

    def __get__(self, instance: object, owner: Callable[..., T]) -> Callable[P, T]:
        """Return the function that makes an object of `owner`, the class or a subclass."""
        return as_function(owner, "create")
