"""What a container sees as its files, and what of it reaches the machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from minirt.errors import SandboxError
from minirt.model.spec import BindMount, LoopbackNetwork, OverlayRoot, TmpfsMount, TreeRoot
from minirt.sandbox import read_state


def test_alone_in_its_namespaces(bench: Any) -> None:
    """The program is PID 1, has its own host name, and sees no process of the machine."""
    out = bench.sh("echo $$; cat /proc/sys/kernel/hostname; ls /proc", hostname="box")
    lines = out.split()
    assert lines[:2] == ["1", "box"]
    assert max(int(entry) for entry in lines[2:] if entry.isdigit()) < 10


def test_writes_go_to_the_upper_layer(bench: Any) -> None:
    """The layers below stay as they are; changes and deletions are in the upper directory."""
    result = bench.run(bench.shell("echo changed > /etc/motd; rm /data/note; mkdir /new"))
    assert result.exit.code == 0, result.out
    assert (bench.base / "etc/motd").read_text() == "hello\n"
    assert (bench.base / "data/note").exists()
    assert (result.upper / "etc/motd").read_text() == "changed\n"
    assert (result.upper / "new").is_dir()
    whiteout = os.lstat(result.upper / "data/note")
    assert stat.S_ISCHR(whiteout.st_mode) and whiteout.st_rdev == 0


def test_an_upper_layer_is_mounted_again(bench: Any) -> None:
    """What one run wrote, the next run with the same upper directory finds: also with ``volatile``."""
    root = bench.root()
    for volatile in (True, True, False, True):
        again = OverlayRoot(root.lowers, root.upper, root.work, volatile=volatile)
        bench.sh("echo x >> /tally", root=again)
    assert (Path(root.upper) / "tally").read_text() == "x\nx\nx\nx\n"


def test_a_plain_tree_as_root(bench: Any, tmp_path: Path) -> None:
    """The copy driver's root is written in place."""
    import shutil

    tree = tmp_path / "tree"
    shutil.copytree(bench.base, tree)
    assert bench.sh("echo here > /mark; cat /mark", root=TreeRoot(str(tree))) == "here\n"
    assert (tree / "mark").read_text() == "here\n"


def test_a_view_cannot_be_written(bench: Any, tmp_path: Path) -> None:
    """Without an upper directory the root is read-only, with one layer as with several."""
    for name in ("proc", "dev", "sys"):
        (tmp_path / "extra" / name).mkdir(parents=True)
    view = OverlayRoot((str(bench.base), str(tmp_path / "extra")))
    result = bench.run(bench.shell("cat /data/note; touch /x", root=view))
    assert result.exit.code != 0
    assert "from the layer" in result.out and "Read-only" in result.out


def test_read_only_root(bench: Any) -> None:
    """``--read-only``: the root refuses writes, /dev/shm and mounts do not."""
    script = "touch /x && exit 9; touch /dev/shm/x /scratch/x && echo fine"
    assert "fine" in bench.sh(script, read_only=True, mounts=(TmpfsMount("/scratch"),))


def test_many_layers(bench: Any, tmp_path: Path) -> None:
    """More layers than one page of mount options would hold."""
    lowers = []
    for number in range(150):
        layer = tmp_path / "layers" / f"{number:064d}" / "diff"
        layer.mkdir(parents=True)
        (layer / f"f{number}").touch()
        (layer / "last").write_text(str(number))
        lowers.append(layer)
    assert bench.sh("cat /last; ls / | head -500", root=bench.root(*lowers)).startswith("149")


def test_paths_too_long_for_one_mount_option(bench: Any, tmp_path: Path) -> None:
    """Layers may live below directories with long names, colons and commas in them."""
    deep = tmp_path / ("a:b,c" * 20) / ("x" * 200)
    deep.mkdir(parents=True)
    (deep / "found").write_text("deep\n")
    assert bench.sh("cat /found", root=bench.root(deep)) == "deep\n"


def test_bind_mounts(bench: Any, tmp_path: Path) -> None:
    """Directories and single files of the machine, writable or not; missing targets are made."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").write_text("text\n")
    out = bench.sh(
        "echo 1 > /mnt/a/one; cat /opt/file; touch /ro/x || echo refused",
        mounts=(
            BindMount(str(tmp_path / "dir"), "/mnt/a"),
            BindMount(str(tmp_path / "file"), "/opt/file"),
            BindMount(str(tmp_path / "dir"), "/ro", read_only=True),
        ),
    )
    assert "text\n" in out and "refused" in out
    assert (tmp_path / "dir" / "one").read_text() == "1\n"


def test_mounts_are_made_from_the_outside_in(bench: Any, tmp_path: Path) -> None:
    """A mount inside another one is visible whatever order they were named in."""
    for name in ("outer", "inner"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "who").write_text(f"{name}\n")
    mounts = (BindMount(str(tmp_path / "inner"), "/m/in"), BindMount(str(tmp_path / "outer"), "/m"))
    assert bench.sh("cat /m/who /m/in/who", mounts=mounts) == "outer\ninner\n"


def test_a_missing_source(bench: Any, tmp_path: Path) -> None:
    """A bind mount of nothing names the path."""
    with pytest.raises(SandboxError, match="cannot mount /m") as caught:
        bench.run(bench.spec("true", mounts=(BindMount(str(tmp_path / "nothing"), "/m"),)))
    assert "nothing" in caught.value.cause


@pytest.mark.parametrize("link", ["/", "../../../../../../..", "/proc/1/root", "/data/../.."])
def test_links_in_the_image_do_not_lead_out(bench: Any, tmp_path: Path, link: str) -> None:
    """A symbolic link in the image cannot make a mount, or a mount point, outside of its root."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "s").write_text("mounted\n")
    root = bench.root()
    os.symlink(link, f"{root.upper}/trap")
    name = f"escape-{bench.id}"
    result = bench.run(bench.shell(f"cat /{name}/s", root=root, mounts=(BindMount(str(source), f"/trap/{name}"),)))
    assert not os.path.exists(f"/{name}")
    if link != "/proc/1/root":
        assert result.out == "mounted\n"


def test_tmpfs(bench: Any) -> None:
    """Memory as a directory, with its size and mode."""
    out = bench.sh("stat -c %a /t; cat /proc/mounts", mounts=(TmpfsMount("/t", size=1 << 20, mode=0o700),))
    assert out.startswith("700\n")
    assert "/t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700" in out


def test_files_are_laid_over_the_root(bench: Any) -> None:
    """Small texts such as /etc/hosts appear in the container, and their text is not in its storage layer."""
    files = {"/etc/hosts": "1.2.3.4 x\n", "/etc/motd": "new\n"}
    result = bench.run(bench.shell("cat /etc/hosts /etc/motd; echo more >> /etc/hosts", files=files))
    assert result.out == "1.2.3.4 x\nnew\n"
    assert not (result.upper / "etc/motd").exists()
    assert (bench.base / "etc/motd").read_text() == "hello\n"
    assert os.listdir(result.upper) == []


def test_devices(bench: Any) -> None:
    """The devices every container has, and no others."""
    out = bench.sh("echo x > /dev/null; head -c 3 /dev/zero | stat -c %F -; stat -c %F /dev/urandom; ls /dev")
    names = out.split("character special file\n")[-1].split()
    assert set(names) - {"core"} == {
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    }  # fmt: skip
    assert ("core" in names) == os.path.exists("/proc/kcore")


def test_the_machine_is_masked(bench: Any) -> None:
    """Files that tell about the machine are empty, and its settings cannot be written."""
    out = bench.sh("cat /proc/keys /proc/timer_list; ls /sys/firmware; echo 1 > /proc/sys/kernel/panic || echo refused")
    assert out.splitlines()[-1] == "refused"
    assert "Timer List" not in out and "acpi" not in out


def test_no_network_but_loopback(bench: Any) -> None:
    """``none``: a network of its own with only ``lo``, and that is up."""
    out = bench.sh("ls /sys/class/net; cat /sys/class/net/lo/flags", network=LoopbackNetwork())
    assert out.split() == ["lo", "0x9"]


def test_the_machines_network(bench: Any) -> None:
    """``host``: the container is in the machine's network namespace and sees its interfaces."""
    out = bench.sh("stat -L -c %i /proc/self/ns/net; ls /sys/class/net")
    assert out.split()[0] == str(os.stat("/proc/self/ns/net").st_ino)
    assert "lo" in out.split()


def test_the_machines_mounts_are_gone(bench: Any, tmp_path: Path) -> None:
    """After the change of root nothing of the machine's tree can be reached."""
    out = bench.sh("cat /proc/self/mountinfo")
    assert "/staging" not in out
    assert not any(line.split()[4].startswith(("/home", "/work", "/var")) for line in out.splitlines())


def test_the_machines_root_is_not_left_over_the_containers(bench: Any) -> None:
    """The old root is taken off: neither `/..` nor the list of mounts leads to it."""
    assert bench.sh("ls /..") == bench.sh("ls /")
    assert bench.sh("ls /../..") == bench.sh("ls /bin/..")
    points = [line.split()[4] for line in bench.sh("cat /proc/self/mountinfo").splitlines()]
    assert points.count("/") == 1


def test_mount_points_leave_no_trace(bench: Any, tmp_path: Path) -> None:
    """Directories made only to mount on are gone afterwards; what the program put there stays."""
    (tmp_path / "source").mkdir()
    files = {"/etc/hosts": "x\n", "/etc/deep/file": "y\n"}
    mounts = (BindMount(str(tmp_path / "source"), "/data/in/here"), TmpfsMount("/cache/dir"))
    result = bench.run(bench.shell("echo mine > /etc/own; chmod 700 /data", files=files, mounts=mounts))
    assert result.exit.code == 0, result.out
    assert sorted(str(path.relative_to(result.upper)) for path in result.upper.rglob("*")) == ["data", "etc", "etc/own"]


def test_a_container_keeps_its_mount_points(bench: Any) -> None:
    """As with docker, the target of a volume shows in the container's changes; /proc and the like do not."""
    spec, state_dir = bench.detached("sleep 600", mounts=(TmpfsMount("/volume"),))
    running = bench.start(spec)
    state = read_state(str(state_dir))
    assert state is not None and state["Stubs"]["made"] == ["/proc", "/dev", "/sys"]
    running.kill()
    running.wait(timeout=5)
    assert os.listdir(spec.root.upper) == ["volume"]


@pytest.mark.parametrize("name", ["proc", "dev", "sys"])
def test_an_image_with_a_link_for_a_mount_point(bench: Any, tmp_path: Path, name: str) -> None:
    """An image cannot have /dev or /proc made on the machine instead."""
    root = bench.root()
    (tmp_path / "machine").mkdir()
    os.symlink(str(tmp_path / "machine"), f"{root.upper}/{name}")
    with pytest.raises(SandboxError, match=f"/{name} is a symbolic link"):
        bench.run(bench.spec("true", root=root))
    assert os.listdir(tmp_path / "machine") == []
