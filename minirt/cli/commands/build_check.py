"""``build --call``: what can be said of a Dockerfile without a build (docker/buildx, commands/build.go)."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

from minirt.cli.build_flags import Call
from minirt.cli.session import Session

__all__ = ["evaluate"]


def evaluate(session: Session, call: Call, given: dict[str, Any]) -> int:
    """Print the answer; the exit code is 1 if a check found anything. Raises :class:`DockerfileError`."""
    images = session.engine.images
    stream = given.pop("fileobj", None)
    if stream is not None:  # a context on standard input is looked at more than once
        given["fileobj"] = io.BytesIO(b"".join(iter(lambda: stream.read(1 << 20), b"")))
    if call.name == "check":
        return _show_findings(session, call, given)
    if call.name == "targets":
        targets = images.targets(**given)
        rows = [["TARGET", "DESCRIPTION"], *([_target_name(one), one.description] for one in targets)]
        document: dict[str, Any] = {"targets": [one.to_json() for one in targets]}
        shown = _columns(rows, 1)
    else:
        outline = images.outline(**given)
        document = outline.to_json()
        shown = _outline(outline)
    if call.json:
        shown = _json({**document, "sources": [base64.b64encode(_read(session, given)[0]).decode()]})
    session.print(shown)
    return 0


def _read(session: Session, given: dict[str, Any]) -> tuple[bytes, str]:
    if "fileobj" in given:
        given["fileobj"].seek(0)
    found: tuple[bytes, str] = session.engine.images.read_build_file(**given)
    return found


def _outline(outline: Any) -> str:
    head = [["TARGET:", outline.name], ["DESCRIPTION:", outline.description]]
    parts = [_columns([row for row in head if row[1]], 1)]
    if outline.arguments:
        rows = [[one.name, one.value or "", one.description] for one in outline.arguments]
        parts.append(_columns([["BUILD ARG", "VALUE", "DESCRIPTION"], *rows], 3))
    for title, entries in (("SECRET", outline.secrets), ("SSH", outline.agents)):
        if entries:
            rows = [[one.name, "true" if one.required else ""] for one in entries]
            parts.append(_columns([[title, "REQUIRED"], *rows], 3))
    return "\n".join(part for part in parts if part)


def _target_name(target: Any) -> str:
    return f"{target.name} (default)".strip() if target.default else str(target.name)


def _columns(rows: Sequence[Sequence[str]], gap: int) -> str:
    if not rows:
        return ""
    widths = [max(len(row[place]) for row in rows) + gap for place in range(len(rows[0]) - 1)] + [0]
    lines = ("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _show_findings(session: Session, call: Call, given: dict[str, Any]) -> int:
    findings = session.engine.images.check(**given)
    count = len(findings)
    if call.json:
        text, source = _read(session, given)
        session.print(_json(_document(findings, text, source)))
    elif not count:
        session.print("Check complete, no warnings found.\n")
    else:
        session.print(f"Check complete, {count} warning{'s have' if count > 1 else ' has'} been found!\n")
        for finding in findings:
            session.print(f"\n{finding.explain()}\n")
    return 1 if count else 0


def _document(findings: Sequence[Any], text: bytes, source: str) -> dict[str, Any]:
    warnings = [
        {
            "ruleName": one.name,
            "description": one.why,
            **({"url": one.url} if one.url else {}),
            "detail": one.message,
            "location": {"ranges": [{"start": {"line": one.location.line}, "end": {"line": one.location.line}}]},
        }
        for one in findings
    ]
    sources = [{"filename": source, "data": base64.b64encode(text).decode(), "language": "Dockerfile"}]
    return {"warnings": warnings or None, "sources": sources}
