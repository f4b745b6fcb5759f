"""The life of a container: created, started, paused, stopped, removed.

A container is one directory. It exists from the moment its ``config.json`` does until that file is unlinked, the
first step of removing it; so a kill at any instant leaves a container or none, and leftovers without a
``config.json`` are swept by the next :meth:`Lifecycle.reap`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from minirt.containers import limits
from minirt.containers.attaching import Attachment, Output
from minirt.containers.checks import refuse_missing
from minirt.containers.connecting import connect, disconnect
from minirt.containers.creating import make_record
from minirt.containers.execing import exec_process
from minirt.containers.networking import give_up, plan_network, settle, warn_of_ports, without_namespaces
from minirt.containers.noting import note, noted
from minirt.containers.records import ContainerRecord, MountPoint
from minirt.containers.removing import Removing
from minirt.containers.request import CreateRequest
from minirt.containers.rooms import Rooms
from minirt.containers.sharing import namespaces_of, settle_isolation
from minirt.containers.shelf import Shelf
from minirt.containers.starting import Window, make_spec
from minirt.containers.state import State, read_state
from minirt.containers.storing import Storing
from minirt.containers.volume_points import check_point
from minirt.errors import Conflict
from minirt.model.cancel import Cancel
from minirt.model.spec import Attached, Detached
from minirt.networks.records import Network, Wish
from minirt.networks.store import Networks
from minirt.sandbox import attach
from minirt.sandbox.restarts import allow, parse_policy, write_policy
from minirt.store.journal import Journal
from minirt.store.lives import note_exec

__all__ = ["Lifecycle", "Rooms"]


class Lifecycle(Removing, Storing):
    """All calls are safe from several threads and processes; one lock a container orders them."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        super().__init__(Shelf(rooms.store), rooms.machine)
        self.networks = Networks(rooms.store)

    @noted("create")
    def create(
        self, request: CreateRequest, cancel: Cancel | None = None, on_warning: Callable[[str], None] = lambda _: None
    ) -> ContainerRecord:
        """Make the storage layer, then the record. Raises what :func:`make_record` does, NameInUse, StoreError."""
        rooms = self._rooms
        request = self._settled(request, on_warning)
        record = make_record(request, rooms.volumes, rooms.now(), self._mounts_of)
        refuse_missing(record, rooms.machine, on_warning)
        directory = self.shelf.directory(record.id)
        # The lock tells a container that is being made from one whose maker was killed: see reap.
        with rooms.store.lock(f"container-{record.id}"):
            try:
                rooms.snapshots.ensure(request.image.layers, cancel)
                rooms.snapshots.prepare(record.diff_ids, directory)
                self._fill_volumes(record)
                return self.shelf.add(record)
            except BaseException:
                rooms.snapshots.discard(directory)
                self._drop_anonymous(record)
                raise

    def _settled(self, request: CreateRequest, on_warning: Callable[[str], None]) -> CreateRequest:
        """The request with its network and its companions looked up."""
        request = settle_isolation(request, self._rooms.machine, self._find)
        wished = request.network
        if self._rooms.machine.isolation != "namespaces":
            wished = without_namespaces(wished, self.networks)
        publishes = bool(request.ports or request.publish_all)
        found = settle(wished, request, self.networks, self._find)
        links = tuple(self._link(text) for text in request.links)
        # Who asked for the machine's network has its ports discarded, as with docker.
        forwards = found.mode == "host" != request.network
        for warning in found.warnings:
            on_warning(warning)
        if publishes and found.mode == "host":
            for warning in warn_of_ports(request, forwards=forwards):
                on_warning(warning)
        return replace(request, network=found.mode, networks=found.wishes, links=links, forwards=forwards)

    def _link(self, text: str) -> str:
        """``NAME[:ALIAS]`` with the container looked up. Raises ContainerNotFound."""
        name, _, alias = text.partition(":")
        record = self.shelf.get(name)
        return f"{record.id}:{alias or record.name}"

    def _find(self, name: str) -> tuple[ContainerRecord, State]:
        record = self.shelf.get(name)
        return record, self.state(record)

    def _mounts_of(self, name: str) -> tuple[MountPoint, ...]:
        return self.shelf.get(name).mounts

    def _fill_volumes(self, record: ContainerRecord) -> None:
        """An empty volume starts with what the image has in its place (docker's rule for volumes, not for binds)."""
        for point in record.mounts:
            source = Path(point.source)
            if point.kind != "volume" or point.no_copy or not source.is_dir() or any(source.iterdir()):
                continue
            arguments = {"source": point.destination, "target": point.source}
            root = self._rooms.snapshots.view(record.diff_ids)
            with self._rooms.store.lock(f"volume-{point.name}"):
                self._rooms.sandbox.call("minirt.volumes.filling:fill", arguments, root=root)

    def start(
        self,
        record: ContainerRecord,
        *,
        stdin: int | None = None,
        output: Output | None = None,
        lives_on: bool = True,
        window: Window | None = None,
    ) -> Attachment | None:
        """Start it. With ``output`` (called with the stream's name and bytes) an attachment is returned.

        Unless it ``lives_on``, it is killed as soon as this process is gone.

        Raises CommandNotFound, CommandNotExecutable, SandboxError; an already running container is left as it is.
        """
        rooms = self._rooms
        directory = self.shelf.directory(record.id)
        with rooms.store.lock(f"container-{record.id}"):
            if read_state(directory).alive:
                return None
            self.shelf.check(record)
            self._check_mounts(record)
            root = rooms.snapshots.reopen(record.diff_ids, directory)
            id_maps = (rooms.machine.uid_map, rooms.machine.gid_map)
            lifetime = Detached(str(directory)) if lives_on else Attached(str(directory))
            allow(str(directory))
            write_policy(str(directory), parse_policy(record.settings.restart))
            limits.clear(record, rooms.machine)
            if output is not None:
                note(Journal(self.shelf.home), "attach", record)
            plan = plan_network(record, self.networks, self._find)
            try:
                spec = make_spec(record, lifetime, root, self._union(record), id_maps, plan, window)
                spec = limits.with_settings(spec, record, rooms.machine)
                spec = replace(spec, namespaces=namespaces_of(record, self._find))
                return Attachment.begin(
                    lambda out, err: rooms.sandbox.start(spec, stdin=stdin, stdout=out, stderr=err), output
                )
            except BaseException:
                give_up(record, self.networks, plan.joined)
                raise

    def attach(self, record: ContainerRecord, *, stdin: int | None = None, output: Output) -> Attachment:
        """Join a running container, whoever started it. Raises ContainerNotRunning, Conflict."""
        state = self._running(record)
        if state.paused:
            raise Conflict("You cannot attach to a paused container, unpause it first")
        note(Journal(self.shelf.home), "attach", record)
        directory = str(self.shelf.directory(record.id))
        return Attachment.begin(
            lambda out, err: attach(
                directory, record.id, state.pid, state.start_time, stdin=stdin, stdout=out, stderr=err
            ),
            output,
        )

    def connect(self, record: ContainerRecord, network: Network, aliases: tuple[str, ...], ip: str) -> None:
        """Put it on one more network. Raises Conflict, InvalidSpec, Unsupported."""
        rooms = self._rooms
        with rooms.store.lock(f"container-{record.id}"):
            wish, known = Wish(network.name, aliases, ip), self.shelf.get(record.id)
            connect(known, wish, self.state(record), self.networks, self.shelf, rooms.sandbox)

    def disconnect(self, record: ContainerRecord, network: Network) -> None:
        """Take it off a network. Raises Conflict."""
        rooms = self._rooms
        with rooms.store.lock(f"container-{record.id}"):
            known = self.shelf.get(record.id)
            disconnect(known, network, self.state(record), self.networks, self.shelf, rooms.sandbox)

    def _check_mounts(self, record: ContainerRecord) -> None:
        for point in record.mounts:
            if point.kind == "volume":
                check_point(point, self._rooms.volumes.get(point.name))

    def exec(
        self,
        record: ContainerRecord,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str | None = None,
        user: str = "",
        privileged: bool = False,
        output: Output | None,
        stdin: int | None = None,
        terminal: Window | None = None,
        detach: bool = False,
    ) -> Attachment:
        """Start a further program inside, with a terminal if that has a size; it ends with this process, unless
        ``detach``. ``privileged``: with every capability, and no filter on system calls.

        Raises ContainerNotRunning, Conflict, CommandNotFound.
        """
        state = self._running(record)
        if state.paused:
            raise Conflict(f"Container {record.name} is paused, unpause the container before exec")
        process = exec_process(
            record, argv, self._union(record), environment=environment, cwd=cwd, user=user, terminal=terminal
        )
        directory = str(self.shelf.directory(record.id))
        identity = note_exec(directory, argv)
        begin = Attachment.leave if detach else Attachment.begin
        return begin(
            lambda out, err: self._rooms.sandbox.exec(
                state.pid,
                state.start_time,
                process,
                name=record.id,
                privileged=privileged or record.privileged,
                detach=detach,
                noted=(directory, identity),
                cgroup=limits.joined_group(record, self._rooms.machine),
                stdin=stdin,
                stdout=out,
                stderr=err,
            ),
            output,
        )
