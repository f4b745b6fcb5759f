"""Dockerfiles in folders: what each is read as, or the whole error that it brings.

``python test_dockerfile_cases.py`` writes the expectations anew, to be read before they are committed.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from minirt.dockerfile import Dockerfile, Instruction, parse
from minirt.errors import DockerfileError

CASES = sorted((Path(__file__).parent / "cases").iterdir())


def plain(value: Any) -> Any:
    """Dataclasses as objects that name their kind; fields that have their default are left out."""
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if not dataclasses.is_dataclass(value):
        return value
    done: dict[str, Any] = {"": type(value).__name__}
    if isinstance(value, Instruction):
        lines = value.lines
        done["lines"] = str(lines[0]) if len(lines) == 1 else f"{lines[0]}-{lines[-1]}"
        if value.origin.comments:
            done["comments"] = list(value.origin.comments)
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if field.name != "origin" and (field.default is dataclasses.MISSING or content != field.default):
            done[field.name] = plain(content)
    return done


def dump(dockerfile: Dockerfile) -> dict[str, Any]:
    return {
        "directives": {name: one.value for name, one in dockerfile.directives.items()},
        "meta_args": plain(dockerfile.meta_args),
        "stages": [[plain(stage.base), *plain(stage.instructions)] for stage in dockerfile.stages],
        "warnings": [f"{one.location.line}: {one.name}: {one.message}" for one in dockerfile.warnings],
    }


def result(folder: Path) -> tuple[str, str]:
    """The name of the file of expectations, and what should be in it."""
    try:
        dockerfile = parse((folder / "Dockerfile").read_bytes())
    except DockerfileError as error:
        return "error.txt", error.explain() + "\n"
    return "expected.json", json.dumps(dump(dockerfile), indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_a_dockerfile_is_read_as_expected(folder: Path) -> None:
    """The typed instructions, or the error with its caret and its hints, are those beside the Dockerfile."""
    name, text = result(folder)
    assert (folder / name).exists(), text
    assert text == (folder / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    for case in CASES:
        file, content = result(case)
        for old in ("error.txt", "expected.json"):
            (case / old).unlink(missing_ok=True)
        (case / file).write_text(content, encoding="utf-8")
