"""``engine.containers``: docker-py's ``client.containers`` (docker-py documentation, "Containers")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minirt.engine.attaching import Output
from minirt.engine.container import Container
from minirt.engine.filters import container_filter, prune_filter
from minirt.engine.happenings import note_prune
from minirt.engine.options import make_request
from minirt.errors import ContainerFailed, ContainerNotFound
from minirt.model.cancel import Cancel
from minirt.model.events import WarningRaised
from minirt.model.platform import Platform

if TYPE_CHECKING:
    from minirt.engine.facade import Engine

__all__ = ["Container", "ContainerCollection"]

_MOST_ERROR_BYTES = 4096


class ContainerCollection:
    """All containers of this home, whoever started them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self, image: str, command: str | Sequence[str] | None = None, *, cancel: Cancel | None = None, **options: Any
    ) -> Container:
        """``docker create``. ``options`` are docker-py's; see :func:`minirt.engine.options.make_request`.

        An image that is not here is pulled. Raises ImageNotFound, InvalidSpec, NameInUse.
        """
        platform = options.pop("platform", None)
        source = self._engine.images.source(
            image, pull=options.pop("pull", "missing"), platform=platform, cancel=cancel
        )
        request = make_request(source, command, options)
        warnings: list[str] = []
        if platform is None:
            warnings.extend(_foreign(source.config.platform))
        container = Container(self._engine, self._engine.lifecycle.create(request, cancel, warnings.append))
        container.warnings = tuple(warnings)
        for warning in warnings:
            self._engine.report(WarningRaised("container", warning))
        return container

    def run(
        self,
        image: str,
        command: str | Sequence[str] | None = None,
        *,
        stdout: bool = True,
        stderr: bool = False,
        remove: bool = False,
        detach: bool = False,
        stream: bool = False,
        output: Output | None = None,
        stdin: int | None = None,
        cancel: Cancel | None = None,
        **options: Any,
    ) -> bytes | Iterator[bytes] | Container:
        """``docker run``: with ``detach`` the container at once, otherwise its output when it has ended.

        With ``stream`` that output comes as an iterator over lines (docker-py waits for the end, too).

        Raises :class:`ContainerFailed` for an exit code other than 0, and what :meth:`create` and
        :meth:`Container.start` raise.
        """
        remove = options.pop("auto_remove", None) or remove  # docker-py's other word for it
        if detach:
            container = self.create(image, command, cancel=cancel, auto_remove=remove, **options)
            self._start_or_drop(container)
            return container
        container = self.create(image, command, cancel=cancel, auto_remove=remove, **options)
        kept: list[bytes] = []
        errors: list[bytes] = []

        def collect(stream: str, data: bytes) -> None:
            if output is not None:
                output(stream, data)
            if stream == "stderr":
                errors.append(data)
            if (stdout and stream == "stdout") or (stderr and stream == "stderr"):
                kept.append(data)

        try:
            code = container.run(collect, stdin=stdin, cancel=cancel)
        finally:
            if remove:
                container.remove(force=True, v=True)
        if code:
            raise ContainerFailed(
                f"the command in container {container.name} ended with exit code {code}",
                exit_code=code,
                stderr=b"".join(errors)[-_MOST_ERROR_BYTES:],
            )
        whole = b"".join(kept)
        return iter(whole.splitlines(keepends=True)) if stream else whole

    def _start_or_drop(self, container: Container) -> None:
        try:
            container.start()
        except BaseException:
            if container.record.auto_remove:
                container.remove(force=True, v=True)
            raise

    def get(self, name: str) -> Container:
        """By id, unique prefix of an id, or name. Raises :class:`ContainerNotFound`."""
        return Container(self._engine, self._engine.lifecycle.shelf.get(name))

    def list(
        self,
        all: bool = False,
        before: str | None = None,
        filters: Mapping[str, Any] | None = None,
        limit: int = -1,
        since: str | None = None,
        sparse: bool = False,
        ignore_removed: bool = False,
    ) -> list[Container]:
        """The running ones, newest first; with ``all``, ``limit`` or a filter of states every one.

        ``filters`` are docker's (:mod:`minirt.engine.filters`), a value or a list each; ``before`` and ``since`` name a
        container. ``sparse`` and ``ignore_removed`` are docker-py's and change nothing: facts are read when asked for.
        Raises :class:`InvalidInput` for an unknown filter.
        """
        self._engine.lifecycle.reap()
        found = [Container(self._engine, record) for record in self._engine.lifecycle.shelf.all()]
        named = {**(filters or {}), **({"before": before} if before else {}), **({"since": since} if since else {})}
        every = all or limit > 0 or "status" in named or "exited" in named
        chosen = [container for container in found if every or container.state.alive]
        if named:
            allowed = container_filter(self._engine, named)
            chosen = [container for container in chosen if allowed(container)]
        return chosen[:limit] if limit > 0 else chosen

    def prune(
        self, filters: Mapping[str, Any] | None = None, *, wanted: Callable[[Container], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Remove every container that has ended: ``{"ContainersDeleted": […], "SpaceReclaimed": bytes}``.

        ``filters`` are ``label``, ``label!`` and ``until``; ``wanted`` may keep more.
        """
        if filters:
            chosen, given = prune_filter(filters), wanted
            wanted = lambda one: chosen(one.labels, one.record.created) and given(one)  # noqa: E731
        removed, freed = [], 0
        for container in self.list(all=True):
            if container.status not in ("exited", "created", "dead") or not wanted(container):
                continue
            size = self._engine.lifecycle.storage_bytes(container.record)
            try:
                container.remove(v=True)
            except ContainerNotFound:
                continue
            removed.append(container.id)
            freed += size
        note_prune(self._engine.journal, "container", freed)
        return {"ContainersDeleted": removed, "SpaceReclaimed": freed}


def _foreign(made_for: Platform) -> list[str]:
    """Docker's warning about an image of another platform that nobody asked for; its programs may not start."""
    here = Platform.host()
    if not made_for.architecture or here.runs(made_for):
        return []
    return [
        f"The requested image's platform ({made_for}) does not match the detected host platform ({here}) "
        "and no specific platform was requested"
    ]
