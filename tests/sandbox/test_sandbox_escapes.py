"""Known ways out of a container, each tried, and the machine found as it was."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minirt.errors import SandboxError
from minirt.model.spec import BindMount, TmpfsMount


def _script(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text)
    (root / name).chmod(0o755)


def test_dots_in_a_mounts_target_stay_inside(bench: Any, tmp_path: Path) -> None:
    """`..` above the root is the root."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "f").write_text("inside\n")
    victim = tmp_path / "victim"
    target = f"/a/../../../../../../..{victim}"
    out = bench.sh(f"cat {victim}/f", mounts=(BindMount(str(tmp_path / "source"), target),))
    assert out == "inside\n"
    assert not victim.exists()


@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_a_link_in_the_image_does_not_lead_a_mount_outside(bench: Any, tmp_path: Path, kind: str) -> None:
    """A mount point below a symbolic link to a directory of the machine is made in the container."""
    victim, layer, source = tmp_path / "victim", tmp_path / "layer", tmp_path / "source"
    for directory in (victim, layer, source):
        directory.mkdir()
    os.symlink(victim, layer / "way")
    mount = BindMount(str(source), "/way/made") if kind == "bind" else TmpfsMount("/way/made")
    out = bench.sh("ls -d /way/made; echo x > /way/made/x", root=bench.root(layer), mounts=(mount,))
    assert out == "/way/made\n"
    assert list(victim.iterdir()) == []


def test_a_link_swapped_under_a_mount_point(bench: Any, tmp_path: Path) -> None:
    """Somebody swaps a directory of a shared volume for a link to the machine while containers mount below it."""
    victim, volume, source = tmp_path / "victim", tmp_path / "volume", tmp_path / "source"
    for directory in (victim, volume, source):
        directory.mkdir()
    place = volume / "x"
    place.mkdir()
    (volume / "link").symlink_to(victim)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            # A container may make a directory of that name in between.
            for old, new in (
                (place, volume / "aside"),
                (volume / "link", place),
                (place, volume / "link"),
                (volume / "aside", place),
            ):
                with contextlib.suppress(OSError):
                    old.rename(new)

    swapper = threading.Thread(target=swap)
    swapper.start()
    mounts = (BindMount(str(volume), "/v"), BindMount(str(source), "/v/x/made"))
    try:
        for _ in range(20):
            try:
                bench.run(bench.shell("echo out > /v/x/made/f", mounts=mounts))
            except SandboxError:
                continue  # refused is as good
    finally:
        done.set()
        swapper.join()
    assert list(victim.iterdir()) == []


def test_the_machines_program_cannot_be_overwritten(bench: Any, tmp_path: Path) -> None:
    """A command whose interpreter is /proc/self/exe, and a container that writes to every /proc/PID/exe it sees."""
    program = Path(os.path.realpath(sys.executable))
    before = hashlib.sha256(program.read_bytes()).hexdigest()
    layer = tmp_path / "layer"
    layer.mkdir()
    _script(layer, "evil", "#!/proc/self/exe\n")
    attack = "while :; do for p in /proc/[0-9]*; do echo overwritten > $p/exe; done; done 2>/dev/null"
    spec, _ = bench.detached(attack, root=bench.root(layer))
    running = bench.start(spec)
    for _ in range(5):
        process = replace(spec.process, argv=("/evil",))
        try:
            bench.sandbox.exec(running.pid, running.start_time, process).wait(timeout=10)
        except SandboxError:
            continue
    running.kill(signal.SIGKILL)
    running.wait(timeout=5)
    assert hashlib.sha256(program.read_bytes()).hexdigest() == before


def test_the_machines_program_cannot_be_opened_in_init(bench: Any) -> None:
    """With --init PID 1 runs the machine's Python: its /proc/1/exe can neither be read nor kept open for later."""
    out = bench.sh("readlink /proc/1/exe; (: < /proc/1/exe) && echo opened; echo done 2>&1", init=True)
    assert out.splitlines()[-1] == "done"
    assert "opened" not in out and "python" not in out
    # No exec drops what it has.
    assert "CapPrm:\t00000000a80425fb" in bench.sh("cat /proc/1/status", init=True)


def test_the_machines_program_cannot_be_opened_in_a_joining_command(bench: Any) -> None:
    """Until `exec` runs the program it is the machine's Python: who keeps its /proc/PID/exe open could write it later.

    A very long PATH keeps it searching, with the rights of the container, for a while.
    """
    watch = """
    touch /ready
    while :; do for p in /proc/[0-9]*; do
        [ $p = /proc/1 ] || { command exec 9< $p/exe && { [ /proc/1/fd/9 -ef /bin/sleep ] || echo $p >> /found; }; }
    done; done 2> /dev/null
    """
    spec, _ = bench.detached(watch)
    running = bench.start(spec)
    upper = Path(spec.root.upper)
    try:
        while not (upper / "ready").exists():
            time.sleep(0.01)
        path = ":".join([*(f"/none/{number}" for number in range(4000)), "/bin"])
        for _ in range(5):
            process = replace(spec.process, argv=("sleep", "0.05"), env={"PATH": path})
            assert bench.sandbox.exec(running.pid, running.start_time, process).wait(timeout=20).code == 0
    finally:
        running.kill(signal.SIGKILL)
        running.wait(timeout=5)
    assert not (upper / "found").exists()


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "/data/../proc", "/link/sys"])
def test_nothing_is_mounted_over_proc(bench: Any, tmp_path: Path, target: str) -> None:
    """It would take the masks away; also through dots and links. The machine's /proc stays as it is."""
    (tmp_path / "fake").mkdir()
    layer = tmp_path / "layer"
    layer.mkdir()
    os.symlink("/proc", layer / "link")
    with pytest.raises(SandboxError, match="inside /proc"):
        bench.run(bench.shell("true", root=bench.root(layer), mounts=(BindMount(str(tmp_path / "fake"), target),)))
    assert list((tmp_path / "fake").iterdir()) == []


def test_a_volume_over_dev_does_not_choose_what_masks(bench: Any, tmp_path: Path) -> None:
    """Its `null`, a link to a file of the machine, is not what lies over /proc/timer_list (CVE-2025-31133 in kind)."""
    victim, volume, layer = tmp_path / "victim", tmp_path / "volume", tmp_path / "layer"
    volume.mkdir()
    victim.write_text("of the machine\n")
    (volume / "null").symlink_to(victim)
    # The name is there in the container, too: its program's standard input is opened from it.
    (layer / str(victim.parent).lstrip("/")).mkdir(parents=True)
    (layer / str(victim).lstrip("/")).write_text("of the image\n")
    script = "for f in kcore keys timer_list interrupts; do cat /proc/$f; echo out > /proc/$f; done 2>/dev/null; exit 0"
    out = bench.sh(script, root=bench.root(layer), mounts=(BindMount(str(volume), "/dev"),))
    assert "of the machine" not in out
    assert victim.read_text() == "of the machine\n"


@pytest.mark.parametrize("number", range(3, 16))
def test_no_descriptor_leads_out_as_working_directory(bench: Any, number: int) -> None:
    """/proc/self/fd/N as the working directory is refused or leads to a place inside."""
    spec = bench.spec(
        "/bin/ls", "../../../../../..", process={"env": {"PATH": "/bin"}, "cwd": f"/proc/self/fd/{number}"}
    )
    try:
        listed = bench.run(spec).out.split()
    except SandboxError:
        return
    assert "boot" not in listed and "home" not in listed


def test_no_descriptor_leads_a_joined_command_out(bench: Any) -> None:
    """The same for exec, whose helper has seen the machine's files."""
    spec, _ = bench.detached("sleep 60")
    running = bench.start(spec)
    for number in range(3, 12):
        process = replace(
            spec.process, argv=("/bin/sh", "-c", "echo here; ls ../../../.."), cwd=f"/proc/self/fd/{number}"
        )
        read, write = os.pipe()
        try:
            bench.sandbox.exec(running.pid, running.start_time, process, stdout=write).wait(timeout=5)
        except SandboxError:
            pass
        finally:
            os.close(write)
        with open(read, "rb") as output:
            listed = output.read().decode().split()
        assert "boot" not in listed and "home" not in listed
    running.kill(signal.SIGKILL)
    running.wait(timeout=5)


def test_neither_descriptors_nor_environment_leak_in(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program has 0, 1 and 2, and the variables it was given."""
    monkeypatch.setenv("SECRET", "of the machine")
    assert "of the machine" not in bench.sh("env; cat /proc/1/environ")
    listed = bench.run(bench.spec("/bin/ls", "/proc/self/fd")).out.split()
    assert sorted(listed) == ["0", "1", "2", "3"]  # 3 is the directory that ls itself reads


def test_devices_are_those_of_the_list(bench: Any, tmp_path: Path) -> None:
    """Nodes that the image brings or the program makes open nothing; what is done to /dev/null stays inside."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user makes no device nodes anyway")
    layer = tmp_path / "layer"
    layer.mkdir()
    os.mknod(layer / "null", 0o666 | 0o020000, os.makedev(1, 3))
    os.chmod(layer / "null", 0o666)
    bound = tmp_path / "bound"
    bound.mkdir()
    os.mknod(bound / "zero", 0o666 | 0o020000, os.makedev(1, 5))
    before = os.stat("/dev/null").st_mode
    mounts = (TmpfsMount("/t", options=()), BindMount(str(bound), "/b"))
    script = """
    chmod 600 /dev/null; echo ok > /dev/null && echo fine; head -c 1 /dev/zero > /tmp/z && echo zero
    mknod /made c 1 5; mknod /t/made c 1 5; mknod /b/made c 1 5
    for n in /null /made /t/made /b/zero /b/made; do (head -c 1 $n > /tmp/got) 2> /dev/null && echo opened $n; done
    ls /made /t/made /b/made
    """
    out = bench.sh(script, root=bench.root(layer), mounts=mounts)
    assert out.split() == ["fine", "zero", "/b/made", "/made", "/t/made"]
    assert os.stat("/dev/null").st_mode == before
