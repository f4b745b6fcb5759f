"""What a container finds in its /etc/hosts and /etc/resolv.conf."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["ADDRESS", "hosts_file", "machine_servers", "resolv_conf"]

ADDRESS = "127.0.0.11"  # docker's resolver; the loopback of every container has it
_RESOLV_CONF = "/etc/resolv.conf"
_LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def hosts_file(own: Iterable[tuple[str, str]], extra: Iterable[str], gateway: str = "") -> str:
    """``own`` are (address, name) pairs; ``extra`` are ``--add-host`` texts, where ``host-gateway`` is the machine."""
    lines = [f"{address}\t{name}\n" for address, name in own]
    for entry in extra:
        name, _, address = entry.partition(":")
        lines.append(f"{address.replace('host-gateway', gateway or '127.0.0.1')}\t{name}\n")
    return _LOCAL + "".join(lines)


def machine_servers() -> tuple[str, ...]:
    """The machine's own name servers."""
    return tuple(words[1] for words in _lines() if words[0] == "nameserver" and len(words) > 1)


def resolv_conf(
    servers: Sequence[str], *, resolver: bool, search: Sequence[str] = (), options: Sequence[str] = ()
) -> str:
    """With ``servers``, ``search`` domains and ``options`` instead of the machine's, as far as there are any; with the
    ``resolver`` in front of all servers.
    """
    if not resolver and not servers and not search and not options:
        return _text()
    replaced = (*(("search", "domain") if search else ()), *(("options",) if options else ()))
    kept = [words for words in _lines() if words[0] in ("search", "domain", "options") and words[0] not in replaced]
    # A dot alone asks for no domain at all, as with docker.
    kept += [["search", *search]] if search and list(search) != ["."] else []
    kept += [["options", *options]] if options else []
    if resolver and not any(words[0] == "options" for words in kept):
        kept.append(["options", "ndots:0"])
    named = [ADDRESS] if resolver else list(servers or machine_servers())
    return "".join(f"nameserver {server}\n" for server in named) + "".join(f"{' '.join(words)}\n" for words in kept)


def _text() -> str:
    try:
        return Path(_RESOLV_CONF).read_text(errors="replace")
    except OSError:
        return ""


def _lines() -> list[list[str]]:
    return [words for line in _text().splitlines() if (words := line.split()) and words[0][0] not in "#;"]
