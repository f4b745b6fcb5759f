"""``docker stats`` in a cell: one table, whose numbers move in their place."""

from __future__ import annotations

import time
from typing import Any


def test_the_table_moves_in_its_place(kernel: Any) -> None:
    """Every frame after the first updates the same display; an interrupt ends it."""
    assert kernel.run("docker run -d --name watched minirt/base sleep 300").status == "ok"
    identity = kernel.send("docker stats watched")
    time.sleep(6)
    kernel.manager.interrupt_kernel()
    reply = kernel.collect(identity, timeout=60)
    kernel.run("docker rm -f watched")
    first, later = reply.of("display_data"), reply.of("update_display_data")
    assert len(first) == 1 and later
    assert "watched" in first[0]["data"]["text/plain"]
    assert {one["transient"]["display_id"] for one in (*first, *later)} == {first[0]["transient"]["display_id"]}
