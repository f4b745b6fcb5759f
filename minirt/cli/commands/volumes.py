"""``volume create``, ``ls`` (also of a path in a volume), ``inspect``, ``rm``, ``prune``."""

from __future__ import annotations

from typing import Any

from minirt.cli.commands.inspect import inspector
from minirt.cli.commands.prune import volumes_text
from minirt.cli.common import FORMAT, confirmed, each, filter_flag
from minirt.cli.grammar import command, switch, value, values
from minirt.cli.session import Session
from minirt.cli.tables import Listing, align
from minirt.cli.units import human_size
from minirt.cli.values import Filters, label_pair
from minirt.errors import InvalidSpec, VolumeNotFound
from minirt.volumes.specs import check_volume_name

__all__ = ["create", "inspect", "ls", "prune", "rm"]

LISTING = Listing(
    {
        "Name": "VOLUME NAME",
        "Driver": "DRIVER",
        "Scope": "SCOPE",
        "Availability": "AVAILABILITY",
        "Group": "GROUP",
        "Labels": "LABELS",
        "Label": "LABEL",
        "Links": "LINKS",
        "Mountpoint": "MOUNTPOINT",
        "Size": "SIZE",
        "Status": "STATUS",
    },
    ("Driver", "Name"),
    "Name",
)

inspect = inspector("volume", "Display detailed information on one or more volumes")


def _driver(text: str) -> str:
    if text != "local":
        raise InvalidSpec(f'plugin "{text}" not found', hint="minirt has one volume driver: local.")
    return text


def _option(text: str) -> tuple[str, str]:
    name, equals, setting = text.partition("=")
    if not equals:
        raise InvalidSpec(f"{text} must be formatted as key=value")
    return name, setting


@command(
    "create",
    "Create a volume",
    usage="[OPTIONS] [VOLUME]",
    arity=(0, 1),
    flags=[
        value("--driver", "d", 'Specify volume driver name (default "local")', parse=_driver, default="local"),
        values("--label", "", "Set metadata for a volume", parse=label_pair),
        values("--opt", "o", "Set driver specific options", word="map", parse=_option),
        value("--name", "", "Specify volume name", hidden=True),
    ],
)
def create(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    name = arguments[0] if arguments else options["name"]
    if name:
        check_volume_name(name)
    volume = session.engine.volumes.create(
        name or None, labels=dict(options["label"]), driver_opts=dict(options["opt"])
    )
    session.print(f"{volume.name}\n")


@command(
    "ls",
    "List volumes",
    usage="[OPTIONS] [VOLUME:PATH]",
    arity=(0, 1),
    operands="volume",
    flags=[
        filter_flag('Provide filter values (e.g. "dangling=true")'),
        FORMAT(),
        switch("--quiet", "q", "Only display volume names"),
    ],
)
def ls(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    if arguments:
        _look(session, arguments[0], options["quiet"])
        return
    filters = Filters(options["filters"], ("dangling", "driver", "label", "name"))
    dangling = filters.boolean("dangling")
    rows = []
    for volume in session.engine.volumes.list():
        attrs = volume.attrs
        labels = attrs["Labels"] or {}
        if dangling is not None and dangling == bool(session.engine.volumes.users(volume.name)):
            continue
        if (
            filters.contains("name", volume.name)
            and filters.allows("driver", attrs["Driver"])
            and filters.labels(labels)
        ):
            rows.append(_row(attrs, labels))
    session.print(LISTING.render(rows, form=options["form"], quiet=options["quiet"]))


def _look(session: Session, words: str, quiet: bool) -> None:
    """Ours: what is in a volume, without a container. ``NAME`` alone is its root."""
    name, _, path = words.partition(":")
    entries = session.engine.volumes.get(name).look(path or "/")
    if quiet:
        session.print("".join(f"{entry['name']}\n" for entry in entries))
        return
    rows = [["MODE", "OWNER", "SIZE", "NAME"]]
    for entry in entries:
        shown = entry["name"] + (f" -> {entry['link']}" if entry["link"] else "")
        size = "" if entry["mode"].startswith("d") else human_size(entry["size"])
        rows.append([entry["mode"], f"{entry['uid']}:{entry['gid']}", size, shown])
    session.print(align(rows))


def _row(attrs: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    return {
        "Name": attrs["Name"],
        "Driver": attrs["Driver"],
        "Scope": attrs["Scope"],
        "Labels": ",".join(f"{name}={text}" for name, text in sorted(labels.items())),
        "Label": lambda name: labels.get(name, ""),
        "Mountpoint": attrs["Mountpoint"],
        **dict.fromkeys(("Availability", "Group", "Links", "Size", "Status"), "N/A"),
    }


@command(
    "rm",
    "Remove one or more volumes",
    usage="[OPTIONS] VOLUME [VOLUME...]",
    arity=(1, None),
    operands="volume",
    flags=[switch("--force", "f", "Force the removal of one or more volumes")],
)
def rm(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    def remove(name: str) -> str:
        try:
            session.engine.volumes.remove(name)
        except VolumeNotFound:
            if not options["force"]:
                raise
        return name

    each(session, arguments, remove)


@command(
    "prune",
    "Remove unused local volumes",
    flags=[
        switch("--all", "a", "Remove all unused volumes, not just anonymous ones", name="every"),
        filter_flag('Provide filter values (e.g. "label=<label>")', short=""),
        switch("--force", "f", "Do not prompt for confirmation"),
    ],
)
def prune(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    filters = Filters(options["filters"], ("label", "label!", "all"))
    every = options["every"] or bool(filters.boolean("all"))
    kind = "local" if every else "anonymous local"
    warning = f"This will remove {kind} volumes not used by at least one container."
    if not confirmed(session, warning, options["force"]):
        return
    pruned = session.engine.volumes.prune(all=every, wanted=filters.label_rules)
    session.print(volumes_text(pruned) + f"Total reclaimed space: {human_size(pruned['SpaceReclaimed'])}\n")
