"""``ps`` and ``diff``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from minirt.cli.common import FORMAT, QUIET_IDS, filter_flag
from minirt.cli.grammar import command, number, switch
from minirt.cli.session import Session
from minirt.cli.tables import Listing
from minirt.cli.units import ago, human_duration, human_size, local_time, parse_time
from minirt.errors import ContainerNotFound, MinirtError

if TYPE_CHECKING:
    from minirt.engine.containers import Container

__all__ = ["diff", "ps"]

LISTING = Listing(
    {
        "ID": "CONTAINER ID",
        "Image": "IMAGE",
        "Command": "COMMAND",
        "CreatedAt": "CREATED AT",
        "RunningFor": "CREATED",
        "Status": "STATUS",
        "State": "STATE",
        "Ports": "PORTS",
        "Names": "NAMES",
        "Size": "SIZE",
        "Labels": "LABELS",
        "Label": "LABEL",
        "Mounts": "MOUNTS",
        "LocalVolumes": "LOCAL VOLUMES",
        "Networks": "NETWORKS",
        "Platform": "PLATFORM",
    },
    ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"),
    "ID",
)


@command(
    "ps",
    "List containers",
    operands="",
    flags=[
        switch("--all", "a", "Show all containers (default shows just running)", name="every"),
        filter_flag(),
        FORMAT(),
        number("--last", "n", "Show n last created containers (includes all states) (default -1)", default=-1),
        switch("--latest", "l", "Show the latest created container (includes all states)"),
        switch("--no-trunc", "", "Don't truncate output"),
        QUIET_IDS("Only display container IDs"),
        switch("--size", "s", "Display total file sizes"),
    ],
)
def ps(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    wanted: dict[str, list[str]] = {}
    for name, text in options["filters"]:
        wanted.setdefault(name, []).append(text)
    last = 1 if options["latest"] else options["last"]
    listed = session.engine.containers.list(all=options["every"] or last > 0, filters=wanted)
    found = list(_with_attributes(listed))
    found = found[:last] if last > 0 else found
    # `{{json .}}` shows every field, so it needs them all; docker's word `json` alone does not ask for sizes.
    sized = options["size"] or ".Size" in options["form"] or bool(re.search(r"\bjson \.\s*}}", options["form"]))
    rows = [container_row(session, container, attrs, options["no_trunc"], sized) for container, attrs in found]
    listing = Listing(LISTING.titles, (*LISTING.columns, "Size"), "ID") if options["size"] else LISTING
    session.print(listing.render(rows, form=options["form"], quiet=options["quiet"]))


def _with_attributes(containers: Iterable[Container]) -> Iterable[tuple[Container, dict[str, Any]]]:
    for container in containers:
        try:
            yield container, container.attrs
        except ContainerNotFound:
            continue  # removed by somebody else at this moment


def container_row(
    session: Session, container: Container, attrs: dict[str, Any], whole: bool, sized: bool
) -> dict[str, Any]:
    """All the fields of one container (docker/cli, formatter/container.go)."""
    now = datetime.now(UTC)
    labels = attrs["Config"].get("Labels") or {}
    mounts = [mount.get("Name") or mount.get("Source") or "" for mount in attrs["Mounts"]]
    return {
        "ID": attrs["Id"] if whole else attrs["Id"][:12],
        "Image": _image_name(session, attrs),
        "Command": _command([attrs["Path"], *attrs["Args"]], whole),
        "CreatedAt": local_time(attrs["Created"]),
        "RunningFor": ago(attrs["Created"], now),
        "Status": status_text(attrs["State"], now),
        "State": attrs["State"]["Status"],
        "Ports": ports_text(attrs["NetworkSettings"].get("Ports") or {}),
        "Names": attrs["Name"].lstrip("/"),
        "Size": _size(session, container) if sized else "0B",
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(labels.items())),
        "Label": lambda name: labels.get(name, ""),
        "Mounts": ",".join(mount if whole or len(mount) <= 15 else mount[:14] + "…" for mount in mounts),
        "LocalVolumes": str(sum(mount.get("Type") == "volume" for mount in attrs["Mounts"])),
        "Networks": ",".join(attrs["NetworkSettings"]["Networks"]),
        "Platform": None,
    }


def ports_text(ports: dict[str, Any]) -> str:
    """``0.0.0.0:8080->80/tcp, 443/tcp``: published ones with the machine's port, others alone and first."""
    texts = []
    for port, places in sorted(ports.items(), key=lambda item: (bool(item[1]), item[0])):
        for place in places or ():
            address = f"[{place['HostIp']}]" if ":" in place["HostIp"] else place["HostIp"]
            texts.append(f"{address}:{place['HostPort']}->{port}")
        if not places:
            texts.append(port)
    return ", ".join(texts)


def _image_name(session: Session, attrs: dict[str, Any]) -> str:
    """The name it was made from, as long as that name still means the same image; else the image's id."""
    name = str(attrs["Config"]["Image"])
    try:
        same = session.engine.images.get(name).id == attrs["Image"]
    except MinirtError:
        same = False
    return name if same else str(attrs["Image"]).partition(":")[2][:12]


def _command(argv: list[str], whole: bool) -> str:
    words = [argv[0], *(f"'{word}'" if " " in word else word for word in argv[1:])]
    text = " ".join(words)
    if not whole and len(text) > 20:
        text = text[:19] + "…"
    return json.dumps(text, ensure_ascii=False)


def status_text(state: dict[str, Any], now: datetime) -> str:
    """``Up 5 minutes (Paused)``, ``Exited (0) 2 hours ago``, ``Created``."""
    if state["Status"] in ("running", "paused"):
        started = parse_time(state["StartedAt"])
        up = f"Up {human_duration((now - started).total_seconds())}" if started else "Up"
        health = state.get("Health")
        words = "health: starting" if health and health["Status"] == "starting" else health and health["Status"]
        return f"{up} (Paused)" if state["Paused"] else f"{up} ({words})" if words else up
    if state["Status"] == "restarting":
        return f"Restarting ({state['ExitCode']}) {ago(state['FinishedAt'], now)}"
    if state["Status"] == "exited":
        return f"Exited ({state['ExitCode']}) {ago(state['FinishedAt'], now)}"
    return str(state["Status"]).capitalize()


def _size(session: Session, container: Container) -> str:
    own = session.engine.lifecycle.storage_bytes(container.record)
    try:
        virtual = own + container.image.size
    except MinirtError:
        return human_size(own)
    return f"{human_size(own)} (virtual {human_size(virtual)})"


@command(
    "diff",
    "Inspect changes to files or directories on a container's filesystem",
    usage="CONTAINER",
    arity=(1, 1),
    operands="container",
)
def diff(session: Session, arguments: tuple[str, ...]) -> None:
    changes = session.engine.containers.get(arguments[0]).changes()
    session.print("".join(f"{change.kind} {change.path}\n" for change in changes))
