"""What went wrong with a registry, said so that a learner can act on it."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

from minirt.errors import ImageNotFound, MinirtError, RegistryDenied, RegistryError, RegistryUnreachable
from minirt.model.reference import DEFAULT_REGISTRY, Reference
from minirt.registry.hosts import Endpoint

__all__ = ["answered", "dropped", "joined", "unreachable"]

_HUB = "registry-1.docker.io"
_OFFLINE = "Check the network. Without one, there is minirt/base, made from this machine's own programs."


def unreachable(url: str, error: BaseException) -> RegistryUnreachable:
    """No connection at all: no network, no such name, nothing listening, or TLS that does not fit."""
    host = urlsplit(url).netloc
    what = f"this machine cannot reach {host}"
    chain = tuple(_chain(error))
    for link in chain:
        if isinstance(link, socket.gaierror):
            return _unresolved(host, link)
        if isinstance(link, ssl.SSLError) or type(link).__name__ == "SSLError":
            return _tls(host, chain)
        if isinstance(link, ConnectionRefusedError):
            return RegistryUnreachable(
                what,
                cause=f"the machine is there, but nothing listens at {host}: the connection was refused",
                hint="Is the registry running, and is the port right?",
            )
    if any("Timeout" in type(link).__name__ or isinstance(link, TimeoutError) for link in chain):
        return RegistryUnreachable(what, cause="it did not answer in time", hint=_OFFLINE)
    return RegistryUnreachable(what, cause=str(chain[-1]) or type(error).__name__, hint=_OFFLINE)


def dropped(url: str, error: BaseException) -> RegistryUnreachable:
    """The connection broke, again and again, before the answer was complete."""
    host = urlsplit(url).netloc
    return RegistryUnreachable(
        f"{host} keeps dropping the connection", cause=str(error)[:200], hint="Try again; what is complete is kept."
    )


def answered(status: int, body: bytes, endpoint: Endpoint, ref: Reference) -> MinirtError:
    """The registry answered with an error ``status``; ``body`` is its JSON of errors (spec, "Error codes")."""
    code, message = _first_error(body)
    said = f"{endpoint.host} answered {status}" + (f": {message}" if message else "")
    if status in (401, 403):
        return RegistryDenied(
            f"pull access denied for {ref.familiar_name}",
            cause=f"the repository does not exist, or it is not public ({said})",
            hint=_spelling(ref),
        )
    if status == 404 and code == "BLOB_UNKNOWN":
        return RegistryError(f"{endpoint.host} lacks a part of {ref.familiar}", cause=said, hint="Try again later.")
    if status == 404 and code == "NAME_UNKNOWN":
        return ImageNotFound(f"repository {ref.familiar_name} not found", cause=said, hint=_spelling(ref))
    if status == 404:
        return ImageNotFound(
            f"manifest for {ref.familiar} not found",
            cause=f"the repository has no such tag or digest ({said})",
            hint=_spelling(ref),
        )
    if status == 429:
        return RegistryError(
            f"{endpoint.host} refuses further pulls for now: too many requests",
            cause=message or "anonymous pulls are limited per address and hour",
            hint="Wait, or name a mirror in MINIRT_REGISTRY_MIRRORS.",
        )
    return RegistryError(f"{endpoint.host} cannot serve {ref.familiar}", cause=said, hint="Try again later.")


def joined(failures: list[tuple[Endpoint, MinirtError]]) -> MinirtError:
    """One error for all the places that were tried: the registry's own word, with the mirrors' in its cause.

    An answer says more than none, so one that answered is preferred to one that could not be reached; where a registry
    may speak http or https, the likelier comes first.
    """
    direct = [error for endpoint, error in failures if not endpoint.mirror] or [failures[-1][1]]
    main = next((error for error in direct if not isinstance(error, RegistryUnreachable)), direct[0])
    tried = [f"mirror {e.base}: {err.what}" for e, err in failures if e.mirror and err is not main]
    if tried:
        main.cause = "; ".join([main.cause, *tried] if main.cause else tried)
    return main


def _unresolved(host: str, error: socket.gaierror) -> RegistryUnreachable:
    # "No such name" is also what a machine without any network says: whether another name is known tells the two apart.
    if error.errno == socket.EAI_NONAME and host != _HUB and _resolves(_HUB):
        return RegistryUnreachable(
            f"there is no machine named {host.rsplit(':', 1)[0]}",
            cause="the part before the first / of an image's name is the registry's host, when it has a dot or a colon",
            hint="Check the spelling of the registry's name.",
        )
    return RegistryUnreachable(
        f"this machine cannot reach {host}",
        cause=f"its name cannot be looked up ({error.strerror}): most likely there is no network",
        hint=_OFFLINE,
    )


def _resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        return False
    return True


def _tls(host: str, chain: tuple[BaseException, ...]) -> RegistryUnreachable:
    text = " ".join(str(link) for link in chain)
    what = f"no secure connection to {host}"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or "it is not trusted"
        return RegistryUnreachable(
            what,
            cause=f"its certificate was refused: {reason}",
            hint="Is the machine's clock right? Does a proxy of your school or company need its own certificate here?",
        )
    return RegistryUnreachable(
        what,
        cause="it does not speak TLS at that port" if "WRONG_VERSION" in text or "RECORD_LAYER" in text else text[:160],
        hint="A mirror without TLS is written with http:// in front.",
    )


def _spelling(ref: Reference) -> str:
    if ref.registry == DEFAULT_REGISTRY:
        return f"Check the spelling; https://hub.docker.com/r/{ref.repository} shows the tags that there are."
    return f"Check the spelling of {ref.repository!r} and its tag."


def _first_error(body: bytes) -> tuple[str, str]:
    try:
        data: Any = json.loads(body)
        entry = data["errors"][0]
        return str(entry.get("code", "")), str(entry.get("message") or entry.get("code") or "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return "", ""


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what lies behind it: urllib3 wraps the socket's own error in ``reason`` or ``__cause__``."""
    seen: list[BaseException] = []
    queue: list[Any] = [error]
    while queue:
        link = queue.pop(0)
        if isinstance(link, BaseException) and all(link is not old for old in seen):
            seen.append(link)
            queue += [getattr(link, "reason", None), link.__cause__, link.__context__, *link.args]
    return seen
