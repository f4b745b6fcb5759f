"""``registry serve``: a class's own registry, a directory of images that learners pull from."""

from __future__ import annotations

import select
from pathlib import Path
from typing import Any

from minirt.cli.grammar import command, switch, value
from minirt.cli.session import Session
from minirt.cli.settings import home_of
from minirt.errors import Conflict

__all__ = ["serve"]

PORT = 5000  # the one that registries are expected at


def _address(text: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``HOST`` alone. Raises ValueError."""
    host, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    if not host or ":" in host:
        raise ValueError("it is written HOST:PORT, with a name or an IPv4 address as HOST")
    if colon and not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError(f"{port or 'nothing'} is not a port: a number from 0 (any free one) to 65535")
    return host, int(port) if colon else PORT


@command(
    "serve",
    "Serve a directory of images to others, until interrupted",
    flags=[
        value("--root", "", "Directory of the images (default: registry in minirt's home)", word="directory"),
        value(
            "--address",
            "",
            f'Where to listen (default "127.0.0.1:{PORT}"; 0.0.0.0 lets other machines in)',
            word="host:port",
            parse=_address,
            default=f"127.0.0.1:{PORT}",
        ),
        switch("--read-only", "", "Refuse what would change the images"),
    ],
)
def serve(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    """Raises :class:`Conflict` if the address cannot be listened at."""
    from minirt.registry.server import ReadOnlyHandler, RegistryHandler, RegistryServer

    root = session.cwd / options["root"] if options["root"] else home_of(session.environment) / "registry"
    host, port = options["address"]
    try:
        server = RegistryServer(root, host, port, ReadOnlyHandler if options["read_only"] else RegistryHandler)
    except OSError as error:
        if error.filename is not None:  # the directory, not the address
            raise
        raise Conflict(
            f"cannot listen at {host}:{port}: {error.strerror or error}",
            cause="another program listens there already, or the address is not one of this machine's",
            hint=f"Name another: --address {host}:0 takes a free port.",
        ) from error
    with server:
        session.print(_greeting(server.address, root, options["read_only"]))
        while not session.cancel.cancelled:
            select.select([session.cancel], [], [])


def _greeting(address: str, root: Path, read_only: bool) -> str:
    lines = [f"Serving {root} at http://{address}" + (", read-only" if read_only else "")]
    if not read_only:
        lines.append(f"To fill it: tag IMAGE {address}/library/NAME:TAG, then push {address}/library/NAME:TAG.")
    lines.append(f"Learners set MINIRT_REGISTRY_MIRRORS=http://{address} and pull NAME:TAG. Ctrl-C ends it.")
    return "\n".join(lines) + "\n"
