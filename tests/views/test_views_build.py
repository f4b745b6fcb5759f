"""The picture of a build follows its events."""

from __future__ import annotations

from collections.abc import Callable

import samples

from minirt.model import events as ev
from minirt.views import BuildView
from minirt.views.graph import EdgeKind, Kind, Look, Node, Status

Replay = Callable[..., BuildView]


def nodes(view: BuildView) -> dict[str, Node]:
    return {node.id: node for node in view.graph().nodes}


def test_every_step_is_there_from_the_first_frame(replay: Replay) -> None:
    """Nothing appears later, so that the picture does not jump while one reads it."""
    first = replay(samples.hello_build()[:1]).graph()
    last = replay(samples.hello_build()).graph()
    assert [node.id for node in first.nodes] == [node.id for node in last.nodes]
    assert [edge.id for edge in first.edges] == [edge.id for edge in last.edges]
    assert {node.status for node in first.nodes} == {Status.WAITING}
    assert first.legend == last.legend


def test_a_step_goes_from_waiting_to_running_to_done(replay: Replay) -> None:
    """The status follows the events."""
    log = samples.hello_build()
    seen = []
    view = BuildView()
    for event in log:
        view.add(event)
        seen.append(nodes(view)["step-0-3"].status)
    assert list(dict.fromkeys(seen)) == [Status.WAITING, Status.RUNNING, Status.DONE]


def test_a_cached_step_stays_cached_when_it_finishes(replay: Replay) -> None:
    """StepFinished after StepCached does not turn it into a done one."""
    node = nodes(replay(samples.hello_build()))["step-0-2"]
    assert node.status is Status.CACHED
    assert node.detail == "from cache"


def test_layers_and_config_only_steps_are_told_apart(replay: Replay) -> None:
    """A layer's chip has bytes and paths; a config-only one says so, in words."""
    view = nodes(replay(samples.hello_build()))
    layer, config = view["step-0-3"].chips[0], view["step-0-1"].chips[0]
    assert (layer.look, layer.text, layer.detail) == (Look.LAYER, "8 B", "3 paths")
    assert (config.look, config.text) == (Look.CONFIG, "config only")
    assert view["step-0-1"].kind is Kind.CONFIG


def test_whiteouts_are_told(replay: Replay) -> None:
    """The card counts them, the tooltip names them."""
    node = nodes(replay(samples.hello_build()))["step-0-4"]
    assert "1 whiteout" in node.detail
    assert "Hides /data/one" in node.tooltip


def test_a_warning_marks_the_step_of_its_line(replay: Replay) -> None:
    """It came with a line and no step; the step written on that line gets the sign."""
    node = nodes(replay(samples.hello_build()))["step-0-5"]
    assert node.alert == "JSONArgsRecommended"
    assert "write CMD as a JSON array" in node.tooltip


def test_running_steps_show_their_seconds_and_last_line(replay: Replay) -> None:
    """The clock is the caller's; escapes are gone; a line may come in pieces."""
    view = replay(samples.hello_build()[:14])
    card = {node.id: node for node in view.graph(at=1.5).nodes}["step-0-3"]
    assert card.detail == "running · 1.5 s · two"


def test_copies_and_bases_join_stages(replay: Replay) -> None:
    """COPY --from=name draws a dashed edge from that stage's last step."""
    edges = replay(samples.two_stage_build()).graph().edges
    assert [(e.source, e.target) for e in edges if e.kind is EdgeKind.COPIES] == [("step-0-4", "step-1-2")]
    child = ev.PlannedStage("2", "next", "build", samples.plan(2, "FROM build", "RUN true"), ("0",))
    view = replay([ev.BuildStarted((samples.TWO_STAGES[0], child))])
    assert [(e.source, e.target) for e in view.graph().edges if e.kind is EdgeKind.BUILDS_ON] == [
        ("step-0-4", "step-2-0")
    ]


def test_the_image_counts_only_layers_that_are_in_it(replay: Replay) -> None:
    """Layers of a stage that is only copied from are not the image's."""
    log = [ev.BuildStarted(samples.TWO_STAGES), ev.LayerCommitted("0.1", samples.digest(1), 500, 2)]
    log += [ev.LayerCommitted("1.2", samples.digest(2), 7, 1), ev.BuildFinished(samples.digest(3), 1.0)]
    assert nodes(replay(log))["image"].chips[0].text == "7 B"


def test_a_pull_shows_its_bytes_on_its_from(replay: Replay) -> None:
    """Progress belongs to the stage whose base it is, whatever form the name has."""
    view = nodes(replay(samples.two_stage_build()[:5]))
    assert view["step-0-0"].detail.startswith("pulling")
    assert "1.2 MB of 3.62 MB" in view["step-0-0"].detail
    assert view["step-0-0"].progress is not None
    assert 0.3 < view["step-0-0"].progress < 0.4
    assert view["step-1-0"].progress is None


def test_a_failure_says_what_failed_and_what_never_ran(replay: Replay) -> None:
    """The failed step holds the message; the steps after it are "not run", and there is no image."""
    view = replay(samples.two_stage_build())
    cards = nodes(view)
    assert view.finished
    assert cards["step-0-4"].status is Status.FAILED
    assert "exit code 1" in cards["step-0-4"].detail
    assert cards["step-1-3"].detail == "not run"
    assert cards["image"].detail == "no image"
    assert "3 not run" in view.graph().subtitle


def test_an_interrupted_build_is_stopped_not_failed(replay: Replay) -> None:
    """BuildFailed without a failed step means that somebody stopped it."""
    view = replay([*samples.hello_build()[:9], ev.StepStarted("0.3"), ev.BuildFailed("interrupted", 0.5)])
    assert view.state.status is Status.CANCELED
    assert nodes(view)["step-0-3"].status is Status.CANCELED


def test_a_stable_picture_has_no_times_and_no_ids(replay: Replay) -> None:
    """Two runs that differ only in durations and digests give equal graphs."""

    def run(factor: float, first: int) -> BuildView:
        log = []
        for event in samples.hello_build():
            if isinstance(event, (ev.StepFinished, ev.BuildFinished)):
                event = type(event)(**{**_fields(event), "seconds": event.seconds * factor})
            if isinstance(event, ev.LayerCommitted):
                event = ev.LayerCommitted(event.step, samples.digest(first), event.size, event.entries, event.whiteouts)
            log.append(event)
        return replay(log, stable=True)

    assert run(1, 1).graph(at=1.0) == run(7, 50).graph(at=99.0)


def _fields(event: ev.Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in type(event).__slots__}


def test_the_table_says_what_the_picture_says(replay: Replay) -> None:
    """Every instruction, its result and its layer are in the text twin."""
    table = replay(samples.hello_build(), stable=True).table()
    lines = table.splitlines()
    assert lines[0].startswith("Built hello:1. 6 steps: 1 from cache, 5 done")
    assert lines[2].split() == ["Step", "Instruction", "Result", "Layer"]
    assert [line.split()[0] for line in lines[3:9]] == list("012345")
    assert "from cache  812 B, 3 paths" in table
    assert "0 B, 2 paths, 1 whiteout" in table


def test_events_of_other_things_are_ignored(replay: Replay) -> None:
    """Unknown steps, pulls that belong to no build and container events change nothing and raise nothing."""
    view = replay(samples.hello_build())
    before = view.graph()
    for event in (
        ev.StepStarted("9.9"),
        ev.StepOutput("9.9", "stdout", b"x"),
        ev.PullStarted("other:1", ()),
        ev.LayerProgress(samples.digest(1), 1, 2),
        ev.ContainerExited("c", 0),
    ):
        view.add(event)
    assert view.graph() == before
