"""The files as a failed RUN left them, kept until the next build: to look at what went wrong.

Only the last one of a home is kept, under ``cache/failed/``: ``step.json`` and, in ``root/``, what the command had
changed. Nothing is packed when the step fails; that is done when somebody wants to look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minirt.build.state import StageState
from minirt.errors import ImageNotFound, InvalidDocument, MinirtError
from minirt.model.config import History, ImageConfig
from minirt.model.digest import Digest
from minirt.model.manifest import CONFIG, MANIFEST, Descriptor, Manifest
from minirt.snapshots.contract import LayerSource, Snapshots
from minirt.store import Store, atomic_write

__all__ = ["HINT", "FailedStep", "FailedSteps", "debug_config"]

HINT = "`docker debug` shows the files as the command left them (`docker debug --before`: as it found them)."
_LOCK = "failed-step"


@dataclass(frozen=True, slots=True)
class FailedStep:
    """``text`` is the instruction, ``line`` its line. ``before`` and ``after`` are layers, base first.

    ``after`` is None until somebody has looked. ``config`` is that of containers which look: the step's variables,
    directory and user.
    """

    text: str
    line: int
    exit_code: int
    config: ImageConfig
    before: tuple[LayerSource, ...]
    after: LayerSource | None = None
    images: tuple[Descriptor, ...] = ()

    def layers(self, *, before: bool) -> tuple[LayerSource, ...]:
        """What to stack up."""
        return self.before if before or self.after is None else (*self.before, self.after)

    def to_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "line": self.line,
            "exit_code": self.exit_code,
            "config": json.loads(self.config.to_bytes()),
            "before": [_to_json(layer) for layer in self.before],
            "after": _to_json(self.after) if self.after else None,
            "images": [one.to_json() for one in self.images],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FailedStep:
        return cls(
            data["text"],
            data["line"],
            data["exit_code"],
            ImageConfig.from_bytes(json.dumps(data["config"]).encode()),
            tuple(_from_json(layer) for layer in data["before"]),
            _from_json(data["after"]) if data["after"] else None,
            tuple(Descriptor.from_json(one) for one in data["images"]),
        )


class FailedSteps:
    """The last failed step of one home."""

    def __init__(self, store: Store, snapshots: Snapshots) -> None:
        self._store, self._snapshots = store, snapshots
        self._place = store.home / "cache" / "failed"

    def keep(self, where: Path, step: FailedStep) -> bool:
        """Take over ``where``, what a step has changed. False, with ``where`` as it was, if that cannot be done."""
        with self._store.lock(_LOCK):
            try:
                self._remove()
                self._place.mkdir(parents=True)
                where.rename(self._place / "root")
                self._write(step)
            except (OSError, MinirtError):
                return False
        return True

    def find(self) -> FailedStep | None:
        """The last failed step, if nothing was built since."""
        try:
            data = json.loads((self._place / "step.json").read_bytes())
            return FailedStep.from_json(data)
        except (OSError, ValueError, KeyError, TypeError, MinirtError):
            return None

    def image(self, *, before: bool) -> Digest:
        """An image without a name, of the files before the step or after it; it goes at the next build.

        Raises :class:`ImageNotFound` if no step has failed, StorageFull.
        """
        with self._store.lock(_LOCK), self._store.lease():
            step = self.find()
            if step is None:
                raise ImageNotFound(
                    "there is no failed step to look into",
                    cause="no build has failed in a RUN since the last build that did not",
                    hint="When a RUN fails, what it left is kept until the next build.",
                )
            if not before and step.after is None:
                made = self._snapshots.commit(self._place / "root")
                step = replace(step, after=LayerSource(made.descriptor, made.diff_id))
                self._write(step)
            return self._stored(step, before=before)

    def _stored(self, step: FailedStep, *, before: bool) -> Digest:
        layers = step.layers(before=before)
        history = step.config.history
        if not before:
            history = (*history, History(created=step.config.created, created_by=f"{step.text} # failed"))
        config = replace(step.config, diff_ids=tuple(layer.diff_id for layer in layers), history=history)
        written = self._store.put(config.to_bytes(), CONFIG)
        manifest = Manifest(written, tuple(layer.descriptor for layer in layers))
        descriptor = replace(self._store.put(manifest.to_bytes(), MANIFEST), platform=config.platform)
        if descriptor not in step.images:
            self._write(replace(step, images=(*step.images, descriptor)))
        self._store.add_untagged(descriptor)
        return written.digest

    def diff_ids(self) -> Iterable[Digest]:
        """Layers that a look at the failed step needs: a sweep of the store must keep them."""
        step = self.find()
        return () if step is None else [layer.diff_id for layer in step.layers(before=False)]

    def clear(self) -> int:
        """Forget it; the bytes that were held."""
        if not self._place.exists():
            return 0
        with self._store.lock(_LOCK):
            return self._remove()

    def size(self) -> int:
        """Bytes that are held; 0 without a failed step."""
        return self._snapshots.size(self._place / "root") if (self._place / "root").exists() else 0

    def _remove(self) -> int:
        freed = self.size()
        step = self.find()
        for image in step.images if step is not None else ():
            self._store.remove_untagged(image.digest)
        self._snapshots.discard(self._place)
        return freed

    def _write(self, step: FailedStep) -> None:
        atomic_write(self._place / "step.json", json.dumps(step.to_json()).encode(), durable=False)


def debug_config(state: StageState, created: str) -> ImageConfig:
    """The config of containers that look into the step: a shell, with the variables that the step saw."""
    shell = (state.config.shell or ("/bin/sh",))[:1]
    env = tuple(f"{name}={value}" for name, value in state.environment.items())
    config = replace(state.config, env=env, entrypoint=None, cmd=shell, healthcheck=None, volumes=(), on_build=())
    return ImageConfig(
        platform=state.platform,
        config=config,
        diff_ids=(),
        history=tuple(entry for entry in state.history if not entry.empty_layer),
        created=created,
    )


def _to_json(layer: LayerSource) -> dict[str, Any]:
    return {"layer": layer.descriptor.to_json(), "diff_id": str(layer.diff_id)}


def _from_json(data: Mapping[str, Any]) -> LayerSource:
    try:
        return LayerSource(Descriptor.from_json(data["layer"]), Digest.parse(data["diff_id"]))
    except (KeyError, TypeError) as error:
        raise InvalidDocument(f"not a layer: {data}") from error
