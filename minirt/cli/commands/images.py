"""``images``, ``history``, ``tag``, ``rmi``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from minirt.cli.common import FORMAT, QUIET_IDS, filter_flag
from minirt.cli.grammar import absent, command, switch
from minirt.cli.session import Session
from minirt.cli.tables import Listing
from minirt.cli.units import ago, human_size, local_time, parse_time
from minirt.cli.values import Filters
from minirt.errors import InvalidReference

if TYPE_CHECKING:
    pass

__all__ = ["history", "images"]

NONE, NONE_HERE = "<none>", "<missing>"
LISTING = Listing(
    {
        "ID": "IMAGE ID",
        "Repository": "REPOSITORY",
        "Tag": "TAG",
        "Digest": "DIGEST",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "Size": "SIZE",
        "Containers": "CONTAINERS",
        "VirtualSize": "SIZE",
        "SharedSize": "SHARED SIZE",
        "UniqueSize": "UNIQUE SIZE",
    },
    ("Repository", "Tag", "ID", "CreatedSince", "Size"),
    "ID",
)
HISTORY = Listing(
    {
        "ID": "IMAGE",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "CreatedBy": "CREATED BY",
        "Size": "SIZE",
        "Comment": "COMMENT",
    },
    ("ID", "CreatedSince", "CreatedBy", "Size", "Comment"),
    "ID",
)
_FILTERS = ("dangling", "label", "before", "since", "reference", "until")


@command(
    "images",
    "List images",
    usage="[OPTIONS] [REPOSITORY[:TAG]]",
    arity=(0, 1),
    operands="image",
    flags=[
        switch("--all", "a", "Show all images (default hides intermediate images)", name="every"),
        switch("--digests", "", "Show digests"),
        filter_flag(),
        FORMAT(),
        switch("--no-trunc", "", "Don't truncate output"),
        QUIET_IDS(),
        absent(
            "--tree",
            "",
            "List multi-platform images as a tree (EXPERIMENTAL)",
            word="",
            why="docker calls it an experiment; `docker image inspect` lists an image's platforms",
        ),
    ],
)
def images(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    filters = Filters(options["filters"], _FILTERS)
    found = session.engine.images.list(arguments[0] if arguments else None, all=options["every"])
    chosen = [image.attrs for image in found]
    chosen = [attrs for attrs in chosen if _passes(session, attrs, filters)]
    listing = LISTING
    form = options["form"]
    if options["digests"] and form in ("", "table"):
        listing = Listing(LISTING.titles, ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"), "ID")
    shows_digest = options["digests"] or "Digest" in form
    pattern = arguments[0] if arguments else ""
    rows = [row for attrs in chosen for row in image_rows(attrs, pattern, shows_digest, options["no_trunc"])]
    session.print(listing.render(rows, form=form, quiet=options["quiet"]))


def image_rows(attrs: dict[str, Any], pattern: str, digests: bool, whole: bool) -> Iterator[dict[str, str]]:
    """A row for each name of the image; with ``digests`` for each name and digest (docker/cli, formatter/image.go)."""
    created = attrs.get("Created") or ""
    size = human_size(attrs.get("Size") or 0)
    common = {
        "ID": attrs["Id"] if whole else attrs["Id"].partition(":")[2][:12],
        "CreatedSince": ago(created, datetime.now(UTC)),
        "CreatedAt": local_time(created),
        "Size": size,
        "VirtualSize": size,
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "Containers": "N/A",
    }
    for repository, tag, digest in _names(attrs, digests):
        if not pattern or _fits(pattern, repository, tag):
            yield {**common, "Repository": repository, "Tag": tag, "Digest": digest}


def _names(attrs: dict[str, Any], digests: bool) -> Iterator[tuple[str, str, str]]:
    by_repository: dict[str, list[str]] = {}
    for pinned in attrs.get("RepoDigests") or ():
        name, _, digest = pinned.partition("@")
        by_repository.setdefault(name, []).append(digest)
    tagged = set()
    for full in attrs.get("RepoTags") or ():
        name, _, tag = full.rpartition(":")
        tagged.add(name)
        known = by_repository.get(name) if digests else None
        for digest in known or [NONE]:
            yield name, tag, digest
    for name, known in by_repository.items():
        if name not in tagged:
            for digest in known if digests else known[:1]:
                yield name, NONE, digest
    if not tagged and not by_repository:
        yield NONE, NONE, NONE


def _fits(pattern: str, repository: str, tag: str) -> bool:
    """Of an image found by one of its names, only the names that fit the pattern are rows."""
    import fnmatch

    from minirt.model.reference import Reference

    if any(c in pattern for c in "*?["):
        return any(fnmatch.fnmatchcase(text, pattern) for text in (repository, f"{repository}:{tag}"))
    try:
        wanted = Reference.parse(pattern, default_tag=None)
    except InvalidReference:
        return True
    return wanted.familiar_name == repository and wanted.tag in (None, tag)


def _passes(session: Session, attrs: dict[str, Any], filters: Filters) -> bool:
    tags = attrs.get("RepoTags") or ()
    dangling = filters.boolean("dangling")
    if dangling is not None and dangling == bool(tags):
        return False
    if not filters.labels((attrs.get("Config") or {}).get("Labels") or {}):
        return False
    names = [*tags, *(tag.rpartition(":")[0] for tag in tags)]
    if not filters.matches("reference", *names):
        return False
    created = parse_time(attrs.get("Created") or "")
    for name in ("before", "since"):
        for other in filters.wanted(name):
            moment = parse_time(session.engine.images.get(other).attrs["Created"])
            if created is None or moment is None or created == moment or (created < moment) != (name == "before"):
                return False
    return True


@command(
    "history",
    "Show the history of an image",
    usage="[OPTIONS] IMAGE",
    arity=(1, 1),
    operands="image",
    flags=[
        FORMAT(),
        switch("--human", "H", "Print sizes and dates in human readable format", default=True),
        switch("--no-trunc", "", "Don't truncate output"),
        QUIET_IDS(),
    ],
)
def history(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    human, whole = options["human"], options["no_trunc"]
    rows = []
    for entry in session.engine.images.get(arguments[0]).history():
        created_by = entry.created_by if whole else shortened(" ".join(entry.created_by.split()), 45)
        created = _history_time(entry.created)
        identity = NONE_HERE if entry.id is None else str(entry.id) if whole else entry.id.short
        rows.append(
            {
                "ID": identity,
                "CreatedSince": ago(created, datetime.now(UTC)) if human else created,
                "CreatedAt": created,
                "CreatedBy": created_by,
                "Size": human_size(entry.size) if human else str(entry.size),
                "Comment": entry.comment,
            }
        )
    listing = HISTORY if human else Listing(HISTORY.titles, ("ID", "CreatedAt", *HISTORY.columns[2:]), "ID")
    session.print(listing.render(rows, form=options["form"], quiet=options["quiet"]))


def _history_time(created: str) -> str:
    """RFC 3339 in local time, to the second."""
    moment = parse_time(created)
    return "" if moment is None else moment.astimezone().replace(microsecond=0).isoformat().replace("+00:00", "Z")


def shortened(text: str, length: int) -> str:
    """At most ``length`` characters, the last an ellipsis if some are left out."""
    return text if len(text) <= length else text[: length - 1] + "…"
