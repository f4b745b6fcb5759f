"""``build --check``: what the build checks find, without a build."""

from __future__ import annotations

from typing import Any

from minirt.cli.session import Session

__all__ = ["show_findings"]


def show_findings(session: Session, given: dict[str, Any]) -> int:
    """Print the findings; the exit code is 1 if there are any, as docker's. Raises :class:`DockerfileError`."""
    for name in ("fileobj", "custom_context"):
        if given.pop(name, None) is not None and name == "fileobj":
            from minirt.errors import Unsupported

            raise Unsupported("--check of a build context on standard input", hint="Unpack it into a directory first.")
    findings = session.engine.images.check(**given)
    count = len(findings)
    if not count:
        session.print("Check complete, no warnings found.\n")
        return 0
    session.print(f"Check complete, {count} warning{'s have' if count > 1 else ' has'} been found!\n")
    for finding in findings:
        session.print(f"\n{finding.explain()}\n")
    return 1
