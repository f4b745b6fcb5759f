"""Tokens for anonymous pulls (distribution's token authentication; RFC 6750 challenges).

A registry that wants a token answers 401 with ``WWW-Authenticate: Bearer realm="…",service="…",scope="…"``. The realm
gives a short-lived token to anybody for what is public; it is sent as ``Authorization: Bearer …``.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from minirt.errors import RegistryError

__all__ = ["Tokens", "parse_challenge"]

_PAIR = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
# Tokens are renewed a little before they end, for the request takes time too.
_MARGIN = 10.0


def parse_challenge(header: str) -> tuple[str, dict[str, str]]:
    """Scheme (lower case) and parameters of a ``WWW-Authenticate`` header with one challenge."""
    scheme, _, rest = header.strip().partition(" ")
    pairs = {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _PAIR.findall(rest)}
    return scheme.lower(), pairs


class Tokens:
    """Tokens by place and scope; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[str, float]] = {}

    def header(self, base: str, scope: str) -> str | None:
        """The ``Authorization`` header to send to ``base`` for ``scope``, if a token is at hand and still good."""
        with self._lock:
            token, until = self._known.get((base, scope), ("", 0.0))
        return f"Bearer {token}" if token and time.monotonic() < until else None

    def answer(self, base: str, scope: str, challenge: str, fetch: Callable[[str], bytes]) -> bool:
        """Get a token as ``challenge`` asks; ``fetch`` gives the body at an address. False: no anonymous way."""
        scheme, fields = parse_challenge(challenge)
        realm = fields.get("realm", "")
        if scheme != "bearer" or urlsplit(realm).scheme not in ("http", "https"):
            return False
        query = {"service": fields.get("service", ""), "scope": scope or fields.get("scope", "")}
        question = urlencode({name: value for name, value in query.items() if value})
        token, seconds = _read(fetch(realm + ("&" if "?" in realm else "?") + question), realm)
        with self._lock:
            self._known[base, scope] = token, time.monotonic() + max(1.0, seconds - _MARGIN)
        return True

    def forget(self, base: str, scope: str) -> None:
        """Drop a token that was refused."""
        with self._lock:
            self._known.pop((base, scope), None)


def _read(body: bytes, realm: str) -> tuple[str, float]:
    try:
        data = json.loads(body)
        token = str(data.get("token") or data.get("access_token") or "")
        seconds = float(data.get("expires_in") or 60)
    except (ValueError, AttributeError, TypeError) as error:
        raise RegistryError(f"{urlsplit(realm).netloc} gave no token", cause="its answer is not JSON") from error
    if not token:
        raise RegistryError(f"{urlsplit(realm).netloc} gave no token", cause="its answer holds none")
    return token, seconds
