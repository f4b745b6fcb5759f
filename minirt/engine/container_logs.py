"""The part of a container that is about what it wrote and what it uses: logs, statistics, its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from minirt.containers.logs import LogLine, LogReader
from minirt.errors import InvalidSpec, Unsupported
from minirt.model.cancel import Cancel

if TYPE_CHECKING:
    from minirt.containers.records import ContainerRecord
    from minirt.engine.facade import Engine

__all__ = ["Moment", "WithLogs"]

Moment = datetime | float | int | None
"""A time: aware or in UTC, or seconds since 1970."""

_PAUSE = 0.05


class WithLogs:
    """What :class:`minirt.engine.container.Container` can tell."""

    _engine: Engine
    _record: ContainerRecord

    def logs(
        self,
        stdout: bool = True,
        stderr: bool = True,
        stream: bool = False,
        timestamps: bool = False,
        tail: int | str | None = "all",
        since: Moment = None,
        follow: bool | None = None,
        until: Moment = None,
        *,
        cancel: Cancel | None = None,
    ) -> bytes | Iterator[bytes]:
        """docker-py's: what it wrote, as bytes; with ``stream`` an iterator over lines.

        That goes on until the container ends, unless ``follow`` is False.
        Raises :class:`Unsupported` when its log driver keeps nothing.
        """
        goes_on = stream if follow is None else follow
        wanted = {name for name, asked in (("stdout", stdout), ("stderr", stderr)) if asked}
        lines = self.log_lines(follow=goes_on, tail=_tail(tail), since=since, until=until, cancel=cancel)
        chosen = (
            (f"{line.time} ".encode() if timestamps else b"") + line.data for line in lines if line.stream in wanted
        )
        return chosen if stream or goes_on else b"".join(chosen)

    def log_lines(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: Moment = None,
        until: Moment = None,
        cancel: Cancel | None = None,
    ) -> Iterator[LogLine]:
        """The lines that are there (the last ``tail`` of them); with ``follow`` also what comes, until it ends.

        Raises :class:`Unsupported` when its log driver keeps nothing.
        """
        if self._record.settings.log.driver == "none":
            raise Unsupported(
                "configured logging driver does not support reading",
                cause="it was started with --log-driver none, so nothing it wrote was kept",
            )
        return self._lines(follow, tail, _text(since), _text(until), cancel)

    def _lines(
        self, follow: bool, tail: int | None, since: str, until: str, cancel: Cancel | None
    ) -> Iterator[LogLine]:
        lifecycle = self._engine.lifecycle
        reader = LogReader(lifecycle.shelf.directory(self._record.id) / "log")

        def timely(line: LogLine) -> bool:
            # All times are UTC in one form, so they compare as texts.
            return line.time >= since and (not until or line.time <= until)

        seen = [line for line in reader.read() if timely(line)]
        yield from seen[-tail:] if tail else () if tail == 0 else seen
        while follow:
            alive = lifecycle.state(self._record).alive
            for line in reader.read():
                if until and line.time > until:
                    return
                if timely(line):
                    yield line
            if not alive or (until and _text(time.time()) > until):
                return
            if cancel is not None:
                cancel.check()
            time.sleep(_PAUSE)

    def stats(
        self, decode: bool | None = None, stream: bool = True, *, cancel: Cancel | None = None
    ) -> dict[str, Any] | Iterator[dict[str, Any]] | Iterator[bytes]:
        """docker-py's: readings of what it uses, one a second; without ``decode`` as lines of JSON, without ``stream``
        one reading as a dict.
        """
        from minirt.engine.stats import one_reading, readings, readings_as_lines

        if not stream:
            return one_reading(self._engine, self._record)
        found = readings(self._engine, self._record, cancel)
        return found if decode else readings_as_lines(found)

    def wait(
        self, timeout: float | None = None, condition: str = "not-running", *, cancel: Cancel | None = None
    ) -> dict[str, Any]:
        """Wait for the end: ``{"StatusCode": …, "Error": None}``; ``condition`` as docker's API names it.

        Raises ``TimeoutError`` after ``timeout`` seconds, :class:`InvalidSpec` for another condition.
        """
        if condition not in ("not-running", "next-exit", "removed"):
            raise InvalidSpec(f'invalid condition: "{condition}"', hint="One of: not-running, next-exit, removed.")
        lifecycle, deadline = self._engine.lifecycle, None if timeout is None else time.monotonic() + timeout

        def idle(reason: str) -> None:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"container {self._record.name} {reason} after {timeout} s")
            if cancel is not None:
                cancel.check()
            time.sleep(_PAUSE)

        while condition == "next-exit" and not lifecycle.state(self._record).alive:
            idle("was not started")
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        state = lifecycle.wait(self._record, timeout=left, cancel=cancel)
        if state is None:
            raise TimeoutError(f"container {self._record.name} still runs after {timeout} s")
        if condition == "removed":
            lifecycle.reap()  # nobody else may look: what was started with --rm goes when somebody does
        while condition == "removed" and (lifecycle.shelf.directory(self._record.id) / "config.json").exists():
            idle("is still there")
        return {"StatusCode": state.exit_code, "Error": {"Message": state.error} if state.error else None}


def _tail(asked: int | str | None) -> int | None:
    """A number; ``all``, and what is none, mean all (docker does the same)."""
    if isinstance(asked, int):
        return asked if asked >= 0 else None
    return int(asked) if asked is not None and asked.isdecimal() else None


def _text(moment: Moment) -> str:
    """In the form that logs have it, which sorts as time does; empty for None."""
    if moment is None:
        return ""
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    else:
        aware = datetime.fromtimestamp(moment, UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
