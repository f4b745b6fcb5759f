"""Runs command lines with streams that a test can read."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minirt.cli import Session, execute, run

__all__ = ["Said", "Teller"]


@dataclass(frozen=True)
class Said:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Teller:
    """Runs command lines in one engine, in one directory."""

    def __init__(self, make_engine: Callable[[], Any], cwd: Path) -> None:
        self.make_engine = make_engine
        self.cwd = cwd

    def session(self, stdin: bytes = b"", environment: Mapping[str, str] | None = None, **more: Any) -> Session:
        return Session(
            self.make_engine,
            io.BytesIO(stdin),
            io.BytesIO(),
            io.BytesIO(),
            cwd=self.cwd,
            environment=environment or {},
            name=more.pop("name", "docker"),
            **more,
        )

    def __call__(self, *argv: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Said:
        session = self.session(stdin, environment)
        code = run(argv, session)
        out, err = session.stdout, session.stderr
        assert isinstance(out, io.BytesIO)
        assert isinstance(err, io.BytesIO)
        return Said(code, out.getvalue().decode(), err.getvalue().decode())

    def ok(self, *argv: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Said:
        """As a call, and it must succeed."""
        said = self(*argv, stdin=stdin, environment=environment)
        assert said.code == 0, f"{argv}: {said.err}{said.out}"
        return said

    def execute(self, *argv: str) -> int:
        return execute(argv, self.session())
