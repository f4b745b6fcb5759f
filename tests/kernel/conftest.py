"""A real kernel process, spoken to over Jupyter's protocol."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.kernelspec import KernelSpec


@dataclass
class Reply:
    """What a cell sent: the reply's content, and all outputs with the seconds since the request."""

    content: dict[str, Any] = field(default_factory=dict)
    messages: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)

    @property
    def status(self) -> str:
        return str(self.content["status"])

    def text(self, stream: str = "stdout") -> str:
        return "".join(m["text"] for _, kind, m in self.messages if kind == "stream" and m["name"] == stream)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [content for _, name, content in self.messages if name == kind]

    @property
    def error(self) -> str:
        """The error as shown, without colours."""
        import re

        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(self.content.get("traceback", [])))


class Kernel:
    """One kernel and a client of it."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client: BlockingKernelClient = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def send(self, code: str, **options: Any) -> str:
        return str(self.client.execute(code, **options))

    def collect(
        self, request: str, timeout: float = 60, on_message: Callable[[str, dict[str, Any]], None] | None = None
    ) -> Reply:
        """All that belongs to ``request``, up to its idle status and its reply."""
        reply, start = Reply(), time.monotonic()
        while True:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status":
                if content["execution_state"] == "idle":
                    break
                continue
            reply.messages.append((time.monotonic() - start, kind, content))
            if on_message is not None:
                on_message(kind, content)
        while True:
            answer = self.client.get_shell_msg(timeout=timeout)
            if answer["parent_header"].get("msg_id") == request:
                reply.content = answer["content"]
                return reply

    def run(self, code: str, timeout: float = 60, **options: Any) -> Reply:
        return self.collect(self.send(code, **options), timeout)

    def ask(self, method: str, *arguments: Any, timeout: float = 30) -> dict[str, Any]:
        """The content of the answer to ``complete``, ``inspect`` …"""
        request = getattr(self.client, method)(*arguments)
        while True:
            answer = self.client.get_shell_msg(timeout=timeout)
            if answer["parent_header"].get("msg_id") == request:
                content: dict[str, Any] = answer["content"]
                return content

    def drain(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self.client.get_iopub_msg(timeout=0.1)

    def close(self) -> None:
        if not self.manager.has_kernel:
            return
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)


def _start(folder: Path, home: Path, module: str = "minirt_kernel", **environment: str) -> Kernel:
    """A new kernel whose notebook's folder is ``folder``; ``module`` is what is started with -m."""
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(  # type: ignore[attr-defined]
        argv=[sys.executable, "-m", module, "-f", "{connection_file}"],
        display_name="minirt",
        language="python",
    )
    settings = {
        "MINIRT_HOME": str(home),
        "IPYTHONDIR": str(home.parent / "ipython"),
        "MINIRT_LIVE": "1",
        **environment,
    }
    manager.start_kernel(cwd=str(folder), env={**os.environ, **settings})
    return Kernel(manager)


@pytest.fixture(scope="session")
def kernel_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One $MINIRT_HOME for all tests of the kernel: what they build has names of its own."""
    return tmp_path_factory.mktemp("kernel") / "home"


@pytest.fixture(scope="session")
def notebook_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kernel runs."""
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="session")
def start_kernel() -> Iterator[Callable[..., Kernel]]:
    """``start_kernel(folder, home, module, VARIABLE=value …)``: a new kernel, closed at the end at the latest."""
    running: list[Kernel] = []

    def start(folder: Path, home: Path, module: str = "minirt_kernel", **environment: str) -> Kernel:
        running.append(_start(folder, home, module, **environment))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture(scope="session")
def kernel(start_kernel: Callable[..., Kernel], kernel_home: Path, notebook_folder: Path) -> Kernel:
    """A live kernel, shared."""
    return start_kernel(notebook_folder, kernel_home)
