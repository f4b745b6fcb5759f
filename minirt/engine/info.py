"""``docker info`` and ``docker version``: what this is, and what the machine allows."""

from __future__ import annotations

import os
import platform
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from minirt import __version__
from minirt.model.platform import Platform

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["engine_info", "engine_version"]


def engine_info(engine: Engine) -> dict[str, Any]:
    """Docker's field names where docker has the field; ``Machine`` is ours: name -> (ok, why, cure)."""
    from minirt.linux.probe import Answer

    containers = engine.containers.list(all=True)
    states = [container.status for container in containers]
    machine = engine.machine
    answers = {
        field.name: {"ok": answer.ok, "why": answer.why, "cure": answer.cure}
        for field in fields(machine)
        if isinstance(answer := getattr(machine, field.name), Answer)
    }
    answers["networks"] = _networks(engine)
    return {
        "Containers": len(states),
        "ContainersRunning": states.count("running"),
        "ContainersPaused": states.count("paused"),
        "ContainersStopped": states.count("exited") + states.count("created"),
        "Images": len(engine.images.list(all=True)),
        "Driver": machine.snapshotter,
        "Isolation": machine.isolation,
        "Rootless": not machine.root,
        "DockerRootDir": str(engine.store.home),
        "KernelVersion": os.uname().release,
        "OperatingSystem": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        "OSType": "linux",
        "Architecture": os.uname().machine,
        "NCPU": os.cpu_count(),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": os.uname().nodename,
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs" if machine.cgroups.ok else "none",
        "CgroupVersion": "2" if machine.cgroup_version == 2 else "1",
        "DefaultRuntime": "minirt",
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": ["json-file", "local", "none"],
        },
        "ServerVersion": __version__,
        "RegistryMirrors": list(engine.mirrors),
        "SharedStores": [str(home) for home in engine.store.homes[1:]],
        "Machine": answers,
    }


def _networks(engine: Engine) -> dict[str, Any]:
    if engine.machine.isolation != "namespaces":
        return {"ok": False, "why": "no namespaces here", "cure": "containers share the machine's network"}
    from minirt.networks.ability import told

    ok, why, cure = told(engine.store.home)
    return {"ok": ok, "why": why, "cure": cure}


def engine_version() -> dict[str, Any]:
    """There is no server: one version for the command and the runtime."""
    host = Platform.host()
    return {
        "Version": __version__,
        "ApiVersion": "",
        "Os": host.os,
        "Arch": host.architecture,
        "KernelVersion": os.uname().release,
        "PythonVersion": platform.python_version(),
    }
