"""``system check`` and the long form of ``system df``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from minirt.cli.commands.containers import container_row
from minirt.cli.grammar import command, switch
from minirt.cli.session import Session
from minirt.cli.tables import align
from minirt.cli.units import ago, human_size
from minirt.errors import StoreError

if TYPE_CHECKING:
    from minirt.engine import Engine

__all__ = ["check", "detailed_usage"]


@command(
    "check",
    "Check that what lies in the home fits together",
    flags=[switch("--repair", "", "Repair what can be repaired")],
)
def check(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    """Ours: docker has no such command. Without --repair nothing is written."""
    from minirt.engine.checking import check_home

    problems = check_home(session.engine, repair=options["repair"])
    for problem in problems:
        done = "repaired" if problem.repaired else f"--repair would: {problem.cure}" if problem.cure else "look at it"
        session.print(f"{problem.where}: {problem.what} ({done})\n")
    left = [problem for problem in problems if not problem.repaired]
    if left:
        count = f"{len(left)} problem{'s' if len(left) > 1 else ''}"
        hint = "docker system check --repair" if any(problem.cure for problem in left) else ""
        raise StoreError(f"{count} in {session.engine.store.home}", hint=hint)
    session.print("Everything fits together.\n")


def detailed_usage(engine: Engine, session: Session) -> str:
    """``docker system df -v``: three tables; what images share is counted apart from what is theirs alone."""
    parts = [
        ("Images", _images(engine)),
        ("Containers", _containers(engine, session)),
        ("Local Volumes", _volumes(engine)),
    ]
    return "\n".join(f"{title} space usage:\n\n{align(rows)}" for title, rows in parts)


def _images(engine: Engine) -> list[list[str]]:
    rows = [["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"]]
    images = engine.images.list(all=True)
    holders: dict[str, set[str]] = {}
    for image in images:
        for layer in image.layers:
            holders.setdefault(str(layer.chain_id), set()).add(image.id)
    users = [container.attrs["Image"] for container in engine.containers.list(all=True)]
    now = datetime.now(UTC)
    for image in images:
        shared = sum(layer.content for layer in image.layers if len(holders[str(layer.chain_id)]) > 1)
        size = sum(layer.content for layer in image.layers)
        for tag in image.tags or ["<none>:<none>"]:
            name, _, label = tag.rpartition(":")
            created = ago(image.attrs["Created"], now)
            sizes = [human_size(size), human_size(shared), human_size(size - shared)]
            rows.append([name, label, image.stored.id.short, created, *sizes, str(users.count(image.id))])
    return rows


def _containers(engine: Engine, session: Session) -> list[list[str]]:
    rows = [["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"]]
    for container in engine.containers.list(all=True):
        row = container_row(session, container, container.attrs, False, False)
        row["Size"] = human_size(engine.lifecycle.storage_bytes(container.record))
        fields = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
        rows.append([str(row[field]) for field in fields])
    return rows


def _volumes(engine: Engine) -> list[list[str]]:
    rows = [["VOLUME NAME", "LINKS", "SIZE"]]
    for volume in engine.volumes.list():
        rows.append([volume.name, str(len(engine.volumes.users(volume.name))), human_size(volume.size)])
    return rows
