"""``build``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from minirt.cli.build_flags import (
    Call,
    agents,
    annotation,
    attestation,
    call_method,
    entitlement,
    error_mode,
    extra_hosts,
    limit,
    memory_size,
    network_mode,
    no_attestation,
    progress_mode,
)
from minirt.cli.build_values import Output, build_contexts, read_output, secrets
from minirt.cli.grammar import absent, command, switch, value, values
from minirt.cli.session import Session
from minirt.cli.settings import Settings
from minirt.cli.tree import load
from minirt.cli.values import build_arguments, label_pair
from minirt.errors import PathNotFound, RunFailed, Unsupported, UsageError
from minirt.model.reference import Reference

if TYPE_CHECKING:
    from minirt.engine.images import Image

__all__ = ["build"]

_CACHE = "the build cache is this home's own"
_BUILDER = "there is one builder, this home's own"
_GROUP = "RUN steps have no control group of their own"
_SQUASH = "BuildKit has no such thing any more; a last stage that copies from the others does it"


def _checked_tag(text: str) -> str:
    return Reference.parse(text).familiar


@command(
    "build",
    "Build an image from a Dockerfile",
    usage="[OPTIONS] PATH | URL | -",
    arity=(1, 1),
    operands="path",
    flags=[
        values("--add-host", "", 'Add a custom host-to-IP mapping (format: "host:ip")', word="strings"),
        values(
            "--allow", "", 'Allow extra privileged entitlement (e.g., "network.host")', word="stringArray",
            parse=entitlement,
        ),
        values("--annotation", "", "Add annotation to the image", word="stringArray", parse=annotation),
        values(
            "--attest", "", 'Attestation parameters (format: "type=sbom,disabled=true")', word="stringArray",
            parse=attestation,
        ),
        values("--build-arg", "", "Set build-time variables"),
        values("--build-context", "", "Additional build contexts (e.g., name=path)"),
        value(
            "--call", "", 'Set method for evaluating build ("check", "outline", "targets") (default "build")',
            parse=call_method, default=Call("build"),
        ),
        switch("--check", "", 'Shorthand for "--call=check"'),
        value("--file", "f", 'Name of the Dockerfile (Default is "PATH/Dockerfile", "-" reads it from stdin)'),
        value("--iidfile", "", "Write the image ID to the file"),
        values("--label", "", "Set metadata for an image", parse=label_pair),
        switch("--load", "", 'Shorthand for "--output=type=docker": into the store, where minirt\'s builds go anyway'),
        value("--metadata-file", "", "Write build result metadata to a file"),
        value(
            "--network", "", 'Set the networking mode for the "RUN" instructions during build (default "default")',
            parse=network_mode, default="default",
        ),
        switch("--no-cache", "", "Do not use cache when building the image"),
        values("--no-cache-filter", "", "Do not cache specified stages", word="stringArray"),
        value(
            "--on-error", "", 'What a failing RUN does: "fail", or "shell": a terminal in the files as it left them',
            parse=error_mode, default="fail",
        ),
        values(
            "--output", "o", 'Output destination (format: "type=local,dest=path")', word="stringArray",
            parse=read_output,
        ),
        values("--platform", "", "Set target platform for build", word="stringArray"),
        value(
            "--progress", "",
            'Set type of progress output ("auto", "none", "plain", "quiet", "rawjson", "tty") (default "auto")',
            parse=progress_mode, default="auto",
        ),
        value(
            "--provenance", "", 'Shorthand for "--attest=type=provenance"', parse=no_attestation("provenance"),
            default="false",
        ),
        switch("--pull", "", "Always attempt to pull a newer version of the image"),
        switch("--push", "", 'Shorthand for "--output=type=registry"'),
        switch("--quiet", "q", "Suppress the build output and print image ID on success"),
        value(
            "--sbom", "", 'Shorthand for "--attest=type=sbom"', parse=no_attestation("sbom"),
            default="false",
        ),
        value("--shm-size", "", "Shared memory size for build containers", word="bytes", parse=memory_size, default=0),
        values(
            "--ssh", "",
            'SSH agent socket or keys to expose to the build (format: "default|<id>[=<socket>|<key>[,<key>]]")',
            word="stringArray",
        ),
        values("--ulimit", "", "Ulimit options", word="ulimit", parse=limit),
        switch("--rm", "", "Remove intermediate containers after a successful build", default=True),
        switch("--force-rm", "", "Always remove intermediate containers"),
        values(
            "--secret", "", 'Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")',
            word="stringArray",
        ),
        values("--tag", "t", 'Name and optionally a tag in the "name:tag" format', parse=_checked_tag),
        value("--target", "", "Set the target build stage to build."),
        absent("--cache-from", "", "Images to consider as cache sources", word="strings", why=_CACHE),
        absent("--cache-to", "", "Cache export destinations", word="strings", why=_CACHE),
        absent("--builder", "", "Override the configured builder instance", why=_BUILDER),
        absent("--cgroup-parent", "", "Set the parent cgroup for the RUN instructions during build", why=_GROUP),
        absent("--memory", "m", "Memory limit", word="bytes", why=_GROUP),
        absent("--squash", "", "Squash newly built layers into a single new layer", word="", why=_SQUASH),
    ],
)  # fmt: skip
def build(session: Session, arguments: tuple[str, ...], **options: Any) -> int:
    given = {**_inputs(session, arguments[0], options["file"]), **_request(session, options)}
    if "platforms" in given and (options["check"] or options["call"].name != "build"):
        given["platform"] = given.pop("platforms")[0]
    call = Call("check") if options["check"] else options["call"]
    if call.name != "build":
        from minirt.cli.commands.build_check import evaluate

        return evaluate(session, call, given)
    outputs = _outputs(options)
    for one in outputs if "platforms" in given else ():
        if one.kind in ("local", "tar") or one.compression:
            what = "compression=gzip" if one.compression else f"type={one.kind}"
            raise Unsupported(
                f"--output {what} of several platforms", hint="Build one platform at a time, or use type=oci as it is."
            )
    names = list(dict.fromkeys([*options["tag"], *(name for one in outputs for name in one.names)]))
    kept = not outputs or any(one.stores for one in outputs)
    mode = _mode(options)
    before = set() if kept else {image.id for image in session.engine.images.list(all=True)}
    try:
        with session.progress(session, "build", names[0] if names else "", mode) as sink:
            image = session.engine.images.build(
                **given, tag=names if kept else (), on_event=sink, cancel=session.cancel
            )
    except RunFailed as error:
        if options["on_error"] == "shell":
            _open_shell(session, error)
        raise
    try:
        _deliver(session, image, outputs, names)
        _notes(session, image, options, names)
    finally:
        if not kept and image.id not in before:
            session.engine.images.remove(image.id, force=True)
    return 0


def _open_shell(session: Session, failure: RunFailed) -> None:
    """A terminal in the files as the command left them; where there is none to be had, the error says what to type."""
    if not session.can_have_terminal or session.engine.images.failed_step() is None:
        return
    session.complain(f"{failure.what}\nA shell in the files as the command left them; exit ends it.\n")
    debug = load("debug")
    with debug.make_context("debug", ["-i", "-t"], obj=session) as context:
        debug.invoke(context)


def _mode(options: dict[str, Any]) -> str:
    mode: str = options["progress"]
    if options["quiet"] and mode not in ("auto", "quiet"):
        raise _conflict(f"progress={mode} and quiet cannot be used together")
    return "quiet" if options["quiet"] else mode


def _request(session: Session, options: dict[str, Any]) -> dict[str, Any]:
    """The options of :meth:`minirt.engine.build_calls.WithBuilds.build` that are the same for every output."""
    filters = [name for text in options["no_cache_filter"] for name in text.split(",") if name]
    return {
        "buildargs": build_arguments(options["build_arg"], session.environment),
        "target": options["target"] or None,
        "labels": dict(options["label"]),
        "nocache": options["no_cache"],
        "no_cache_filter": filters,
        "pull": options["pull"],
        **_platforms(options["platform"]),
        "network_mode": options["network"],
        "contexts": build_contexts(options["build_context"], session.cwd),
        "secrets": secrets(options["secret"], session.environment, session.cwd),
        "ssh": agents(options["ssh"], session.environment, session.cwd),
        "extra_hosts": extra_hosts(options["add_host"]),
        "ulimits": options["ulimit"],
        "shm_size": options["shm_size"],
        "annotations": dict(options["annotation"]),
        "source_date_epoch": Settings.epoch(session.environment),
    }


def _platforms(texts: tuple[str, ...]) -> dict[str, Any]:
    """One platform, or several: with commas between them, or a flag each."""
    wanted = list(dict.fromkeys(part.strip() for text in texts for part in text.split(",") if part.strip()))
    return {"platforms": wanted} if len(wanted) > 1 else {"platform": wanted[0] if wanted else None}


def _outputs(options: dict[str, Any]) -> list[Output]:
    outputs = list(options["output"])
    if options["push"]:
        outputs.append(Output("registry", push=True))
    if options["load"] and outputs:
        outputs.append(Output("docker"))
    return outputs


def _deliver(session: Session, image: Image, outputs: list[Output], names: list[str]) -> None:
    if not any(one.dest for one in outputs) and not any(one.push for one in outputs):
        return
    from minirt.cli.commands.build_output import deliver

    for one in outputs:
        deliver(session, image, one, names)


def _notes(session: Session, image: Image, options: dict[str, Any], names: list[str]) -> None:
    """What scripts read: the id, and what buildx calls metadata."""
    if options["iidfile"]:
        _write(session.cwd / options["iidfile"], image.id)
    if options["metadata_file"]:
        manifest = image.stored.top
        facts: dict[str, Any] = {
            "containerimage.config.digest": image.id,
            "containerimage.descriptor": manifest.to_json(),
            "containerimage.digest": str(manifest.digest),
        }
        if names:
            facts["image.name"] = ",".join(str(Reference.parse(name)) for name in names)
        _write(session.cwd / options["metadata_file"], json.dumps(facts, indent=2))
    if options["quiet"]:
        session.print(f"{image.id}\n")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise PathNotFound(f"cannot write {path}: {error.strerror}") from error


def _inputs(session: Session, context: str, file: str) -> dict[str, Any]:
    """Where context and Dockerfile come from: a directory, standard input as a tar, standard input as a
    Dockerfile, a repository, an address.
    """
    from minirt.build.remote import is_remote

    if context == "-":
        if file == "-":
            raise _conflict("invalid argument: can't use stdin for both build context and dockerfile")
        return _from_stdin(session.stdin, file)
    if is_remote(context):
        text = {"text": session.stdin.read()} if file == "-" else {"dockerfile": file or None}
        return {"path": context, **text}
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
        return {"path": str(path), "text": session.stdin.read()}
    if file and (session.cwd / file).exists():
        file = str(session.cwd / file)
    return {"path": str(path), "dockerfile": file or None}


_ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")


def _from_stdin(stdin: BinaryIO, file: str) -> dict[str, Any]:
    """A tar (plain, gzip, bzip2, xz, zstd) is the context; anything else is a Dockerfile without one."""
    head = stdin.read(512)
    if head.startswith(_ARCHIVES) or head[257:262] == b"ustar":
        return {"fileobj": _Headed(head, stdin), "custom_context": True, "dockerfile": file or None}
    return {"text": head + stdin.read()}


class _Headed:
    """A stream of which the beginning was already read."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        return head or self._rest.read(size)


def _conflict(what: str) -> UsageError:
    error = UsageError(what)
    error.exit_code = 1
    return error
