"""What the pictures of storage and namespaces are made from, read off real containers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from minirt.engine import Engine
from minirt.engine.looks import namespaces_of, stored_containers, stored_volumes

BASE = "minirt/base"


def test_storage_facts(engine: Engine) -> None:
    """Bytes and kinds of changes of a container, bytes and users of a volume."""
    script = "echo hello > /new; echo x >> /etc/motd; rm /etc/group; head -c 3000 /dev/zero > /data/f"
    engine.containers.run(BASE, ["sh", "-c", script], name="wrote", volumes=["looked:/data"])
    (one,) = stored_containers(engine)
    assert (one.name, one.status, one.count("D")) == ("wrote", "exited", 1)
    assert ("A", "/new") in {(path.kind, path.path) for path in one.paths}
    assert one.size < 1000
    (volume,) = [found for found in stored_volumes(engine) if found.name == "looked"]
    assert (volume.size, volume.users[0].container, volume.users[0].destination) == (3000, "wrote", "/data")


def test_namespace_facts(engine: Engine, isolated: bool) -> None:
    """Process 1 inside is another number outside; namespaces of its own differ from ours. In a pod all are ours."""
    engine.containers.run(BASE, ["sleep", "60"], name="both-sides", detach=True)
    box = engine.containers.get("both-sides")
    other = threading.Thread(target=box.exec_run, args=(["sleep", "61"],))
    other.start()
    wait_for(lambda: len(namespaces_of(engine, "both-sides")[1]) == 2)
    namespaces, processes, maps = namespaces_of(engine, "both-sides")
    own = {row.kind for row in namespaces if row.inside != row.outside}
    first = processes[0]
    if isolated:
        assert {"pid", "mnt", "uts", "ipc"} <= own
        assert (first.inside_pid, first.inside_uid, first.command) == (1, 0, "sleep 60")
        assert (maps[0].inside, maps[0].outside) == (0, os.geteuid())
    else:
        assert own == set()
        assert (first.inside_pid, first.inside_uid, first.command) == (box.state.pid, os.geteuid(), "sleep 60")
    assert first.outside_pid != 1
    assert [one.origin for one in processes] == ["the container's program", "docker exec"]
    assert all(one.yours for one in processes)
    box.kill()
    other.join()


def wait_for(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not there():
        assert time.monotonic() < end
        time.sleep(0.02)
