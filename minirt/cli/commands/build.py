"""``build``."""

from __future__ import annotations

from typing import Any

from minirt.cli.grammar import absent, command, switch, value, values
from minirt.cli.session import Session
from minirt.cli.settings import Settings
from minirt.cli.values import build_arguments, label_pair
from minirt.errors import PathNotFound, Unsupported, UsageError
from minirt.model.reference import Reference

__all__ = ["build"]

MODES = ("auto", "plain", "tty", "quiet", "rawjson")
_CACHE = "the build cache is this home's own"


def _mode(text: str) -> str:
    if text not in MODES:
        raise ValueError(f"invalid progress mode {text}: must be one of auto, plain, tty, quiet")
    return "plain" if text == "rawjson" else text


def _checked_tag(text: str) -> str:
    return Reference.parse(text).familiar


@command(
    "build",
    "Build an image from a Dockerfile",
    usage="[OPTIONS] PATH | -",
    arity=(1, 1),
    operands="path",
    flags=[
        values("--build-arg", "", "Set build-time variables"),
        value("--file", "f", 'Name of the Dockerfile (Default is "PATH/Dockerfile", "-" reads it from stdin)'),
        value("--iidfile", "", "Write the image ID to the file"),
        values("--label", "", "Set metadata for an image", parse=label_pair),
        switch("--no-cache", "", "Do not use cache when building the image"),
        value("--platform", "", "Set platform if server is multi-platform capable"),
        value(
            "--progress", "", 'Set type of progress output ("auto", "plain", "tty", "quiet") (default "auto")',
            parse=_mode, default="auto",
        ),
        switch("--pull", "", "Always attempt to pull a newer version of the image"),
        switch("--quiet", "q", "Suppress the build output and print image ID on success"),
        switch("--rm", "", "Remove intermediate containers after a successful build", default=True),
        switch("--force-rm", "", "Always remove intermediate containers"),
        switch("--load", "", "Load the image into the store, where minirt's builds always go"),
        values("--tag", "t", 'Name and optionally a tag in the "name:tag" format', parse=_checked_tag),
        value("--target", "", "Set the target build stage to build."),
        absent("--add-host", "", "Add a custom host-to-IP mapping", word="list"),
        absent("--build-context", "", "Additional build contexts", word="list"),
        absent("--cache-from", "", "Images to consider as cache sources", word="strings", why=_CACHE),
        absent("--cache-to", "", "Cache export destinations", word="strings", why=_CACHE),
        absent("--check", "", "Shorthand for --call=check", word=""),
        absent("--memory", "m", "Memory limit", word="bytes"),
        absent("--network", "", "Set the networking mode for the RUN instructions during build"),
        absent("--no-cache-filter", "", "Do not cache specified stages", word="strings"),
        absent("--output", "o", "Output destination", word="stringArray"),
        absent("--push", "", "Push the image", word=""),
        absent("--secret", "", "Secret to expose to the build", word="stringArray"),
        absent("--shm-size", "", "Size of /dev/shm", word="bytes"),
        absent("--squash", "", "Squash newly built layers into a single new layer", word=""),
        absent("--ssh", "", "SSH agent socket or keys to expose to the build", word="stringArray"),
        absent("--ulimit", "", "Ulimit options", word="ulimit"),
    ],
)  # fmt: skip
def build(session: Session, arguments: tuple[str, ...], **options: Any) -> None:
    path, text, file = _inputs(session, arguments[0], options["file"])
    mode = "quiet" if options["quiet"] else options["progress"]
    title = options["tag"][0] if options["tag"] else ""
    with session.progress(session, "build", title, mode) as sink:
        image = session.engine.images.build(
            path,
            dockerfile=file,
            text=text,
            tag=options["tag"],
            buildargs=build_arguments(options["build_arg"], session.environment),
            target=options["target"] or None,
            labels=dict(options["label"]),
            nocache=options["no_cache"],
            pull=options["pull"],
            platform=options["platform"] or None,
            source_date_epoch=Settings.epoch(session.environment),
            on_event=sink,
            cancel=session.cancel,
        )
    if options["iidfile"]:
        (session.cwd / options["iidfile"]).write_text(image.id)
    if options["quiet"]:
        session.print(f"{image.id}\n")


def _inputs(session: Session, context: str, file: str) -> tuple[str | None, bytes | None, str | None]:
    """The context's path, the Dockerfile's text if it comes on standard input, else its path if one was named."""
    if context.startswith(("http://", "https://", "git@", "git://", "ssh://", "github.com/")):
        raise Unsupported(
            f"minirt does not fetch build contexts: {context}",
            hint="Clone or download it first, then build from there.",
        )
    if context == "-":
        if file == "-":
            raise _conflict("invalid argument: can't use stdin for both build context and dockerfile")
        text = session.stdin.read()
        if text[:2] == b"\x1f\x8b" or text[257:262] == b"ustar":
            raise Unsupported(
                "minirt does not take a build context as an archive on standard input",
                hint="Unpack it into a directory and name that.",
            )
        return None, text, None
    path = session.cwd / context
    if not path.is_dir():
        raise PathNotFound(
            f'unable to prepare context: path "{context}" not found'
            if not path.exists()
            else f"unable to prepare context: context must be a directory: {path}",
            cause=f"the working directory is {session.cwd}",
            hint="The last argument is the directory with the files to copy; . is the working directory.",
        )
    if file == "-":
        return str(path), session.stdin.read(), None
    if file and (session.cwd / file).exists():
        file = str(session.cwd / file)
    return str(path), None, file or None


def _conflict(what: str) -> UsageError:
    error = UsageError(what)
    error.exit_code = 1
    return error
