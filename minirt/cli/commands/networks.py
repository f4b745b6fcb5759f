"""``network create``, ``ls``, ``inspect``, ``connect``, ``disconnect``, ``rm``, ``prune``."""

from __future__ import annotations

from typing import Any

from minirt.cli.commands.inspect import show
from minirt.cli.commands.prune import AGE_AND_LABELS, networks_text, of_networks
from minirt.cli.common import FORMAT, INSPECT_FORMAT, confirmed, each, filter_flag
from minirt.cli.grammar import absent, command, switch, value, values
from minirt.cli.session import Session
from minirt.cli.tables import Listing
from minirt.cli.units import local_time
from minirt.cli.values import Filters, label_pair
from minirt.errors import ContainerNotFound, NetworkNotFound

__all__ = ["connect", "create", "disconnect", "find", "inspect", "ls", "prune", "rm"]

LISTING = Listing(
    {
        "ID": "NETWORK ID",
        "Name": "NAME",
        "Driver": "DRIVER",
        "Scope": "SCOPE",
        "IPv4": "IPV4",
        "IPv6": "IPV6",
        "Internal": "INTERNAL",
        "Labels": "LABELS",
        "Label": "LABEL",
        "CreatedAt": "CREATED AT",
    },
    ("ID", "Name", "Driver", "Scope"),
    "ID",
)
_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")


@command(
    "create",
    "Create a network",
    usage="[OPTIONS] NETWORK",
    arity=(1, 1),
    flags=[
        value("--driver", "d", "Driver to manage the Network", default="bridge"),
        value("--gateway", "", "IPv4 Gateway for the subnet"),
        switch("--internal", "", "Restrict external access to the network"),
        values("--label", "", "Set metadata on a network", parse=label_pair),
        value("--subnet", "", "Subnet in CIDR format that represents a network segment"),
        switch("--attachable", "", "Enable manual container attachment"),
        absent("--aux-address", "", "Auxiliary IPv4 addresses used by Network driver", word="map"),
        value("--ip-range", "", "Allocate container ip from a sub-range"),
        absent("--ipam-driver", "", "IP Address Management Driver"),
        absent("--ipv6", "", "Enable or disable IPv6 address assignment", word=""),
        absent("--opt", "o", "Set driver specific options", word="map"),
        absent("--scope", "", "Control the network's scope"),
    ],
)
def create(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    network = session.engine.networks.create(
        arguments[0],
        options["driver"],
        subnet=options["subnet"],
        gateway=options["gateway"],
        ip_range=options["ip_range"],
        internal=options["internal"],
        labels=dict(options["label"]),
    )
    session.print(f"{network.id}\n")


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
    filters = Filters(options["filters"], _FILTERS)
    dangling = filters.boolean("dangling")
    rows = []
    for network in session.engine.networks.list():
        attrs = network.attrs
        kind = "builtin" if network.stored.built_in else "custom"
        if dangling is not None and dangling == (bool(attrs["Containers"]) or kind == "builtin"):
            continue
        if (
            filters.contains("name", network.name)
            and filters.contains("id", network.id)
            and filters.allows("driver", attrs["Driver"])
            and filters.allows("scope", attrs["Scope"])
            and filters.allows("type", kind)
            and filters.labels(attrs["Labels"])
        ):
            rows.append(_row(attrs, options["no_trunc"]))
    session.print(LISTING.render(rows, form=options["form"], quiet=options["quiet"]))


def _row(attrs: dict[str, Any], whole: bool) -> dict[str, Any]:
    labels: dict[str, str] = attrs["Labels"]
    return {
        "ID": attrs["Id"] if whole else attrs["Id"][:12],
        "Name": attrs["Name"],
        "Driver": attrs["Driver"],
        "Scope": attrs["Scope"],
        "IPv4": "true",
        "IPv6": "false",
        "Internal": str(attrs["Internal"]).lower(),
        "Labels": ",".join(f"{name}={text}" for name, text in sorted(labels.items())),
        "Label": lambda name: labels.get(name, ""),
        "CreatedAt": local_time(attrs["Created"], exact=True),
    }


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
    return dict(session.engine.networks.get(name).attrs)


@command(
    "connect",
    "Connect a container to a network",
    usage="[OPTIONS] NETWORK CONTAINER",
    arity=(2, 2),
    operands="network",
    flags=[
        values("--alias", "", "Add network-scoped alias for the container"),
        value("--ip", "", "IPv4 address (e.g., 172.30.100.104)"),
        absent("--driver-opt", "", "driver options for the network", word="strings"),
        absent("--ip6", "", "IPv6 address (e.g., 2001:db8::33)"),
        absent("--link", "", "Add link to another container", word="list"),
        absent("--link-local-ip", "", "Add a link-local address for the container", word="strings"),
    ],
)
def connect(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    network, container = arguments
    found = session.engine.networks.get(network)
    found.connect(container, aliases=options["alias"], ipv4_address=options["ip"] or None)


@command(
    "disconnect",
    "Disconnect a container from a network",
    usage="[OPTIONS] NETWORK CONTAINER",
    arity=(2, 2),
    operands="network",
    flags=[switch("--force", "f", "Force the container to disconnect from a network")],
)
def disconnect(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    network, container = arguments
    try:
        session.engine.networks.get(network).disconnect(container, force=options["force"])
    except ContainerNotFound:
        if not options["force"]:
            raise


@command(
    "rm",
    "Remove one or more networks",
    usage="NETWORK [NETWORK...]",
    arity=(1, None),
    operands="network",
    flags=[switch("--force", "f", "Do not error if the network does not exist")],
)
def rm(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    def remove(name: str) -> str | None:
        try:
            session.engine.networks.get(name).remove()
        except NetworkNotFound:
            if not options["force"]:
                raise
            return None
        return name

    each(session, arguments, remove)


@command(
    "prune",
    "Remove all unused networks",
    flags=[
        filter_flag('Provide filter values (e.g. "until=<timestamp>")', short=""),
        switch("--force", "f", "Do not prompt for confirmation"),
    ],
)
def prune(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    warning = "This will remove all custom networks not used by at least one container."
    if not confirmed(session, warning, options["force"]):
        return
    filters = Filters(options["filters"], AGE_AND_LABELS)
    session.print(networks_text(session.engine.networks.prune(wanted=of_networks(filters))))
