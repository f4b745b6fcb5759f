"""The same tests once more as ordinary users, where these tests run as root."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__)
_CHECK = "import sys, pytest, minirt; assert sys.version_info >= (3, 11)"


def _granted_user() -> int | None:
    """A user with subordinate ids, if the machine has one."""
    try:
        lines = Path("/etc/subuid").read_text().split()
    except OSError:
        return None
    for line in lines:
        name = line.split(":")[0]
        try:
            uid = int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
        if uid:
            return uid
    return None


def _own_paths() -> list[str]:
    """Where our modules are; not this interpreter's own library, as another interpreter will run."""
    library = os.path.dirname(os.__file__)
    return [
        path for path in sys.path if os.path.isabs(path) and (not path.startswith(library) or "site-packages" in path)
    ]


def _python_for(uid: int, environment: dict[str, str]) -> str:
    """A Python that this user may run and that finds our modules; root's own is often out of his reach."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            check = f"{_CHECK}; open({str(HERE)!r})"  # these tests themselves may lie where only root looks
            done = subprocess.run([python, "-c", check], user=uid, group=uid, extra_groups=[], env=environment,
                                  cwd="/", capture_output=True, check=False)  # fmt: skip
        except OSError:
            continue
        if done.returncode == 0:
            return python
    pytest.skip(f"no Python 3.11 that user {uid} may run and that finds minirt and pytest")


@pytest.mark.skipif(os.geteuid() != 0, reason="these tests already run as an ordinary user")
@pytest.mark.parametrize("ids", ["one", "many"])
def test_as_an_ordinary_user(tmp_path_factory: pytest.TempPathFactory, ids: str) -> None:
    """Everything holds in a user namespace: with a single id, and with subordinate ids."""
    uid = 65534 if ids == "one" else _granted_user()
    if uid is None:
        pytest.skip("no user of this machine has subordinate ids")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="minirt-rootless-", ignore_cleanup_errors=True) as directory:
        os.chown(directory, uid, uid)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": directory,
            "PYTHONPATH": os.pathsep.join(_own_paths()),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MINIRT_TEST_SINGLE_ID": "1" if ids == "one" else "",
        }  # fmt: skip
        python = _python_for(uid, environment)
        done = subprocess.run(
            [python, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp", f"{directory}/t", "-q", "-rs",
             "--ignore", str(HERE), str(HERE.parent), str(HERE.parent.parent / "linux")],
            user=uid, group=uid, extra_groups=[], env=environment, cwd=HERE.parent.parent.parent,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
