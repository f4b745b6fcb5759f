"""Why a RUN failed, in words that help: exit codes and the last lines of output have well-known meanings."""

from __future__ import annotations

import re

from minirt.build.state import StageState
from minirt.dockerfile import Run
from minirt.errors import CommandNotExecutable, CommandNotFound, MinirtError, RunFailed, SandboxError
from minirt.sandbox.program import NOT_THERE

__all__ = ["explain_exit", "explain_start"]

_NO_NETWORK = re.compile(
    rb"Temporary failure (in name resolution|resolving)|Could not resolve|bad address|Network is unreachable"
    rb"|Name or service not known|Unable to connect to|Failed to fetch|DNS lookup error|Connection timed out"
)
_NOT_FOUND = re.compile(rb"(?:^|: )([^\s:]+): (?:command )?not found", re.MULTILINE)
_FULL = re.compile(rb"No space left on device|Disk quota exceeded")
_DENIED = re.compile(rb"Permission denied|Operation not permitted")
_READ_ONLY = re.compile(rb"Read-only file system")


def explain_exit(code: int, words: tuple[str, ...], one: Run, tail: bytes) -> RunFailed:
    """The error for a command that ended with ``code``; ``tail`` is the end of what it wrote."""
    cause, hint = _reason(code, tail)
    return RunFailed(
        f'process "{" ".join(words)}" did not complete successfully: exit code: {code}',
        exit_code=code,
        where=one.location,
        cause=cause,
        hint=hint,
    )


def _reason(code: int, tail: bytes) -> tuple[str, str]:
    last = _last_line(tail)
    missing = _NOT_FOUND.findall(tail)
    if code == 127 and missing:
        name = missing[-1].decode(errors="replace")
        return f"this image has no program called {name}", "Check the spelling, or install it in an earlier RUN."
    if _NO_NETWORK.search(tail):
        return (
            f"the command could not reach the network ({_line_of(_NO_NETWORK, tail)})",
            "Check that this machine is online; inside a build, --network=none would cut it off too.",
        )
    if _FULL.search(tail):
        return _line_of(_FULL, tail), "The disk is full: free some space, for example with `docker system prune`."
    if code == 126:
        return last or "the file is not executable", "Make it executable: RUN chmod +x, or COPY --chmod=755."
    if code > 128:
        return _signal(code - 128, last)
    if _READ_ONLY.search(tail):
        return _line_of(_READ_ONLY, tail), "A bind mount is read-only unless it says rw."
    if _DENIED.search(tail):
        return _line_of(
            _DENIED, tail
        ), "The step runs as the user of the last USER instruction; only root may change the system."
    return last, ""


def _signal(number: int, last: str) -> tuple[str, str]:
    import signal

    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    hint = "Often the machine ran out of memory." if name == "SIGKILL" else ""
    return f"the command was ended by {name}" + (f" ({last})" if last else ""), hint


def _line_of(pattern: re.Pattern[bytes], tail: bytes) -> str:
    """The last line that says it."""
    lines = [line.strip() for line in tail.splitlines() if pattern.search(line)]
    return lines[-1].decode(errors="replace")[:200] if lines else _last_line(tail)


def _last_line(tail: bytes) -> str:
    lines = [line.strip() for line in tail.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def explain_start(error: SandboxError, words: tuple[str, ...], one: Run, state: StageState) -> MinirtError:
    """The error for a command that did not even start."""
    if isinstance(error, CommandNotFound | CommandNotExecutable):
        code = 127 if isinstance(error, CommandNotFound) else 126
        cause, hint = error.what + (f": {error.cause}" if error.cause else ""), error.hint
        # A shell that is there and does not start (no loader, another processor, no permission) says why itself.
        if error.cause == NOT_THERE and words[:1] in (("/bin/sh",), (state.config.shell or ("",))[:1]):
            cause = f"this image has no {words[0]}"
            hint = 'Start from an image with a shell, or use the exec form of RUN: RUN ["/program", "argument"].'
        return RunFailed(
            f'process "{" ".join(words)}" did not complete successfully: exit code: {code}',
            exit_code=code,
            where=one.location,
            cause=cause,
            hint=hint,
        )
    error.where = error.where or one.location
    return error
