"""``RUN --mount``: what a command sees for as long as it runs, and what no layer keeps."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from minirt.build.context import Gathered, Query, Tree
from minirt.build.copy_files import items_to_json
from minirt.build.job import Job, memory_file
from minirt.build.state import StageState
from minirt.build.work import source_layers
from minirt.dockerfile import BindMount, CacheMount, Mount, Run, SecretMount, SshMount, TmpfsMount
from minirt.errors import BuildError, CopyFailed, Unsupported
from minirt.model import spec as specs
from minirt.model.spec import RootFilesystem, TreeRoot, User

__all__ = ["MountPlan"]

_FILEWORK = "minirt.build.filework"


@dataclass
class MountPlan:
    """The mounts of one RUN. ``source`` gives the state of a stage or image by the text of ``from=``."""

    job: Job
    one: Run
    source: Callable[[str], StageState]
    tree: Callable[[str], Tree | None]
    gathered: dict[int, Gathered] = field(default_factory=dict)

    def values(self) -> dict[str, str]:
        """What of the mounts is part of the cache key. What a cache or a secret holds is not."""
        values: dict[str, str] = {}
        for index, mount in enumerate(self.one.mounts):
            values[f"mount {_target(mount)}"] = repr(mount)
            if isinstance(mount, BindMount):
                values[f"mounted {_target(mount)}"] = self._bind_key(index, mount)
        return values

    @property
    def content(self) -> str:
        return "-".join(part.content for part in self.gathered.values())

    @property
    def marks(self) -> dict[str, str]:
        return {path: mark for part in self.gathered.values() for path, mark in part.marks.items()}

    def _bind_key(self, index: int, mount: BindMount) -> str:
        tree = self.tree(mount.from_)
        if tree is None:
            return self.source(mount.from_).chain
        where = self.one.location
        query = Query((mount.source or "/",), locate=lambda _: where, what="RUN --mount")
        self.gathered[index] = tree.gather(query)
        return self.gathered[index].content

    def environment(self) -> Mapping[str, str]:
        """Secrets that the command gets as variables."""
        found = {}
        for mount in self.one.mounts:
            if isinstance(mount, SecretMount) and mount.env:
                value = self._secret(mount)
                if value is not None:
                    found[mount.env] = value.decode(errors="surrogateescape")
        return found

    @contextmanager
    def ready(self, user: User) -> Iterator[list[specs.Mount]]:
        """The mounts as the sandbox takes them, for the length of the command."""
        with ExitStack() as stack:
            ready: list[specs.Mount] = []
            for index, mount in enumerate(self.one.mounts):
                ready += self._ready(stack, index, mount)
            ready += self._script(stack)
            yield ready

    def _ready(self, stack: ExitStack, index: int, mount: Mount) -> list[specs.Mount]:
        match mount:
            case BindMount():
                return [self._bind(stack, index, mount)]
            case CacheMount():
                return [self._cache(stack, mount)]
            case TmpfsMount():
                return [specs.TmpfsMount(mount.target, mount.size or 0)]
            case SecretMount():
                return self._secret_file(stack, mount)
            case SshMount() if mount.required:
                raise Unsupported("RUN --mount=type=ssh is not supported", where=self.one.location)
        return []

    def _bind(self, stack: ExitStack, index: int, mount: BindMount) -> specs.Mount:
        """A copy of the source: the command may then not see, nor write, anything but what it asked for."""
        where = self._directory(stack, "bind")
        arguments: dict[str, object] = {
            "destination": "/", "chown": "", "chmod": "", "epoch": None, "unpack": False, "from": None,
            "upper": None,
        }  # fmt: skip
        name = os.path.basename(mount.source.rstrip("/"))
        rows: list[object] = []
        if index in self.gathered:
            (source,) = self.gathered[index].sources
            is_file = source.items[0].mode & 0o170000 == 0o100000
            name = source.found.name
            rows = [
                {"top": source.top, "place": source.found.place, "name": name, "items": items_to_json(source.items)}
            ]
        else:
            state = self.source(mount.from_)
            root = self._view(state)
            is_file = _is_file(root, mount.source)
            arguments["from"] = {
                "words": [mount.source or "/"], "exclude": [], "parents": False, "name": mount.from_,
                "lowers": source_layers(root), "plain": isinstance(root, TreeRoot),
            }  # fmt: skip
        with memory_file(json.dumps(rows).encode()) as listing:
            self.job.tools.sandbox.call(
                f"{_FILEWORK}:transfer", arguments, root=TreeRoot(str(where)), fds=[listing], cancel=self.job.cancel
            )
        place = where / name if is_file else where
        return specs.BindMount(str(place), mount.target, read_only=mount.read_only)

    def _view(self, state: StageState) -> RootFilesystem:
        self.job.tools.snapshots.ensure(state.layers, self.job.cancel)
        return self.job.tools.snapshots.view([layer.diff_id for layer in state.layers])

    def _directory(self, stack: ExitStack, name: str) -> Path:
        where = self.job.scratchpad.new(name)
        where.mkdir(mode=0o755)
        stack.callback(self.job.tools.snapshots.discard, where)
        return where

    def _cache(self, stack: ExitStack, mount: CacheMount) -> specs.Mount:
        name = hashlib.sha256(f"{mount.id}\0{mount.uid}:{mount.gid}".encode()).hexdigest()[:32]
        where = self.job.tools.store.home / "cache" / "mounts" / name
        if mount.sharing == "locked":
            stack.enter_context(self.job.tools.store.lock(f"mount-{name}"))
        elif mount.sharing == "private":
            where = self._directory(stack, "cache")
        if not where.exists():
            where.mkdir(parents=True)
        arguments = {"where": str(where), "mode": mount.mode, "uid": mount.uid, "gid": mount.gid}
        if (mount.mode, mount.uid, mount.gid) != (where.stat().st_mode & 0o7777, 0, 0):
            self.job.tools.sandbox.call(f"{_FILEWORK}:dress", arguments, cancel=self.job.cancel)
        return specs.BindMount(str(where), mount.target, read_only=mount.read_only)

    def _secret(self, mount: SecretMount) -> bytes | None:
        value = self.job.request.secrets.get(mount.id)
        if value is None and mount.required:
            raise BuildError(
                f"secret {mount.id}: not found",
                where=self.one.location,
                hint=f"Give it with --secret id={mount.id},src=FILE.",
            )
        return value

    def _secret_file(self, stack: ExitStack, mount: SecretMount) -> list[specs.Mount]:
        value = self._secret(mount)
        if value is None or not mount.target:
            return []
        where = self._directory(stack, "secret")
        path = where / "secret"
        path.touch(mode=0o600)
        path.write_bytes(value)
        arguments = {"where": str(path), "mode": mount.mode, "uid": mount.uid, "gid": mount.gid}
        self.job.tools.sandbox.call(f"{_FILEWORK}:dress", arguments, cancel=self.job.cancel)
        return [specs.BindMount(str(path), mount.target, read_only=True)]

    def _script(self, stack: ExitStack) -> list[specs.Mount]:
        """A heredoc with ``#!``: a file that its own interpreter runs."""
        if not self.one.has_shebang or self.one.only_heredoc is None:
            return []
        path = self._directory(stack, "script") / "script"
        path.write_text(self.one.script, encoding="utf-8", errors="surrogateescape")
        path.chmod(0o755)
        return [specs.BindMount(str(path), f"/dev/pipes/{self.one.only_heredoc.name}", read_only=True)]


def _target(mount: Mount) -> str:
    return str(getattr(mount, "target", ""))


def _is_file(root: RootFilesystem, source: str) -> bool:
    from minirt.snapshots.union import Union

    found = Union.of([Path(lower) for lower in source_layers(root)]).find(source or "/")
    if found is None:
        raise CopyFailed(f"{source} not found in the mount's source")
    return found.is_file()
