"""One blob on its way: streamed, resumed where it broke, from the next place if one fails."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from minirt.errors import Cancelled, CorruptBlob, MinirtError, RegistryUnreachable
from minirt.model.cancel import Cancel
from minirt.model.manifest import Descriptor
from minirt.registry.hosts import Endpoint
from minirt.registry.transport import Patience, pause
from minirt.registry.trouble import dropped, joined

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = ["Download"]

CHUNK = 256 * 1024


class Download:
    """An iterator over a blob's bytes, as the registry has them (compressed, most often).

    ``done`` counts the bytes given so far. The size is checked here; the digest by whoever stores the bytes, since it
    is known only at the end. :meth:`abort` ends it from another thread, also while it waits for the network.
    Raises :class:`CorruptBlob` (more bytes than announced), :class:`RegistryError` and its kinds, :class:`Cancelled`.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        places: Sequence[Endpoint],
        ask: Callable[[Endpoint, int], BaseHTTPResponse],
        patience: Patience,
        cancel: Cancel | None = None,
    ) -> None:
        self.descriptor = descriptor
        self.done = 0
        self._places = tuple(places)
        self._ask = ask
        self._patience = patience
        self._cancel = cancel
        self._lock = threading.Lock()
        self._response: BaseHTTPResponse | None = None
        self._aborted = False

    def __iter__(self) -> Iterator[bytes]:
        failures: list[tuple[Endpoint, MinirtError]] = []
        for place in self._places:
            try:
                yield from self._from(place)
                return
            except (Cancelled, CorruptBlob):
                raise
            except MinirtError as error:
                failures.append((place, error))
        raise joined(failures)

    def abort(self) -> None:
        """End the download; the thread that iterates gets :class:`Cancelled`."""
        with self._lock:
            self._aborted = True
            response = self._response
        if response is not None:
            # Wakes a read that waits for the network (urllib3 2.3+); without it the read's time limit ends the wait.
            shutdown = getattr(response, "shutdown", None)
            try:
                if shutdown is not None:
                    shutdown()
            except (OSError, ValueError):
                pass

    def _from(self, place: Endpoint) -> Iterator[bytes]:
        from urllib3 import exceptions

        failed = 0
        while self.done < self.descriptor.size:
            before = self.done
            try:
                yield from self._stream(place)
                why: BaseException = EOFError(f"the answer ended after {self.done} of {self.descriptor.size} bytes")
            except (exceptions.HTTPError, OSError) as error:
                why = error
            self._check()
            if self.done >= self.descriptor.size:
                return
            # A connection that brought something is worth another; one that brought nothing counts.
            failed = 0 if self.done > before else failed + 1
            if failed >= self._patience.attempts:
                raise dropped(place.url(), why) from why
            pause(self._patience.wait(failed), self._cancel)

    def _stream(self, place: Endpoint) -> Iterator[bytes]:
        self._check()
        response = self._ask(place, self.done)
        with self._lock:
            self._response = response
        try:
            skip = self.done - _start(response, self.done)
            for chunk in response.stream(CHUNK, decode_content=False):
                self._check()
                fresh = chunk[skip:]
                skip = max(0, skip - len(chunk))
                if not fresh:
                    continue
                self.done += len(fresh)
                self._check_size(place)
                yield fresh
        finally:
            with self._lock:
                self._response = None
            if self.done < self.descriptor.size:
                response.close()  # what is left of the answer is of no use to the next request
            response.release_conn()

    def _check(self) -> None:
        if self._aborted:
            raise Cancelled()
        if self._cancel is not None:
            self._cancel.check()

    def _check_size(self, place: Endpoint) -> None:
        if self.done > self.descriptor.size:
            raise CorruptBlob(
                f"{place.host} sent more than the {self.descriptor.size} bytes announced for {self.descriptor.digest}",
                hint="The registry, or something between, changes what it sends; nothing of it was kept.",
            )


def _start(response: BaseHTTPResponse, wanted: int) -> int:
    """The offset at which the answer begins: a server may ignore Range and send everything (RFC 9110, 14.2)."""
    if response.status != 206:
        return 0
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    start = int(match.group(1)) if match else wanted
    if start > wanted:
        raise RegistryUnreachable("the registry resumed at the wrong place", cause=f"byte {start} instead of {wanted}")
    return start
