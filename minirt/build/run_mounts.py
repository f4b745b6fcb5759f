"""``RUN --mount``: what a command sees for as long as it runs, and what no layer keeps.

What each kind of mount is made of lies in :mod:`.mount_sources`; the agent behind ``type=ssh`` in :mod:`.ssh_agents`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from minirt.build.config_steps import join_workdir
from minirt.build.contenthash import one_digest
from minirt.build.context import Gathered, Query, Tree
from minirt.build.job import Job
from minirt.build.mount_sources import Sources
from minirt.build.state import StageState
from minirt.dockerfile import BindMount, CacheMount, Mount, Run, SecretMount, SshMount, TmpfsMount
from minirt.errors import BuildError, DockerfileError
from minirt.model import spec as specs
from minirt.model.spec import User

__all__ = ["MountPlan"]

_FILEWORK = "minirt.build.filework"
_AGENT = "/run/buildkit/ssh_agent."


@dataclass
class MountPlan:
    """The mounts of one RUN. ``source`` gives the state of a stage or image by the text of ``from=``.

    ``cwd`` is the working directory, which targets are relative to.
    """

    job: Job
    one: Run
    source: Callable[[str], StageState]
    tree: Callable[[str], Tree | None]
    cwd: str = "/"
    gathered: dict[int, Gathered] = field(default_factory=dict)

    def values(self, *, by_content: bool = False) -> dict[str, str]:
        """What of the mounts is part of the cache key. What a cache or a secret holds is not.

        A mount of another stage counts by that stage's layers, or ``by_content`` by the files that it shows.
        Raises :class:`DockerfileError` for a mount over the whole root, CopyFailed for a source that is not there.
        """
        values: dict[str, str] = {}
        for index, mount in enumerate(self.one.mounts):
            if self.place(mount) == "/":
                raise DockerfileError(
                    f'invalid mount target "{_target(mount)}"',
                    where=self.one.location,
                    cause="a mount there would hide the whole image",
                    hint="Mount it at a directory, such as /mnt.",
                )
            values[f"mount {_target(mount)}"] = repr(mount)
            if isinstance(mount, BindMount):
                values[f"mounted {_target(mount)}"] = self._bind_key(index, mount, by_content)
            elif isinstance(mount, CacheMount) and mount.from_:
                values[f"mounted {_target(mount)}"] = self._origin(mount.from_)
        return values

    @property
    def shows_stages(self) -> bool:
        """Whether a read-only mount shows files of a stage or image: then a closer look at them may help the cache."""
        return any(
            isinstance(mount, BindMount) and mount.read_only and self.tree(mount.from_) is None
            for mount in self.one.mounts
        )

    @property
    def content(self) -> str:
        return one_digest([part.content for part in self.gathered.values()])

    @property
    def marks(self) -> dict[str, str]:
        return {path: mark for part in self.gathered.values() for path, mark in part.marks.items()}

    def _bind_key(self, index: int, mount: BindMount, by_content: bool) -> str:
        tree = self.tree(mount.from_)
        if tree is None:
            if by_content and mount.read_only:
                return self.sources.content(self.source(mount.from_), mount.from_, mount.source)
            return self.source(mount.from_).chain
        return self._gather(index, tree, mount.source).content

    def _gather(self, index: int, tree: Tree, source: str) -> Gathered:
        if index not in self.gathered:
            where = self.one.location
            query = Query((source or "/",), locate=lambda _: where, what="RUN --mount")
            self.gathered[index] = tree.gather(query)
        return self.gathered[index]

    def _origin(self, name: str) -> str:
        return f"tree {name}" if self.tree(name) is not None else self.source(name).chain

    def place(self, mount: Mount) -> str:
        """Where the mount is seen; a target that is relative starts at the working directory."""
        target = _target(mount)
        return join_workdir(self.cwd, target) if target else ""

    def environment(self) -> Mapping[str, str]:
        """Secrets that the command gets as variables, and where its ssh agent listens."""
        found = {}
        for mount in self.one.mounts:
            if isinstance(mount, SecretMount) and mount.env:
                value = self._secret(mount)
                if value is not None:
                    found[mount.env] = value.decode(errors="surrogateescape")
        agents = [mount for mount in self.one.mounts if isinstance(mount, SshMount)]
        if agents:
            found["SSH_AUTH_SOCK"] = self.place(agents[0]) or f"{_AGENT}0"
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

    @property
    def sources(self) -> Sources:
        return Sources(self.job)

    def _ready(self, stack: ExitStack, index: int, mount: Mount) -> list[specs.Mount]:
        match mount:
            case BindMount():
                return [self._bind(stack, index, mount)]
            case CacheMount():
                return [self._cache(stack, index, mount)]
            case TmpfsMount():
                options = ("nosuid", "ro") if mount.read_only else ("nosuid",)
                return [specs.TmpfsMount(self.place(mount), mount.size or 0, options=options)]
            case SecretMount():
                return self._secret_file(mount)
            case SshMount():
                return self._agent(stack, mount)
        return []

    def _bind(self, stack: ExitStack, index: int, mount: BindMount) -> specs.Mount:
        tree, target, writable = self.tree(mount.from_), self.place(mount), not mount.read_only
        if tree is None:
            state = self.source(mount.from_)
            return self.sources.of_layers(stack, state, mount.from_, mount.source, target, writable=writable)
        return self.sources.of_tree(stack, self._gather(index, tree, mount.source), target, writable=writable)

    def _cache(self, stack: ExitStack, index: int, mount: CacheMount) -> specs.Mount:
        from minirt.build.mount_caches import cache_directory

        origin: Gathered | StageState | None = None
        tree = self.tree(mount.from_) if mount.from_ else None
        if tree is not None:
            origin = self._gather(index, tree, mount.source)
        elif mount.from_:
            origin = self.source(mount.from_)
        where = cache_directory(self.job, stack, mount, origin)
        return specs.BindMount(str(where), self.place(mount), read_only=mount.read_only)

    def _secret(self, mount: SecretMount) -> bytes | None:
        value = self.job.request.secrets.get(mount.id)
        if value is None and mount.required:
            raise BuildError(
                f"secret {mount.id}: not found",
                where=self.one.location,
                hint=f"Give it with --secret id={mount.id},src=FILE.",
            )
        return value

    def _secret_file(self, mount: SecretMount) -> list[specs.Mount]:
        """Never on a disk: it goes from here into the container's own memory."""
        from base64 import b64encode

        value = self._secret(mount)
        if value is None or not mount.target:
            return []
        data = b64encode(value).decode()
        return [specs.FileMount(data, self.place(mount), mount.mode, mount.uid, mount.gid)]

    def _agent(self, stack: ExitStack, mount: SshMount) -> list[specs.Mount]:
        from minirt.build.ssh_agents import forwarded

        agents = [one for one in self.one.mounts if isinstance(one, SshMount)]
        keys = self.job.request.ssh.get(mount.id)
        if keys is None and not mount.required:
            return []
        if keys is None:
            raise BuildError(
                f'no SSH key "{mount.id}" forwarded from the client',
                where=self.one.location,
                hint=f"Give one with --ssh {mount.id}, or --ssh {mount.id}=KEYFILE.",
            )
        socket = stack.enter_context(forwarded(keys, self.job.scratchpad.new("ssh"), self.one.location))
        socket.chmod(mount.mode)
        if (mount.uid, mount.gid) != (0, 0):
            arguments = {"where": str(socket), "mode": mount.mode, "uid": mount.uid, "gid": mount.gid}
            self.job.tools.sandbox.call(f"{_FILEWORK}:dress", arguments, cancel=self.job.cancel)
        target = self.place(mount) or f"{_AGENT}{agents.index(mount)}"
        return [specs.BindMount(str(socket), target)]

    def _script(self, stack: ExitStack) -> list[specs.Mount]:
        """A heredoc with ``#!``: a file that its own interpreter runs."""
        if not self.one.has_shebang or self.one.only_heredoc is None:
            return []
        path = self.sources.directory(stack, "script") / "script"
        path.write_text(self.one.script, encoding="utf-8", errors="surrogateescape")
        path.chmod(0o755)
        return [specs.BindMount(str(path), f"/dev/pipes/{self.one.only_heredoc.name}", read_only=True)]


def _target(mount: Mount) -> str:
    return str(getattr(mount, "target", ""))
