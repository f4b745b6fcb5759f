"""Health checks: a command run in the container again and again, by its monitor (docker's HEALTHCHECK)."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from minirt.linux.processes import is_ending
from minirt.model.spec import HealthCheck, SandboxSpec
from minirt.sandbox.state import now
from minirt.sandbox.wire import Channel, process_to_json
from minirt.store.lives import note_exec

__all__ = ["Health"]

_MOST_OUTPUT = 4096
_MOST_RESULTS = 5


@dataclass(slots=True, eq=False)
class _Trial:
    """One run of the command."""

    channel: Channel
    source: int
    began: str
    deadline: float
    output: bytearray = field(default_factory=bytearray)


class Health:
    """Watches one run of a container: polled with the monitor's other descriptors, never waited for alone."""

    def __init__(
        self, spec: SandboxSpec, pid: int, started: int, tell: Callable[[dict[str, Any]], None], tracer: str = ""
    ) -> None:
        assert spec.health is not None
        self.check: HealthCheck = spec.health
        self.spec = spec
        self.pid, self.started, self.tracer = pid, started, tracer
        self.tell = tell
        self.status = "starting"
        self.streak = 0
        self.results: list[dict[str, Any]] = []
        self.began = time.monotonic()
        self.due = self.began + self._interval()
        self.trial: _Trial | None = None
        self._children: list[int] = []
        self._report()

    def interests(self) -> dict[int, int]:
        if self.trial is None:
            return {}
        wanted = {self.trial.channel.fileno(): select.POLLIN}
        return wanted if self.trial.source < 0 else {**wanted, self.trial.source: select.POLLIN}

    def timeout(self) -> int | None:
        """Milliseconds until :meth:`tick` has something to do; None: nothing any more."""
        due = self.due if self.trial is None else self.trial.deadline
        return None if due == float("inf") else max(0, int((due - time.monotonic()) * 1000) + 1)

    def tick(self) -> None:
        """Start what is due, end what takes too long."""
        moment = time.monotonic()
        self._children = [pid for pid in self._children if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        if self.trial is None:
            if moment >= self.due:
                self._begin()
        elif moment >= self.trial.deadline:
            text = f"Health check exceeded timeout ({self.check.timeout:g}s)"
            self._finish(-1, text.encode())

    def handle(self, fd: int) -> None:
        """Serve one descriptor of :meth:`interests`."""
        if self.trial is None:
            return
        if fd == self.trial.source:
            self._read()
            return
        message = self.trial.channel.receive()
        if message is None:
            self._finish(-1, b"the check's process is gone")
        elif "error" in message[0]:
            words = message[0]["error"].get("fields", {}).get("what", "cannot run the check")
            self._finish(-1, str(words).encode())
        elif "exit" in message[0]:
            self._finish(message[0]["exit"], None)

    def close(self) -> None:
        """The container has ended."""
        if self.trial is not None:
            self._drop(self.trial)

    def _interval(self) -> float:
        early = self.status == "starting" and time.monotonic() - self.began < self.check.start_period
        return self.check.start_interval if early else self.check.interval

    def _begin(self) -> None:
        ours, theirs = Channel.pair()
        source, sink = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(source, False)
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._join(theirs, sink)
        self._children.append(pid)
        theirs.close()
        os.close(sink)
        self.trial = _Trial(ours, source, now(), time.monotonic() + self.check.timeout)

    def _join(self, channel: Channel, sink: int) -> None:
        from minirt.sandbox.joiner import run_joiner

        try:
            directory = self.spec.lifetime.state_dir
            process = replace(self.spec.process, argv=self.check.argv, terminal=False, stdin_open=False)
            request = {
                "id": f"health{self.spec.id[:5]}",
                "pid": self.pid,
                "start_time": self.started,
                "process": process_to_json(process),
                "privileged": self.spec.privileged,
                "cgroup": self.spec.cgroup,
                "tracer": self.tracer,
                "tied": True,
                "noted": None if directory is None else [directory, note_exec(directory, self.check.argv)],
                "stdio": [None, 0, 0],
            }
            run_joiner(channel, request, [sink])
        finally:
            os._exit(1)

    def _read(self) -> None:
        assert self.trial is not None
        try:
            data = os.read(self.trial.source, 65536)
        except BlockingIOError:
            return
        if not data:
            os.close(self.trial.source)
            self.trial.source = -1
        self.trial.output += data[: _MOST_OUTPUT - len(self.trial.output)]

    def _finish(self, code: int, text: bytes | None) -> None:
        trial = self.trial
        assert trial is not None
        if trial.source >= 0 and text is None:
            self._read()
        output = bytes(trial.output) if text is None else text
        self._drop(trial)
        if code and is_ending(self.pid):
            # The kernel kills a check together with its container, before anybody can know of the container's end.
            self.due = float("inf")
            return
        result = {
            "Start": trial.began,
            "End": now(),
            "ExitCode": code,
            "Output": output.decode("utf-8", "replace"),
        }
        self.results = [*self.results, result][-_MOST_RESULTS:]
        self._judge(code)
        self.due = time.monotonic() + self._interval()
        self._report()

    def _judge(self, code: int) -> None:
        if code == 0:
            self.status, self.streak = "healthy", 0
            return
        if self.status == "starting" and time.monotonic() - self.began < self.check.start_period:
            return  # still on its way up: failures do not count
        self.streak += 1
        if self.streak >= self.check.retries:
            self.status = "unhealthy"

    def _drop(self, trial: _Trial) -> None:
        # The joiner kills what it started when its client hangs up.
        trial.channel.close()
        if trial.source >= 0:
            os.close(trial.source)
        self.trial = None

    def _report(self) -> None:
        self.tell({"Status": self.status, "FailingStreak": self.streak, "Log": self.results})
