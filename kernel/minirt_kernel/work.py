"""Runs a long call in a thread while the kernel keeps answering, and ends it when the cell is interrupted."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
import time
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from traitlets.log import get_logger

from minirt.errors import Cancelled, MinirtError
from minirt.model.cancel import Cancel
from minirt_kernel.feed import Feed
from minirt_kernel.presenter import Presenter

__all__ = ["GRACE", "Job", "block", "end_all", "perform"]

T = TypeVar("T")
Job = Callable[[Feed, Cancel], T]

_WORKER = "minirt-work"
_running: dict[Cancel, Feed] = {}

GRACE = 20.0
"""Seconds that a cancelled call may take to put everything away before the cell is given back regardless."""


async def perform(job: Job[T], presenter_of: Callable[[Feed], Presenter]) -> T:
    """The result of ``job``, run in a thread; what it puts in its feed is shown meanwhile.

    Raises what ``job`` raises, and :class:`Cancelled` when the cell is interrupted, after ``job`` has ended.
    """
    feed, cancel = Feed(), Cancel()
    presenter = presenter_of(feed)
    ended = _start(job, feed, cancel)
    _running[cancel] = feed
    try:
        try:
            await presenter.follow(ended)
        except (asyncio.CancelledError, KeyboardInterrupt):
            await _wind_up(presenter, ended, cancel)
            raise Cancelled() from None
        return ended.result()
    finally:
        feed.close()
        if ended.done():
            del _running[cancel]
            cancel.close()  # not before: the thread may still be waiting for it


def end_all(patience: float) -> None:
    """The kernel goes away: ask every job to end, and give them ``patience`` seconds for it."""
    for cancel, feed in list(_running.items()):
        cancel.cancel()
        feed.close()  # the page takes nothing any more
    deadline = time.monotonic() + patience
    for thread in [thread for thread in threading.enumerate() if thread.name == _WORKER]:
        thread.join(max(0.0, deadline - time.monotonic()))


async def _wind_up(presenter: Presenter, ended: asyncio.Future[Any], cancel: Cancel) -> None:
    cancel.cancel()
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    try:
        async with asyncio.timeout(GRACE):
            await presenter.follow(ended)
    except TimeoutError:
        raise MinirtError(
            f"the command did not stop within {GRACE:.0f} seconds of the interrupt",
            cause="it is still being ended in the background",
            hint="docker ps shows what runs; restarting the kernel ends all of it.",
        ) from None
    finally:
        if ended.done() and not ended.cancelled():
            ended.exception()  # seen: whatever it says, the user interrupted


def _start(job: Job[T], feed: Feed, cancel: Cancel) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(result)  # type: ignore[arg-type]
        else:
            ended.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = job(feed, cancel)
        except BaseException as error:
            failure = _presentable(error)
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # the loop is closed: the kernel is going away, no one waits

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=_WORKER, daemon=True).start()
    return ended


def _presentable(error: BaseException) -> BaseException:
    """A mistake of ours is told shortly too; its traceback goes to the server's log."""
    if isinstance(error, MinirtError | KeyboardInterrupt):
        return error
    get_logger().error("minirt: internal error", exc_info=error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    told = MinirtError(
        f"internal error: {type(error).__name__}: {error}",
        cause=f"a mistake in minirt itself{place}",
        hint="Please report it with the traceback, which is in the log of the Jupyter server.",
    )
    told.__cause__ = error
    return told


def block(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run ``coroutine`` from plain, synchronous Python (a magic in the middle of a cell), in a loop of its own.

    An interrupt cancels it, as it would in a cell of its own.
    """
    outcome: list[Callable[[], T]] = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)

    def run() -> None:
        try:
            result = loop.run_until_complete(task)
            outcome.append(lambda: result)
        except BaseException as error:
            failure = error

            def fail() -> T:
                raise failure

            outcome.append(fail)
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    # The context carries which cell this is; no other thread may enter this copy.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="minirt-magic", daemon=True)
    with _interrupts(lambda: loop.call_soon_threadsafe(task.cancel)):
        thread.start()
        thread.join()
    return outcome[0]()


class _interrupts:  # noqa: N801 - a context manager reads as a verb's object
    """While inside, Ctrl-C and the kernel's interrupt call ``cancel``; signals reach the main thread only."""

    def __init__(self, cancel: Callable[[], object]) -> None:
        self._cancel = cancel
        self._before: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, lambda *_: self._cancel())

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
