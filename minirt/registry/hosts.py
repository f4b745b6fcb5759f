"""Where a repository's registry answers: mirrors first, then the registry itself.

Docker's ``registry-mirrors`` stand for Docker Hub only, are tried in their order, and any trouble with one of them
means the next; so here. A base address may have a path, which then stands before ``/v2/``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from minirt.errors import InvalidInput
from minirt.model.reference import DEFAULT_REGISTRY

__all__ = ["Endpoint", "endpoints", "origin"]

# Docker Hub's name and the machine that speaks the distribution API for it.
_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base address that answers ``/v2/``. ``verify`` False: its certificate is not checked."""

    base: str
    mirror: bool = False
    verify: bool = True

    def url(self, path: str = "") -> str:
        """The address of ``path`` below ``/v2/``."""
        return f"{self.base}/v2/{path}"

    @property
    def host(self) -> str:
        """Host and port, as people name the place."""
        return urlsplit(self.base).netloc

    @property
    def plain(self) -> bool:
        """Whether it is spoken to without TLS."""
        return self.base.startswith("http://")


def endpoints(registry: str, mirrors: Sequence[str] = (), insecure: Sequence[str] = ()) -> tuple[Endpoint, ...]:
    """The places to ask for a repository of ``registry``, best first; the last is the registry itself.

    ``http`` is used for addresses that say so, and for registries on this very machine or named in ``insecure``.
    Raises :class:`InvalidInput` for a mirror that is not a base address.
    """
    if registry == DEFAULT_REGISTRY:
        return (*(_mirror(address) for address in mirrors if address.strip()), Endpoint(f"https://{_HUB}"))
    if registry in insecure or _is_loopback(registry):
        # Plain first: a server without TLS may wait for ever for the rest of a TLS greeting, while one with TLS
        # answers a plain request at once.
        return Endpoint(f"http://{registry}"), Endpoint(f"https://{registry}", verify=registry not in insecure)
    return (Endpoint(f"https://{registry}"),)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what must stay the same for a token to be sent along."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _mirror(address: str) -> Endpoint:
    text = address.strip()
    if "://" not in text:
        text = f"https://{text}"
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(
            f"{address!r} is not the address of a registry mirror",
            hint="Write for example https://mirror.example.org or http://localhost:5000; commas stand between several.",
        )
    return Endpoint(text.rstrip("/").removesuffix("/v2"), mirror=True)


def _is_loopback(registry: str) -> bool:
    host = urlsplit(f"//{registry}").hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
