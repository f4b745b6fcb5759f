"""``info``, ``version``, ``system df``: what this is, what the machine allows, what lies on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minirt.cli.common import FORMAT, INSPECT_FORMAT
from minirt.cli.grammar import command, switch
from minirt.cli.session import Session
from minirt.cli.tables import Listing
from minirt.cli.template_functions import go_json
from minirt.cli.templates import Template
from minirt.cli.units import human_size

if TYPE_CHECKING:
    from minirt.engine import Engine
    from minirt.engine.images import Image

__all__ = ["disk_usage", "info", "version"]

# What each answer of the probe is about, in words, and what having it brings.
ABILITIES = {
    "overlay": ("Overlay filesystem", "layers are stacked by the kernel, nothing is copied"),
    "user_namespaces": ("User namespaces", "containers without root"),
    "subordinate_ids": ("A range of user ids", "images with files of several users keep their owners"),
    "namespaces": ("All namespaces", "containers see only their own processes, mounts and names"),
    "cgroups": ("Control groups", "limits on memory, processors and processes"),
    "seccomp": ("System call filter", "dangerous system calls are refused inside containers"),
    "ptrace": ("Tracing of processes", "containers by PRoot where namespaces are refused"),
    "proot": ("PRoot", "containers where namespaces are refused"),
    "networks": ("Networks with a way out", "containers with addresses of their own that reach other machines"),
    "landlock": ("Landlock", "traced containers reach no files but their own, and read-only mounts are so"),
}

# (program, Debian's package of it, what it would bring, whether only where containers run without root).
PACKAGES = (
    ("busybox", "busybox-static", "a minirt/base of 2 MB with many more commands in it", False),
    ("newuidmap", "uidmap", "images with files of several users keep their owners", True),
)


def _formatted(session: Session, form: str, data: dict[str, Any]) -> bool:
    """Whether ``--format`` was given; then it has been printed."""
    if not form:
        return False
    text = go_json(data) if form == "json" else Template(form).render(data)
    session.print(text + "\n")
    return True


@command("info", "Display system-wide information", flags=[INSPECT_FORMAT()])
def info(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    facts = session.engine.info()
    if not _formatted(session, options["form"], facts):
        path = session.environment.get("PATH", os.defpath)
        session.print(info_text(facts) + _packages_text(path, bool(facts["Rootless"])))


def _packages_text(path: str, rootless: bool) -> str:
    lines = [
        f" {package}: {brings}\n"
        for program, package, brings, only_rootless in PACKAGES
        if (rootless or not only_rootless) and shutil.which(program, path=path) is None
    ]
    return "\nPackages that would bring more (apt-get install NAME):\n" + "".join(lines) if lines else ""


def info_text(facts: dict[str, Any]) -> str:
    """``docker info``'s layout, then the machine's abilities in words."""
    lines = [
        f"Containers: {facts['Containers']}",
        f" Running: {facts['ContainersRunning']}",
        f" Paused: {facts['ContainersPaused']}",
        f" Stopped: {facts['ContainersStopped']}",
        f"Images: {facts['Images']}",
        f"Server Version: {facts['ServerVersion']}",
        f"Storage Driver: {facts['Driver']}",
        f"Logging Driver: {facts['LoggingDriver']}",
        f"Cgroup Driver: {facts['CgroupDriver']}",
        f"Cgroup Version: {facts['CgroupVersion']}",
        f"Isolation: {facts['Isolation']}",
        f"Rootless: {'true' if facts['Rootless'] else 'false'}",
        f"Kernel Version: {facts['KernelVersion']}",
        f"Operating System: {facts['OperatingSystem']}",
        f"OSType: {facts['OSType']}",
        f"Architecture: {facts['Architecture']}",
        f"CPUs: {facts['NCPU']}",
        f"Total Memory: {facts['MemTotal'] / 2**30:.4g}GiB",
        f"Name: {facts['Name']}",
        f"Docker Root Dir: {facts['DockerRootDir']}",
    ]
    if facts.get("RegistryMirrors"):
        lines += ["Registry Mirrors:", *(f" {address}" for address in facts["RegistryMirrors"])]
    if facts.get("SharedStores"):
        lines += ["Shared Stores:", *(f" {home}" for home in facts["SharedStores"])]
    return "\n".join([*lines, "", *_machine_lines(facts.get("Machine") or {})]) + "\n"


def _machine_lines(answers: dict[str, dict[str, Any]]) -> list[str]:
    lines = ["What this machine allows:"]
    for name, answer in answers.items():
        title, brings = ABILITIES.get(name, (name.replace("_", " ").capitalize(), ""))
        if answer["ok"]:
            lines.append(f" {title}: yes" + (f" ({brings})" if brings else ""))
            continue
        lines.append(f" {title}: no" + (f", {answer['why']}" if answer["why"] else ""))
        if brings:
            lines.append(f"   It would bring: {brings}.")
        if answer["cure"]:
            lines.append(f"   What to do: {answer['cure']}.")
    return lines


@command("version", "Show the version of minirt and of what it stands on", flags=[INSPECT_FORMAT()])
def version(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    facts = session.engine.version()
    # Scripts ask for {{.Server.Version}} or {{.Client.Version}}: here both are the same program.
    if _formatted(session, options["form"], {**facts, "Client": facts, "Server": facts}):
        return
    rows = [
        ("Version:", facts["Version"]),
        ("Python version:", facts["PythonVersion"]),
        ("Kernel version:", facts["KernelVersion"]),
        ("OS/Arch:", f"{facts['Os']}/{facts['Arch']}"),
    ]
    session.print("minirt:\n" + "".join(f" {title:<18} {text}\n" for title, text in rows))


USAGE = Listing(
    {"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE"},
    ("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    "Type",
)


@command(
    "df",
    "Show docker disk usage",
    flags=[FORMAT(), switch("--verbose", "v", "Show detailed information on space usage")],
)
def disk_usage(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    if options["verbose"]:
        from minirt.cli.commands.maintenance import detailed_usage

        session.print(detailed_usage(session.engine, session))
        return
    engine = session.engine
    rows = [*_images_usage(engine), _containers_usage(engine), _volumes_usage(engine), _cache_usage(engine)]
    session.print(USAGE.render(rows, form=options["form"]))


def _images_usage(engine: Engine) -> list[dict[str, str]]:
    """Layers of several images count once: that is what lies on the disk. What a shared store holds has its own row."""
    used = {container.attrs["Image"] for container in engine.containers.list(all=True)}
    images = engine.images.list(all=True)
    shared = [image for image in images if image.shared is not None]
    own = [image for image in images if image.shared is None]
    elsewhere = _layer_sizes(shared)
    sizes = {chain: size for chain, size in _layer_sizes(own).items() if chain not in elsewhere}
    held = _layer_sizes([image for image in own if image.id in used])
    total, kept = sum(sizes.values()), sum(size for chain, size in sizes.items() if chain in held)
    rows = [_usage("Images", len(own), sum(image.id in used for image in own), total, total - kept)]
    if shared:
        active = sum(image.id in used for image in shared)
        rows.append(_usage("Shared Images", len(shared), active, sum(elsewhere.values()), 0))
    return rows


def _layer_sizes(images: Sequence[Image]) -> dict[str, int]:
    return {str(layer.chain_id): layer.content for image in images for layer in image.layers}


def _containers_usage(engine: Engine) -> dict[str, str]:
    containers = engine.containers.list(all=True)
    sizes = [(container, engine.lifecycle.storage_bytes(container.record)) for container in containers]
    running = {container.id for container in containers if container.state.alive}
    total = sum(size for _, size in sizes)
    free = sum(size for container, size in sizes if container.id not in running)
    return _usage("Containers", len(containers), len(running), total, free)


def _volumes_usage(engine: Engine) -> dict[str, str]:
    volumes = engine.volumes.list()
    sizes = {volume.name: engine.snapshots.measure(volume.stored.mountpoint) for volume in volumes}
    used = {name for name in sizes if engine.volumes.users(name)}
    free = sum(size for name, size in sizes.items() if name not in used)
    return _usage("Local Volumes", len(volumes), len(used), sum(sizes.values()), free)


def _cache_usage(engine: Engine) -> dict[str, str]:
    """What an image has, too, is the image's: only the rest could be reclaimed."""
    facts = engine.images.cache_usage()
    return _usage("Build Cache", facts["TotalCount"], facts["Active"], facts["Size"], facts["Reclaimable"])


def _usage(kind: str, count: int, active: int, size: int, free: int) -> dict[str, str]:
    share = f" ({free * 100 // size}%)" if size else ""
    return {
        "Type": kind,
        "TotalCount": str(count),
        "Active": str(active),
        "Size": human_size(size, 4),
        "Reclaimable": human_size(free, 4) + share,
    }
