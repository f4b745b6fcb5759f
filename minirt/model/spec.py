"""What the sandbox is asked to run: a small cousin of the OCI runtime-spec's ``config.json``.

These are plain values that snapshots, volumes, networks and containers fill in and the sandbox carries out.
They cross a Unix socket as JSON, so each variant names its ``kind``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from minirt.model.isolation import SHM_SIZE, Device, Namespaces
from minirt.model.resources import Resources

__all__ = [
    "Attached",
    "BindMount",
    "DEFAULT_CAPABILITIES",
    "Detached",
    "FileMount",
    "HostNetwork",
    "IdMapping",
    "LayersMount",
    "Lifetime",
    "LoopbackNetwork",
    "MASKED_PATHS",
    "MadeNetwork",
    "Mount",
    "Network",
    "OverlayRoot",
    "HealthCheck",
    "LogLimits",
    "Process",
    "READ_ONLY_PATHS",
    "Resources",
    "RootFilesystem",
    "Rlimit",
    "SandboxSpec",
    "Tied",
    "TmpfsMount",
    "TreeRoot",
    "User",
    "spec_from_json",
    "spec_to_json",
]

# Docker's default set (moby, oci/caps/defaults.go).
DEFAULT_CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
)  # fmt: skip


# What tells about the machine, and what would change it (moby, oci/defaults.go).
MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class OverlayRoot:
    """A root made by kernel overlayfs. ``lowers`` base first (the kernel wants them the other way round).

    Without ``upper`` the root is read-only. ``volatile`` skips syncing the upper directory when unmounted: right
    where a crash throws the directory away anyway (a build step).
    """

    kind: ClassVar[str] = "overlay"
    lowers: tuple[str, ...]
    upper: str | None = None
    work: str | None = None
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class TreeRoot:
    """A root that is a plain directory (the copy driver)."""

    kind: ClassVar[str] = "tree"
    path: str


RootFilesystem = OverlayRoot | TreeRoot


@dataclass(frozen=True, slots=True)
class BindMount:
    """A directory or file of the machine seen at ``target``; with ``recursive`` the mounts below it too.

    ``writable_below``: those stay writable where this one is ``read_only``.
    """

    kind: ClassVar[str] = "bind"
    source: str
    target: str
    read_only: bool = False
    recursive: bool = True
    propagation: str = "rprivate"
    writable_below: bool = False


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    """Memory seen as a directory; ``size`` in bytes (0: the kernel's default).

    Without ``mode`` it has that of the directory it covers, as runc does it, or 1777 where there was none.
    """

    kind: ClassVar[str] = "tmpfs"
    target: str
    size: int = 0
    mode: int | None = None
    options: tuple[str, ...] = ("nosuid", "nodev", "noexec")


@dataclass(frozen=True, slots=True)
class LayersMount:
    """Layers stacked up (base first), or the file or directory ``subpath`` in them, seen at ``target``.

    With ``upper`` and ``work`` the container may write there; the layers stay as they are.
    """

    kind: ClassVar[str] = "layers"
    lowers: tuple[str, ...]
    target: str
    subpath: str = ""
    upper: str | None = None
    work: str | None = None


@dataclass(frozen=True, slots=True)
class FileMount:
    """A small read-only file that is in memory only; ``data`` is base64."""

    kind: ClassVar[str] = "file"
    data: str = field(repr=False)
    target: str
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


Mount = BindMount | TmpfsMount | LayersMount | FileMount


@dataclass(frozen=True, slots=True)
class IdMapping:
    """``count`` ids from ``inside`` on are the machine's ids from ``outside`` on (user_namespaces(7))."""

    inside: int
    outside: int
    count: int


@dataclass(frozen=True, slots=True)
class User:
    """Numeric ids inside the container; names are looked up before."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rlimit:
    """A resource limit by its runtime-spec name, such as ``RLIMIT_NOFILE``."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Process:
    """The program: ``argv`` (looked up in the container's PATH), environment, directory, user.

    ``stdin_open``: standard input stays open although nobody is attached to it yet. ``rows`` and ``columns`` are the
    size its terminal has from the start, in characters; 0 is unknown. ``seccomp_program`` is a profile's filter, as
    base64, instead of the built-in one.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    user: User = User()
    terminal: bool = False
    stdin_open: bool = False
    rows: int = 0
    columns: int = 0
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    no_new_privileges: bool = False
    seccomp: bool = True
    seccomp_program: str = field(default="", repr=False)
    rlimits: tuple[Rlimit, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopbackNetwork:
    """A network namespace with only ``lo`` (docker's ``none``)."""

    kind: ClassVar[str] = "none"


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """The machine's own network. A ``maker`` may add to it before the container starts, as with ``MadeNetwork``."""

    kind: ClassVar[str] = "host"
    maker: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MadeNetwork:
    """A network that ``maker`` makes around the container's monitor, right before the container starts.

    ``maker`` is ``module:function``; it is called with ``arguments`` (what JSON can hold) and the container's state
    directory, and returns what to do when the container has ended: before anybody is told, and after.
    """

    kind: ClassVar[str] = "made"
    maker: str
    arguments: Mapping[str, Any]


Network = LoopbackNetwork | HostNetwork | MadeNetwork


@dataclass(frozen=True, slots=True)
class Tied:
    """A build step: killed as soon as the client's socket closes; nothing is written about it."""

    kind: ClassVar[str] = "tied"
    state_dir: ClassVar[str | None] = None
    follows_client: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Attached:
    """A container in the foreground: ends with its client, and its monitor tells the end in ``state_dir``."""

    kind: ClassVar[str] = "attached"
    follows_client: ClassVar[bool] = True
    state_dir: str


@dataclass(frozen=True, slots=True)
class Detached:
    """A container that outlives its client; its monitor keeps ``state.json`` and ``log`` in ``state_dir``."""

    kind: ClassVar[str] = "detached"
    follows_client: ClassVar[bool] = False
    state_dir: str


Lifetime = Tied | Attached | Detached


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A command that tells by its exit code whether the container is well; times in seconds (docker's defaults)."""

    argv: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class LogLimits:
    """``max_size`` in bytes (0: no limit) of each of ``max_files`` files, of which the oldest is forgotten.

    ``driver`` is docker's: json-file, local, or none, which keeps nothing. ``attributes`` go with every line (``logs
    --details``).
    """

    max_size: int = 0
    max_files: int = 1
    driver: str = "json-file"
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One container, ready to start. ``files`` are small texts laid over the root, such as /etc/hosts.

    ``cgroup`` is the control group to make for it, such as ``minirt/<id>``; empty for none.
    With ``init`` a process of ours is PID 1: it hands on signals and reaps orphans. ``shm_size`` in bytes; 0: no
    /dev/shm at all. ``masked``: what tells about the machine is hidden (docker's masked and read-only paths).
    ``private_ids``: it has a user namespace of its own, with these maps, although the machine's root starts it.
    """

    id: str
    root: RootFilesystem
    process: Process
    hostname: str = ""
    mounts: tuple[Mount, ...] = ()
    network: Network = HostNetwork()
    lifetime: Lifetime = Tied()
    files: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    privileged: bool = False
    uid_map: tuple[IdMapping, ...] = ()
    gid_map: tuple[IdMapping, ...] = ()
    cgroup: str = ""
    resources: Resources = field(default_factory=Resources)
    health: HealthCheck | None = None
    log: LogLimits = LogLimits()
    init: bool = False
    domainname: str = ""
    namespaces: Namespaces = field(default_factory=Namespaces)
    shm_size: int = SHM_SIZE
    devices: tuple[Device, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    masked: bool = True
    oom_score_adj: int = 0
    private_ids: bool = False


_KINDS: dict[str, type[Any]] = {
    cls.kind: cls
    for cls in (
        Tied, Attached, Detached, OverlayRoot, TreeRoot, BindMount, TmpfsMount, LayersMount, FileMount, LoopbackNetwork,
        HostNetwork, MadeNetwork,
    )
}  # fmt: skip


def _tagged(value: Any) -> dict[str, Any]:
    return {"kind": value.kind, **asdict(value)}


def _untagged(data: Mapping[str, Any]) -> Any:
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k != "kind"}
    return _KINDS[data["kind"]](**fields)


def spec_to_json(spec: SandboxSpec) -> dict[str, Any]:
    """For the spawner's socket; :func:`spec_from_json` reads it back to an equal value."""
    data = asdict(spec)
    data["root"] = _tagged(spec.root)
    data["mounts"] = [_tagged(mount) for mount in spec.mounts]
    data["network"] = _tagged(spec.network)
    data["lifetime"] = _tagged(spec.lifetime)
    return data


def _health(data: Mapping[str, Any] | None) -> HealthCheck | None:
    return None if data is None else HealthCheck(**{**data, "argv": tuple(data["argv"])})


def spec_from_json(data: Mapping[str, Any]) -> SandboxSpec:
    """The spawner's side of :func:`spec_to_json`."""
    process = dict(data["process"])
    user = process["user"]
    process["user"] = User(user["uid"], user["gid"], tuple(user["groups"]))
    process["argv"] = tuple(process["argv"])
    process["capabilities"] = tuple(process["capabilities"])
    process["rlimits"] = tuple(Rlimit(**limit) for limit in process["rlimits"])
    return SandboxSpec(
        **{
            **data,
            "root": _untagged(data["root"]),
            "process": Process(**process),
            "mounts": tuple(_untagged(mount) for mount in data["mounts"]),
            "network": _untagged(data["network"]),
            "lifetime": _untagged(data["lifetime"]),
            "resources": Resources.from_json(data["resources"]),
            "namespaces": Namespaces.from_json(data["namespaces"]),
            "devices": tuple(Device(**entry) for entry in data["devices"]),
            "health": _health(data["health"]),
            "log": LogLimits(**data["log"]),
            "uid_map": tuple(IdMapping(**entry) for entry in data["uid_map"]),
            "gid_map": tuple(IdMapping(**entry) for entry in data["gid_map"]),
        }
    )
