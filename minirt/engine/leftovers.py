"""What kills leave on the machine itself: processes, control groups, bridges; and files of another owner."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from minirt.engine.findings import Finding, Problem
from minirt.linux.cgroup_tree import find_tree
from minirt.linux.cgroups import Group
from minirt.linux.links import alias_of, members_of
from minirt.linux.processes import is_alive, start_time
from minirt.networks.bridges import take_down_interface
from minirt.networks.claims import live_claims
from minirt.networks.records import PREFIX

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["end_processes", "machine_leftovers", "monitors_of", "owners"]

_PATIENCE = 5.0  # seconds: what was killed needs the processor once more to be gone, and the machine may be busy
_MOMENT = 1.5  # seconds: longer than a monitor that has told the end still cleans up behind itself
# What lies directly in these is ours; what is deeper may belong to the ids of containers.
_OURS = ("", "blobs/sha256", "containers", "containers/*", "layers", "leases", "locks", "networks", "volumes")


def owners(engine: Engine) -> Iterator[Finding]:
    """Everything of the home's own belongs to whom the home belongs to."""
    home = engine.store.home
    owner = home.stat()
    wrong = [
        path for place in _OURS for path in sorted(home.glob(f"{place}/*" if place else "*")) if _foreign(path, home)
    ]
    for path in wrong:
        what = f"belongs to user {path.lstat().st_uid}, and the home to {owner.st_uid}"
        if os.geteuid():
            what += f": sudo chown --recursive {owner.st_uid}:{owner.st_gid} {path}"
            yield Finding(Problem(str(path.relative_to(home)), what))
        else:
            give = partial(os.chown, path, owner.st_uid, owner.st_gid, follow_symlinks=False)
            yield Finding(Problem(str(path.relative_to(home)), what, "give it to the home's owner"), give)


def _foreign(path: Path, home: Path) -> bool:
    # A container's own tree starts with upper, work or tree, whose owner is the container's root.
    if path.name in ("upper", "work", "tree", "merged"):
        return False
    with suppress(OSError):
        return path.lstat().st_uid != home.stat().st_uid
    return False


def machine_leftovers(engine: Engine) -> Iterator[Finding]:
    """Processes, groups and bridges that belong to no container that runs."""
    yield from _processes(engine)
    yield from _groups(engine)
    yield from _bridges(engine)


def monitors_of(home: Path, identity: str) -> list[int]:
    """The living monitors of a container: they hold its log open."""
    log = str(home / "containers" / identity / "log")
    return [pid for pid, held in _monitors() if held == log]


def end_processes(pids: list[int]) -> None:
    """Kill them, and wait until they are gone: their containers end with them."""
    known = {pid: start_time(pid) or 0 for pid in pids}
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _MOMENT
    while any(is_alive(pid, started) for pid, started in known.items()) and time.monotonic() < deadline:
        time.sleep(0.01)


def _monitors() -> Iterator[tuple[int, str]]:
    """Every monitor on the machine whose files may be looked at, with the log that it keeps."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "comm").read_text().startswith("mrt:"):
                for link in (entry / "fd").iterdir():
                    held = ""
                    with suppress(OSError):  # one that was closed meanwhile must not hide the others
                        held = os.readlink(link).removesuffix(" (deleted)")
                    if held.endswith("/log"):
                        yield int(entry.name), held


def _processes(engine: Engine) -> Iterator[Finding]:
    """A monitor of this home whose container is not there, or is said not to run: nothing could reach it."""
    before = _stray(engine)
    if not before:
        return
    time.sleep(_MOMENT)
    for pid, identity in sorted(before & _stray(engine)):
        problem = Problem(
            f"process {pid}", f"watches over container {identity[:12]}, which is gone or ended", "kill it"
        )
        yield Finding(problem, partial(end_processes, [pid]))


def _stray(engine: Engine) -> set[tuple[int, str]]:
    alive = {record.id for record in engine.lifecycle.shelf.all() if engine.lifecycle.state(record).alive}
    prefix = str(engine.store.home / "containers")
    found = set()
    for pid, log in _monitors():
        directory, identity = os.path.split(os.path.dirname(log))
        if directory == prefix and identity not in alive and not engine.store.is_locked(f"container-{identity}"):
            found.add((pid, identity))
    return found


def _groups(engine: Engine) -> Iterator[Finding]:
    """A control group of ours in which nothing runs, or whose container has ended."""
    tree = find_tree() if engine.machine.cgroups.ok else None
    if tree is None:
        return
    # The groups of all homes lie side by side. Ours are those of containers that are here, or that the journal knows.
    known = {event["Actor"]["ID"]: False for event in engine.journal.read() if event["Type"] == "container"}
    known |= {record.id: engine.lifecycle.state(record).alive for record in engine.lifecycle.shelf.all()}
    names = {path.name: path for place in tree.places.values() for path in sorted(Path(place, "minirt").glob("*"))}
    for name, path in names.items():
        group = Group(tree, f"minirt/{name}")
        if known.get(name, True) or not path.is_dir() or engine.store.is_locked(f"container-{name}"):
            continue
        what = f"the control group of container {name[:12]}, which does not run"
        yield Finding(
            Problem(str(path), what, "end what is in it, and remove it"), partial(_clear, engine, name, group)
        )


def _clear(engine: Engine, identity: str, group: Group) -> None:
    """Under the container's lock, and only if it has not been started since it was looked at."""
    with engine.store.lock(f"container-{identity}", timeout=1.0):
        if any(one.id == identity and engine.lifecycle.state(one).alive for one in engine.lifecycle.shelf.all()):
            raise OSError("it was started meanwhile")
        with suppress(OSError):
            group.freeze(False)
        group.kill()
        if not group.remove(patience=_PATIENCE):
            raise OSError("something is in it still")


def _bridges(engine: Engine) -> Iterator[Finding]:
    """A bridge of ours whose network or home is gone, or on which nobody is."""
    if os.geteuid():
        return
    before = _empty_bridges(engine)
    if not before:
        return
    time.sleep(_MOMENT)  # an empty one stays up for a moment
    for name, home in sorted(before & _empty_bridges(engine)):
        problem = Problem(f"interface {name}", f"a bridge of {home} that no container uses", "take it away")
        yield Finding(problem, partial(take_down_interface, name))


def _empty_bridges(engine: Engine) -> set[tuple[str, str]]:
    networks = {network.interface: network for network in engine.lifecycle.networks.list()}
    found = set()
    for _, name in socket.if_nameindex():
        home = alias_of(name) if name.startswith(PREFIX) else ""
        mine = home == str(engine.store.home)
        if home and (mine or not (os.path.isdir(f"{home}/networks") or members_of(name))):
            network = networks.get(name)
            if network is None or not live_claims(engine.store.home, network.name):
                found.add((name, home))
    return found
