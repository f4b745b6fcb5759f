"""The base image, from this machine's programs and from a busybox; and the reading of ELF files that it needs."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from minirt.errors import Unsupported
from minirt.images import ImageStore, StoredImage
from minirt.images.base import BASE, BaseImage
from minirt.images.elf import read_elf
from minirt.images.libraries import Libraries, Missing
from minirt.images.recipe import RECIPE_DATE
from minirt.store import Store

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHELL = os.path.realpath("/bin/sh")


def members(images: ImageStore, image: StoredImage) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(images.store.path(image.manifest.layers[0].digest)) as tar:
        return {member.name: member for member in tar.getmembers()}


def unpacked(images: ImageStore, image: StoredImage, where: Path) -> Path:
    with tarfile.open(images.store.path(image.manifest.layers[0].digest)) as tar:
        tar.extractall(where, filter="tar")
    return where


def test_made_once_and_found_afterwards(images):
    """The first use makes it; the next only looks, and writes nothing."""
    image = images.get("minirt/base")
    index = images.store.home / "index.json"
    before = index.stat()
    assert images.get("docker.io/minirt/base:latest").id == image.id
    assert (index.stat().st_ino, index.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert image.tags == ("minirt/base:latest",) and image.config.config.cmd == ("sh",)
    assert image.config.config.environment()["PATH"].startswith("/usr/local/sbin:")
    assert images.history("minirt/base")[0].created_by == 'CMD ["sh"]'


def test_small_root_owned_and_whole(images):
    """Less than 15 MB; everything is root's, of one date, and no link leads out of the image."""
    found = members(images, images.base())
    assert sum(member.size for member in found.values()) < 15_000_000
    assert {(member.uid, member.gid, member.mtime) for member in found.values()} == {(0, 0, RECIPE_DATE)}
    assert list(found) == sorted(found)
    for path, member in found.items():
        assert not member.mode & 0o6000, path
        if member.issym():
            target = os.path.normpath(os.path.join("/", os.path.dirname(path), member.linkname)).lstrip("/")
            assert target in found, f"{path} -> {member.linkname}"
    assert found["tmp"].mode == 0o1777 and found["root"].mode == 0o700
    for name in ("etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf", "etc/os-release", "proc", "sys", "dev"):
        assert name in found


def test_the_same_machine_gives_the_same_image(images, other):
    """Two homes get the same image, bit by bit."""
    assert other().base().descriptor == images.base().descriptor


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")
def test_its_programs_run(images, tmp_path):
    """Inside the image and nothing else, its shell and utilities do their work."""
    root = unpacked(images, images.base(), tmp_path / "root")
    script = """set -e
        cd /tmp; echo hello > a; cp a b; ln -s a c; mkdir -p d/e; mv b d/e/; ls /; id; whoami; uname; date; hostname
        printf '%s\\n' c b a | sort | uniq | head -2 | tail -1 | tr b B; seq 3 | wc -l; grep -c ell a; sed s/h/j/ a
        find d -type f | xargs cat; stat -c %a a; readlink c; sha256sum a | cut -c1-8; basename /x/y; dirname /x/y
        awk 'BEGIN { print 6 * 7 }'; tar cf t.tar a d; rm -r a d; tar xf t.tar; cat a; env | grep -c PATH; [ 1 -eq 1 ]
        dd if=/etc/passwd of=p bs=16 count=1 2>/dev/null; du -s d; touch x; chmod 600 x; chown 1:1 x; mktemp; sleep 0
        test -e x; true; tee y < x; ps; mount; gzip y; cat /usr/share/minirt/README"""
    enter = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /bin/sh -c "$1"'
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", enter, root, script], capture_output=True, text=True, env={"PATH": PATH}
    )
    assert ran.returncode == 0, ran.stderr
    for word in ("root", "B", "42", "jello", "copied from"):
        assert word in ran.stdout


def test_an_image_the_user_named_so_is_left_alone(images, make):
    """Who gives another image the name minirt/base keeps it."""
    mine = make({"a": b"a"}, names=("mine",))
    images.tag("mine", BASE)
    assert images.get("minirt/base").id == mine.id


def test_it_comes_back_after_being_removed(images):
    """Removed, it is made again at its next use."""
    first = images.base()
    assert images.remove("minirt/base").deleted == (first.id,)
    assert images.list() == ()
    assert images.get("minirt/base").id == first.id


def a_machine(root: Path, *programs: str) -> Path:
    """A small machine: a few programs of this one with what they need, in another directory."""
    libraries = Libraries()
    for name in ("bin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    (root / "etc").mkdir(exist_ok=True)
    if os.path.exists("/etc/ld.so.cache"):
        shutil.copy("/etc/ld.so.cache", root / "etc")
    for program in programs:
        real = os.path.realpath(program)
        for path in (program, real, *libraries.closure(real)):
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy2(path, target)
    return root


def test_made_anew_when_its_sources_change(images, tmp_path):
    """A program that is updated, added or removed shows in the image at its next use."""
    machine = a_machine(tmp_path / "machine", "/bin/sh", "/bin/ls")
    base = BaseImage(images.store, machine)
    first = base.ensure()
    assert base.ensure() == images.store.resolve(BASE) and base.ensure().digest == first.digest
    os.utime(machine / SHELL.lstrip("/"), (1, 1))
    assert base.ensure().digest == first.digest  # made anew, the same
    a_machine(machine, "/bin/cat")
    second = base.ensure()
    assert second.digest != first.digest
    (machine / "bin/cat").unlink()
    assert base.ensure().digest == first.digest


def test_a_machine_without_a_shell(images, tmp_path):
    """A machine that has nothing to take along is told what to install."""
    with pytest.raises(Unsupported, match="no shell") as caught:
        BaseImage(images.store, a_machine(tmp_path, "/bin/ls")).ensure()
    assert "busybox" in caught.value.hint


def test_a_library_is_missing(images, tmp_path):
    """A program whose library is not there is left out; a shell without its library is an error."""
    machine = a_machine(tmp_path, "/bin/sh")
    for path in Libraries().closure(SHELL):
        if "libc" in path:
            (machine / path.lstrip("/")).unlink()
    with pytest.raises(Unsupported, match="no shell") as caught:
        BaseImage(images.store, machine).ensure()
    assert "libc" in caught.value.cause


COMPILER = shutil.which("gcc") or shutil.which("cc")

BUSYBOX = r"""
#include <stdio.h>
#include <string.h>
int main(int count, char **words) {
    int list = count > 1 && !strcmp(words[1], "--list-full");
    puts(list ? "bin/sh\nbin/ls\nsbin/ip\nusr/bin/env\nlinuxrc" : words[0]);
    return 0;
}
"""


@pytest.fixture
def busybox(tmp_path: Path) -> Callable[[Path], Path]:
    """Puts a static busybox into a machine: the real one of this machine, or else one that only lists its applets."""

    def install(machine: Path) -> Path:
        target = machine / "bin/busybox"
        target.parent.mkdir(parents=True, exist_ok=True)
        for own in ("/bin/busybox", "/usr/bin/busybox"):
            elf = read_elf(Path(own)) if os.path.exists(own) else None
            if elf is not None and elf.interpreter is None:
                shutil.copy2(own, target)
                return machine
        if COMPILER is None:
            pytest.skip("neither a static busybox nor a C compiler is here")
        source = tmp_path / "busybox.c"
        source.write_text(BUSYBOX)
        made = subprocess.run([COMPILER, "-static", "-Os", "-o", target, source], capture_output=True)
        if made.returncode:
            pytest.skip("no static C library is here")
        return machine

    return install


def test_from_a_static_busybox(images, tmp_path, busybox):
    """With a static busybox the image is that one file, and a link for each of its commands."""
    BaseImage(images.store, busybox(tmp_path / "machine")).ensure()
    image = next(image for image in images.list() if "minirt/base:latest" in image.tags)
    found = members(images, image)
    assert found["usr/bin/sh"].linkname == "busybox" and found["usr/bin/busybox"].isreg()
    assert not any(".so" in name for name in found) and "linuxrc" not in found
    if os.geteuid() == 0:
        root = unpacked(images, image, tmp_path / "root")
        assert subprocess.run(["chroot", root, "/bin/ls"], capture_output=True).returncode == 0


def test_closures_are_those_of_the_loader():
    """For real programs the libraries found are those that the machine's own loader finds."""
    if not shutil.which("ldd"):
        pytest.skip("no ldd is here to compare with")
    for program in ("/bin/sh", "/bin/ls", "/usr/bin/find", sys.executable):
        path = os.path.realpath(program)
        elf = read_elf(Path(path))
        if elf is None or elf.interpreter is None:
            continue
        said = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        theirs = {os.path.realpath(w) for line in said.splitlines() for w in line.split() if w.startswith("/")}
        assert {os.path.realpath(p) for p in Libraries().closure(path).values()} == theirs, path


def test_what_is_no_elf_file(tmp_path):
    """Texts, scraps and damaged headers are no programs, and no errors either."""
    for name, data in {
        "text": b"#!/bin/sh\n",
        "empty": b"",
        "head": b"\x7fELF\x02\x01\x01" + bytes(9),
        "far": Path(SHELL).read_bytes()[:32] + b"\xff" * 8 + Path(SHELL).read_bytes()[40:64],
        "lies": Path(SHELL).read_bytes()[:32] + struct.pack("<Q", 1 << 60) + bytes(40),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert read_elf(tmp_path / name) is None, name


def test_a_musl_machine(tmp_path):
    """On musl, the loader is the C library, its path file names the directories, and nothing else is asked."""
    libs = {"lib/ld-musl-x86_64.so.1": elf_file(()), "opt/lib/libz.so.1": elf_file(("libc.musl-x86_64.so.1",))}
    program = elf_file(("libz.so.1", "libc.musl-x86_64.so.1"), "/lib/ld-musl-x86_64.so.1")
    for name, data in {**libs, "bin/app": program, "etc/ld-musl-x86_64.path": b"/lib\n/opt/lib\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert set(Libraries(tmp_path).closure("/bin/app")) == {"/lib/ld-musl-x86_64.so.1", "/opt/lib/libz.so.1"}
    (tmp_path / "opt/lib/libz.so.1").unlink()
    with pytest.raises(Missing, match="needs the library libz"):
        Libraries(tmp_path).closure("/bin/app")


def elf_file(needed: tuple[str, ...], interpreter: str = "") -> bytes:
    """A 64-bit ELF file with nothing in it but what it needs."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    offsets = [strings.index(name.encode() + b"\0") for name in needed]
    start = 64 + 3 * 56
    interp_at, strings_at = start, start + len(interpreter) + 1
    dynamic_at = strings_at + len(strings)
    tags = [(1, offset) for offset in offsets] + [(5, strings_at), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    end = dynamic_at + len(dynamic)
    segments = [(1, 0, end), (2, dynamic_at, len(dynamic)), (3 if interpreter else 4, interp_at, len(interpreter) + 1)]
    table = b"".join(struct.pack("<IIQQQQQQ", kind, 4, at, at, at, size, size, 8) for kind, at, size in segments)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    return head + table + interpreter.encode() + b"\0" + strings + dynamic


def test_a_stamp_that_is_damaged(images):
    """A stamp that cannot be read costs a new making, nothing else."""
    first = images.base()
    stamp = images.store.home / "cache" / "base" / "stamp.json"
    stamp.write_text("{")
    assert ImageStore(Store(images.store.home)).base().id == first.id
    assert json.loads(stamp.read_text())["digest"] == str(first.descriptor.digest)
