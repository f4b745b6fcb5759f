"""What the runtime reports while it works: typed, frozen events.

Nothing else couples the runtime to what is drawn: a view is a pure function of the model and the events so far,
so one event log replays as a picture in a notebook, as lines in a terminal, or in a test. ``seconds`` are
durations; no event holds a time of day or a path of the machine.

A step's ``id`` is ``"<stage index>.<step index>"``, with step 0 the stage's FROM; a stage's is ``"<index>"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "BuildFailed",
    "BuildFinished",
    "BuildStarted",
    "CacheMissed",
    "ContainerExited",
    "ContainerRemoved",
    "ContainerStarted",
    "CopyUp",
    "Event",
    "EventSink",
    "FileAdded",
    "FileForgotten",
    "ImageTagged",
    "LayerCommitted",
    "LayerFetched",
    "LayerProgress",
    "MountMade",
    "PlannedStage",
    "PlannedStep",
    "PullFinished",
    "PullStarted",
    "StepCached",
    "StepFailed",
    "StepFinished",
    "StepOutput",
    "StepStarted",
    "WarningRaised",
    "WhiteoutWritten",
    "ignore",
]


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One instruction of the plan. ``kind`` is ``base`` (FROM), ``filesystem`` (may make a layer) or ``config``."""

    id: str
    text: str
    kind: str
    line: int


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """``needs`` are ids of the stages it builds on or copies from; ``base`` is what FROM names."""

    id: str
    name: str
    base: str
    steps: tuple[PlannedStep, ...]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildStarted(Event):
    """The plan is known; only the stages that the target needs are in it."""

    stages: tuple[PlannedStage, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    step: str


@dataclass(frozen=True, slots=True)
class StepCached(Event):
    """The result was in the build cache."""

    step: str


@dataclass(frozen=True, slots=True)
class CacheMissed(Event):
    """``reason`` says in a few words which input of the cache key is new."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepOutput(Event):
    """Bytes as the command wrote them; ``stream`` is ``stdout`` or ``stderr``."""

    step: str
    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class WhiteoutWritten(Event):
    """The step's layer hides ``path`` of a lower layer; ``opaque``: everything below that directory."""

    step: str
    path: str
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class LayerCommitted(Event):
    """The step's layer. ``size`` is in bytes of file content, ``entries`` its number of paths."""

    step: str
    diff_id: str
    size: int
    entries: int
    whiteouts: int = 0


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    step: str
    message: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class WarningRaised(Event):
    """Something legal that is likely not meant. ``rule`` is the check's name, ``line`` 0 when it has none.

    ``why`` it matters is a sentence, ``better`` the lines to write instead (empty for none), ``excerpt`` the text of
    the line as it stands, ``url`` a page that says more.
    """

    rule: str
    message: str
    line: int = 0
    step: str = ""
    why: str = ""
    better: str = ""
    excerpt: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class BuildFinished(Event):
    image_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BuildFailed(Event):
    message: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ImageTagged(Event):
    image_id: str
    name: str


@dataclass(frozen=True, slots=True)
class PullStarted(Event):
    """``layers`` are (digest, size in bytes) pairs, base first; those already here are in ``present``."""

    name: str
    layers: tuple[tuple[str, int], ...]
    present: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerProgress(Event):
    digest: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class LayerFetched(Event):
    digest: str


@dataclass(frozen=True, slots=True)
class PullFinished(Event):
    name: str
    digest: str
    new: bool = True


@dataclass(frozen=True, slots=True)
class MountMade(Event):
    container: str
    target: str
    kind: str


@dataclass(frozen=True, slots=True)
class ContainerStarted(Event):
    """``ports``: where the machine answers for it now, each as (address, the machine's port, ``80/tcp``)."""

    container: str
    name: str
    image: str
    pid: int
    ports: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CopyUp(Event):
    """A file of a lower layer was copied into the storage layer because it was written to."""

    container: str
    path: str


@dataclass(frozen=True, slots=True)
class FileAdded(Event):
    """A path that no layer below has was made in the storage layer."""

    container: str
    path: str


@dataclass(frozen=True, slots=True)
class FileForgotten(Event):
    """A path left the storage layer without a trace: it was only there."""

    container: str
    path: str


@dataclass(frozen=True, slots=True)
class ContainerExited(Event):
    container: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class ContainerRemoved(Event):
    container: str


EventSink = Callable[[Event], None]
"""Takes each event as it happens; called from any thread, must be quick and must not raise."""


def ignore(_event: Event) -> None:
    """The sink for those who do not look."""
