"""HTTP for registries: one request with its redirects and its second tries.

urllib3 is imported at first use, so that commands that stay at home start without it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from minirt.errors import RegistryError
from minirt.model.cancel import Cancel, readable
from minirt.registry.hosts import origin
from minirt.registry.trouble import dropped, unreachable

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

__all__ = ["Patience", "Transport", "pause", "read_all"]

_AGAIN = frozenset({429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 6


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often to try. Times in seconds; waits double from ``first_wait`` up to ``longest_wait``."""

    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 15.0
    connect: float = 10.0
    read: float = 30.0

    def wait(self, attempt: int, retry_after: str | None = None) -> float | None:
        """Seconds before the next try; None if the server's ``Retry-After`` is more than the longest wait."""
        asked = _retry_after(retry_after)
        own = min(self.longest_wait, self.first_wait * float(2**attempt))
        return None if asked > self.longest_wait else max(asked, own)


def pause(seconds: float | None, cancel: Cancel | None) -> None:
    """Sleep, but wake and raise :class:`Cancelled` as soon as ``cancel`` is raised."""
    seconds = seconds or 0.0
    if cancel is None:
        time.sleep(seconds)
        return
    cancel.check()
    readable([cancel.fileno()], seconds)
    cancel.check()


class Transport:
    """Sends requests. Thread-safe; connections are kept and reused.

    ``proxies`` maps ``http`` and ``https`` to a proxy's address and ``no_proxy`` to a comma-separated list of hosts
    that need none.
    """

    def __init__(
        self, patience: Patience | None = None, proxies: Mapping[str, str] | None = None, agent: str = "minirt"
    ):
        self.patience = patience or Patience()
        self._proxies = dict(proxies or {})
        self._agent = agent
        self._pools: dict[tuple[str, bool], PoolManager] = {}

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str | None = None,
        body: Any = None,
        verify: bool = True,
        cancel: Cancel | None = None,
    ) -> BaseHTTPResponse:
        """The answer to ``method url``, its body still unread; every status except redirects is given back.

        Statuses 429 and 5xx and broken connections are tried again as ``patience`` says (a ``body`` that can be read
        only once is not). ``authorization`` goes to the origin of ``url`` alone, never to where it redirects.
        Raises :class:`RegistryUnreachable`, :class:`RegistryError`, :class:`Cancelled`.
        """
        attempts = self.patience.attempts if body is None or isinstance(body, bytes) else 1
        for attempt in range(attempts):
            if cancel is not None:
                cancel.check()
            last = attempt == attempts - 1
            wait = self.patience.wait(attempt)
            try:
                response = self._follow(method, url, dict(headers or {}), authorization, body, verify)
            except _Broken as error:
                if last:
                    raise dropped(url, error.why) from error.why
            else:
                wait = self.patience.wait(attempt, response.headers.get("Retry-After"))
                if response.status not in _AGAIN or last or wait is None:
                    return response
                response.drain_conn()
                response.release_conn()
            pause(wait, cancel)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def fetch(self, url: str, *, limit: int, cancel: Cancel | None = None, verify: bool = True) -> tuple[int, bytes]:
        """Status and whole body (``limit`` bytes at most) of a small document."""
        response = self.request("GET", url, verify=verify, cancel=cancel)
        return response.status, read_all(response, url, limit)

    def _follow(
        self, method: str, url: str, headers: dict[str, str], authorization: str | None, body: Any, verify: bool
    ) -> BaseHTTPResponse:
        home = origin(url)
        for _ in range(_MOST_REDIRECTS):
            sent = dict(headers)
            if authorization and origin(url) == home:
                sent["Authorization"] = authorization
            response = self._once(method, url, sent, body, verify)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target or method not in ("GET", "HEAD"):
                return response
            response.drain_conn()
            response.release_conn()
            onward = urljoin(url, target)
            if urlsplit(onward).scheme not in ("http", "https") or (home[0] == "https" and onward.startswith("http:")):
                raise RegistryError(f"{home[1]} redirects to an address that is not secure", cause=onward[:120])
            url = onward
        raise RegistryError(f"{home[1]} redirects without end", cause=url[:120])

    def _once(self, method: str, url: str, headers: dict[str, str], body: Any, verify: bool) -> BaseHTTPResponse:
        from urllib3 import exceptions

        headers = {"User-Agent": self._agent, "Accept-Encoding": "identity", **headers}
        try:
            return self._pool(url, verify).request(
                method, url, headers=headers, body=body, redirect=False, retries=False, preload_content=False
            )
        except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError, exceptions.SSLError) as error:
            raise unreachable(url, error) from error
        except exceptions.ProxyError as error:
            raise unreachable(url, error) from error
        except (exceptions.LocationValueError, UnicodeError) as error:
            raise RegistryError(f"{url[:120]!r} is not an address", cause=str(error)) from error
        except (exceptions.HTTPError, OSError) as error:
            raise _Broken(error) from error

    def _pool(self, url: str, verify: bool) -> PoolManager:
        import urllib3

        proxy = self._proxy(url)
        key = (proxy, verify)
        if key not in self._pools:
            options: dict[str, Any] = {
                "num_pools": 8,
                "maxsize": 4,
                "timeout": urllib3.Timeout(connect=self.patience.connect, read=self.patience.read),
            }
            if not verify:
                # The user named this registry as insecure; a warning for each request would tell nothing new.
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                options["cert_reqs"] = "CERT_NONE"
            self._pools[key] = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
        return self._pools[key]

    def _proxy(self, url: str) -> str:
        scheme, host, _ = origin(url)
        exempt = [name.strip().lstrip(".") for name in self._proxies.get("no_proxy", "").split(",") if name.strip()]
        if host in ("localhost", "127.0.0.1", "::1") or "*" in exempt:
            return ""
        if any(host == name or host.endswith("." + name) for name in exempt):
            return ""
        return self._proxies.get(scheme, "")


def read_all(response: BaseHTTPResponse, url: str, limit: int) -> bytes:
    """The whole body; raises :class:`RegistryError` past ``limit`` bytes, :class:`RegistryUnreachable` if cut short."""
    from urllib3 import exceptions

    try:
        data = response.read(limit + 1, decode_content=False)
        while len(data) <= limit and (more := response.read(limit + 1 - len(data), decode_content=False)):
            data += more
    except (exceptions.HTTPError, OSError) as error:
        raise dropped(url, error) from error
    finally:
        response.release_conn()
    if len(data) > limit:
        raise RegistryError(f"{urlsplit(url).netloc} sent a document of more than {limit} bytes", cause=url[:120])
    return data


class _Broken(Exception):
    """The connection broke in a way that a second try may mend."""

    def __init__(self, why: BaseException) -> None:
        super().__init__(str(why))
        self.why = why


def _retry_after(value: str | None) -> float:
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
