"""Files into and out of containers: docker's path rules, and that nothing leads out."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from minirt.containers.copy_rules import Landing, Place, landing, split_name
from minirt.engine import Engine
from minirt.engine.containers import Container
from minirt.errors import InvalidInput, LayerError, MinirtError, PathNotFound

BASE = "minirt/base"


@pytest.fixture(params=["stopped", "running"])
def container(request: pytest.FixtureRequest, engine: Engine) -> Container:
    """One that has files, running or not: ``cp`` makes no difference."""
    script = (
        "mkdir -p /d/sub; echo a > /d/a; echo b > /d/sub/b; ln -s /d/a /link; ln -s /d /dirlink; ln -s ../../.. /up"
    )
    made = engine.containers.create(BASE, ["sh", "-c", script + "; echo ready; sleep 60"])
    made.start()
    while b"ready" not in made.logs():  # type: ignore[operator]
        pass
    if request.param == "stopped":
        made.stop(0)
    return made


def _place(text: str, kind: str) -> Place:
    return Place(text, kind != "none", kind == "dir", "/" + text.strip("/.") if text != "/" else "/")


@pytest.mark.parametrize(
    ("source", "kind", "target", "there", "expected"),
    [
        ("/a/f", "file", "/d", "dir", Landing("/d", "f")),
        ("/a/f", "file", "/d/g", "file", Landing("/d", "g")),
        ("/a/f", "file", "/d/new", "none", Landing("/d", "new")),
        ("/a/x", "dir", "/d", "dir", Landing("/d", "x")),
        ("/a/x/", "dir", "/d", "dir", Landing("/d", "x")),
        ("/a/x/.", "dir", "/d", "dir", Landing("/d", "")),
        ("/a/x", "dir", "/d/new", "none", Landing("/d", "new")),
        ("/a/x/.", "dir", "/d/new", "none", Landing("/d", "new")),
        ("/a/f", "file", "/d/new/", "none", "no such directory"),
        ("/a/x", "dir", "/d/f", "file", "cannot copy directory"),
    ],
)
def test_path_rules(source: str, kind: str, target: str, there: str, expected: object) -> None:
    """The table of docker's documentation."""
    if isinstance(expected, str):
        with pytest.raises(InvalidInput, match=expected):
            landing(_place(source, kind), _place(target, there))
    else:
        assert landing(_place(source, kind), _place(target, there)) == expected


def test_names() -> None:
    """A colon names a container, unless the path shows that it is one of the machine."""
    assert split_name("k:/a") == ("k", "/a")
    assert split_name("./a:b") == ("", "./a:b")
    assert split_name("/a:b") == ("", "/a:b")
    assert split_name("plain") == ("", "plain")


def test_out(container: Container, tmp_path: Path) -> None:
    """A file, a directory, its contents, a new name; ours afterwards."""
    container.copy_out("/d/a", str(tmp_path))
    container.copy_out("/d", str(tmp_path))
    container.copy_out("/d", str(tmp_path / "new"))
    (tmp_path / "into").mkdir()
    container.copy_out("/d/.", str(tmp_path / "into"))
    assert (tmp_path / "a").read_text() == (tmp_path / "new" / "a").read_text() == "a\n"
    assert sorted(os.listdir(tmp_path / "d")) == sorted(os.listdir(tmp_path / "into")) == ["a", "sub"]
    assert (tmp_path / "d" / "sub" / "b").stat().st_uid == os.geteuid()
    with pytest.raises(PathNotFound, match="Could not find the file /nothing in container"):
        container.copy_out("/nothing", str(tmp_path))
    with pytest.raises(PathNotFound, match="does not exist"):
        container.copy_out("/d/a", str(tmp_path / "no" / "x"))


def test_links_out(container: Container, tmp_path: Path) -> None:
    """A link is copied as a link, unless -L asks for what it leads to; links on the way are followed inside."""
    container.copy_out("/link", str(tmp_path))
    assert os.readlink(tmp_path / "link") == "/d/a"
    container.copy_out("/link", str(tmp_path / "followed"), follow=True)
    assert (tmp_path / "followed").read_text() == "a\n"
    container.copy_out("/dirlink/sub/b", str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "b\n"


def test_in(container: Container, tmp_path: Path, engine: Engine) -> None:
    """What is copied in is there, and is part of what changed."""
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "src" / "deep" / "file").write_text("here")
    (tmp_path / "src" / "run").write_text("x")
    (tmp_path / "src" / "run").chmod(0o755)
    container.copy_in(str(tmp_path / "src"), "/d")
    container.copy_in(str(tmp_path / "src") + "/.", "/d/sub")
    container.copy_in(str(tmp_path / "src" / "run"), "/d/a")
    kinds = {change.path: change.kind for change in container.changes()}
    assert {kinds[path] for path in ("/d/src/deep/file", "/d/sub/deep/file")} == {"A"}
    chunks, facts = container.get_archive("/d/a")
    assert (facts["name"], facts["mode"]) == ("a", 0o755)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        member = archive.getmember("a")
        assert (member.uid, member.mode) == (0, 0o755)
    with pytest.raises(PathNotFound, match=r"Could not find the file /none in container"):
        container.copy_in(str(tmp_path / "src" / "run"), "/none/x")
    with pytest.raises(InvalidInput, match="cannot overwrite directory"):
        (tmp_path / "sub").write_text("")
        container.copy_in(str(tmp_path / "sub"), "/d")


def test_a_link_cannot_lead_out(container: Container, tmp_path: Path) -> None:
    """Links of the container that climb, or are absolute, end inside it, in both directions (CVE-2018-15664)."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("of the machine")
    inside = io.BytesIO()
    with tarfile.open(fileobj=inside, mode="w") as archive:
        link = tarfile.TarInfo("trap")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        archive.addfile(link)
        entry = tarfile.TarInfo("trap2/../../../x")
        archive.addfile(entry)
    with pytest.raises(InvalidInput, match="would leave"):
        container.put_archive("/d", inside.getvalue())
    with pytest.raises(PathNotFound):
        container.copy_out("/d/trap/secret", str(tmp_path / "stolen"))
    with pytest.raises(PathNotFound):
        container.copy_out(f"/up/up{outside}/secret", str(tmp_path / "stolen"))
    (tmp_path / "evil").write_text("evil")
    with pytest.raises(PathNotFound):
        container.copy_in(str(tmp_path / "evil"), "/d/trap/secret")
    assert (outside / "secret").read_text() == "of the machine"
    assert not (tmp_path / "stolen").exists()


def test_an_archive_cannot_write_through_its_own_link(engine: Engine, tmp_path: Path) -> None:
    """A tree that holds a link and a path through it does not reach the machine's files."""
    container = engine.containers.create(BASE, ["true"])
    outside, data = tmp_path / "outside", io.BytesIO()
    outside.mkdir()
    with tarfile.open(fileobj=data, mode="w") as archive:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        archive.addfile(link)
        entry = tarfile.TarInfo("way/file")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    with pytest.raises(InvalidInput, match="file exists"):
        container.put_archive("/tmp", data.getvalue())
    assert list(outside.iterdir()) == []


def test_a_link_swapped_while_files_are_copied(engine: Engine, tmp_path: Path) -> None:
    """A container swaps a directory for a link to the machine's while `cp` runs, and gets nothing out or in."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("of the machine")
    (tmp_path / "f").write_text("brought in")
    script = f"""
    mkdir -p /d/x; echo mine > /d/x/f; ln -s {outside} /d/way; echo ready
    while :; do mv -T /d/x /d/y; mv -T /d/way /d/x; mv -T /d/x /d/way; mv -T /d/y /d/x; done 2> /dev/null
    """
    container = engine.containers.create(BASE, ["sh", "-c", script])
    container.start()
    while b"ready" not in container.logs():  # type: ignore[operator]
        pass
    got = tmp_path / "got"
    got.mkdir()
    for number in range(40):
        with contextlib.suppress(MinirtError):
            container.copy_out("/d/x/f", str(got / str(number)))
        with contextlib.suppress(MinirtError):
            container.copy_in(str(tmp_path / "f"), "/d/x")
    container.kill()
    assert {file.read_text() for file in got.iterdir()} <= {"mine\n", "brought in"}
    assert [(file.name, file.read_text()) for file in outside.iterdir()] == [("f", "of the machine")]


def test_not_a_tar(container: Container) -> None:
    """Neither rubbish nor a file as the place does harm."""
    with pytest.raises(LayerError):
        container.put_archive("/d", b"rubbish" * 100)
    with pytest.raises(InvalidInput, match="not a directory"):
        container.put_archive("/d/a", b"")


def test_volumes_and_read_only_roots(engine: Engine, tmp_path: Path) -> None:
    """A stopped container's volumes are in their places; what is read-only is refused; no stub is left behind."""
    (tmp_path / "file").write_text("x")
    kept = engine.containers.create(
        BASE, ["true"], volumes=["copied-into:/fresh", f"{tmp_path}:/host:ro"], read_only=True
    )
    kept.copy_in(str(tmp_path / "file"), "/fresh")
    assert (engine.volumes.get("copied-into").stored.mountpoint / "file").read_text() == "x"
    for target in ("/", "/host"):
        with pytest.raises(InvalidInput, match="read-only"):
            kept.copy_in(str(tmp_path / "file"), target)
    assert kept.changes() == ()


def test_a_running_containers_mounts_are_in_their_places(engine: Engine, tmp_path: Path) -> None:
    """What goes to a volume, a directory of the machine or /dev/shm is found there by the container's programs.

    So is what comes from there, its own /etc/hosts too, which cannot be replaced.
    """
    (tmp_path / "file").write_text("x")
    (tmp_path / "hosts").write_text("")
    (tmp_path / "bound").mkdir()
    box = engine.containers.create(
        BASE, ["sleep", "60"], volumes=["copied-live:/on/the/way", f"{tmp_path / 'bound'}:/on/host"], hostname="box"
    )
    box.start()
    for place in ("/on/the/way", "/on/host", "/dev/shm"):
        box.copy_in(str(tmp_path / "file"), place)
        assert box.exec_run(["cat", f"{place}/file"]).output == b"x"
    assert (engine.volumes.get("copied-live").stored.mountpoint / "file").read_text() == "x"
    assert (tmp_path / "bound" / "file").read_text() == "x"
    box.copy_out("/on", str(tmp_path / "got"))
    assert sorted(str(path.relative_to(tmp_path / "got")) for path in (tmp_path / "got").rglob("file")) == [
        "host/file", "the/way/file",
    ]  # fmt: skip
    chunks, _ = box.get_archive("/etc/hosts")
    assert b"box" in b"".join(chunks)
    with pytest.raises(InvalidInput, match="busy"):
        box.copy_in(str(tmp_path / "hosts"), "/etc")


def test_nothing_is_left_to_mount_on_where_roots_are_copies(tmp_path: Path) -> None:
    """The places that a copy into a stopped container made are gone when its root is a plain directory, too."""
    (tmp_path / "file").write_text("x")
    with Engine(tmp_path / "home", snapshotter="copy") as engine:
        engine.image_store.base()
        box = engine.containers.create(BASE, ["true"], volumes=["kept:/a/volume", "inner:/a/volume/inner"])
        box.copy_in(str(tmp_path / "file"), "/a/volume")
        box.copy_in(str(tmp_path / "file"), "/a/volume/inner")
        assert (engine.volumes.get("kept").stored.mountpoint / "file").read_text() == "x"
        assert (engine.volumes.get("inner").stored.mountpoint / "file").read_text() == "x"
        assert box.changes() == ()
        box.remove(v=True)


def test_export_is_flat(container: Container) -> None:
    """All files, whichever layer they come from; nothing of /proc; names without a slash before them."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as archive:
        names = archive.getnames()
    assert {"d/a", "d/sub/b", "link", "etc/passwd"} <= set(names)
    assert not [name for name in names if name.startswith(("/", "./", "proc/", "sys/"))]


def test_import_export(engine: Engine) -> None:
    """An exported tree comes back as an image of one layer, with the changes asked for."""
    source = engine.containers.create(BASE, ["true"])
    data = b"".join(source.export())
    image = engine.images.import_image(
        io.BytesIO(data), repository="flat:1", changes=["CMD echo flat", "ENV A=1", "WORKDIR /tmp"], message="said"
    )
    assert len(image.layers) == 1
    assert image.history()[0].comment == "said"
    assert engine.containers.run("flat:1", remove=True) == b"flat\n"
    assert engine.containers.run("flat:1", ["sh", "-c", "echo $A; pwd"], remove=True) == b"1\n/tmp\n"
    with pytest.raises(LayerError):
        engine.images.import_image(io.BytesIO(b"rubbish" * 200))
