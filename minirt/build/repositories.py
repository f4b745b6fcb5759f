"""A git repository, ``ADDRESS[#REF[:DIRECTORY]]``, checked out by the machine's git (BuildKit, util/gitutil)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minirt.build.contenthash import FileHashes
from minirt.build.context import Gathered, Query, Tree
from minirt.dockerfile import Add
from minirt.errors import CopyFailed, Location, Unsupported
from minirt.model.cancel import Cancel

__all__ = ["Source", "check_out", "clone"]

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# No questions, no other transports than those that ADD names, nothing of the user's own settings.
_SAFE = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "git:http:https:ssh",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
}


@dataclass(frozen=True, slots=True)
class Source:
    """An address, a branch, tag or commit (empty: the default branch), and a directory in the repository."""

    address: str
    ref: str = ""
    directory: str = ""

    @classmethod
    def parse(cls, text: str) -> Source:
        address, _, fragment = text.partition("#")
        ref, _, directory = fragment.partition(":")
        return cls(address, ref, directory.strip("/"))


def clone(one: Add, index: int, where: Path, cancel: Cancel | None) -> Gathered:
    """Check the ``index``-th source out into the new directory ``where``; its content is what ADD copies.

    Raises :class:`CopyFailed`, and :class:`Unsupported` where there is no git.
    """
    place = one.locate_source(index)

    def compare(commit: str) -> None:
        _compare(commit, one, place)

    source = Source.parse(one.sources[index])
    top = check_out(source, where, cancel=cancel, place=place, compare=compare, keep_git_dir=bool(one.keep_git_dir))
    return Tree(str(top), one.sources[index], None, FileHashes(None)).gather(Query((".",)))


def check_out(
    source: Source,
    where: Path,
    *,
    cancel: Cancel | None = None,
    place: Location | None = None,
    compare: Callable[[str], None] = lambda _commit: None,
    keep_git_dir: bool = False,
    local: bool = False,
) -> Path:
    """The files of a repository in the new directory ``where``; the path of the directory that ``source`` names.

    ``compare`` is asked about the commit. ``local``: ``file://`` addresses are allowed, which only a user may name.
    """
    program = shutil.which("git")
    if program is None:
        raise Unsupported(
            f"fetching the git repository {source.address} needs the program git on this machine",
            where=place,
            hint="Install git, or download the files and copy them.",
        )
    where.mkdir()
    git = _Git(program, where, place, cancel, local)
    _check_out(git, source)
    compare(git.ask("rev-parse", "HEAD"))
    git.ask("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
    if not keep_git_dir:
        for left in (where / ".git", *where.rglob(".git")):
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink(missing_ok=True)
    top = where / source.directory
    if not top.is_dir() or not top.resolve().is_relative_to(where.resolve()):
        raise CopyFailed(f"{source.address} has no directory {source.directory}", where=place)
    return top


def _check_out(git: _Git, source: Source) -> None:
    git.ask("init", "--quiet")
    git.ask("remote", "add", "origin", source.address)
    ref = source.ref or "HEAD"
    if ref.startswith("-"):
        raise CopyFailed(f"{ref!r} is not the name of a branch, a tag or a commit", where=git.place)
    if git.tries("fetch", "--quiet", "--depth=1", "origin", ref):
        git.ask("checkout", "--quiet", "FETCH_HEAD")
        return
    # A short commit, or a server that gives out names only: everything, then look.
    git.ask("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
    git.ask("checkout", "--quiet", "--detach", ref)


def _compare(commit: str, one: Add, place: Location) -> None:
    wanted = one.checksum
    if wanted and not (_COMMIT.fullmatch(wanted) and commit == wanted):
        raise CopyFailed(
            f"the repository's commit is {commit}, but --checksum says {wanted}",
            where=one.origin.find(wanted),
            cause="the branch or tag is another one now" if _COMMIT.fullmatch(wanted) else "that is no whole commit id",
        )


@dataclass(slots=True)
class _Git:
    program: str
    where: Path
    place: Location | None
    cancel: Cancel | None
    local: bool = False

    def ask(self, *words: str) -> str:
        """What git answers. Raises :class:`CopyFailed` with git's own words."""
        code, out, err = self._run(words)
        if code:
            said = err.strip().splitlines()
            raise CopyFailed(
                f"git {words[0]} failed with exit code {code}",
                where=self.place,
                cause=said[-1] if said else "",
                hint="Check the address, and that this machine is online.",
            )
        return out.strip()

    def tries(self, *words: str) -> bool:
        return self._run(words)[0] == 0

    def _run(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        # Environment: only the command line reads the user's; git needs the way to its programs, and no more.
        env = {"PATH": os.defpath, "HOME": str(self.where), "LC_ALL": "C", **_SAFE}
        if self.local:
            env["GIT_ALLOW_PROTOCOL"] += ":file"
            # The repository may be another user's; it was named by hand.
            env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        process = subprocess.Popen(
            [self.program, "-C", str(self.where), *words], env=env, umask=0o022, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        while True:
            try:
                out, err = process.communicate(timeout=0.1)
                return process.returncode, out, err
            except subprocess.TimeoutExpired:
                if self.cancel is not None and self.cancel.cancelled:
                    process.kill()
                    process.wait()
                    self.cancel.check()
