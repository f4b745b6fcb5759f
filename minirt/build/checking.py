"""The build checks of a build: found once the base images are known, told as events, errors where the file says so."""

from __future__ import annotations

from collections.abc import Mapping

from minirt.build.context import IgnoreFilter, Tree
from minirt.build.job import Job
from minirt.build.plan import Plan
from minirt.build.request import BuildRequest
from minirt.build.state import StageState
from minirt.dockerfile import Dockerfile
from minirt.dockerfile.checks import Finding, Subject, check, check_options, violation
from minirt.model.events import WarningRaised
from minirt.model.platform import Platform

__all__ = ["find", "report"]

_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"
"""The build argument that stands in place of the ``# check=`` directive (docker: "build checks")."""


def find(
    request: BuildRequest,
    dockerfile: Dockerfile,
    context: Tree | None,
    starts: Mapping[int, StageState] | None = None,
) -> tuple[Finding, ...]:
    """All findings, by line; ``starts`` are the states that stages on images from outside begin with, by index.

    Raises :class:`DockerfileError` for a ``# check=`` directive that cannot be read.
    """
    starts = starts or {}
    skip = context.skip if context is not None else None
    subject = Subject(
        dockerfile,
        ignore=skip.ignore if isinstance(skip, IgnoreFilter) else None,
        build_args={name: value for name, value in request.build_args.items() if value is not None},
        target=request.platform or Platform.host(),
        base_environments={index: dict(state.environment) for index, state in starts.items()},
        base_platforms={index: state.platform for index, state in starts.items()},
        contexts={*request.contexts, *request.images},
        base_shells={index for index, state in starts.items() if state.config.shell},
    )
    return check(subject, check_options(dockerfile, request.build_args.get(_ARGUMENT)))


def report(job: Job, starts: Mapping[int, StageState]) -> None:
    """Tell the findings as events. Raises :class:`DockerfileError` if there are any and the file asks for an error."""
    dockerfile = job.plan.dockerfile
    for notice in dockerfile.warnings:
        where = notice.location
        job.on_event(WarningRaised(notice.name, notice.message, where.line, excerpt=where.text))
    findings = find(job.request, dockerfile, job.contexts.get(""), starts)
    for one in findings:
        where, step = one.location, _planned(job.plan, one.step)
        job.on_event(WarningRaised(one.name, one.message, where.line, step, one.why, one.better, where.text, one.url))
    if check_options(dockerfile, job.request.build_args.get(_ARGUMENT)).error:
        error = violation(findings)
        if error is not None:
            raise error


def _planned(plan: Plan, step: str) -> str:
    """The step's id in the plan, in which a base's triggers come before the stage's own steps."""
    stage, _, number = step.partition(".")
    found = next((one for one in plan.stages if one.id == stage), None)
    if found is None:
        return ""
    triggers = sum(one.trigger for one in found.steps)
    return f"{stage}.{int(number) + triggers}" if number != "0" else step
