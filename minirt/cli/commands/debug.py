"""``debug``: look into the files of the build step that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minirt.cli.grammar import command, switch
from minirt.cli.session import Session
from minirt.cli.tree import load
from minirt.errors import ImageNotFound

if TYPE_CHECKING:
    from minirt.engine.images import Image

__all__ = ["debug"]

_MOST = 30


@command(
    "debug",
    "Look into the files of the build step that failed",
    usage="[OPTIONS] [COMMAND] [ARG...]",
    arity=(0, None),
    interspersed=False,
    flags=[
        switch("--before", "", "As the step found them, not as it left them"),
        switch("--interactive", "i", "Keep STDIN open"),
        switch("--tty", "t", "Allocate a pseudo-TTY"),
    ],
)
def debug(session: Session, arguments: tuple[str, ...], **options: Any) -> int:
    step = session.engine.images.failed_step()
    if step is None:
        raise ImageNotFound(
            "there is no failed step to look into",
            cause="no RUN has failed in the last build",
            hint="When a RUN fails, what it left is kept until the next build.",
        )
    image = session.engine.images.debug(before=options["before"])
    if not arguments and not session.interactive and not options["interactive"]:
        session.print(_summary(session, image, step, options["before"]))
        return 0
    terminal = options["tty"] or (not arguments and session.interactive)
    # The rest is docker run's, terminals included; its default network is a RUN's, too.
    words = ["--rm"]
    words += ["-i"] if options["interactive"] or terminal else []
    words += ["-t"] if terminal else []
    run = load("run")
    with run.make_context("run", [*words, image.id, *arguments], obj=session) as context:
        return run.invoke(context)


def _summary(session: Session, image: Image, step: Any, before: bool) -> str:
    name = f"{session.name} debug"
    lines = [f"{step.text.splitlines()[0]} (line {step.line}) failed with exit code {step.exit_code}."]
    if not before:
        changes = _changes(image)
        lines.append("It had changed:" if changes else "It had changed no file.")
        lines += [f"  {change}" for change in changes[:_MOST]]
        if len(changes) > _MOST:
            lines.append(f"  … and {len(changes) - _MOST} more")
    lines += [
        f"{name} COMMAND             runs a command in the files as the step left them",
        f"{name} --before COMMAND    runs one in the files as the step found them",
    ]
    return "\n".join(lines) + "\n"


def _changes(image: Image) -> list[str]:
    """The paths of the step's own layer, in docker diff's form: what was there before cannot be told from it."""
    found = []
    for entry in image.entries(image.layers[-1]):
        if entry.whiteout:
            found.append(f"D /{entry.path}")
        elif entry.kind != "directory":
            found.append(f"+ /{entry.path}")
    return found
