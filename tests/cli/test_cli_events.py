"""``events``: what happened, in docker's lines and in docker's order."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.errors import Cancelled
from minirt.model.cancel import Cancel
from minirt.networks.ability import ability
from minirt.testing.commands import Teller
from tests.cli.stories import STORIES

BASE = "minirt/base"
_NEEDS_OWN_NETWORKS = ("life",)
_STOPPED = "container create ID (image=minirt/base, name=busy)"


def test_events_replay(cli: Teller) -> None:
    """The whole life of a container, in docker's lines and in its JSON, in order."""
    assert cli("run", "--name", "told", "--label", "told=yes", BASE, "sh", "-c", "exit 3").code == 3
    cli.ok("rename", "told", "retold")
    cli.ok("rm", "retold")
    window = ("--since", "1m", "--until", "0s")
    lines = cli.ok("events", *window, "--filter", "label=told=yes").lines
    assert [line.split()[2] for line in lines] == ["create", "attach", "start", "die", "rename", "destroy"]
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\S+ container \S+ [0-9a-f]{64} \(.*\)", x) for x in lines
    )
    assert lines[3].endswith("(execDuration=0, exitCode=3, image=minirt/base, name=told, told=yes)")
    died = json.loads(cli.ok("events", *window, "--filter", "label=told", "-f", "event=die", "--format", "json").out)
    assert (died["status"], died["Actor"]["Attributes"]["exitCode"]) == ("die", "3")
    assert died["time"] == died["timeNano"] // 10**9
    chosen = cli.ok("events", *window, "--filter", "container=retold", "--format", "{{.Type}} {{.Action}}").lines
    assert chosen == ["container rename", "container destroy"]


def _told(lines: list[str]) -> list[str]:
    """Without times and ids; docker mounts one container's volumes in any order, and here the names decide it."""
    text = "\n".join(line.partition(" ")[2] for line in lines)
    text = re.sub(r"reclaimed=\d+", "reclaimed=0", text)
    found: list[str] = []
    for line in re.sub(r"execDuration=\d+", "execDuration=0", re.sub(r"[0-9a-f]{64}", "ID", text)).splitlines():
        kind, at = line.split()[:2], len(found)
        while at and kind[0] == "volume" and found[at - 1].split()[:2] == kind and found[at - 1] > line:
            at -= 1
        found.insert(at, line)
    return found


def _live(tell: Callable[..., object], commands: str, image: str, directory: Path) -> None:
    (directory / "Dockerfile").write_text(f"FROM {image}\nLABEL a=b\n")
    for line in commands.strip().splitlines():
        tell(*shlex.split(line.replace("IMAGE", image).replace("DIR", str(directory))))


@pytest.mark.parametrize("story", STORIES)
def test_events_are_told_as_docker_tells_them(cli: Teller, engine: Engine, tmp_path: Path, story: str) -> None:
    """Containers, further programs, images, volumes and networks: what is told of a few commands, and its order."""
    if story in _NEEDS_OWN_NETWORKS and not ability(engine.store.home).own:
        pytest.skip("containers share the machine's network here")
    commands, expected = STORIES[story]
    engine.images.get(BASE)
    began = time.time()
    _live(cli, commands, BASE, tmp_path)
    assert _told(cli.ok("events", "--since", f"{began:.9f}", "--until", "0s").lines) == _expected(expected)


@pytest.mark.peer
@pytest.mark.parametrize("story", STORIES)
def test_docker_tells_the_same_story(engine: Engine, tmp_path: Path, story: str) -> None:
    """What the test above expects is what docker says, who may tell of a stop before the death that it waits for."""
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("no docker daemon answers here")
    subprocess.run(["docker", "load"], input=b"".join(engine.images.get(BASE).save()), capture_output=True, check=True)
    began = time.time()

    def docker(*words: str) -> str:
        return subprocess.run(["docker", *words], capture_output=True, text=True).stdout

    commands, text = STORIES[story]
    _live(docker, commands, BASE, tmp_path)
    told = _told(docker("events", "--since", f"{began:.9f}", "--until", f"{time.time():.9f}").splitlines())
    expected = _expected(text)
    first = expected.index(_STOPPED) if _STOPPED in expected else len(expected)
    assert (told[:first], sorted(told)) == (expected[:first], sorted(expected))


def _expected(text: str) -> list[str]:
    return _told([f"- {line}" for line in text.strip().splitlines()])


def test_health_is_told(cli: Teller) -> None:
    """Each probe is a program of its own, and the status is told when it changes."""
    cli.ok("run", "-d", "--name", "well", "--network", "none", "--health-cmd", "test -e /well || exit 1",
           "--health-interval", "100ms", "--health-retries", "1", BASE, "sleep", "60")  # fmt: skip
    try:
        _until(cli, "health_status: unhealthy")
        cli.ok("exec", "well", "touch", "/well")
        _until(cli, "health_status: healthy")
    finally:
        cli.ok("rm", "-f", "well")
    window = ("--since", "1m", "--until", "0s", "-f", "container=well")
    told = cli.ok("events", *window, "--format", "{{.Action}}").lines
    probe = "/bin/sh -c test -e /well || exit 1"
    assert told[2:6] == [f"exec_create: {probe}", f"exec_start: {probe}", "exec_die", "health_status: unhealthy"]
    assert [one for one in told if one.startswith("health")] == ["health_status: unhealthy", "health_status: healthy"]
    chosen = cli.ok("events", *window, "-f", "event=health_status", "--format", "{{.Action}}").lines
    assert len(chosen) == 2


def _until(cli: Teller, action: str) -> None:
    deadline = time.monotonic() + 20
    while action not in cli.ok("events", "--since", "1m", "--until", "0s", "--format", "{{.Action}}").lines:
        assert time.monotonic() < deadline, f"nobody told of {action}"
        time.sleep(0.05)


def test_a_full_memory_is_told(cli: Teller, engine: Engine) -> None:
    """A container that the kernel kills for want of memory: ``oom``, then its death."""
    if "memory" not in engine.machine.controllers:
        pytest.skip(f"no control over memory here: {engine.machine.cgroups.why or 'no memory controller'}")
    cli("run", "--rm", "--name", "hog", "--memory", "16m", "--memory-swap", "16m", BASE,
        "sh", "-c", "x=y; while :; do x=$x$x; done")  # fmt: skip
    told = cli.ok("events", "--since", "1m", "--until", "0s", "-f", "container=hog", "--format", "{{.Action}}").lines
    assert told[-3:] == ["oom", "die", "destroy"]


def test_events_stream(engine: Engine) -> None:
    """What happens is told at once, until the reader is interrupted."""
    seen: list[tuple[str, float]] = []
    cancel = Cancel()

    def read() -> None:
        try:
            for event in engine.events(cancel=cancel):
                seen.append((event["Action"], time.monotonic()))
        except Cancelled:
            seen.append(("cancelled", time.monotonic()))

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.1)
    engine.volumes.create("streamed").remove()
    after = time.monotonic()
    time.sleep(0.2)
    cancel.cancel()
    reader.join(5)
    assert [action for action, _ in seen] == ["create", "destroy", "cancelled"]
    assert seen[1][1] - after < 0.2
