"""Published ports as links: what a learner clicks to see what the container serves."""

from __future__ import annotations

import html
import importlib.util
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minirt_kernel.page import Page

__all__ = ["PortLink", "Links", "links_of", "show_links", "wants_links"]

_LISTS = (("ps",), ("container", "ls"), ("container", "list"), ("container", "ps"), ("port",), ("container", "port"))


@dataclass(frozen=True, slots=True)
class PortLink:
    """A TCP port of the machine that leads to ``inner`` (``80/tcp``) of a container."""

    container: str
    address: str
    port: int
    inner: str


@dataclass(frozen=True, slots=True)
class Links:
    """To be shown in the cell, in this order."""

    links: tuple[PortLink, ...]


def links_of(container: str, places: Iterable[tuple[str, int, str]]) -> Links:
    """``places`` are (address, port, ``80/tcp``). One link a port: all of IPv4 and all of IPv6 are one to a browser."""
    found: dict[tuple[int, str], PortLink] = {}
    for address, port, inner in places:
        if inner.endswith("/tcp"):
            host = address if address not in ("", "0.0.0.0", "::", "127.0.0.1", "::1") else "localhost"
            found.setdefault((port, host), PortLink(container, host, port, inner))
    return Links(tuple(found.values()))


def wants_links(argv: list[str]) -> str | None:
    """Whether a command tells of ports, so that their links belong below it: of one container, or of all (empty)."""
    words = [word for word in argv if not word.startswith("-")]
    if tuple(words[:1]) not in _LISTS and tuple(words[:2]) not in _LISTS:
        return None
    if any(word.startswith(("-q", "--quiet", "--format")) for word in argv):
        return None  # for a program to read
    return next(iter(words[words.index("port") + 1 :]), "") if "port" in words[:2] else ""


def show_links(page: Page, shown: Links, environment: Mapping[str, str] = os.environ) -> None:
    """One small line for each."""
    lines = [_line(link, environment) for link in shown.links]
    if lines:
        bundle: dict[str, Any] = {
            "text/html": "<br>".join(markup for markup, _ in lines),
            "text/plain": "\n".join(text for _, text in lines),
        }
        page.show(bundle, uuid.uuid4().hex, update=False)


def _line(link: PortLink, environment: Mapping[str, str]) -> tuple[str, str]:
    to = f"{link.container}, {link.inner}"
    prefix = environment.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if prefix and importlib.util.find_spec("jupyter_server_proxy") is None:
        text = f"port {link.port} of this server leads to {to}"
        cure = f"install jupyter-server-proxy on this hub, then {prefix}proxy/{link.port}/ leads there from a browser"
        return f"{html.escape(text)} ({html.escape(cure)})", f"{text} ({cure})"
    host = f"[{link.address}]" if ":" in link.address else link.address
    scheme = "https" if link.inner.partition("/")[0] == "443" else "http"
    url = f"{scheme}://{host}:{link.port}/"
    if prefix:
        place = str(link.port) if link.address == "localhost" else f"{host}:{link.port}"
        url = f"{prefix}proxy/{place}/"
    # Never more than an address: what a container is called is text, not markup.
    anchor = f'<a href="{html.escape(url)}" target="_blank" rel="noopener">{html.escape(url)}</a>'
    return f"{anchor} leads to {html.escape(to)}", f"{url} leads to {to}"
