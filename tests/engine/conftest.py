"""What tests of several users share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A directory that another user may reach."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    return tmp_path
