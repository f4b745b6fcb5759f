"""The options of ``run`` and ``create`` about namespaces, devices and what else surrounds a container."""

from __future__ import annotations

from typing import Any

from minirt.cli.grammar import Flag, absent, number, switch, value, values
from minirt.containers.isolation import check_sysctl, parse_device, parse_mode
from minirt.containers.settings import parse_size
from minirt.errors import InvalidSpec, Unsupported

__all__ = ["isolation_flags", "isolation_options"]

_REFUSED = (
    ("--device-cgroup-rule", "", "Add a rule to the cgroup allowed devices list", "list",
     "what a container may open is what is in its /dev; name the device with --device"),
    ("--gpus", "", "GPU devices to add to the container ('all' to pass all GPUs)", "gpu-request",
     "minirt has no driver that would install a GPU's libraries; give device nodes with --device"),
    ("--storage-opt", "", "Storage driver options for the container", "list",
     "a size limit takes xfs with project quotas, which docker asks for, too; limit the file system of MINIRT_HOME"),
    ("--use-api-socket", "", "Bind mount Docker API socket and required auth", "",
     "there is no daemon, so there is no API socket"),
    ("--cpu-rt-period", "", "Limit CPU real-time period in microseconds", "int",
     "it takes a kernel with real-time group scheduling, and no cgroups of version 2"),
    ("--cpu-rt-runtime", "", "Limit CPU real-time runtime in microseconds", "int",
     "it takes a kernel with real-time group scheduling, and no cgroups of version 2"),
    ("--blkio-weight-device", "", "Block IO weight (relative device weight)", "list",
     "no scheduler of today's kernels takes it; --device-read-bps and its companions limit a device"),
    ("--kernel-memory", "", "Kernel memory limit", "bytes",
     "kernels have not had it since 6.1, and docker leaves it out without a word; use --memory"),
)  # fmt: skip


def isolation_flags() -> list[Flag]:
    """Made anew for each command: click keeps state in them."""
    return [
        values(
            "--annotation", "", "Add an annotation to the container (passed through to the OCI runtime)", word="map"
        ),
        values("--attach", "a", "Attach to STDIN, STDOUT or STDERR", parse=_stream),
        value("--cgroup-parent", "", "Optional parent cgroup for the container"),
        value("--cgroupns", "", "Cgroup namespace to use (host|private)"),
        values("--device", "", "Add a host device to the container"),
        switch("--disable-content-trust", "", "Skip image verification", default=True),
        value("--domainname", "", "Container NIS domain name"),
        values("--group-add", "", "Add additional groups to join"),
        value("--ipc", "", "IPC mode to use"),
        value("--isolation", "", "Container isolation technology"),
        number("--oom-score-adj", "", "Tune host's OOM preferences (-1000 to 1000)"),
        value("--pid", "", "PID namespace to use"),
        value("--runtime", "", "Runtime to use for this container"),
        value("--shm-size", "", "Size of /dev/shm", word="bytes", parse=_size, default=None),
        values("--sysctl", "", "Sysctl options", word="map", parse=_sysctl),
        value("--userns", "", "User namespace to use"),
        value("--uts", "", "UTS namespace to use"),
        value("--volume-driver", "", "Optional volume driver for the container"),
        *(absent(long, short, text, word=word, why=why) for long, short, text, word, why in _REFUSED),
    ]  # fmt: skip


def isolation_options(options: dict[str, Any]) -> dict[str, Any]:
    """docker-py's keyword arguments of ``containers.create``. Raises InvalidSpec, Unsupported."""
    _refuse_others(options)
    for kind in ("pid", "ipc", "uts", "cgroupns", "userns"):
        parse_mode(kind, options[kind])
    return {
        "annotations": dict(text.partition("=")[::2] for text in options["annotation"]),
        "attach": _attached(options),
        "cgroup_parent": options["cgroup_parent"] or None,
        "cgroupns": options["cgroupns"],
        "devices": [parse_device(text) for text in options["device"]],
        "domainname": options["domainname"] or None,
        "group_add": list(options["group_add"]),
        "ipc_mode": options["ipc"],
        "oom_score_adj": options["oom_score_adj"],
        "pid_mode": options["pid"],
        "shm_size": options["shm_size"],
        "sysctls": list(options["sysctl"]),
        "userns_mode": options["userns"],
        "uts_mode": options["uts"],
    }


def _attached(options: dict[str, Any]) -> list[str]:
    """What who starts it in the foreground follows; without ``-a`` that is both outputs, with ``-i`` the input, too."""
    if options["attach"] or options.get("detach"):
        return list(dict.fromkeys(options["attach"])) or ["nothing"]
    return ["stdin"] * options["interactive"] + ["stdout", "stderr"]


def _refuse_others(options: dict[str, Any]) -> None:
    """Choices of which there is one here."""
    if options["isolation"] not in ("", "default"):
        raise InvalidSpec(f"invalid isolation ({options['isolation']}): linux only supports 'default'")
    if options["runtime"] not in ("", "minirt"):
        raise InvalidSpec(
            f"unknown or invalid runtime name: {options['runtime']}",
            hint="There is one runtime here: minirt, which you can read.",
        )
    if options["volume_driver"] not in ("", "local"):
        raise InvalidSpec(f'plugin "{options["volume_driver"]}" not found', hint="There is one volume driver: local.")
    if not options["disable_content_trust"]:
        raise Unsupported(
            "--disable-content-trust=false: minirt verifies no notary signatures",
            cause="docker.io's notary server is being shut down",
            hint="Name the image by its digest (NAME@sha256:…): that is verified always.",
        )


def _stream(text: str) -> str:
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def _size(text: str) -> int:
    if text.startswith("-"):
        raise ValueError(f"invalid size: '{text}'")
    return parse_size(text)


def _sysctl(text: str) -> str:
    check_sysctl(text)
    return text
