"""Attributes that are made when they are first needed, once, also when several threads need them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["made_once"]

_T = TypeVar("_T")


class made_once(Generic[_T]):  # noqa: N801 - used as a decorator, like property
    """Like ``functools.cached_property``, but the owner's ``_making`` lock keeps two threads from making two."""

    def __init__(self, make: Callable[[Any], _T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> made_once[_T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...

    def __get__(self, instance: Any, owner: type) -> made_once[_T] | _T:
        if instance is None:
            return self
        lock: threading.RLock = instance._making
        with lock:
            made = instance.__dict__
            if self._name not in made:
                made[self._name] = self._make(instance)
            value: _T = made[self._name]
            return value
