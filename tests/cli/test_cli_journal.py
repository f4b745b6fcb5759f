"""``events``, ``top``, ``commit -c``, prune's filters, ``system df -v`` and ``system check``."""

from __future__ import annotations

import json
import re
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

BASE = "minirt/base"


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


LIFE = """
network create story
run --name told -v kept:/x -v /own --network story IMAGE true
start told
wait told
run -d --name busy --network story IMAGE sleep 60
restart -t 0 busy
rm -f busy
rm -v told
volume rm kept
network rm story
"""


EXPECTED = """
network create ID (name=story, type=bridge)
volume create kept (driver=local)
volume create ID (driver=local)
container create ID (image=IMAGE, name=told)
container attach ID (image=IMAGE, name=told)
volume mount kept (container=ID, destination=/x, driver=local, propagation=, read/write=true)
volume mount ID (container=ID, destination=/own, driver=local, propagation=, read/write=true)
network connect ID (container=ID, name=story, type=bridge)
container start ID (image=IMAGE, name=told)
network disconnect ID (container=ID, name=story, type=bridge)
volume unmount kept (container=ID, driver=local)
volume unmount ID (container=ID, driver=local)
container die ID (execDuration=0, exitCode=0, image=IMAGE, name=told)
volume mount kept (container=ID, destination=/x, driver=local, propagation=, read/write=true)
volume mount ID (container=ID, destination=/own, driver=local, propagation=, read/write=true)
network connect ID (container=ID, name=story, type=bridge)
container start ID (image=IMAGE, name=told)
network disconnect ID (container=ID, name=story, type=bridge)
volume unmount kept (container=ID, driver=local)
volume unmount ID (container=ID, driver=local)
container die ID (execDuration=0, exitCode=0, image=IMAGE, name=told)
container create ID (image=IMAGE, name=busy)
network connect ID (container=ID, name=story, type=bridge)
container start ID (image=IMAGE, name=busy)
container kill ID (image=IMAGE, name=busy, signal=15)
container kill ID (image=IMAGE, name=busy, signal=9)
network disconnect ID (container=ID, name=story, type=bridge)
container die ID (execDuration=0, exitCode=137, image=IMAGE, name=busy)
container stop ID (image=IMAGE, name=busy)
network connect ID (container=ID, name=story, type=bridge)
container start ID (image=IMAGE, name=busy)
container restart ID (image=IMAGE, name=busy)
container kill ID (image=IMAGE, name=busy, signal=9)
network disconnect ID (container=ID, name=story, type=bridge)
container die ID (execDuration=0, exitCode=137, image=IMAGE, name=busy)
container destroy ID (image=IMAGE, name=busy)
volume destroy ID (driver=local)
container destroy ID (image=IMAGE, name=told)
volume destroy kept (driver=local)
network destroy ID (name=story, type=bridge)
""".strip().splitlines()


def _told(lines: list[str]) -> list[str]:
    """Without times and ids; docker mounts one container's volumes in any order, and here the names decide it."""
    text = "\n".join(line.partition(" ")[2] for line in lines if " image " not in line)
    text = re.sub(r"image=[^,)]+", "image=IMAGE", text)
    found: list[str] = []
    for line in re.sub(r"execDuration=\d+", "execDuration=0", re.sub(r"[0-9a-f]{64}", "ID", text)).splitlines():
        kind, at = line.split()[:2], len(found)
        while at and kind[0] == "volume" and found[at - 1].split()[:2] == kind and found[at - 1] > line:
            at -= 1
        found.insert(at, line)
    return found


def _live(tell: Callable[..., object], image: str) -> None:
    for line in LIFE.strip().splitlines():
        tell(*line.replace("IMAGE", image).split())


def test_events_are_told_in_dockers_order(cli: Teller, engine: Engine) -> None:
    """Volumes, networks, start and end: the whole story of a few commands, as docker tells it."""
    if not ability(engine.store.home).own:
        pytest.skip("containers share the machine's network here")
    began = time.time()
    _live(cli.ok, BASE)
    assert _told(cli.ok("events", "--since", f"{began:.9f}", "--until", "0s").lines) == _told(
        ["- " + one for one in EXPECTED]
    )


@pytest.mark.peer
def test_docker_tells_the_same_story(cli: Teller, engine: Engine) -> None:
    """What the test above expects is what docker says, who may tell of a stop before the death that it waits for."""
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("docker's daemon does not run here")
    loaded = subprocess.run(["docker", "load"], input=b"".join(engine.images.get(BASE).save()), capture_output=True)
    image = loaded.stdout.decode().split()[-1]
    began = time.time()

    def docker(*words: str) -> str:
        return subprocess.run(["docker", *words], capture_output=True, check=True, text=True).stdout

    _live(docker, image)
    lines = docker("events", "--since", f"{began:.9f}", "--until", f"{time.time():.9f}").splitlines()
    docker("rmi", "-f", image)
    told, expected = _told(lines), _told(["- " + one for one in EXPECTED])
    first = expected.index("container create ID (image=IMAGE, name=busy)")
    assert (told[:first], sorted(told)) == (expected[:first], sorted(expected))


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


def test_top(cli: Teller) -> None:
    """Titles and rows are ps's; a stopped container has none."""
    cli.ok("run", "-d", "--name", "busy", BASE, "sleep", "60")
    lines = cli.ok("top", "busy").lines
    assert lines[0].split()[:3] == ["UID", "PID", "PPID"]
    assert len(lines) == 2
    assert lines[1].endswith("sleep 60")
    assert cli.ok("top", "busy", "-o", "pid,comm").lines[0].split() == ["PID", "COMMAND"]
    cli.ok("kill", "busy")
    assert cli("top", "busy").code == 1


def test_commit_changes(cli: Teller) -> None:
    """-c edits the config with the Dockerfile's words, and only those that make no layer."""
    cli.ok("create", "--name", "base", BASE, "true")
    cli.ok("commit", "-c", "CMD echo changed", "-c", "ENV A=1 B=$A", "-m", "why", "-a", "who", "base", "changed:1")
    assert cli.ok("run", "--rm", "changed:1").out == "changed\n"
    assert cli.ok("image", "inspect", "-f", "{{.Author}} {{.Comment}}", "changed:1").out == "who why\n"
    assert cli("commit", "-c", "RUN true", "base").code != 0


def test_prune_filters(cli: Teller) -> None:
    """Filters by age and label choose what prune takes."""
    cli.ok("create", "--name", "old", "--label", "keep=yes", BASE, "true")
    cli.ok("create", "--name", "other", BASE, "true")
    assert cli.ok("container", "prune", "-f", "--filter", "until=1h").out == "Total reclaimed space: 0B\n"
    assert len(cli.ok("container", "prune", "-f", "--filter", "label!=keep").lines) == 4
    assert cli.ok("ps", "-a", "--format", "{{.Names}}").out == "old\n"
    cli.ok("volume", "create", "--label", "keep", "kept")
    cli.ok("volume", "create", "gone")
    cli.ok("volume", "prune", "-f", "--filter", "label!=keep", "--filter", "all=true")
    assert cli.ok("volume", "ls", "-q").lines == ["kept"]


def test_disk_usage(cli: Teller) -> None:
    """Two containers of one image share all of it: their own bytes are what they wrote."""
    cli.ok("run", "--name", "writer", BASE, "sh", "-c", "head -c 5000 /dev/zero > /f")
    cli.ok("create", "--name", "reader", BASE, "true")
    said = cli.ok("system", "df", "-v").out
    assert "Containers space usage:" in said
    assert re.search(r"5kB.*writer", said)
    assert re.search(r" 0B .*reader", said)


def test_check_and_repair(cli: Teller, engine: Engine) -> None:
    """A healthy home is told so; damage is found, repaired on request, and then gone."""
    assert cli.ok("system", "check").out == "Everything fits together.\n"
    (engine.store.home / "containers" / ("0" * 64)).mkdir()
    (engine.store.home / "layers" / ("1" * 64)).mkdir()
    (engine.store.home / "volumes" / "torn" / "_data").mkdir(parents=True)
    broken = cli("system", "check")
    assert (broken.code, len(broken.lines)) == (1, 3)
    assert cli.ok("system", "check", "--repair").out.count("repaired") == 3
    assert cli.ok("system", "check").out == "Everything fits together.\n"
    assert [volume.name for volume in engine.volumes.list()] == ["torn"]


@pytest.mark.parametrize("words", ["events --since nonsense", "events --filter nonsense=1"])
def test_mistakes(cli: Teller, words: str) -> None:
    """A time or filter that cannot be is refused."""
    assert cli(*words.split()).code == 1


def test_a_torn_line_is_skipped(tmp_path: Path) -> None:
    """A power cut in the middle of a line costs that line only."""
    from minirt.store.journal import Journal

    journal = Journal(tmp_path)
    journal.write("volume", "create", "a", {})
    with journal.path.open("ab") as file:
        file.write(b'{"Type": "vol\n')
    journal.write("volume", "create", "b", {})
    assert [event["Actor"]["ID"] for event in journal.read()] == ["a", "b"]
