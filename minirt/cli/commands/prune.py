"""``image prune``, ``container prune``, ``system prune``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minirt.cli.common import confirmed, filter_flag
from minirt.cli.grammar import Flag, command, switch
from minirt.cli.moments import moment
from minirt.cli.session import Session
from minirt.cli.units import human_size, parse_time
from minirt.cli.values import Filters
from minirt.errors import InvalidInput

if TYPE_CHECKING:
    from minirt.engine.containers import Container
    from minirt.engine.networks import Network
    from minirt.images.image import StoredImage
    from minirt.images.removal import Removal

__all__ = [
    "AGE_AND_LABELS",
    "builds_text",
    "container_prune",
    "image_prune",
    "networks_text",
    "of_networks",
    "old_enough",
    "system_prune",
    "volumes_text",
]


def _flags() -> list[Flag]:
    return [
        filter_flag('Provide filter values (e.g. "until=<timestamp>")', short=""),
        switch("--force", "f", "Do not prompt for confirmation"),
    ]


AGE_AND_LABELS = ("until", "label", "label!")


def old_enough(filters: Filters, created: str) -> bool:
    limits = [limit for text in filters.wanted("until") if (limit := moment(text))]
    made = parse_time(created)
    return made is None or all(made < limit for limit in limits)


def _of_images(filters: Filters) -> Callable[[StoredImage], bool]:
    return lambda image: filters.label_rules(image.labels) and old_enough(filters, image.config.created)


def _of_containers(filters: Filters) -> Callable[[Container], bool]:
    return lambda container: filters.label_rules(container.labels) and old_enough(filters, container.record.created)


def _every(text: str) -> Flag:
    return switch("--all", "a", text, name="every")


@command("prune", "Remove unused images", flags=[_every("Remove all unused images, not just dangling ones"), *_flags()])
def image_prune(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    warning = "This will remove all dangling images."
    if options["every"]:
        warning = "This will remove all images without at least one container associated to them."
    if not confirmed(session, warning, options["force"]):
        return
    wanted = _of_images(Filters(options["filters"], (*AGE_AND_LABELS, "dangling")))
    removal = session.engine.images.prune(all=options["every"], wanted=wanted)
    session.print(_images_text(removal) + f"Total reclaimed space: {human_size(removal.bytes)}\n")


@command("prune", "Remove all stopped containers", flags=_flags())
def container_prune(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    if not confirmed(session, "This will remove all stopped containers.", options["force"]):
        return
    wanted = _of_containers(Filters(options["filters"], AGE_AND_LABELS))
    pruned = session.engine.containers.prune(wanted=wanted)
    session.print(_containers_text(pruned) + f"Total reclaimed space: {human_size(pruned['SpaceReclaimed'])}\n")


@command(
    "prune",
    "Remove unused data",
    flags=[
        _every("Remove all unused images not just dangling ones"),
        *_flags(),
        switch("--volumes", "", "Prune anonymous volumes"),
    ],
)
def system_prune(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    engine, filters = session.engine, Filters(options["filters"], AGE_AND_LABELS)
    if options["volumes"] and filters.wanted("until"):
        raise InvalidInput(
            'The "until" filter is not supported with "--volumes"', hint="Volumes first: docker volume prune."
        )
    if not confirmed(session, _system_warning(options), options["force"]):
        return
    pruned = engine.containers.prune(wanted=_of_containers(filters))
    text, freed = _containers_text(pruned), pruned["SpaceReclaimed"]
    text += networks_text(engine.networks.prune(wanted=of_networks(filters)))
    if options["volumes"]:
        volumes = engine.volumes.prune(wanted=filters.label_rules)
        text += volumes_text(volumes)
        freed += volumes["SpaceReclaimed"]
    removal = engine.images.prune(all=options["every"], wanted=_of_images(filters))
    text += _images_text(removal)
    freed += removal.bytes
    if not options["filters"]:  # the cache knows neither labels nor when an image was made
        builds = engine.images.prune_builds(all=options["every"])
        text += builds_text(builds)
        freed += builds["SpaceReclaimed"]
    session.print(f"{text}Total reclaimed space: {human_size(freed)}\n")


def _system_warning(options: dict[str, Any]) -> str:
    doomed = ["all stopped containers", "all networks not used by at least one container"]
    if options["volumes"]:
        doomed.append("all anonymous volumes not used by at least one container")
    if options["every"]:
        doomed += ["all images without at least one container associated to them", "all build cache"]
    else:
        doomed += ["all dangling images", "unused build cache"]
    text = "This will remove:\n" + "".join(f"  - {what}\n" for what in doomed)
    if options["filters"]:
        text += "\n  Items to be pruned will be filtered with:\n"
        text += "".join(f"  - {name}={value}\n" for name, value in sorted(options["filters"]))
    return text


def of_networks(filters: Filters) -> Callable[[Network], bool]:
    """Those that the filters let go."""
    return lambda one: filters.label_rules(one.stored.labels) and old_enough(filters, one.stored.created)


def networks_text(pruned: dict[str, Any]) -> str:
    return _section("Deleted Networks", pruned["NetworksDeleted"])


def _images_text(removal: Removal) -> str:
    lines = [f"untagged: {name}" for name in removal.untagged]
    lines += [f"deleted: {digest}" for digest in (*removal.deleted, *removal.layers)]
    return _section("Deleted Images", lines)


def _containers_text(pruned: dict[str, Any]) -> str:
    return _section("Deleted Containers", pruned["ContainersDeleted"])


def volumes_text(pruned: dict[str, Any]) -> str:
    return _section("Deleted Volumes", pruned["VolumesDeleted"])


def builds_text(pruned: dict[str, Any]) -> str:
    return _section("Deleted build cache objects", [key[:25] for key in pruned["CachesDeleted"]])


def _section(title: str, lines: list[str]) -> str:
    return f"{title}:\n" + "".join(f"{line}\n" for line in lines) + "\n" if lines else ""
