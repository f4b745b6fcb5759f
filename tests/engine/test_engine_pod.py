"""The whole way in a simulated pod: no privilege, no namespaces, and yet build, run, exec, commit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.append(str(TESTS))

from run import NOBODY, _python_for_everybody  # noqa: E402 - tests/run.py knows how to become another user

DOCKERFILE = """FROM minirt/base AS one
RUN mkdir /d && echo hi > /d/f && ln /d/f /d/g && chmod 700 /d
FROM minirt/base
COPY --from=one --chown=7:8 /d /e
RUN rm /e/f && rm -rf /mnt && mkdir /mnt && echo x > /mnt/x
RUN mkdir -p /o/d && echo s > /o/s && chmod 4755 /o/s && chown 7:8 /o/s && echo t > /o/t && chown 9 /o/t \
 && echo y > /o/d/y && chmod 444 /o/d/y && cd /o && chown -R 65534:1000 d && chmod 777 . && chown 0:0 /etc/passwd
USER 1000:5
RUN mkdir /o/mine && id -u > /o/mine/id && mv /o/s /o/mine && echo more >> /o/mine/id
CMD ["sh", "-c", "cat /e/g; id -u"]
"""
SMOKE = f"""
import json, sys, tarfile, time
from minirt.engine import Engine
home, forced = sys.argv[1], json.loads(sys.argv[2])
with Engine(home, **forced) as engine:
    found = {{"chosen": [engine.machine.snapshotter, engine.machine.isolation]}}
    image = engine.images.build(text={DOCKERFILE!r}, tag="t", source_date_epoch=1)
    found["id"], found["layers"] = image.id, [str(layer.diff_id) for layer in image.layers[1:]]
    found["out"] = engine.containers.run("t", user="0", remove=True).decode()
    box = engine.containers.run("t", ["sh", "-c", "sleep 100"], user="0", detach=True)
    found["exec"] = [box.exec_run(["sh", "-c", "echo n > /new; exit 4"])[0]]
    box.exec_run(["sh", "-c", "chown 3:4 /new"])
    box.stop(timeout=1)
    found["diff"] = [[row["Path"], row["Kind"]] for row in box.diff()]
    committed = box.commit("t2")
    with tarfile.open(engine.store.path(committed.layers[-1].descriptor.digest)) as layer:
        found["owner"] = [(one.uid, one.gid) for one in layer if one.name == "new"]
    box.remove()
    found["kept"] = engine.containers.run("t2", ["cat", "/new"], user="0", remove=True).decode()
    found["left"] = [path.name for path in (engine.home / "tmp").iterdir()]
print(json.dumps(found))
"""

# Each in a directory of its own, so that one step makes them all.
KEPT = (
    "cp -a f g", "mv f g", "ln f g && chown 7:8 g", "echo y > f", "chmod 4711 f", "chmod 6755 f && chown 7:8 f",
    "chmod 2755 d && chown 7:8 d", "rm f && echo y > f", "echo y > g && mv g f", "chown 0:0 f", "cp -a d e",
    "chown -R 7:8 .",
)  # fmt: skip
LOST = (
    "cp -p f g",
    "tar cf - f | tar xf - -C d",
    "sed -i s/x/y/ f",
    "ln -s f l && chown -h 7:8 l",
    "mkfifo p && chown 7 p",
)
OWNERS = """
import json, sys, tarfile
from minirt.engine import Engine
home, forced, steps = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
with Engine(home, **forced) as engine:
    text = "FROM minirt/base\\nWORKDIR /w\\n"
    for number, words in enumerate(steps):
        each = "".join(
            f" && mkdir -p {number}{at}/d && cd {number}{at} && echo x > f && chown -R 5:6 . && {what} && cd /w"
            for at, what in zip("abcdefghijkl", words)
        )
        text += f"RUN true{each}\\n"
    *_, kept, lost = engine.images.build(text=text, source_date_epoch=1).layers
    with tarfile.open(engine.store.path(lost.descriptor.digest)) as layer:
        owners = {one.name: [one.uid, one.gid] for one in layer}
print(json.dumps({"kept": str(kept.diff_id), "lost": owners}))
"""


# The home lies on an overlayfs, as in a container of docker; the mount goes with its namespace.
UPON_OVERLAY = """
set -e
home=$1; shift
for name in lower upper work; do mkdir $home/../$name; done
chown --reference=$home $home/../upper
mount -t overlay overlay -o lowerdir=$home/../lower,upperdir=$home/../upper,workdir=$home/../work $home
exec "$@"
"""


def _smoke(
    home: Path,
    *words: str,
    pod: bool = False,
    as_root: bool = False,
    other: bool = False,
    union: bool = False,
    script: str = SMOKE,
    **forced: str,
) -> dict[str, object]:
    changes = (pod or other) and os.geteuid() == 0
    python = _python_for_everybody() if changes else sys.executable
    if python is None:
        pytest.skip("no Python of this version that other users may run")
    home.mkdir(mode=0o755)
    user = 0 if as_root else NOBODY if os.geteuid() == 0 else os.geteuid()
    if pod or other:
        os.chown(home, user, user)
    purelib = next(path for path in sys.path if path.endswith("site-packages"))
    command = [python, "-c", script, str(home / "home"), json.dumps(forced), *words]
    entry = [python, str(TESTS / "pod.py"), "--user", str(user)] if pod else []
    if union:
        entry = ["unshare", "-m", "sh", "-c", UPON_OVERLAY, "sh", str(home), *entry]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{TESTS.parent}:{purelib}", "PYTHONDONTWRITEBYTECODE": "1"}
    who = {"user": user, "group": user, "extra_groups": []} if other and changes else {}
    done = subprocess.run([*entry, *command], capture_output=True, text=True, env=env, cwd="/", check=False, **who)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(shutil.which("proot") is None, reason="proot is not installed")
def test_a_pod_builds_runs_and_commits_the_same_images(open_path: Path) -> None:
    """Chosen by itself, with the same ids that overlay and namespaces give, and nothing left lying about."""
    pod = _smoke(open_path / "pod", pod=True)
    assert pod["chosen"] == ["copy", "proot"]
    assert (pod["out"], pod["exec"], pod["kept"]) == ("hi\n0\n", [4], "n\n")
    assert ["/new", 1] in pod["diff"]  # type: ignore[operator]
    assert pod["left"] == []
    usual = _smoke(open_path / "usual")
    assert (pod["id"], pod["layers"]) == (usual["id"], usual["layers"])
    assert pod["owner"] == usual["owner"] == [[3, 4]]


@pytest.mark.skipif(shutil.which("proot") is None, reason="proot is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts what a pod's home lies on")
def test_a_pod_whose_home_is_an_overlay_makes_the_same_images(open_path: Path) -> None:
    """The kernel lets nobody make a whiteout upon an overlayfs; what is deleted stays deleted all the same."""
    pod = _smoke(open_path / "pod", pod=True, union=True)
    usual = _smoke(open_path / "usual")
    assert (pod["id"], pod["layers"], pod["kept"]) == (usual["id"], usual["layers"], usual["kept"])


@pytest.mark.skipif(shutil.which("proot") is None, reason="proot is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be root of a plain container")
def test_root_of_a_plain_container_makes_the_same_images(open_path: Path) -> None:
    """It may not mount, but it may give files away, and they keep their owners for real."""
    plain = _smoke(open_path / "plain", pod=True, as_root=True)
    assert plain["chosen"] == ["copy", "proot"]
    usual = _smoke(open_path / "usual")
    assert (plain["id"], plain["layers"]) == (usual["id"], usual["layers"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can compare with an ordinary user")
def test_an_ordinary_user_with_one_id_makes_the_same_images(open_path: Path) -> None:
    """Owners are kept on the side: those of files given away, and of what USER's programs made."""
    one = _smoke(open_path / "one", other=True)
    assert one["chosen"] in (["overlay", "namespaces"], ["copy", "namespaces"])
    usual = _smoke(open_path / "usual")
    assert (one["id"], one["layers"], one["owner"]) == (usual["id"], usual["layers"], [[3, 4]])


def test_copies_work_where_namespaces_do_too(open_path: Path) -> None:
    """The two choices are independent: a copied root in namespaces gives the same image again."""
    copied = _smoke(open_path / "copied", snapshotter="copy")
    usual = _smoke(open_path / "usual")
    assert {**copied, "chosen": None} == {**usual, "chosen": None}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps owners for real, to compare with")
def test_owners_on_the_side_follow_their_files(open_path: Path) -> None:
    """Copies with attributes, renames, links, setuid bits and files made anew end as they do for root.

    What a program makes itself after it asked for the owner does not: it is told that the owner is root.
    """
    steps = json.dumps([KEPT, LOST])
    usual = _smoke(open_path / "usual", steps, script=OWNERS)
    wrong = {"w/1a/g", "w/1b/d/f", "w/1c/f", "w/1d/l", "w/1e/p"}
    for name in ("one", "pod"):
        found = _smoke(open_path / name, steps, script=OWNERS, other=name == "one", pod=name == "pod")
        assert found["kept"] == usual["kept"]
        theirs, ours = usual["lost"], found["lost"]
        assert isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys()
        assert {path for path in theirs if ours[path] != theirs[path]} == wrong
        assert {tuple(ours[path]) for path in wrong} == {(0, 0)}
