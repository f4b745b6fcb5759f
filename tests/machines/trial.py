"""What is tried in a machine: ``python -m tests.machines.trial ROW [NAME…]``; exit code 1 if one failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

from minirt.engine import Engine
from minirt.testing.commands import Teller
from tests.machines.rows import ROWS, Row

_SECOND = Path("/after-the-reset")
_ROUNDS = 8
# One engine for all command lines: without KVM a Python takes seconds to start.
_TELLER = Teller(cache(lambda: Engine(os.environ["MINIRT_HOME"])), Path("/"))
_HOG = "x=y; while :; do x=$x$x; done"


def main() -> int:
    """The trials of this row."""
    row, wanted, failed = ROWS[sys.argv[1]], sys.argv[2:], 0
    for trial in _trials(row):
        if wanted and trial.__name__ not in wanted:
            continue
        try:
            trial(row)
            print(f"ok    {trial.__name__}", flush=True)
        except AssertionError as wrong:
            failed += 1
            print(f"FAIL  {trial.__name__}: {wrong}", flush=True)
        except Exception:  # the others are tried all the same: a boot costs minutes
            failed += 1
            print(f"FAIL  {trial.__name__}: {traceback.format_exc()}", flush=True)
    return 1 if failed else 0


def _trials(row: Row) -> list[Callable[[Row], None]]:
    if row.resets:
        return [after_the_reset] if _SECOND.exists() else [chosen, reset]
    if row.refusal:
        return [chosen, refused]
    limited = limits if row.limits else no_limits
    kept = [devices] if row.limits and row.user == "root" else []
    return [chosen, build, run, files, limited, *kept, pause, statistics, published, soak, whole]


def docker(*words: str, code: int | None = 0, text: str = "") -> str:
    """What the command line says on both streams, after a look at its exit code (None: any)."""
    said = _TELLER(*words, stdin=text.encode())
    both = said.out + said.err
    assert code is None or said.code == code, f"{' '.join(words)}: exit code {said.code}: {both.strip()}"
    assert "Traceback" not in both, both
    return both


def chosen(row: Row) -> None:
    found = json.loads(docker("info", "--format", "{{json .}}"))
    machine = _TELLER.make_engine().machine
    choice, limits = f"{machine.snapshotter} {machine.isolation}", machine.controllers
    print(f"      Linux {found['KernelVersion']}: {choice}, limits: {' '.join(limits) or 'none'}")
    for name, answer in machine.answers().items():
        print(f"      no {name}: {answer.why} ({answer.cure})\n" * (not answer.ok), end="")
    assert choice == row.chosen, f"{choice} instead of {row.chosen}"
    assert bool(limits) == bool(row.limits), f"limits: {limits}"


def build(_: Row) -> None:
    text = "FROM minirt/base\nRUN echo built > /made && mkdir -p /deep/er && rm -rf /deep\nCMD cat /made\n"
    docker("build", "-t", "trial", "-", text=text)


def run(_: Row) -> None:
    assert docker("run", "--rm", "trial").endswith("built\n")
    docker("run", "--name", "failing", "trial", "sh", "-c", "exit 7", code=7)
    docker("rm", "failing")


def files(_: Row) -> None:
    docker("run", "-d", "--name", "one", "trial", "sleep", "600")
    docker("exec", "one", "sh", "-c", "echo more > /more; rm /made; chown 33:44 /more")
    changes = docker("diff", "one")
    assert "A /more" in changes and "D /made" in changes, changes
    docker("commit", "one", "changed")
    assert docker("run", "--rm", "changed", "sh", "-c", "cat /more; test -e /made || echo gone") == "more\ngone\n"
    docker("rm", "-f", "one")


def limits(_: Row) -> None:
    said = docker("run", "--name", "hog", "--memory", "32m", "trial", "sh", "-c", _HOG, code=137)
    assert docker("inspect", "-f", "{{.State.OOMKilled}}", "hog").strip() == "true", said
    docker("rm", "hog")
    forks = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; wait"
    said = docker("run", "--rm", "--pids-limit", "8", "trial", "sh", "-c", forks, code=None)
    assert "fork" in said, f"12 processes where 8 are allowed: {said}"
    docker("run", "-d", "--name", "slow", "--cpus", "0.2", "trial", "sh", "-c", "while :; do :; done")
    before, began = _cpu("slow"), time.monotonic()
    time.sleep(5)
    share = (_cpu("slow") - before) / (time.monotonic() - began)
    docker("rm", "-f", "slow")
    assert 0.02 < share < 0.35, f"a fifth of a processor was {share:.2f}"


def _cpu(name: str) -> float:
    """Seconds of processor time of the first process."""
    pid = docker("inspect", "-f", "{{.State.Pid}}", name).strip()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def devices(_: Row) -> None:
    """Who may mount makes nodes of his own, and they open docker's devices alone: null does, the kernel's log not."""
    nodes = "mount -t tmpfs x /tmp; cd /tmp; mknod null c 1 3; mknod log c 1 11"
    script = f"{nodes}; for n in *; do (: < $n) && echo $n; done"
    said = docker("run", "--rm", "--cap-add", "SYS_ADMIN", "trial", "sh", "-c", f"({script}) 2> /dev/null; true")
    assert said.split() == ["null"], said
    said = docker("run", "--rm", "--device", "/dev/kmsg:/dev/log:w", "trial", "sh", "-c", ": < /dev/log", code=None)
    assert "ermitted" in said, said


def no_limits(_: Row) -> None:
    """Asked for and not to be had: it is refused by name."""
    for flag, value in (("--memory", "32m"), ("--cpus", "0.5"), ("--pids-limit", "9")):
        said = docker("run", "--rm", flag, value, "trial", "true", code=125)
        assert flag in said, said


def pause(_: Row) -> None:
    docker("run", "-d", "--name", "busy", "trial", "sh", "-c", "while :; do echo x; sleep 0.05; done")
    time.sleep(2)
    docker("pause", "busy")
    before = len(docker("logs", "busy"))
    time.sleep(2)
    assert before and len(docker("logs", "busy")) == before, "it went on while it was paused"
    assert "Paused" in docker("ps")
    docker("unpause", "busy")
    time.sleep(2)
    assert len(docker("logs", "busy")) > before, "it did not go on"
    docker("rm", "-f", "busy")


def statistics(row: Row) -> None:
    docker("run", "-d", "--name", "still", "trial", "sleep", "600")
    found = _TELLER.make_engine().containers.get("still").stats(stream=False) if row.limits else {}
    docker("rm", "-f", "still")
    if found:
        assert found["memory_stats"]["usage"] > 0 and found["pids_stats"]["current"] == 1, found


def published(_: Row) -> None:
    answer = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello'"
    docker(
        "run",
        "-d",
        "--name",
        "server",
        "-p",
        "127.0.0.1:8123:8123",
        "trial",
        "sh",
        "-c",
        f"while :; do {answer} | nc -l -p 8123; done",
    )
    program = (
        "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8123', timeout=20).read().decode())"
    )
    time.sleep(3)
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    docker("rm", "-f", "server")
    assert said.stdout == "hello\n", said.stderr[-300:]


def soak(_: Row) -> None:
    done = subprocess.run([sys.executable, "-m", "tests.soak", str(_ROUNDS)], capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-1000:]


def whole(_: Row) -> None:
    docker("system", "check")


def refused(row: Row) -> None:
    """No container can be had: the one sentence says what to do."""
    said = docker("run", "--rm", "minirt/base", "true", code=125)
    print("      " + said.strip().replace("\n", "\n      "))
    assert row.refusal in said, said


def reset(_: Row) -> None:
    """Switch the machine off, as a power cut would, with containers in each state."""
    docker("run", "-d", "--name", "ran", "minirt/base", "sleep", "600")
    docker("run", "-d", "--name", "always", "--restart", "always", "minirt/base", "sleep", "600")
    docker("run", "-d", "--name", "held", "minirt/base", "sleep", "600")
    docker("pause", "held")
    docker("run", "--name", "ended", "minirt/base", "sh", "-c", "exit 3", code=3)
    docker("create", "--name", "never", "minirt/base", "true")
    print(docker("ps", "-a", "--format", "      {{.Names}}: {{.Status}}"), end="")
    _SECOND.touch()
    os.sync()
    Path("/proc/sysrq-trigger").write_text("b")
    time.sleep(60)


def after_the_reset(_: Row) -> None:
    states = dict(
        line.split(": ", 1) for line in docker("ps", "-a", "--format", "{{.Names}}: {{.Status}}").splitlines()
    )
    print("      " + "; ".join(f"{name}: {status}" for name, status in states.items()))
    assert states["ended"].startswith("Exited (3)") and states["never"] == "Created", states
    for name in ("ran", "always", "held"):
        assert states[name].startswith("Exited"), states
        docker("start", name)
    assert docker("ps", "-q").count("\n") == 3
    docker("rm", "-f", *states)
    docker("system", "check")


if __name__ == "__main__":
    sys.exit(main())
