"""A shared store, used by others than who filled it: with overlay and with copies, as root, with one id, in a pod."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.append(str(TESTS))

from run import NOBODY, _python_for_everybody  # noqa: E402 - tests/run.py knows how to become another user

LESSON = """FROM minirt/base
RUN mkdir /d && echo one > /d/a && chmod 600 /d/a && echo two > /d/b && mkdir /d/e && echo x > /d/e/x
RUN rm /d/b && rm -r /d/e && mkdir /d/e && echo y > /d/e/y && echo three > /d/c && chown 7:8 /d/c
"""
FILL = f"""
import json, sys
from minirt.engine import Engine
with Engine(sys.argv[1], **json.loads(sys.argv[2])) as engine:
    image = engine.images.build(text={LESSON!r}, tag="lesson:1", source_date_epoch=1)
    print(engine.containers.run("lesson:1", ["true"], remove=True).decode())
"""
LEARN = """
import json, os, sys
from minirt.engine import Engine
from minirt.errors import ImageShared
home, shared, forced = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
def lies(engine, where):
    return sorted(path.name for path in (engine.home / where).glob("*") if path.is_dir() and not path.is_symlink())
with Engine(home, shared_stores=shared, **forced) as engine:
    found = {"chosen": [engine.machine.snapshotter, engine.machine.isolation]}
    found["named"] = [tag for image in engine.images.list() for tag in image.tags]
    words = "cat /d/a /d/c; ls /d; ls /d/e; echo more >> /d/c; rm /d/a; tail -n 1 /d/c; ls /d"
    found["out"] = engine.containers.run("lesson:1", ["sh", "-c", words], remove=True).decode()
    found["ran"] = {where: lies(engine, where) for where in ("layers", "chains", "blobs/sha256")}
    found["ran"]["blobs/sha256"] = os.listdir(engine.home / "blobs/sha256")
    text = "FROM lesson:1\\nRUN rm /d/a && echo mine > /d/mine\\nRUN rm -r /d/e && echo c > /d/c\\n"
    found["id"] = engine.images.build(text=text, tag="own:1", source_date_epoch=1).id
    found["own"] = engine.containers.run("own:1", ["sh", "-c", "cat /d/c; ls /d"], remove=True).decode()
    try:
        engine.images.remove("lesson:1", force=True)
    except ImageShared as error:
        found["refused"] = error.what
    except Exception as error:
        found["refused"] = repr(error)
    engine.images.remove("own:1")
    engine.images.prune(all=True)
    engine.images.prune_builds(all=True)
    found["left"] = [tag for image in engine.images.list() for tag in image.tags]
    found["again"] = engine.containers.run("lesson:1", ["cat", "/d/a"], remove=True).decode()
print(json.dumps(found))
"""
OUT = "one\nthree\na\nc\ne\ny\nmore\nc\ne\n"


class Machine:
    """Who runs: this process's user, or nobody with one id (``other``), or nobody in a pod."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        changes = kind != "here" and os.geteuid() == 0
        python = _python_for_everybody() if changes else sys.executable
        if python is None or (kind == "pod" and shutil.which("proot") is None):
            pytest.skip("no Python of this version that other users may run, or no proot")
        self.python, self.user = python, NOBODY if changes else os.geteuid()

    def run(self, script: str, *arguments: str) -> str:
        entry = [self.python, str(TESTS / "pod.py"), "--user", str(self.user)] if self.kind == "pod" else []
        changes = self.kind == "other" and self.user != os.geteuid()
        who = {"user": self.user, "group": self.user, "extra_groups": []} if changes else {}
        purelib = next(path for path in sys.path if path.endswith("site-packages"))
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{TESTS.parent}:{purelib}", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [*entry, self.python, "-c", script, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd="/", check=False, **who)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def room(self, where: Path) -> Path:
        where.mkdir(mode=0o755)
        if self.user != os.geteuid():
            os.chown(where, self.user, self.user)
        return where / "home"


def _everything(home: Path) -> list[tuple[object, ...]]:
    """What lies there, to the last link and time: reading a file is the one thing that leaves no trace."""
    found = [(str(path), path.lstat()) for path in sorted(home.rglob("*"))]
    return [(name, one.st_ino, one.st_mode, one.st_nlink, one.st_size, one.st_ctime_ns) for name, one in found]


def _fill(machine: Machine, home: Path, forced: str) -> None:
    """And wait for the one who keeps its network a moment longer: he takes his own note away when he goes."""
    machine.run(FILL, str(home), forced)
    deadline = time.monotonic() + 20
    while (home / "cache/network-keeper.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _learn(machine: Machine, home: Path, shared: list[str], **forced: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(machine.run(LEARN, str(home), json.dumps(shared), json.dumps(forced)))
    return found


@pytest.mark.parametrize(
    ("kind", "forced"), [("here", {}), ("here", {"snapshotter": "copy"}), ("other", {}), ("pod", {})]
)
def test_images_of_a_shared_store_are_used_where_they_lie(kind: str, forced: dict[str, str], open_path: Path) -> None:
    """List, run, build upon, refuse to remove; neither blob nor unpacked file is copied, and nothing changes there."""
    machine = Machine(kind)
    shared = machine.room(open_path / "shared")
    _fill(machine, shared, json.dumps(forced))
    before = _everything(shared)
    found = _learn(machine, machine.room(open_path / "learner"), [str(shared)], **forced)
    assert found["out"] == OUT
    if _several_ids(found):
        pytest.skip("a range of ids is granted to this user: what others unpacked cannot be used, and is not")
    assert found["ran"] == {"layers": [], "chains": [], "blobs/sha256": []}
    assert sorted(found["named"]) == sorted(found["left"]) == ["lesson:1", "minirt/base:latest"]  # type: ignore[call-overload]
    assert (found["own"], found["again"]) == ("c\nc\nmine\n", "one\n")
    assert "lesson:1" in str(found["refused"]) and str(shared) in str(found["refused"])
    assert _everything(shared) == before


def _several_ids(found: dict[str, object]) -> bool:
    return bool(os.geteuid()) and bool(found["ran"]["layers"])  # type: ignore[index]


@pytest.mark.parametrize("kind", ["other", "pod"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root fills a store that is another's")
def test_what_another_user_unpacked_is_unpacked_once_more(kind: str, open_path: Path) -> None:
    """Its blobs serve everybody; its trees belong to root, so an ordinary user takes none of them."""
    filler, learner = Machine("here"), Machine(kind)
    shared = filler.room(open_path / "shared")
    _fill(filler, shared, "{}")
    before = _everything(shared)
    found = _learn(learner, learner.room(open_path / "learner"), [str(shared)])
    assert (found["out"], found["ran"]["blobs/sha256"]) == (OUT, [])  # type: ignore[index]
    assert len(found["ran"]["layers"]) == 3  # type: ignore[index]
    assert found["id"] == _learn(filler, filler.room(open_path / "usual"), [str(shared)])["id"]
    assert _everything(shared) == before
