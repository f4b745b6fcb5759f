"""Stages: only what is needed, side by side, and what passes from one to the next."""

from __future__ import annotations

import time
from typing import Any

import pytest

from minirt.build.plan import make_plan
from minirt.dockerfile import parse
from minirt.engine import Engine
from minirt.errors import DockerfileError
from minirt.model.events import BuildStarted, StepStarted
from minirt.model.platform import Platform


def _plan(text: str, **options: Any) -> Any:
    return make_plan(parse(text), **options)


def test_only_what_the_target_needs_is_planned() -> None:
    """Stages that nothing leads to are not in the plan."""
    text = "FROM a AS one\nFROM b AS two\nFROM one AS three\nCOPY --from=two / /\nFROM c AS four\n"
    assert [stage.name for stage in _plan(text, target="three").stages] == ["one", "two", "three"]
    assert [stage.name for stage in _plan(text).stages] == ["four"]
    with pytest.raises(DockerfileError, match='target stage "1" could not be found'):
        _plan(text, target="1")  # names only, as in BuildKit


def test_the_event_tells_steps_kinds_and_needs() -> None:
    """What a picture needs is in it: ids, texts, kinds, lines, and which stages lead where."""
    text = "FROM scratch AS a\nCOPY x /\nFROM b\nENV A=1\nWORKDIR /w\nWORKDIR /\nRUN --mount=from=a,target=/m true\n"
    first, second = _plan(text).events()
    assert (first.id, first.name, first.base, first.needs) == ("0", "a", "scratch", ())
    assert second.needs == ("0",)
    assert [(step.id, step.kind, step.line) for step in second.steps] == [
        ("1.0", "base", 3),
        ("1.1", "config", 4),
        ("1.2", "filesystem", 5),
        ("1.3", "config", 6),
        ("1.4", "filesystem", 7),
    ]


def test_from_uses_arguments_of_the_outer_scope() -> None:
    """An ARG before the first FROM, a build argument, and the platform the build provides."""
    text = "ARG V=1\nARG N=img:$V\nFROM $N AS a\nFROM ${N}-b\n"
    assert _plan(text, build_args={"V": "2"}).target.base_name == "img:2-b"
    assert _plan("FROM --platform=$BUILDPLATFORM x\n").target.platform == Platform.host()


def test_a_stage_name_shadows_an_image_only_after_it() -> None:
    """Before the stage of that name, the name is an image's."""
    first, second = _plan("FROM alpine AS alpine\nFROM alpine\n").stages
    assert first.base is not None and first.base.stage is None
    assert second.base is not None and second.base.stage == 0


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        ("FROM a AS builder\n", "bulder", "did you mean builder?"),
        ("FROM a AS x\nCOPY --from=later / /\nFROM b AS later\n", "x", "defined before"),
        ("FROM a AS x\nCOPY --from=1 / /\nFROM b\n", "x", "defined before"),
        ("FROM a AS x\nCOPY --from=x / /\n", "", "circular dependency"),
        ("FROM a AS x\nRUN --mount=from=later,target=/x true\nFROM b AS later\n", "x", "defined before"),
    ],
)
def test_wrong_stages_are_refused(text: str, target: str, words: str) -> None:
    """With the place of the word that is wrong."""
    with pytest.raises(DockerfileError) as caught:
        _plan(text, target=target)
    assert words in caught.value.explain()
    assert caught.value.where is not None


def test_independent_stages_build_at_the_same_time(build: Any, events: list[Any]) -> None:
    """The second of two stages that sleep starts before the first has ended."""
    text = (
        "FROM minirt/base AS a\nRUN sleep 2; echo a > /a\nFROM minirt/base AS b\nRUN sleep 2; echo b > /b\n"
        "FROM minirt/base\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
    )
    build(text, no_cache=True)
    steps = ("0.1", "1.1", "2.1")
    order = [(type(event).__name__, event.step) for event in events if getattr(event, "step", "") in steps]
    first_end = min(order.index(("StepFinished", step)) for step in ("0.1", "1.1"))
    assert max(order.index(("StepStarted", step)) for step in ("0.1", "1.1")) < first_end
    assert order.index(("StepStarted", "2.1")) > order.index(("StepFinished", "0.1")), "it waits before it starts"


def test_triggers_of_a_base_run_first(build: Any, engine: Engine, events: list[Any]) -> None:
    """ONBUILD in an image: its instructions come before the child's own, and the child does not pass them on."""
    from minirt.model.reference import Reference

    base = "FROM minirt/base\nONBUILD ARG WHO=world\nONBUILD RUN echo hello $WHO > /greeting\nONBUILD ENV T=1\n"
    build(base, tags=(Reference.parse("trigger-base"),))
    events.clear()
    result = build("FROM trigger-base\nRUN echo $T >> /greeting\n", build_args={"WHO": "you"})
    assert engine.containers.run(str(result.image_id), ["cat", "/greeting"], remove=True) == b"hello you\n1\n"
    assert result.config.config.on_build == ()
    started = [event for event in events if isinstance(event, BuildStarted)]
    assert [step.text for step in started[-1].stages[0].steps][1:3] == [
        "ONBUILD ARG WHO=world",
        "ONBUILD RUN echo hello $WHO > /greeting",
    ]
    assert [event.step for event in events if isinstance(event, StepStarted)] == ["0.0", "0.1", "0.2", "0.3", "0.4"]


def test_the_same_moment_makes_the_same_image(build: Any) -> None:
    """With SOURCE_DATE_EPOCH, two builds from nothing are one image, bit by bit."""
    text = 'FROM minirt/base\nRUN date > /dev/null; mkdir /d; echo x > /d/f\nWORKDIR /w\nCMD ["sh"]\n'
    first = build(text, no_cache=True, epoch=1700000000)
    time.sleep(1.1)
    second = build(text, no_cache=True, epoch=1700000000)
    assert first.image_id == second.image_id
    assert first.config.created == "2023-11-14T22:13:20Z"


def test_labels_names_and_platform_of_the_command(build: Any, engine: Engine) -> None:
    """What the command line adds is in the image, without history."""
    from minirt.model.reference import Reference

    names = (Reference.parse("named:1"), Reference.parse("localhost:5000/named:2"))
    result = build("FROM minirt/base\nLABEL a=1 b=1\n", tags=names, labels={"b": "2", "c": "3"})
    assert result.config.config.labels == {"a": "1", "b": "2", "c": "3"}
    assert sorted(engine.images.get("named:1").tags) == ["localhost:5000/named:2", "named:1"]


def test_secrets_and_caches_leave_no_trace(build: Any, engine: Engine, tmp_path: Any) -> None:
    """A secret is seen by its command alone; a cache stays between builds and is in no layer."""
    text = (
        "FROM minirt/base\n"
        "RUN --mount=type=secret,id=key cat /run/secrets/key > /dev/null && wc -c < /run/secrets/key > /length\n"
        'RUN --mount=type=secret,id=key,env=KEY test "$KEY" = hidden\n'
        "RUN --mount=type=cache,target=/var/cache/x,id={id} echo again >> /var/cache/x/n; wc -l < /var/cache/x/n > /n\n"
        "RUN test ! -e /run/secrets/key && test ! -e /var/cache/x/n\n"
    )
    text = text.replace("{id}", str(time.time_ns()))
    for turn in (b"1\n", b"2\n"):
        result = build(text, no_cache=True, secrets={"key": b"hidden"})
        assert engine.containers.run(str(result.image_id), ["cat", "/n"], remove=True).strip() == turn.strip()
    listing = engine.containers.run(str(result.image_id), ["sh", "-c", "ls /run; cat /length"], remove=True)
    assert b"secrets" not in listing
    assert b"6" in listing
