"""``HostConfig`` of ``docker inspect``: everything that was asked for, under docker's names and in its order."""

from __future__ import annotations

from typing import Any

from minirt.containers.network_settings import port_bindings
from minirt.containers.records import ContainerRecord, MountPoint
from minirt.model.resources import Resources
from minirt.model.spec import MASKED_PATHS, READ_ONLY_PATHS
from minirt.sandbox.restarts import parse_policy

__all__ = ["host_config"]

_THROTTLES = {
    "BlkioDeviceReadBps": "read_bps",
    "BlkioDeviceWriteBps": "write_bps",
    "BlkioDeviceReadIOps": "read_iops",
    "BlkioDeviceWriteIOps": "write_iops",
}


def host_config(record: ContainerRecord) -> dict[str, Any]:
    """What docker-py and other tools read of it, and what it would be without a wish."""
    settings, isolation = record.settings, record.settings.isolation
    policy = parse_policy(settings.restart)
    hidden = isolation.masked and not record.privileged
    return {
        "Binds": _binds(record),
        "ContainerIDFile": "",
        "LogConfig": {"Type": settings.log.driver, "Config": dict(settings.log_options)},
        "NetworkMode": record.network,
        "PortBindings": port_bindings(record),
        "RestartPolicy": {"Name": policy.name, "MaximumRetryCount": policy.most},
        "AutoRemove": record.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": list(settings.volumes_from) or None,
        "ConsoleSize": [0, 0],
        **({"Annotations": dict(isolation.annotations)} if isolation.annotations else {}),
        "CapAdd": list(record.cap_add) or None,
        "CapDrop": list(record.cap_drop) or None,
        "CgroupnsMode": isolation.cgroup,
        "Dns": list(record.dns),
        "DnsOptions": list(record.dns_options),
        "DnsSearch": list(record.dns_search),
        "ExtraHosts": list(record.extra_hosts) or None,
        "GroupAdd": list(isolation.groups) or None,
        "IpcMode": isolation.ipc,
        "Cgroup": "",
        "Links": [f"/{link.partition(':')[0][:12]}:/{record.name}/{link.partition(':')[2]}" for link in record.links]
        or None,
        "OomScoreAdj": isolation.oom_score_adj,
        "PidMode": isolation.pid,
        "Privileged": record.privileged,
        "PublishAllPorts": record.publish_all,
        "ReadonlyRootfs": record.read_only,
        "SecurityOpt": list(settings.security_options) or None,
        **_mount_options(record),
        "UTSMode": isolation.uts,
        "UsernsMode": isolation.user,
        "ShmSize": isolation.shm_size,
        **({"Sysctls": dict(isolation.sysctls)} if isolation.sysctls else {}),
        "Runtime": "minirt",
        "Isolation": "",
        **_resources(settings.resources),
        "CgroupParent": isolation.cgroup_parent,
        "Devices": [
            {"PathOnHost": one.path, "PathInContainer": one.target, "CgroupPermissions": one.access}
            for one in isolation.devices
        ],
        "DeviceCgroupRules": None,
        "DeviceRequests": None,
        "Ulimits": [
            {"Name": limit.name.removeprefix("RLIMIT_").lower(), "Hard": limit.hard, "Soft": limit.soft}
            for limit in settings.rlimits
        ],
        "MaskedPaths": list(MASKED_PATHS) if hidden else None,
        "ReadonlyPaths": list(READ_ONLY_PATHS) if hidden else None,
        **({"Init": True} if settings.init else {}),
    }


def _binds(record: ContainerRecord) -> list[str] | None:
    """``-v`` mounts in one text each, as docker writes them; what came by ``--mount`` has only its own form."""
    return [
        f"{point.name or point.source}:{point.destination}" + ("" if point.read_write else ":ro")
        for point in record.mounts
        if point.kind != "tmpfs" and not (point.anonymous or point.inherited or point.long)
    ] or None


def _mount_options(record: ContainerRecord) -> dict[str, Any]:
    memory = {}
    for point in record.mounts:
        if point.kind == "tmpfs" and not point.long:
            words = [f"size={point.size}"] if point.size else []
            words += [] if point.mode is None else [f"mode={point.mode:o}"]
            memory[point.destination] = ",".join(words)
    mounts = [_mount(point) for point in record.mounts if point.long and not point.inherited]
    return ({"Tmpfs": memory} if memory else {}) | ({"Mounts": mounts} if mounts else {})


def _mount(point: MountPoint) -> dict[str, Any]:
    """A ``--mount`` as docker keeps it."""
    source = "" if point.anonymous else point.name or point.source
    found: dict[str, Any] = {"Type": point.kind, **({"Source": source} if source else {}), "Target": point.destination}
    if not point.read_write:
        found["ReadOnly"] = True
    if point.kind == "bind" and (point.propagation != "rprivate" or not point.recursive):
        found["BindOptions"] = {"Propagation": point.propagation, "NonRecursive": not point.recursive}
    if point.kind == "volume" and point.no_copy and not point.memory:
        subpath = point.source.partition("/_data/")[2]
        found["VolumeOptions"] = {"Subpath": subpath} if subpath else {"NoCopy": True}
    if point.kind == "tmpfs" and (point.size or point.mode is not None):
        wanted = {"SizeBytes": point.size, "Mode": point.mode}
        found["TmpfsOptions"] = {name: value for name, value in wanted.items() if value}
    return found


def _resources(limits: Resources) -> dict[str, Any]:
    return {
        "CpuShares": limits.cpu_shares,
        "Memory": limits.memory,
        "NanoCpus": limits.nano_cpus,
        "BlkioWeight": limits.blkio_weight,
        "BlkioWeightDevice": [],
        **{
            name: [{"Path": one.path, "Rate": one.rate} for one in limits.throttles if one.kind == kind]
            for name, kind in _THROTTLES.items()
        },
        "CpuPeriod": limits.cpu_period,
        "CpuQuota": limits.cpu_quota,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": limits.cpuset_cpus,
        "CpusetMems": limits.cpuset_mems,
        "MemoryReservation": limits.memory_reservation,
        "MemorySwap": limits.memory_and_swap if limits.memory else 0,
        "MemorySwappiness": None if limits.memory_swappiness < 0 else limits.memory_swappiness,
        "OomKillDisable": limits.oom_kill_disable,
        "PidsLimit": limits.pids_limit or None,
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }
