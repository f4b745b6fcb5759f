"""Checks of EXPOSE, which need the values of variables: BuildKit looks at the words as they are once expanded."""

from __future__ import annotations

from collections.abc import Iterator

from minirt.dockerfile.checks.findings import Finding
from minirt.dockerfile.instructions import Expose

__all__ = ["check_ports"]


def check_ports(written: Expose, expanded: Expose, step: str) -> Iterator[Finding]:
    """``written`` has the places, ``expanded`` the words."""
    for word in expanded.ports:
        where = written.origin.find(word)
        port, slash, protocol = word.partition("/")
        if protocol != protocol.lower():
            message = f"Defined protocol '{word}' in EXPOSE instruction should be lowercase"
            yield Finding("ExposeProtoCasing", message, where, step, f"EXPOSE {port}/{protocol.lower()}")
        if ":" in port:
            message = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'"
            better = f"EXPOSE {port.rpartition(':')[2]}{slash}{protocol}"
            yield Finding("ExposeInvalidFormat", message, where, step, better)
