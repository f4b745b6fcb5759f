"""docker, where its engine runs on this machine: the same work with the same base image."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from minirt.engine import Engine

__all__ = ["Docker"]

BASE = "minirt/base"


@dataclass(frozen=True, slots=True)
class Docker:
    """The command, with our base image loaded. ``had_base``: it was there before and stays."""

    program: str
    had_base: bool

    @classmethod
    def find(cls, engine: Engine, directory: Path) -> Self | None:
        """None where there is no engine to talk to."""
        program = shutil.which("docker")
        if program is None or subprocess.run([program, "info"], capture_output=True, timeout=20).returncode:
            return None
        had = not subprocess.run([program, "image", "inspect", BASE], capture_output=True).returncode
        if not had:
            archive = directory / "base.tar"
            with archive.open("wb") as file:
                file.writelines(engine.images.save([BASE]))
            if subprocess.run([program, "load", "-i", archive], capture_output=True).returncode:
                return None
        return cls(program, had)

    def run(self, *words: str, sent: bytes | None = None) -> None:
        """One docker command; its output matters only when it fails."""
        subprocess.run([self.program, *words], input=sent, check=True, capture_output=True)

    def clean(self) -> None:
        """Leave docker as it was."""
        subprocess.run([self.program, "rmi", "-f", "minirt-bench"], capture_output=True)
        if not self.had_base:
            subprocess.run([self.program, "rmi", "-f", BASE], capture_output=True)
