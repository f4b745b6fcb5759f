"""Build checks: BuildKit's, by their own names, and four of minirt's own about layers.

::

    subject = Subject(parse(text), ignore=Ignore.parse(...))
    for finding in check(subject): print(finding.explain())

A module a family: ``names``, ``forms``, ``variables``, ``teaching``; ``rules`` says why each exists. Source:
https://docs.docker.com/reference/build-checks/
"""

from __future__ import annotations

from collections.abc import Sequence

from minirt.dockerfile.checks.findings import CheckOptions, Finding, check_options
from minirt.dockerfile.checks.forms import check_forms
from minirt.dockerfile.checks.names import check_names
from minirt.dockerfile.checks.rules import RULES, Rule
from minirt.dockerfile.checks.teaching import check_layers
from minirt.dockerfile.checks.variables import check_variables
from minirt.dockerfile.checks.walk import Subject
from minirt.errors import DockerfileError

__all__ = ["RULES", "CheckOptions", "Finding", "Rule", "Subject", "check", "check_options", "violation"]


def check(subject: Subject, options: CheckOptions | None = None) -> tuple[Finding, ...]:
    """All findings, by line. ``options`` defaults to the file's own ``# check=`` directive.

    Raises DockerfileError for a directive that cannot be read.
    """
    chosen = options if options is not None else check_options(subject.dockerfile)
    families = (check_names, check_forms, check_variables, check_layers)
    found = (finding for family in families for finding in family(subject) if chosen.runs(finding.name))
    order = {name: place for place, name in enumerate(RULES)}
    return tuple(sorted(found, key=lambda one: (one.location.line, one.location.column, order[one.name])))


def violation(findings: Sequence[Finding]) -> DockerfileError | None:
    """The error that ``error=true`` makes of findings; None without any."""
    if not findings:
        return None
    names = ", ".join(sorted({finding.name for finding in findings}))
    first = findings[0]
    return DockerfileError(
        f"lint violation found for rules: {names}",
        where=first.location,
        cause=first.message,
        hint="The Dockerfile says # check=error=true; # check=skip=NAME leaves a check out.",
    )
