"""The kernel: IPython's, which also understands Dockerfiles and docker commands."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import os
import sys
from typing import Any

from ipykernel.ipkernel import IPythonKernel

from minirt import __version__
from minirt_kernel.cells import Cell, MistypedCell, PythonCell, classify, is_begun_dockerfile
from minirt_kernel.extension import load

__all__ = ["MinirtKernel"]

_WARM_AFTER = 0.2
"""Seconds between the start and the warming-up, so that the front end is answered first."""


class MinirtKernel(IPythonKernel):
    """Python cells go to IPython as ever; the rest is the extension's, with completion and help for it."""

    implementation = "minirt"
    implementation_version = __version__
    banner = f"minirt {__version__}: cells build images and run containers. Start with FROM, docker, or Python."
    help_links = [
        {"text": "Dockerfile reference", "url": "https://docs.docker.com/reference/dockerfile/"},
        {"text": "docker command line", "url": "https://docs.docker.com/reference/cli/docker/"},
        {"text": "OCI image specification", "url": "https://specs.opencontainers.org/image-spec/"},
        {"text": "Python reference", "url": "https://docs.python.org/3/"},
    ]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        _find_programs()
        self.runtime = load(self.shell)

    def start(self) -> None:
        super().start()
        self.io_loop.call_later(_WARM_AFTER, self.runtime.warm)

    def do_complete(self, code: str, cursor_pos: int | None) -> Any:
        cell = self._cell(code)
        if isinstance(cell, PythonCell) and not is_begun_dockerfile(code):
            return super().do_complete(code, cursor_pos)
        from minirt_kernel.completion import complete_reply

        return complete_reply(self.runtime, code, len(code) if cursor_pos is None else cursor_pos)

    def do_inspect(self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()) -> Any:
        cell = self._cell(code)
        if isinstance(cell, PythonCell):
            return super().do_inspect(code, cursor_pos, detail_level, omit_sections)
        from minirt_kernel.help import inspect_reply

        return inspect_reply(self.runtime, code, cursor_pos)

    def do_is_complete(self, code: str) -> Any:
        cell = self._cell(code)
        if isinstance(cell, PythonCell):
            return super().do_is_complete(code)
        from minirt_kernel.completion import is_complete

        return {"status": "complete"} if is_complete(cell, code) else {"status": "incomplete", "indent": ""}

    def do_shutdown(self, restart: bool) -> Any:
        self.runtime.close()
        return super().do_shutdown(restart)

    def _cell(self, code: str) -> Cell:
        cell = classify(code, self.runtime.shell.user_ns.__contains__)
        return PythonCell() if isinstance(cell, MistypedCell) else cell  # no help with what is only told when it runs


def _find_programs() -> None:
    """Let ``!minirt …`` work in a kernel whose environment was not activated."""
    here = os.path.dirname(sys.executable)
    path = os.environ.get("PATH", os.defpath)
    if here not in path.split(os.pathsep):
        os.environ["PATH"] = f"{path}{os.pathsep}{here}"
