"""All stages of a plan: each in a thread of its own, waiting for another only where it copies from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

from minirt.build.bases import Bases, check_depth, with_all_triggers
from minirt.build.checking import report
from minirt.build.job import Job
from minirt.build.plan import SourceRef, StagePlan
from minirt.build.request import Resolver
from minirt.build.state import StageState, first_state
from minirt.build.steps import StageRunner
from minirt.errors import Cancelled
from minirt.model.cancel import Cancel, readable
from minirt.model.events import BuildStarted, StepFinished, StepStarted

__all__ = ["execute"]


def execute(job: Job, resolver: Resolver) -> StageState:
    """Build what the plan's target needs, and return the target's state.

    If a stage fails, the others are stopped; the error of the first is raised.
    """
    job.on_event(BuildStarted(job.plan.events(), job.request.shown_name))
    if len(job.plan.stages) == 1:
        return _Execution(job, resolver).alone()
    with _own_cancel(job):
        return _Execution(job, resolver).together()


@contextmanager
def _own_cancel(job: Job) -> Iterator[None]:
    """A cancel that a failing stage may raise, too; the user's is passed on to it."""
    users = job.cancel
    with Cancel() as ours, Cancel() as over:
        job.cancel = ours
        watcher = None
        if users is not None:
            watcher = threading.Thread(target=_pass_on, args=(users, ours, over), daemon=True)
            watcher.start()
        try:
            yield
        finally:
            over.cancel()
            if watcher is not None:
                watcher.join()
            job.cancel = users


def _pass_on(users: Cancel, ours: Cancel, over: Cancel) -> None:
    readable([users.fileno(), over.fileno()])
    if users.cancelled:
        ours.cancel()


class _Execution:
    def __init__(self, job: Job, resolver: Resolver) -> None:
        self.job = job
        self.bases = Bases(resolver, job)
        self.starts: dict[int, StageState] = {}
        self.results: dict[int, Future[StageState]] = {}

    def alone(self) -> StageState:
        """One stage needs no thread."""
        self._begin()
        report(self.job, self.starts)
        if len(self.job.plan.stages) > 1:  # a trigger of the base copies from another stage
            with _own_cancel(self.job):
                return self._run_all()
        stage = self.job.plan.target
        return StageRunner(self.job, stage, self._source).run(self.starts[stage.index])

    def together(self) -> StageState:
        self._begin()
        report(self.job, self.starts)
        return self._run_all()

    def _begin(self) -> None:
        """Resolve every base, several at once, and put the ONBUILD triggers into the plan."""
        texts: dict[int, tuple[str, ...]] = {}
        todo = [stage for stage in self.job.plan.stages if stage.base is None or stage.base.stage is None]

        def resolve(stage: StagePlan) -> None:
            self.starts[stage.index], texts[stage.index] = self.bases.start_of(stage)

        _in_threads(resolve, todo)
        plan = with_all_triggers(self.job.plan, texts)
        if plan is self.job.plan:
            return
        known = {stage.index for stage in self.job.plan.stages}
        self.job.plan = plan
        self.job.on_event(BuildStarted(plan.events(), self.job.request.shown_name))
        for stage in plan.stages:
            if stage.index in self.starts:
                self.job.on_event(StepFinished(stage.base_step.id, 0.0))
        added = [one for one in plan.stages if one.index not in known and (one.base is None or one.base.stage is None)]
        _in_threads(resolve, added)

    def _run_all(self) -> StageState:
        stages = self.job.plan.stages
        self.results = {stage.index: Future() for stage in stages}
        threads = [threading.Thread(target=self._stage, args=(stage,), name=f"stage-{stage.id}") for stage in stages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        errors = [error for future in self.results.values() if (error := future.exception()) is not None]
        for error in errors:
            if not isinstance(error, Cancelled):
                raise error
        if errors:
            raise errors[0]
        return self.results[self.job.plan.target.index].result()

    def _stage(self, stage: StagePlan) -> None:
        result = self.results[stage.index]
        try:
            start = self.starts.get(stage.index) or self._from_stage(stage)
            result.set_result(StageRunner(self.job, stage, self._source).run(start))
        except BaseException as error:
            result.set_exception(error)
            if self.job.cancel is not None:
                self.job.cancel.cancel()

    def _from_stage(self, stage: StagePlan) -> StageState:
        """Wait for the stage that this one is FROM."""
        assert stage.base is not None and stage.base.stage is not None
        before = self._wait(stage.base.stage)
        started = time.monotonic()
        self.job.on_event(StepStarted(stage.base_step.id))
        state = replace(before.next_stage(), base_layers=len(before.layers))
        check_depth(stage, state)
        self.job.on_event(StepFinished(stage.base_step.id, time.monotonic() - started))
        return state

    def _wait(self, index: int) -> StageState:
        try:
            return self.results[index].result()
        except BaseException:
            # That stage reports its own error; this one only stops.
            raise Cancelled() from None

    def _source(self, ref: SourceRef) -> StageState:
        """What COPY --from or a mount takes from: a stage, waited for, or an image."""
        if ref.stage is not None:
            return self._wait(ref.stage)
        if ref.name == "scratch":
            return first_state(None, (), self.job.plan.platform)
        image = self.bases.image(ref, self.job.plan.platform)
        return first_state(image.config, image.layers, self.job.plan.platform)


def _in_threads(work: object, items: list[StagePlan]) -> None:
    assert callable(work)
    if len(items) <= 1:
        for item in items:
            work(item)
        return
    errors: list[BaseException] = []

    def guarded(item: StagePlan) -> None:
        try:
            work(item)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
