"""What works on every system: run by elsewhere.py, with an image archive as its argument. Prints a line a thing."""

from __future__ import annotations

import importlib
import io
import pkgutil
import sys
import tarfile
from pathlib import Path

DOCKERFILE = "from alpine AS one\nRUN echo hello > /a\nFROM one\nCOPY --from=one /a /b\n"
ROOMS = ("minirt.model", "minirt.dockerfile", "minirt.views", "minirt.layers", "minirt.registry")
ALSO = ("minirt", "minirt.errors", "minirt.cli", "minirt.cli.terminal", "minirt.engine", "minirt_kernel")


def main(arguments: list[str], *, rehearsal: bool) -> None:
    for name in (*ALSO, *ROOMS):
        importlib.import_module(name)
    for room in ROOMS:
        package = importlib.import_module(room)
        for found in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(found.name)
    _dockerfile()
    _layer()
    _picture()
    _words()
    _archive(Path(arguments[0]), rehearsal)
    print("rehearsed" if rehearsal else f"done on {sys.platform}")


def _dockerfile() -> None:
    from minirt.dockerfile import parse
    from minirt.dockerfile.checks import Subject, check
    from minirt.model.platform import Platform

    findings = check(Subject(parse(DOCKERFILE), target=Platform("linux", "amd64")))
    print("checked:", ", ".join(finding.name for finding in findings))


def _layer() -> None:
    from minirt.layers.entries import read_entries
    from minirt.layers.streams import decompress

    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("etc/.wh.secret"))
    tar.seek(0)
    [entry] = read_entries(decompress(tar, "application/vnd.oci.image.layer.v1.tar+gzip"))
    print("read:", entry.path, entry.whiteout)


def _picture() -> None:
    from minirt.views.bundle import mimebundle
    from minirt.views.layers_view import layers_graph

    bundle = mimebundle(layers_graph([]), final=True)
    assert "<svg" in bundle["image/svg+xml"]
    print("drawn:", "image/svg+xml")


def _words() -> None:
    from minirt.cli import help_for

    assert "--tag" in help_for(["build", "--tag"])
    print("explained: build")


def _archive(archive: Path, rehearsal: bool) -> None:
    import minirt
    from minirt.errors import Unsupported

    try:
        with minirt.Engine(archive.parent / f"home-{rehearsal}") as engine, archive.open("rb") as stream:
            [image] = engine.images.load(stream)
            for layer in image.layers:
                assert image.entries(layer)
            print("loaded:", *image.tags, len(image.history()))
            if not rehearsal:
                engine.containers.run(image.tags[0], ["true"])
    except Unsupported as error:
        print("refused:", error.explain().replace("\n", " "))
