"""The whole thing in real containers of a real engine, as its users get it: an image of the Dockerfile, no privilege.

Needs Docker and the Dockerfile's base image on this machine. ``MINIRT_TEST_BASE`` names another base image;
``MINIRT_TEST_BUILD`` has further words for ``docker build``, such as ``--network=host``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.append(str(HERE.parent / "engine"))

from test_engine_pod import SMOKE  # noqa: E402 - what a pod must be able to do

pytestmark = pytest.mark.peer
POD = ("--user=1000", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1g")
PLAIN_ROOT = ("--user=0", "--env=HOME=/root")
BASE = re.search(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.M)[1]  # type: ignore[index]


def _docker(*words: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], input=text, capture_output=True, text=True, check=check)


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """The image of the Dockerfile, built by the engine."""
    if shutil.which("docker") is None or _docker("version", check=False).returncode:
        pytest.skip("no Docker engine answers here")
    base = os.environ.get("MINIRT_TEST_BASE", BASE)
    if _docker("image", "inspect", base, check=False).returncode:
        pytest.skip(f"the engine has no image {base}: docker pull {base}")
    name = f"minirt-lab-test-{secrets.token_hex(4)}"
    words = os.environ.get("MINIRT_TEST_BUILD", "").split()
    if base != BASE:
        words.append(f"--build-context={BASE}=docker-image://{base}")
    _docker("build", "--quiet", *words, "--tag", name, str(ROOT))
    yield name
    _docker("rmi", name, check=False)


def _python(image: str, program: str, *arguments: str, options: tuple[str, ...]) -> str:
    done = _docker("run", "--rm", "-i", *options, image, "python", "-", *arguments, text=program, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
def test_the_simulated_pod_refuses_what_a_real_one_refuses(lab: str) -> None:
    """tests/pod.py is true: every call says the same there and behind the engine's default profile."""
    program = (HERE / "calls.py").read_text()
    real = json.loads(_python(lab, program, options=POD))
    entry = [sys.executable, str(HERE.parent / "pod.py"), "--user", str(os.geteuid() or 1000)]
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    done = subprocess.run([*entry, python, "-"], input=program, capture_output=True, text=True, check=True, cwd="/")
    assert json.loads(done.stdout) == real


def test_a_pod_and_a_root_without_rights_make_the_same_images(lab: str) -> None:
    """Build, run, exec, diff, commit: with owners kept on the side, and with real ones; nothing is left behind."""
    pod, root = (
        json.loads(_python(lab, SMOKE, "/tmp/home", "{}", options=options).splitlines()[-1])
        for options in (POD, PLAIN_ROOT)
    )
    assert pod == {**root, "diff": pod["diff"]}
    assert pod["chosen"] == ["copy", "proot"]
    assert (pod["out"], pod["exec"], pod["kept"], pod["owner"], pod["left"]) == ("hi\n0\n", [4], "n\n", [[3, 4]], [])


def test_a_container_in_a_pod_lives_as_elsewhere(lab: str) -> None:
    """A terminal, a detached one with a port, logs, and its end; afterwards no process and no file of it is left."""
    script = """
set -e
minirt run --rm -t minirt/base sh -c 'test -t 1 && echo a terminal'
minirt run -d --name web -p 8000:8000 minirt/base sh -c 'sleep 300' > /dev/null
minirt exec web sh -c 'echo in $HOSTNAME > /note; cat /note' | cut -c1-3
minirt run --rm -v /tmp:/host:ro minirt/base sh -c 'cat /host/kept; echo x 2>/dev/null > /host/kept || echo kept' \
    || echo refused
minirt rm -f web
ls /tmp
for one in /proc/[0-9]*; do cat $one/comm; done 2>/dev/null | grep -c -e proot -e mrt: || true
"""
    command = ["sh", "-c", f"echo here > /tmp/kept; {script}"]
    done = _docker("run", "--rm", *POD, lab, *command, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert [line.strip() for line in lines[:2]] == ["a terminal", "in"]
    assert lines[2:4] == ["here", "kept"] or "refused" in lines
    assert [line.strip() for line in lines[-4:]] == ["web", "kept", "0", ""]


def test_a_notebook_runs_in_a_pod(lab: str) -> None:
    """The first chapter, as Jupyter runs it there, within the pod's gigabyte."""
    notebook = "/home/learner/minirt/notebooks/01-images-and-layers.ipynb"
    command = ["jupyter", "nbconvert", "--to", "notebook", "--execute", "--stdout", notebook]
    done = _docker("run", "--rm", *POD, "--env=MINIRT_LIVE=0", lab, *command, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads(done.stdout)["cells"]
    assert not [out for cell in cells for out in cell.get("outputs", ()) if out["output_type"] == "error"]
