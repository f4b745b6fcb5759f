"""Write what must come out of a case, as docker's BuildKit says it: ``python record.py NAME …``.

The inputs in ``case.json`` stay; with ``peer`` false, it is what minirt makes. Where docker refuses, what minirt says
goes in as the error, to be read before it is committed. What minirt makes differently is told, and nothing is written
then.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cases
import docker_peer
import unpacked

from minirt.build.request import BuildRequest
from minirt.engine import Engine
from minirt.errors import MinirtError

OUTCOMES = ("files", "config", "history", "error")


def record(engine: Engine, name: str) -> str:
    """The differences; "" if there are none, and then the case is written."""
    said = cases.load(name)
    dockerfile = cases.ROOT / name / "Dockerfile"
    with tempfile.TemporaryDirectory() as where:
        context = cases.stage(name, Path(where))
        alone = said.get("peer") is False
        theirs = None if alone else docker_peer.build(dockerfile, context, said)
        request = BuildRequest(
            dockerfile.read_bytes(), context=context / said.get("below", ""), **cases.fields(said, context)
        )
        ours: unpacked.Unpacked | MinirtError
        try:
            image = engine.builder.build(request, lambda event: None).image_id
            ours = unpacked.unpack(engine.images.get(str(image)).save(named=False))
        except MinirtError as error:
            ours = error
    kept = {key: value for key, value in said.items() if key not in OUTCOMES}
    if isinstance(theirs, docker_peer.Refused):
        if not isinstance(ours, MinirtError):
            return f"docker refuses: {theirs.message}"
        print(f"== {name}\n-- docker: {_shortened(theirs.message)}\n-- minirt: {ours.explain()}")
        _write(name, {**kept, "error": said.get("error", ours.what)})
        return ""
    if theirs is None:
        if isinstance(ours, MinirtError):
            _write(name, {**kept, "error": ours.what})
        else:
            _write(name, {**kept, **_outcome(_base(engine, said), ours)})
        return ""
    if isinstance(ours, MinirtError):
        return f"docker builds it, but: {ours.explain()}"
    told = _told(ours, theirs)
    if not told:
        _write(name, {**kept, **_outcome(_base(engine, said), theirs)})
    return told


def _base(engine: Engine, said: dict[str, Any]) -> unpacked.Unpacked:
    if said.get("base") == "scratch":
        return unpacked.Unpacked({"history": []}, {}, {})
    return unpacked.unpack(engine.images.get("minirt/base").save(named=False))


def _shortened(message: str) -> str:
    return message.strip().rpartition("\n")[2]


def _told(ours: unpacked.Unpacked, theirs: unpacked.Unpacked) -> str:
    lines = []
    for what, left, right in (
        ("file", ours.files, theirs.files),
        ("time", ours.old_times(), theirs.old_times()),
        ("config", _flat(ours.plain_config()), _flat(theirs.plain_config())),
        ("history", dict(enumerate(ours.history())), dict(enumerate(theirs.history()))),
        ("links", dict.fromkeys(ours.links, "one"), dict.fromkeys(theirs.links, "one")),
    ):
        for key in {**left, **right}:
            if left.get(key) != right.get(key):
                lines.append(f"{what} {key}:\n   minirt {left.get(key)}\n   docker {right.get(key)}")
    return "\n".join(lines)


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in config.items() if key != "config"}, **config["config"]}


def _outcome(base: unpacked.Unpacked, image: unpacked.Unpacked) -> dict[str, Any]:
    shown = image.history()[len(base.config["history"]) :]
    return {
        "files": dict(sorted(unpacked.difference(base, image).items())),
        "config": image.plain_config()["config"],
        "history": [("(empty) " if one.get("empty_layer") else "") + one["created_by"] for one in shown],
    }


def _write(name: str, said: dict[str, Any]) -> None:
    text = json.dumps(said, indent=1, ensure_ascii=False)
    if text.encode(errors="replace").decode() != text:
        text = json.dumps(said, indent=1)  # a name that is not UTF-8
    (cases.ROOT / name / "case.json").write_text(text + "\n", encoding="utf-8")


def main(names: list[str]) -> int:
    with tempfile.TemporaryDirectory() as home, Engine(Path(home)) as engine:
        engine.image_store.base()
        docker_peer.docker("load", input=b"".join(engine.images.get("minirt/base").save()), check=True)
        worse = False
        for name in names:
            if told := record(engine, name):
                print(f"!! {name}\n{told}", flush=True)
                worse = True
    return worse


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or cases.names()))
