"""The log file of a container: nothing that was written is lost or changed, however it came in."""

import json
import random
from pathlib import Path

import pytest

from minirt.model.spec import LogLimits
from minirt.sandbox.log import Log

PIECES = [
    b"hello\n",
    b"\n\n",
    b"caf\xc3\xa9 \xf0\x9f\x90\x8b\n",
    b"not UTF-8: \xff\xe9\n",
    b'quotes " and \\ and \t\x1b[1m\x7f\n',
    b"a part ",
    b"plain line\nplain two\n",
    b"x" * 40_000,
]


@pytest.mark.parametrize("limits", [LogLimits(), LogLimits(max_size=1 << 30)])
@pytest.mark.parametrize("seed", range(5))
def test_every_byte_comes_back(tmp_path: Path, limits: LogLimits, seed: int) -> None:
    """The records joined are what was written, undecodable bytes replaced; each is one line or 16 KiB of one."""
    chance = random.Random(seed)
    log = Log(str(tmp_path / "log"), limits)
    written = b""
    for _ in range(300):
        piece = chance.choice(PIECES) * chance.randrange(1, 4)
        written += piece
        log.write("stdout", piece)
    log.close()
    records = [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert "".join(record["log"] for record in records) == written.decode("utf-8", "replace")
    assert {record["stream"] for record in records} == {"stdout"}
    assert all(record["log"].count("\n") <= 1 and len(record["log"]) <= 16 * 1024 + 1 for record in records)
