"""A pull as lines, in docker's form (moby, pkg/jsonmessage): a function of the events alone."""

from __future__ import annotations

from minirt.cli.units import human_size
from minirt.errors import MinirtError
from minirt.model.events import Event, LayerFetched, LayerProgress, PullFinished, PullStarted
from minirt.model.reference import Reference

__all__ = ["PlainPull", "PlainPush", "bar", "short"]


_LARGE = 10_000_000  # bytes from which on a layer is worth words while it comes


class PlainPull:
    """Turns each event into the lines to print for it: docker's, and one for each quarter of a large layer."""

    def __init__(self) -> None:
        self._quarters: dict[str, int] = {}

    def lines(self, event: Event) -> list[str]:
        """The lines for ``event``, without newlines."""
        match event:
            case LayerProgress(digest, done, total):
                quarter = 4 * done // total if total else 4
                if total < _LARGE or quarter in (0, 4, self._quarters.get(digest)):
                    return []
                self._quarters[digest] = quarter
                return [f"{short(digest)}: Downloading {quarter * 25}% of {human_size(total)}"]
            case PullStarted(name, layers, present):
                ref = _reference(name)
                tag = (ref.tag or str(ref.digest)) if ref else ""
                head = f"{tag}: Pulling from {ref.repository}" if ref else f"Pulling {name}"
                states = (
                    (digest, "Already exists" if digest in present else "Pulling fs layer") for digest, _ in layers
                )
                return [head, *(f"{short(digest)}: {state}" for digest, state in states)]
            case LayerFetched(digest):
                return [f"{short(digest)}: Pull complete"]
            case PullFinished(name, digest, new):
                ref = _reference(name)
                familiar = ref.familiar if ref else name
                status = "Downloaded newer image for" if new else "Image is up to date for"
                return [f"Digest: {digest}", f"Status: {status} {familiar}"]
        return []


class PlainPush:
    """The same events on the way out. The command itself says where to and, at the end, the digest."""

    def lines(self, event: Event) -> list[str]:
        """The lines for ``event``, without newlines."""
        match event:
            case PullStarted(_, layers, present):
                return [f"{short(digest)}: Preparing" for digest, _ in layers if digest not in present]
            case LayerFetched(digest):
                return [f"{short(digest)}: Pushed"]
        return []


def short(digest: str) -> str:
    """The first 12 hex digits."""
    return digest.partition(":")[2][:12] or digest[:12]


def bar(event: LayerProgress, width: int = 50) -> str:
    """``[=====>     ]  1.2MB/3.4MB``, as docker draws it."""
    share = min(1.0, event.done / event.total) if event.total else 1.0
    filled = int(share * width)
    body = "=" * width if filled == width else "=" * filled + ">" + " " * (width - filled - 1)
    return f"[{body}]  {human_size(event.done, 4)}/{human_size(event.total, 4)}"


def _reference(name: str) -> Reference | None:
    try:
        return Reference.parse(name)
    except MinirtError:
        return None
