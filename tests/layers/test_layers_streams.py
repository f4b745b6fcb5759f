"""Compressed, damaged and unusual streams, and tars in every dialect that images carry."""

import gzip
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from minirt.errors import LayerError
from minirt.layers.apply import apply
from minirt.layers.changes import changes
from minirt.layers.entries import read_entries
from minirt.layers.pack import pack
from minirt.layers.streams import HashingReader, decompress
from minirt.layers.styles import Owners, Plain, WhiteoutStyle
from minirt.model.digest import Digest

MakeTar = Callable[..., io.BytesIO]
DATA = os.urandom(100_000) + bytes(900_000)


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time, as sockets do."""

    def __init__(self, data: bytes, piece: int = 7) -> None:
        super().__init__()
        self._inner = io.BytesIO(data)
        self._piece = piece

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(self._piece if size < 0 else min(size, self._piece))


def whole(stream: Any) -> bytes:
    parts = []
    while data := stream.read(65536):
        parts.append(data)
    return b"".join(parts)


FORMS = {
    "plain": DATA,
    "empty": b"",
    "short": b"ab",
    "gzip": gzip.compress(DATA),
    "gzip of nothing": gzip.compress(b""),
    "gzip in members": gzip.compress(DATA[:1000]) + gzip.compress(b"") + gzip.compress(DATA[1000:]),
    "gzip, padded": gzip.compress(DATA) + bytes(512),
    "zstd": zstandard.compress(DATA),
    "zstd in frames": zstandard.compress(DATA[:1000]) + zstandard.compress(DATA[1000:]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("piece", [3, 70_000])
def test_what_was_compressed_comes_out(form: str, piece: int) -> None:
    """Every form is recognised by its first bytes, whatever the pieces it comes in."""
    wanted = {"empty": b"", "short": b"ab", "gzip of nothing": b""}.get(form, DATA)
    if piece == 3 and len(FORMS[form]) > 200_000:
        piece = 300
    assert whole(decompress(Trickle(FORMS[form], piece))) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_cut_or_damaged_compressed_data_is_an_error(form: str) -> None:
    """Compressed data that ends early or was changed raises LayerError, or at least does not pass as the whole."""
    raw = FORMS[form]
    for damaged in (raw[: len(raw) // 2], raw[:5], raw[:200] + b"\xff" * 50 + raw[250:]):
        try:
            assert whole(decompress(io.BytesIO(damaged))) != DATA
        except LayerError:
            continue


def test_gzip_cut_within_a_member_is_named() -> None:
    """A gzip stream without its end says that it ends too early."""
    with pytest.raises(LayerError, match="too early"):
        whole(decompress(io.BytesIO(FORMS["gzip"][:-20])))


def test_a_hashing_reader_knows_what_went_through() -> None:
    """Digest and size of what was read."""
    reader = HashingReader(io.BytesIO(DATA))
    while reader.read(1000):
        pass
    assert (reader.size, reader.digest) == (len(DATA), Digest.of(DATA))
    reader.verify(Digest.of(DATA))


DIALECTS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_read(dialect: str) -> None:
    """Long names and links, prefixes, odd letters, big numbers: as the standard library writes them."""
    members = []
    for name in ("short", "p/" * 40 + "name", "é", *([] if dialect == "ustar" else ["l" * 150, "d/" * 130 + "deep"])):
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime, info.uid = 3, 0o4711, 1_600_000_000, 1000
        members.append(info)
    if dialect != "ustar":
        link = tarfile.TarInfo("link")
        link.type, link.linkname, link.uid = tarfile.SYMTYPE, "t" * 200, 3_000_000_000
        members.append(link)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=DIALECTS[dialect]) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(b"abc"))
    entries = list(read_entries(Trickle(out.getvalue(), 1000)))
    assert [(e.path, e.size, e.mode, e.uid, e.linkname) for e in entries] == [
        (m.name, m.size, m.mode, m.uid, m.linkname) for m in members
    ]


def test_the_standard_library_reads_what_we_write(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """Names, sizes, times and attributes of our tar, read by another hand."""
    for name in ("plain", "é" * 80, "d" * 90):
        (tmp_path / name).write_bytes(name.encode())
        os.utime(tmp_path / name, ns=(0, 1_500_000_000_123_456_000))
    (tmp_path / ("d" * 91)).mkdir()
    (tmp_path / ("d" * 91) / ("f" * 99)).write_bytes(b"prefix")
    os.setxattr(tmp_path / "plain", "user.note", b"one\ntwo=3")
    out = io.BytesIO()
    pack(changes(tmp_path, whiteouts=overlay, owners=owners), tmp_path, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        files = {m.name: (m.size, m.uname, m.gname) for m in tar if m.isreg()}
        plain = tar.getmember("plain")
    assert files == {
        "plain": (5, "", ""),
        "é" * 80: (160, "", ""),
        "d" * 90: (90, "", ""),
        f"{'d' * 91}/{'f' * 99}": (6, "", ""),
    }
    assert plain.mtime == 1_500_000_000.123456
    assert plain.pax_headers["SCHILY.xattr.user.note"] == "one\ntwo=3"


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("tar") is None, reason="tar is not installed")
def test_gnu_tar_reads_what_we_write(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """GNU tar lists our tar without a complaint."""
    (tmp_path / ("x" * 120)).write_text("long")
    (tmp_path / "\udcff\udc80").write_text("not UTF-8")
    out = io.BytesIO()
    pack(changes(tmp_path, whiteouts=overlay, owners=owners), tmp_path, out)
    done = subprocess.run(["tar", "-tf", "-", "--quoting-style=literal"], input=out.getvalue(), capture_output=True)
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.splitlines()[-2:] == [b"x" * 120, b"\xff\x80"]


def test_a_big_file_is_copied_whole(tmp_path: Path, overlay: WhiteoutStyle, owners: Owners) -> None:
    """Contents longer than every buffer come back byte for byte."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "big").write_bytes(DATA * 4)
    (tmp_path / "a" / "small").write_bytes(b"s")
    out = io.BytesIO()
    result = pack(changes(tmp_path / "a", whiteouts=overlay, owners=owners), tmp_path / "a", out)
    assert result.content_bytes == 4_000_001
    (tmp_path / "b").mkdir()
    apply(Trickle(out.getvalue(), 50_001), tmp_path / "b", whiteouts=Plain(), owners=owners)
    assert (tmp_path / "b" / "big").read_bytes() == DATA * 4
    assert (tmp_path / "b" / "small").read_bytes() == b"s"
