"""What the pictures of storage and namespaces are made from, read off real containers."""

from __future__ import annotations

from minirt.engine import Engine
from minirt.engine.looks import namespaces_of, stored_containers, stored_volumes

BASE = "minirt/base"


def test_storage_facts(engine: Engine) -> None:
    """Bytes and kinds of changes of a container, bytes and users of a volume."""
    script = "echo hello > /new; echo x >> /etc/motd; rm /etc/group; head -c 3000 /dev/zero > /data/f"
    engine.containers.run(BASE, ["sh", "-c", script], name="wrote", volumes=["looked:/data"])
    (one,) = stored_containers(engine)
    assert (one.name, one.status, one.deleted) == ("wrote", "exited", 1)
    assert one.added >= 1
    assert one.size < 1000
    (volume,) = [found for found in stored_volumes(engine) if found.name == "looked"]
    assert (volume.size, volume.users[0].container, volume.users[0].destination) == (3000, "wrote", "/data")


def test_namespace_facts(engine: Engine) -> None:
    """Process 1 inside is another number outside; namespaces of its own differ from ours."""
    engine.containers.run(BASE, ["sleep", "60"], name="both-sides", detach=True)
    namespaces, processes = namespaces_of(engine, "both-sides")
    own = {row.kind for row in namespaces if row.inside != row.outside}
    assert {"pid", "mnt", "uts", "ipc"} <= own
    first = processes[0]
    assert (first.inside_pid, first.inside_uid, first.command) == (1, 0, "sleep 60")
    assert first.outside_pid != 1
