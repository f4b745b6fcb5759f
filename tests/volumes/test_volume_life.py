"""Volumes: driver options, subpaths, sharing, what hides what, a look inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from minirt.engine import Engine
from minirt.errors import InvalidSpec, MinirtError, PathNotFound, Unsupported, VolumeInUse
from minirt.volumes.options import BoundDirectory, Memory, OwnDirectory, backing
from minirt.volumes.shadowing import Covering, Shadow, shadows
from minirt.volumes.specs import VolumeSpec

BASE = "minirt/base"


def test_driver_options() -> None:
    """mount(8)'s words become one of three kinds; what cannot be is refused with what would be right."""
    assert backing({}) == OwnDirectory()
    assert backing({"type": "none", "o": "bind,ro", "device": "/srv/x/"}) == BoundDirectory("/srv/x", True)
    assert backing({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=700"}) == Memory(1 << 20, 0o700)
    for options in ({"foo": "bar"}, {"type": "none", "o": "bind"}, {"device": "/x"}):
        with pytest.raises(InvalidSpec):
            backing(options)
    with pytest.raises(Unsupported):
        backing({"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1"})


def test_shadows() -> None:
    """A mount hides what the image has there, and a deeper one a part of the mount around it, whatever the order."""
    mounts = [Covering("/data/cache/x", "memory"), Covering("/data", "volume v"), Covering("/new", "directory /h")]
    assert shadows(mounts, lambda path: path == "/data") == (
        Shadow("/data", "volume v", "/data of the image"),
        Shadow("/data/cache/x", "memory", "/cache/x of volume v", "/data"),
    )


@pytest.mark.parametrize("name", ["..", "../victim", "../../victim", "a/../../victim", "/victim", ".", "a/b"])
def test_no_name_is_a_path(engine: Engine, name: str) -> None:
    """Volumes, networks and containers are directories of the home: no name makes or finds one beside it."""
    home = Path(engine.home)
    (home.parent / "victim").mkdir(exist_ok=True)
    engine.containers.create(BASE, ["true"]).remove()  # the first lays roots out, where they are copies
    before = sorted(entry.name for entry in home.parent.iterdir()), sorted(entry.name for entry in home.iterdir())
    attempts = (
        lambda: engine.volumes.create(name),
        lambda: engine.volumes.get(name).remove(),
        lambda: engine.networks.create(name),
        lambda: engine.networks.get(name).remove(),
        lambda: engine.containers.create(BASE, ["true"], name=name),
        lambda: engine.containers.get(name).remove(force=True),
    )
    for attempt in attempts:
        with pytest.raises(MinirtError):
            attempt()
    assert (sorted(e.name for e in home.parent.iterdir()), sorted(e.name for e in home.iterdir())) == before


def test_nobody_else_runs_what_a_container_left(engine: Engine) -> None:
    """A set-user-id program in a storage layer or a volume is in a directory that other users cannot enter."""
    script = "cp /bin/true /left; chmod 4755 /left; cp /bin/true /v/left; chmod 4755 /v/left"
    container = engine.containers.create(BASE, ["sh", "-c", script], volumes=["kept:/v"])
    container.start()
    assert container.wait()["StatusCode"] == 0
    left = list(Path(engine.home).rglob("left"))
    assert len(left) >= 2 and all(file.stat().st_mode & 0o4000 for file in left)
    for file in left:
        inside = [part for part in file.parents if Path(engine.home) in part.parents]
        assert any(part.stat().st_mode & 0o077 == 0 for part in inside), file


def test_a_bound_volume(engine: Engine, tmp_path: Path) -> None:
    """A directory of the machine under a volume's name; read-only when its options say so."""
    (tmp_path / "file").write_text("of the machine")
    opts = {"type": "none", "o": "bind", "device": str(tmp_path)}
    volume = engine.volumes.create("bound", driver_opts=opts)
    assert volume.attrs["Options"] == opts
    assert engine.containers.run(BASE, ["cat", "/v/file"], volumes=["bound:/v"], remove=True) == b"of the machine"
    engine.containers.run(BASE, ["sh", "-c", "echo more > /v/new"], volumes=["bound:/v"], remove=True)
    volume.remove()
    assert (tmp_path / "new").read_text() == "more\n"


def test_a_volume_of_memory(engine: Engine, isolated: bool) -> None:
    """It has the size asked for, and is empty at each start; in a pod a fresh directory stands in for memory."""
    engine.volumes.create("fast", driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    script = ["sh", "-c", "ls /v; echo x > /v/x; grep ' /v ' /proc/mounts; exit 0"]
    for said in (engine.containers.run(BASE, script, volumes=["fast:/v"], remove=True) for _ in range(2)):
        assert isinstance(said, bytes)
        if isolated:
            assert said.startswith(b"tmpfs /v tmpfs")
            assert b"size=1024k" in said
        else:
            assert said == b""
    assert engine.volumes.get("fast").look() == []


def test_subpath(engine: Engine, tmp_path: Path) -> None:
    """A directory in the volume; it must exist, and a link may not lead out."""
    engine.containers.run(BASE, ["sh", "-c", "mkdir /v/in; echo x > /v/in/x"], volumes=["whole:/v"], remove=True)
    mount = VolumeSpec("whole", "/part", subpath="in")
    assert engine.containers.run(BASE, ["cat", "/part/x"], mounts=[mount], remove=True) == b"x\n"
    with pytest.raises(PathNotFound, match="cannot access path"):
        engine.containers.create(BASE, ["true"], mounts=[VolumeSpec("whole", "/part", subpath="none")])
    later = engine.containers.create(BASE, ["ls", "/part"], mounts=[mount])
    engine.containers.run(BASE, ["sh", "-c", f"rm -r /v/in; ln -s {tmp_path} /v/in"], volumes=["whole:/v"], remove=True)
    with pytest.raises(InvalidSpec, match="leads out"):
        later.start()


def test_a_look_inside(engine: Engine) -> None:
    """What is in a volume, without a container; links are shown, and lead nowhere else."""
    engine.containers.run(
        BASE, ["sh", "-c", "mkdir /v/d; echo hello > /v/d/f; ln -s /etc /v/out"], volumes=["seen:/v"], remove=True
    )
    volume = engine.volumes.get("seen")
    assert [(entry["name"], entry["mode"][0]) for entry in volume.look()] == [("d", "d"), ("out", "l")]
    assert [(entry["name"], entry["size"]) for entry in volume.look("/d/f")] == [("f", 6)]
    assert volume.size == 6
    with pytest.raises(PathNotFound):
        volume.look("/out/passwd")


def test_inspect_tells_what_is_hidden(engine: Engine, tmp_path: Path) -> None:
    """Each mount that hides something says what."""
    container = engine.containers.create(BASE, ["true"], volumes=["top:/etc", f"{tmp_path}:/etc/inner", "fresh:/new"])
    assert [(one["Destination"], one["Hides"]) for one in container.attrs["Shadows"]] == [
        ("/etc", "/etc of the image"),
        ("/etc/inner", "/inner of volume top"),
    ]


def test_the_last_who_has_an_anonymous_volume_takes_it_along(engine: Engine) -> None:
    """Lent with --volumes-from, it stays while anybody has it; ``rm -v`` of the last one removes it, as docker does."""
    before = {volume.name for volume in engine.volumes.list()}
    first = engine.containers.create(BASE, ["true"], name="lender", volumes=["/own", "kept:/named"])
    second = engine.containers.create(BASE, ["true"], name="borrower", volumes_from=["lender"])
    assert second.attrs["HostConfig"]["Binds"] is None
    assert second.attrs["Config"]["Volumes"] is None
    first.remove(v=True)
    assert len({volume.name for volume in engine.volumes.list()} - before) == 2
    second.remove(v=True)
    assert {volume.name for volume in engine.volumes.list()} - before == {"kept"}


def test_volumes_from_several(engine: Engine, tmp_path: Path) -> None:
    """Mounts of stopped and running containers come together; `:ro` holds for what one gives."""
    engine.containers.run(BASE, ["sh", "-c", "echo one > /a/f"], name="one", volumes=["va:/a"])
    two = engine.containers.run(BASE, ["sleep", "60"], name="two", volumes=["vb:/b"], detach=True)
    script = "cat /a/f; echo new > /b/g; echo x > /a/h || echo refused"
    said = engine.containers.run(BASE, ["sh", "-c", script], volumes_from=["one:ro", "two"], remove=True)
    assert said == b"one\nrefused\n"
    assert two.exec_run(["cat", "/b/g"])[1] == b"new\n"  # type: ignore[union-attr]
    with pytest.raises(VolumeInUse, match=engine.containers.get("one").short_id):
        engine.volumes.get("va").remove()


def test_a_file_as_a_mount(engine: Engine, tmp_path: Path) -> None:
    """One file of the machine over one of the image, and shared while both live."""
    (tmp_path / "motd").write_text("mine")
    said = engine.containers.run(BASE, ["cat", "/etc/motd"], volumes=[f"{tmp_path}/motd:/etc/motd:ro"], remove=True)
    assert said == b"mine"


def test_a_volume_at_a_link_is_filled(engine: Engine) -> None:
    """/bin is a link to usr/bin: a volume there starts with the programs, so that they go on working."""
    for place in ("/bin", "/look"):
        look = ["ls", f"{place}/sh"]
        said = engine.containers.run(BASE, look, volumes=[f"programs:{place}"], remove=True)
        assert said == f"{place}/sh\n".encode()


def test_memory_has_the_mode_of_what_it_covers(engine: Engine) -> None:
    """As with docker: /root stays closed under a tmpfs, a new place is as /tmp, and a mode that is asked for counts."""
    places = {"/root": "", "/new/place": "", "/etc/opt": "mode=711"}
    out = engine.containers.run(BASE, ["stat", "-c", "%a", *places], remove=True, tmpfs=places)
    assert out == b"700\n1777\n711\n"
    out = engine.containers.run(BASE, ["stat", "-c", "%a", "/root"], remove=True,
                                mounts=[{"Type": "tmpfs", "Target": "/root"}])  # fmt: skip
    assert out == b"700\n"
