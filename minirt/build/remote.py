"""Build contexts that are not here yet: git repositories, and addresses of a tar or of a Dockerfile.

``ADDRESS[#REF[:DIRECTORY]]`` names a repository (BuildKit, client/llb and frontend/dockerui, ``context.go``); any other
http address gives a tar, which is the context, or a text, which is the Dockerfile of a build without one.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

from minirt.build.repositories import Source, check_out
from minirt.errors import PathNotFound
from minirt.model.cancel import Cancel

__all__ = ["fetch_file", "fetch_repository", "is_remote", "is_repository"]

_CHUNK = 1 << 18
_PATIENCE = 60  # seconds without a byte
_REPOSITORY = re.compile(r"(git@|git://|ssh://|file://|github\.com/)|https?://[^#]*\.git(#.*)?$")


def is_repository(text: str) -> bool:
    """Whether docker takes ``text`` for a git repository."""
    return _REPOSITORY.match(text) is not None


def is_remote(text: str) -> bool:
    """Whether a context is fetched rather than found."""
    return is_repository(text) or text.startswith(("http://", "https://"))


def fetch_repository(text: str, where: Path, cancel: Cancel | None = None) -> Path:
    """Check a repository out into the new directory ``where``; the context is what is returned, in it or below.

    Raises :class:`CopyFailed` with git's words, :class:`Unsupported` where there is no git.
    """
    address = f"https://{text}" if text.startswith("github.com/") else text
    return check_out(Source.parse(address), where, cancel=cancel, local=address.startswith("file://"))


def fetch_file(address: str, path: Path, cancel: Cancel | None = None) -> None:
    """Download to the new file ``path``. Raises :class:`PathNotFound`."""
    request = urllib.request.Request(address, headers={"User-Agent": "minirt"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer, path.open("xb") as file:
            while data := answer.read(_CHUNK):
                if cancel is not None:
                    cancel.check()
                file.write(data)
    except urllib.error.HTTPError as error:
        raise PathNotFound(
            f"failed to fetch {address}: {error.code} {error.reason}", hint="Look at the address in a browser."
        ) from error
    except (OSError, ValueError) as error:
        raise PathNotFound(
            f"failed to fetch {address}: {getattr(error, 'reason', error)}",
            cause="there is no network here, or no such host",
            hint="Download it yourself, and build from the file.",
        ) from error
