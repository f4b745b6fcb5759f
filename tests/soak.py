"""kill -9 at random points of a container's life, many times, and a look after each whether the home is whole.

    python -m tests.soak [ROUNDS] [SEED]

Each round starts a program that creates, starts, writes to, stops, commits and removes containers of one home, on a
network and with volumes, and builds images; after a random time it kills that program, and before it often a monitor,
the spawner or a worker. What may be left then is what a container's state tells; nothing else.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from minirt.engine import Engine
from minirt.engine.checking import check_home
from minirt.errors import ContainerNotFound, MinirtError
from minirt.linux.links import alias_of

_BASE = "minirt/base"
_NETWORK = "soak"
_MOST_IMAGES = 40
_WORKER = """
import random, sys, tempfile
from pathlib import Path
from minirt.engine import Engine
from minirt.errors import MinirtError
WRITES = ["sh", "-c", "while :; do echo x >> /data; sleep 0.2; done"]
STEPS = "create create start start write stop commit rm run pause build volume wired".split()
with Engine(sys.argv[1]) as engine:
    chance = random.Random(int(sys.argv[2]))
    wired = {} if sys.argv[3] == "alone" else {"network": sys.argv[3], "ports": {"80/tcp": None}}
    print("ready", flush=True)
    while True:
        try:
            found = engine.containers.list(all=True)
            # What a look costs grows with what there is: a thousand rounds must not make five hundred containers.
            step = chance.choice(STEPS) if len(found) < 40 else "rm"
            if step == "create":
                volumes = [f"kept-{chance.randrange(3)}:/kept", "/own"] if chance.random() < 0.5 else []
                engine.containers.create("minirt/base", WRITES, volumes=volumes)
            elif step == "run":
                engine.containers.run("minirt/base", ["sh", "-c", "echo y > /y"], remove=True, volumes=["/own"])
            elif step == "wired":
                engine.containers.run("minirt/base", WRITES, detach=True, **wired)
            elif step == "build":
                with tempfile.TemporaryDirectory(dir=sys.argv[4]) as context:
                    Path(context, "some").write_bytes(chance.randbytes(50_000))
                    text = "FROM minirt/base AS a\\nCOPY some /some\\nRUN wc -c some > /size\\nFROM a\\nRUN rm /some\\n"
                    Path(context, "Dockerfile").write_text(text)
                    engine.images.build(path=context, tag=f"built:{chance.randrange(2)}")
            elif step == "volume":
                if chance.random() < 0.5:
                    engine.volumes.create(f"kept-{chance.randrange(3)}")
                else:
                    engine.volumes.prune()
            elif found:
                one = chance.choice(found)
                if step == "start":
                    one.start()
                elif step == "write":
                    one.exec_run(["sh", "-c", "head -c 100000 /dev/urandom > /blob; rm -rf /etc/opt"])
                elif step == "stop":
                    one.stop(timeout=0)
                elif step == "commit":
                    one.commit("soak", "1")
                elif step == "rm":
                    one.remove(force=True, v=True)
                elif step == "pause":
                    one.pause(); one.unpause()
        except MinirtError:
            pass  # refused, in the wrong state, or removed by nobody's fault: the next one
"""


def main() -> int:
    """Exit code 1 with what was wrong."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    chance = random.Random(seed)
    print(f"soak: {rounds} rounds, seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="minirt-soak-") as home,
        tempfile.TemporaryDirectory(prefix="minirt-soak-contexts-") as contexts,
    ):
        with Engine(home) as engine:
            engine.image_store.base()
            network = _network(engine)
        for number in range(rounds):
            if number and not number % 50:
                print(f"soak: {number} rounds", flush=True)
            _one_round(home, chance, network, contexts)
            wrong = _look(home)
            if home in Path("/proc/self/mountinfo").read_text():
                wrong.append("something is mounted on the machine")
            if wrong:
                print(f"soak: round {number} (seed {seed}): " + "; ".join(wrong))
                return 1
        return _clear(home)


def _network(engine: Engine) -> str:
    """One for containers that publish a port, where this machine and user have such."""
    if engine.machine.isolation != "namespaces":
        return "alone"
    try:
        return str(engine.networks.create(_NETWORK).name)
    except MinirtError as reason:
        print(f"soak: without a network: {reason.what}")
        return "alone"


def _one_round(home: str, chance: random.Random, network: str, contexts: str) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, home, str(chance.randrange(1 << 30)), network, contexts], stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    worker.stdout.readline()
    time.sleep(chance.uniform(0.0, 1.0))
    victim = chance.random()
    if victim < 0.25:
        _kill_a_monitor(home, chance)
    elif victim < 0.6:  # the spawner, a worker in the middle of files, or what is born right now
        _kill(chance.choice(_descendants(worker.pid) or [0]))
    time.sleep(chance.uniform(0.0, 0.3))
    worker.kill()
    worker.wait()
    worker.stdout.close()


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(further for child in children for further in _descendants(child))]


def _kill(pid: int) -> None:
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def _kill_a_monitor(home: str, chance: random.Random) -> None:
    with Engine(home) as engine:
        living = [container.state for container in engine.containers.list() if container.state.monitor_pid]
    if living:
        _kill(chance.choice(living).monitor_pid)


def _look(home: str) -> list[str]:
    """What is not as it should be."""
    wrong = []
    with Engine(home) as engine:
        check_home(engine, repair=True)
        found = (one for one in check_home(engine) if "a bridge of" not in one.what or home in one.what)
        wrong += [f"not repaired: {problem}" for problem in found]  # others' homes come and go meanwhile
        for container in engine.containers.list(all=True):
            try:
                if container.status == "dead":  # the one who removed it was killed: once more does it
                    container.remove(force=True, v=True)
                    continue
                state, attrs = container.state, container.attrs
                container.changes()
                if state.alive and state.pid and not Path(f"/proc/{state.pid}").exists() and container.state.alive:
                    wrong.append(f"{container.short_id} is said to run and does not")
                if not (engine.home / "containers" / container.id / "upper").is_dir():
                    wrong.append(f"{container.short_id} has no storage layer")
                if attrs["State"]["Status"] not in ("created", "running", "paused", "exited"):
                    wrong.append(f"{container.short_id} is {attrs['State']['Status']}")
            except ContainerNotFound:
                continue
        for image in engine.images.list():
            try:
                image.history()
            except MinirtError as error:
                wrong.append(f"image {image.short_id}: {error}")
        if len(engine.images.list()) > _MOST_IMAGES:  # looking at each of many hundreds takes longer than the round
            engine.images.prune()
        if engine.containers.run(_BASE, ["echo", "well"], remove=True) != b"well\n":
            wrong.append("a container that echoes does not")
    return wrong


def _clear(home: str) -> int:
    """Remove all, and see that nothing of it is left anywhere."""
    with Engine(home) as engine:
        known = [container.id for container in engine.containers.list(all=True)]
        for container in engine.containers.list(all=True):
            container.remove(force=True, v=True)
        check_home(engine, repair=True)
        engine.volumes.prune()  # one made for a container that never came to be is nobody's, as with docker
        left = [entry.name for entry in (engine.home / "containers").iterdir()]
        left += [volume.name for volume in engine.volumes.list() if len(volume.name) == 64]
        left += [entry.name for entry in (engine.home / "tmp").iterdir() if not entry.name.startswith("corrupt-")]
    deadline = time.monotonic() + 10
    while (leaks := _leaks(known, home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if left or leaks:
        print(f"soak: left behind: {left} {leaks}")
        return 1
    print("soak: nothing left behind")
    return 0


def _leaks(known: list[str], home: str) -> list[str]:
    found = [str(path) for one in known for path in Path("/sys/fs/cgroup").glob(f"*/minirt/{one}")]
    marks = {f"mrt:{one[:11]}" for one in known}
    found += [name for _, name in socket.if_nameindex() if name.startswith("mrt-") and alias_of(name) == home]
    for entry in os.listdir("/proc"):
        try:
            name = Path(f"/proc/{entry}/comm").read_text().strip()
            line = Path(f"/proc/{entry}/cmdline").read_bytes()
        except OSError:
            continue
        if name in marks or (entry.isdigit() and home.encode() in line):
            found.append(f"process {entry} ({name})")
    return found


if __name__ == "__main__":
    sys.exit(main())
