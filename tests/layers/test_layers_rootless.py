"""Layers inside a user namespace with one id, where minirt works for users without subordinate ids."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Run inside the namespace: changes on a real overlay mount, packed, unpacked in both forms, and mounted again.
SCRIPT = """
import io, os, stat, subprocess, sys, tarfile
from pathlib import Path
from minirt.layers.apply import apply
from minirt.layers.changes import changes
from minirt.layers.entries import read_entries
from minirt.layers.pack import pack
from minirt.layers.styles import *
from minirt.testing.trees import tree_of

where = Path(sys.argv[1])
form = {"whiteouts": OverlayUser(), "owners": SideOwners()}

def mount(name, lowers, upper=None):
    merged = where / name
    merged.mkdir()
    options = "userxattr,lowerdir=" + ":".join(map(str, lowers))
    if upper:
        (where / (name + "-work")).mkdir()
        options += f",upperdir={upper},workdir={where / (name + '-work')}"
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], capture_output=True, text=True)
    if done.returncode:
        print("SKIP", done.stderr.strip())
        sys.exit(0)
    return merged

def seen(root):
    return {path: node for path, node in tree_of(root).items() if path}

# A lower layer with owners that this namespace does not have, and a device that it may not make.
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w") as tar:
    for name, owner in (("etc/", 0), ("etc/shadow", 42), ("null", 0), ("var/", 7), ("var/a", 0), ("var/b", 0),
                        ("locked", 0), ("old/", 0), ("old/x", 0)):
        kind = tarfile.DIRTYPE if name[-1] == "/" else tarfile.CHRTYPE if name == "null" else tarfile.REGTYPE
        info = tarfile.TarInfo(name)
        info.type, info.uid, info.gid, info.devmajor, info.devminor = kind, owner, owner, 1, 3
        info.mode = 0o000 if name == "locked" else 0o2755 if kind == tarfile.DIRTYPE else 0o640
        tar.addfile(info)
out.seek(0)
lower, upper = where / "lower", where / "upper"
lower.mkdir(); upper.mkdir()
result = apply(out, lower, lowers=(), **form)
assert result.skipped == ("null",), result

merged = mount("merged", [lower], upper)
(merged / "var/a").unlink()
(merged / "etc/shadow").write_text("changed")
subprocess.run(["rm", "-r", merged / "old"], check=True)
(merged / "old").mkdir()
(merged / "locked").chmod(0)
os.setxattr(merged / "locked", "user.x", b"y")
wanted = seen(merged)

first = io.BytesIO()
packed = pack(changes(upper, lowers=[lower], **form), upper, first)
assert {w.path: w.opaque for w in packed.whiteouts} == {"var/a": False, "old": True}, packed
members = {e.path: e for e in read_entries(io.BytesIO(first.getvalue()))}
assert (members["etc/shadow"].uid, members["var"].uid, members["locked"].uid) == (42, 7, 0), members
again = where / "again"
again.mkdir()
first.seek(0)
apply(first, again, lowers=[lower], **form)
assert seen(mount("twice", [again, lower])) == wanted
plain = where / "plain"
plain.mkdir()
for tar in (out, first):
    tar.seek(0)
    apply(tar, plain, whiteouts=Plain(), owners=SideOwners())
assert seen(plain) == wanted
print("DONE")
"""


def test_layers_work_in_a_namespace_of_one_id(tmp_path: Path) -> None:
    """Whiteouts, foreign owners, devices and unreadable files, on overlayfs mounted with userxattr."""
    if shutil.which("unshare") is None:
        pytest.skip("the unshare program is not installed")
    tmp_path.chmod(0o755)
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let this user make user namespaces")
    done = subprocess.run(
        [*inside, sys.executable, "-c", SCRIPT, tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith("SKIP"):
        pytest.skip(f"overlayfs cannot be mounted in a user namespace here: {done.stdout[5:]}")
    assert done.stdout == "DONE\n"
