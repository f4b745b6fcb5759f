"""The life of a container: created, running, paused, exited, removed; what survives what."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.engine.containers import Container
from minirt.errors import (
    Cancelled,
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    ContainerFailed,
    ContainerIsRunning,
    ContainerNotFound,
    ContainerNotRunning,
    ImageNotFound,
    InvalidSpec,
    NameInUse,
    NetworkNotFound,
    PathNotFound,
    UsageError,
)
from minirt.model.cancel import Cancel

pytestmark = pytest.mark.usefixtures("mounts_before")
BASE = "minirt/base"


def _wait_for(condition: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_run_returns_what_the_program_wrote(engine: Engine) -> None:
    """`run` waits, returns standard output, and with `remove` leaves no container."""
    assert engine.containers.run(BASE, ["echo", "hello"], remove=True) == b"hello\n"
    assert engine.containers.list(all=True) == []


def test_output_comes_while_the_program_runs_and_streams_stay_apart(engine: Engine) -> None:
    """The first line is there before the second is written, and stderr is told from stdout."""
    seen: list[tuple[str, bytes, float]] = []
    engine.containers.run(
        BASE,
        ["sh", "-c", "echo one; sleep 0.3; echo two >&2"],
        output=lambda stream, data: seen.append((stream, data, time.monotonic())),
    )
    assert [(stream, data) for stream, data, _ in seen] == [("stdout", b"one\n"), ("stderr", b"two\n")]
    assert seen[1][2] - seen[0][2] > 0.2


def test_a_failing_program_is_an_exception_with_its_code_and_last_words(engine: Engine) -> None:
    """An exit code other than 0 raises, with the end of what was written to stderr."""
    with pytest.raises(ContainerFailed) as caught:
        engine.containers.run(BASE, ["sh", "-c", "echo oh no >&2; exit 3"], remove=True)
    assert (caught.value.exit_code, caught.value.stderr) == (3, b"oh no\n")


def test_a_program_that_is_not_there_is_127_and_one_that_cannot_run_is_126(engine: Engine) -> None:
    """Docker's exit codes, and nothing left running."""
    with pytest.raises(CommandNotFound) as caught:
        engine.containers.run(BASE, ["no-such-program"], remove=True)
    assert caught.value.exit_code == 127
    with pytest.raises(CommandNotExecutable) as denied:
        engine.containers.run(BASE, ["/etc/passwd"], remove=True)
    assert denied.value.exit_code == 126
    assert engine.containers.list() == []


def test_the_storage_layer_survives_stop_and_start_and_dies_with_rm(engine: Engine) -> None:
    """Stop loses nothing, rm loses all of it."""
    container = engine.containers.create(BASE, ["sh", "-c", "echo again >> /note; cat /note"])
    said: list[bytes] = []
    container.run(lambda _, data: said.append(data))
    container.run(lambda _, data: said.append(data))
    assert b"".join(said) == b"again\n" + b"again\nagain\n"
    directory = engine.home / "containers" / container.id
    [note] = directory.glob("*/note")  # in upper, or in a whole tree where root filesystems are copies
    assert note.read_text() == "again\nagain\n"
    container.remove()
    assert not directory.exists()
    with pytest.raises(ContainerNotFound):
        engine.containers.get(container.id)


def test_states_follow_what_happens(engine: Engine, isolated: bool) -> None:
    """created, running, paused, running, exited: each is seen by another engine too."""
    container = engine.containers.create(BASE, ["sleep", "30"])
    assert container.status == "created"
    container.start()
    with Engine(engine.home) as other:
        twin = other.containers.get(container.name)
        assert twin.status == "running"
        twin.pause()
        assert container.status == "paused"
        with pytest.raises(Conflict, match="already paused"):
            container.pause()
        container.unpause()
        assert twin.status == "running"
        twin.stop(timeout=0)
    assert container.status == "exited"
    # Only a process 1 without a handler waits for SIGKILL.
    assert container.state.exit_code == (137 if isolated else 143)
    container.start()
    assert container.status == "running"


def test_a_paused_container_does_not_move(engine: Engine) -> None:
    """No process of it runs while it is paused, and all go on afterwards."""
    container = engine.containers.run(BASE, ["sh", "-c", "while :; do echo x; sleep 0.02; done"], detach=True)
    assert isinstance(container, Container)
    _wait_for(lambda: container.logs())
    container.pause()
    before = container.logs()
    time.sleep(0.2)
    assert container.logs() == before
    container.unpause()
    _wait_for(lambda: container.logs() != before)


def test_stop_asks_first_and_kills_when_nobody_listens(engine: Engine, isolated: bool) -> None:
    """A program that handles SIGTERM ends with its own code; one that ignores it is killed.

    Without a handler the container's process 1 ignores it, an ordinary process does not.
    """
    polite = engine.containers.run(
        BASE, ["sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"], detach=True
    )
    assert isinstance(polite, Container)
    _wait_for(lambda: polite.logs())
    polite.stop(timeout=5)
    assert polite.state.exit_code == 7
    for script, code in (("trap '' TERM; echo ready; sleep 30", 137), ("echo ready; exec sleep 30", 0)):
        deaf = engine.containers.run(BASE, ["sh", "-c", script], detach=True)
        assert isinstance(deaf, Container)
        _wait_for(deaf.logs)
        deaf.stop(timeout=0.1)
        assert deaf.state.exit_code == (code or (137 if isolated else 143))


def test_a_detached_container_outlives_the_engine_that_started_it(engine: Engine) -> None:
    """Another process starts it and ends; we still see and control it."""
    code = (
        "import sys; from minirt.engine import Engine\n"
        "with Engine(sys.argv[1]) as e: e.containers.run('minirt/base', ['sleep', '30'], detach=True, name='left')"
    )
    subprocess.run([sys.executable, "-c", code, str(engine.home)], check=True, timeout=60)
    container = engine.containers.get("left")
    assert container.status == "running"
    container.stop(timeout=0)
    assert container.status == "exited"


def test_a_killed_monitor_takes_its_container_along_and_ps_says_so(engine: Engine) -> None:
    """After kill -9 of a monitor nothing runs on, and the state is told truly."""
    container = engine.containers.run(BASE, ["sleep", "30"], detach=True)
    assert isinstance(container, Container)
    state = container.state
    os.kill(state.monitor_pid, signal.SIGKILL)
    _wait_for(lambda: container.status == "exited")
    assert container.state.exit_code == 137
    assert "monitor was killed" in container.state.error
    _wait_for(lambda: not Path(f"/proc/{state.pid}").exists())


def test_an_interrupt_ends_the_container_and_says_so(engine: Engine) -> None:
    """Cancelling a run stops the program within moments and leaves no container with `remove`."""
    with Cancel() as cancel:
        threading.Timer(0.3, cancel.cancel).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            engine.containers.run(BASE, ["sleep", "30"], remove=True, cancel=cancel)
    assert time.monotonic() - started < 5
    assert engine.containers.list(all=True) == []


def test_a_running_container_is_not_removed_without_force(engine: Engine) -> None:
    """Rm refuses with what to do; rm -f kills first."""
    container = engine.containers.run(BASE, ["sleep", "30"], detach=True)
    assert isinstance(container, Container)
    with pytest.raises(ContainerIsRunning, match="stop the container before"):
        container.remove()
    container.remove(force=True)
    assert engine.containers.list(all=True) == []


def test_names_are_unique_and_checked(engine: Engine) -> None:
    """A taken or impossible name is refused, and nothing half made is left."""
    engine.containers.create(BASE, ["true"], name="one")
    with pytest.raises(NameInUse, match="already in use"):
        engine.containers.create(BASE, ["true"], name="one")
    with pytest.raises(InvalidSpec, match="Invalid container name"):
        engine.containers.create(BASE, ["true"], name="-x")
    assert [container.name for container in engine.containers.list(all=True)] == ["one"]
    assert len(list((engine.home / "containers").iterdir())) == 1


def test_containers_are_found_by_id_prefix_and_name(engine: Engine) -> None:
    """As docker finds them; a near miss gets a suggestion."""
    container = engine.containers.create(BASE, ["true"], name="blue")
    for text in (container.id, container.id[:6], "blue", "/blue"):
        assert engine.containers.get(text).id == container.id
    with pytest.raises(ContainerNotFound) as caught:
        engine.containers.get("bleu")
    assert "'blue'" in caught.value.hint


def test_settings_reach_the_program(engine: Engine, isolated: bool) -> None:
    """Environment, directory, user, host name and home are what was asked for; in a pod that name is a file's only."""
    # With a single id there is only root to be.
    user, home = ("0", "/root") if engine.machine.single_id else ("12", "/")
    out = engine.containers.run(
        BASE,
        ["sh", "-c", "echo $A $HOME; pwd; id -u; hostname; cat /etc/hostname"],
        environment={"A": "b c"},
        working_dir="/made/on/the/way",
        user=user,
        hostname="box",
        remove=True,
    )
    name = "box" if isolated else os.uname().nodename
    assert out.decode() == f"b c {home}\n/made/on/the/way\n{user}\n{name}\nbox\n"


def test_exec_runs_a_second_program_inside(engine: Engine) -> None:
    """It sees the same files and processes, and its exit code comes back."""
    container = engine.containers.run(BASE, ["sh", "-c", "echo here > /here; sleep 30"], detach=True)
    assert isinstance(container, Container)
    _wait_for(lambda: container.changes())
    assert container.exec_run(["cat", "/here"]) == (0, b"here\n")
    assert container.exec_run(["sh", "-c", "exit 4"])[0] == 4
    with pytest.raises(CommandNotFound):
        container.exec_run(["nope"])
    container.stop(timeout=0)
    with pytest.raises(ContainerNotRunning):
        container.exec_run(["true"])


def test_diff_reports_added_changed_and_deleted(engine: Engine) -> None:
    """Docker diff's letters, whatever the way a path got there."""
    container = engine.containers.create(
        BASE, ["sh", "-c", "echo x > /new; rm /etc/group; echo y >> /etc/passwd; mkdir /d; echo z > /d/f"]
    )
    container.run(lambda *_: None)
    found = {change.path: change.kind for change in container.changes()}
    expected = {"/new": "A", "/etc": "C", "/etc/group": "D", "/etc/passwd": "C", "/d": "A", "/d/f": "A"}
    assert {path: kind for path, kind in found.items() if path in expected} == expected


def test_commit_makes_an_image_of_the_storage_layer(engine: Engine) -> None:
    """The new image has one layer more, sees the change, and the container keeps its own."""
    container = engine.containers.create(BASE, ["sh", "-c", "echo kept > /kept; rm /etc/group"])
    container.run(lambda *_: None)
    image = container.commit("kept", "1", message="by hand")
    assert len(image.layers) == len(engine.images.get(BASE).layers) + 1
    assert image.history()[0].comment == "by hand"
    assert engine.containers.run(
        "kept:1", ["sh", "-c", "cat /kept; ls /etc/group 2>&1 || true"], remove=True
    ).startswith(b"kept\n")
    assert container.changes()


def test_volumes_outlive_containers_and_start_with_the_images_content(engine: Engine) -> None:
    """A named volume is filled from the image once, shared, and kept."""
    engine.containers.run(BASE, ["sh", "-c", "echo mine > /etc/own"], volumes=["data:/etc"], remove=True)
    out = engine.containers.run(
        BASE, ["sh", "-c", "cat /data/own; ls /data/passwd"], volumes=["data:/data"], remove=True
    )
    assert out == b"mine\n/data/passwd\n"
    with pytest.raises(ContainerFailed):
        engine.containers.run(BASE, ["touch", "/data/x"], volumes=["data:/data:ro"], remove=True)


def test_binds_show_a_directory_of_the_machine(engine: Engine, tmp_path: Path) -> None:
    """What the container writes is there at once; a missing source is made by -v and refused by --mount."""
    from minirt.volumes.specs import BindSpec

    engine.containers.run(BASE, ["sh", "-c", "echo x > /b/x"], volumes=[f"{tmp_path}/made:/b"], remove=True)
    assert (tmp_path / "made" / "x").read_text() == "x\n"
    with pytest.raises(PathNotFound, match="bind source path does not exist"):
        engine.containers.create(BASE, ["true"], mounts=[BindSpec(str(tmp_path / "no"), "/b", create=False)])


def test_volumes_from_lends_another_containers_mounts(engine: Engine) -> None:
    """k2 sees what k1 wrote to its volume, also when k1 has ended."""
    engine.containers.run(BASE, ["sh", "-c", "echo one > /v/f"], volumes=["/v"], name="k1")
    out = engine.containers.run(BASE, ["cat", "/v/f"], volumes_from=["k1"], name="k2")
    assert out == b"one\n"


def test_what_was_asked_wrongly_is_said_before_anything_is_made(engine: Engine) -> None:
    """No image, no option, no network of that name: nothing is left in the home."""
    for error, asked in (
        (ImageNotFound, {"image": "nope:1", "pull": "never"}),
        (UsageError, {"image": BASE, "frobnicate": 1}),
        (NetworkNotFound, {"image": BASE, "network": "nope"}),
        (InvalidSpec, {"image": BASE, "volumes": ["a:b:c:d"]}),
        (InvalidSpec, {"image": BASE, "volumes": ["/x:/same", "/y:/same"]}),
    ):
        with pytest.raises(error):
            engine.containers.create(**asked, command=["true"])  # type: ignore[arg-type]
    assert not list((engine.home / "containers").iterdir())


def test_twenty_containers_at_once(engine: Engine) -> None:
    """They start, write, end and are removed side by side."""
    results: list[bytes] = []

    def one(number: int) -> None:
        out = engine.containers.run(BASE, ["sh", "-c", f"echo {number} > /n; cat /n"], remove=True)
        assert isinstance(out, bytes)
        results.append(out)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(out) for out in results) == list(range(20))
    assert engine.containers.list(all=True) == []


def test_a_killed_process_takes_its_foreground_container_along(engine: Engine) -> None:
    """Kill -9 of whoever waits for a run leaves no process; with `remove` the container is cleared away, too."""
    code = (
        "import sys; from minirt.engine import Engine\n"
        "with Engine(sys.argv[1]) as e: e.containers.run('minirt/base', ['sleep', '60'], name='fore', remove=True)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(engine.home)])
    _wait_for(lambda: any(c.name == "fore" and c.state.pid for c in engine.containers.list()), 20)
    container = engine.containers.get("fore")
    pid = container.state.pid
    starter.kill()
    starter.wait()
    _wait_for(lambda: not Path(f"/proc/{pid}").exists())
    _wait_for(lambda: not container.state.alive)
    assert engine.containers.list(all=True) == []


def test_kill_returns_when_the_container_has_ended(engine: Engine) -> None:
    """So that `rm` may follow at once."""
    for _ in range(5):
        container = engine.containers.run(BASE, ["sleep", "30"], detach=True)
        assert isinstance(container, Container)
        container.kill()
        container.remove()


def test_what_a_running_container_is_mounted_on_is_not_its_work(engine: Engine) -> None:
    """Diff and commit of a running container show what it wrote, not the stubs that files were mounted on."""
    container = engine.containers.run(BASE, ["sh", "-c", "echo x > /mine; sleep 60"], detach=True)
    assert isinstance(container, Container)
    _wait_for(lambda: any((engine.home / "containers" / container.id).glob("*/mine")))
    assert [(change.kind, change.path) for change in container.changes()] == [("A", "/mine")]
    committed = container.commit("bare", "2")
    found = engine.images.get(committed.id)
    container.stop(timeout=0)
    assert [(change.kind, change.path) for change in container.changes()] == [("A", "/mine")]
    assert engine.containers.run(found.id, ["ls", "/etc/hostname"], network="none", remove=True)
    with Engine(engine.home) as other:
        layer = other.snapshots.diff_path(found.layers[-1].diff_id)
        assert sorted(path.name for path in layer.iterdir()) == ["mine"]
