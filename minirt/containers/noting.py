"""What happens to containers, written into the home's journal."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from minirt.containers.records import ContainerRecord
from minirt.store.journal import Journal

__all__ = ["note", "noted"]

_M = TypeVar("_M", bound=Callable[..., Any])


def note(journal: Journal, action: str, record: ContainerRecord, *, at: int | None = None, **more: str) -> None:
    """One line about ``record``; its labels go with it, as docker's."""
    attributes = {**record.labels, "image": record.image, "name": record.name, **more}
    journal.write("container", action, record.id, attributes, nanoseconds=at)


def noted(action: str, *, at_start: bool = False, when: Callable[[Any], bool] = lambda _: True) -> Callable[[_M], _M]:
    """For methods of the lifecycle: note ``action`` after success, under the time of its start or of its end.

    The record is what the method returns, else its first argument. ``when`` looks at the state before.
    """

    def around(method: _M) -> _M:
        @functools.wraps(method)
        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            began = time.time_ns()
            given = arguments[0] if arguments and isinstance(arguments[0], ContainerRecord) else None
            wanted = given is None or when(self.state(given))
            result = method(self, *arguments, **options)
            record = result if isinstance(result, ContainerRecord) else given
            if wanted and record is not None:
                more = {"signal": str(_signal(arguments, options))} if action == "kill" else {}
                note(Journal(self.shelf.home), action, record, at=began if at_start else None, **more)
            return result

        return cast(_M, call)

    return around


def _signal(arguments: tuple[Any, ...], options: dict[str, Any]) -> int:
    from minirt.containers.processes import parse_signal

    return parse_signal(options.get("signal", arguments[1] if len(arguments) > 1 else "KILL"))
