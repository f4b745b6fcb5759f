"""``network ls`` and ``network inspect``: the two networks there are so far, ``host`` and ``none``."""

from __future__ import annotations

import hashlib
from typing import Any

from minirt.cli.commands.inspect import show
from minirt.cli.common import FORMAT, INSPECT_FORMAT, filter_flag
from minirt.cli.grammar import command, switch
from minirt.cli.session import Session
from minirt.cli.tables import Listing
from minirt.cli.values import Filters
from minirt.errors import NetworkNotFound

__all__ = ["inspect", "ls"]

DRIVERS = {"host": "host", "none": "null"}
LISTING = Listing(
    {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "Labels": "LABELS"},
    ("ID", "Name", "Driver", "Scope"),
    "ID",
)


def _identity(name: str) -> str:
    # They are the same on every machine, so their ids may be too.
    return hashlib.sha256(f"minirt network {name}".encode()).hexdigest()


@command(
    "ls",
    "List networks",
    flags=[
        filter_flag('Provide filter values (e.g. "driver=bridge")'),
        FORMAT(),
        switch("--no-trunc", "", "Do not truncate the output"),
        switch("--quiet", "q", "Only display network IDs"),
    ],
)
def ls(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    filters = Filters(options["filters"], ("driver", "id", "name", "scope", "type"))
    rows = [
        {
            "ID": _identity(name) if options["no_trunc"] else _identity(name)[:12],
            "Name": name,
            "Driver": driver,
            "Scope": "local",
            "Labels": "",
        }
        for name, driver in DRIVERS.items()
        if filters.contains("name", name) and filters.allows("driver", driver)
    ]
    session.print(LISTING.render(rows, form=options["form"], quiet=options["quiet"]))


@command(
    "inspect",
    "Display detailed information on one or more networks",
    usage="[OPTIONS] NETWORK [NETWORK...]",
    arity=(1, None),
    operands="network",
    flags=[INSPECT_FORMAT(), switch("--verbose", "v", "Verbose output for diagnostics")],
)
def inspect(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    show(session, arguments, options["form"], find)


def find(session: Session, name: str) -> dict[str, Any]:
    """The network of that name or id. Raises :class:`NetworkNotFound`."""
    for known, driver in DRIVERS.items():
        if name == known or (len(name) > 3 and _identity(known).startswith(name)):
            containers = {
                container.id: {"Name": container.name}
                for container in session.engine.containers.list()
                if known in container.attrs["NetworkSettings"]["Networks"]
            }
            return {
                "Name": known,
                "Id": _identity(known),
                "Scope": "local",
                "Driver": driver,
                "Internal": False,
                "Containers": containers,
                "Options": {},
                "Labels": {},
            }
    raise NetworkNotFound(f"network {name} not found", hint="There are host and none.")
