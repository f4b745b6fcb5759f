"""The build checks in a build: told as events with their step, an error where the Dockerfile asks for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from minirt.build.request import BuildRequest
from minirt.errors import DockerfileError
from minirt.model.events import BuildStarted, StepStarted, WarningRaised

if TYPE_CHECKING:
    from minirt.engine import Engine
    from minirt.model.events import Event


def warnings(events: list[Event]) -> list[WarningRaised]:
    return [event for event in events if isinstance(event, WarningRaised)]


def test_warnings_name_their_step(build: Callable[..., Any], events: list[Event]) -> None:
    """After the plan, so that a picture can mark the node; with the reason, the line and the better lines."""
    build("FROM minirt/base\nENV a b\n")
    (found,) = warnings(events)
    assert (found.rule, found.line, found.step, found.excerpt) == ("LegacyKeyValueFormat", 2, "0.1", "ENV a b")
    assert found.better == "ENV a=b"
    assert found.why
    assert found.url.startswith("https://docs.docker.com/")
    kinds = [type(event) for event in events]
    assert kinds.index(BuildStarted) < kinds.index(WarningRaised) < kinds.index(StepStarted, 3)


def test_triggers_of_the_base_are_counted(build: Callable[..., Any], events: list[Event], engine: Engine) -> None:
    """A base's ONBUILD steps come first; the warning still names its own step, and knows the base's variables."""
    build("FROM minirt/base\nENV KNOWN=1\nONBUILD RUN true\n", tags=_tags("checked-base:1"))
    events.clear()
    build("FROM checked-base:1\nENV x=$KNOWN\nENV a b\n")
    (found,) = warnings(events)
    assert (found.rule, found.line, found.step) == ("LegacyKeyValueFormat", 3, "0.3")


def _tags(name: str) -> Any:
    from minirt.model.reference import Reference

    return (Reference.parse(name),)


def test_checks_can_fail_a_build(build: Callable[..., Any], events: list[Event]) -> None:
    """``error=true`` stops the build before its first step; ``skip`` leaves a check out."""
    with pytest.raises(DockerfileError, match="lint violation found for rules: LegacyKeyValueFormat") as caught:
        build("# check=error=true\nFROM minirt/base\nRUN echo ran\nENV a b\n")
    assert caught.value.where is not None
    assert caught.value.where.line == 4
    assert StepStarted("0.1") not in events
    build("# check=skip=LegacyKeyValueFormat;error=true\nFROM minirt/base\nENV a b\n")


def test_a_build_argument_stands_in_place_of_the_directive(build: Callable[..., Any], events: list[Event]) -> None:
    """It can skip what the file makes an error, and make an error of what the file allows."""
    failing, text = "# check=error=true\nFROM minirt/base\nENV a b\n", "FROM minirt/base\nENV a b\n"
    build(failing, build_args={"BUILDKIT_DOCKERFILE_CHECK": "skip=all"})
    assert warnings(events) == []
    with pytest.raises(DockerfileError, match="lint violation found for rules: LegacyKeyValueFormat"):
        build(text, build_args={"BUILDKIT_DOCKERFILE_CHECK": "error=true"})


def test_checks_without_a_build(engine: Engine, tmp_path: Path) -> None:
    """Nothing is built, and no image need be here."""
    text = "# check=experimental=all\nFROM example.com/never:1\nCOPY left /\n"
    (tmp_path / ".dockerignore").write_text("left\n")
    images = len(engine.images.list(all=True))
    found = engine.builder.check(BuildRequest(text, context=tmp_path))
    assert [one.name for one in found] == ["CopyIgnoredFile"]
    assert len(engine.images.list(all=True)) == images


def test_checks_know_the_images_that_are_here(engine: Engine) -> None:
    """An image's variables are defined and its SHELL is one, with and without a build; of others nothing is known."""
    base = 'FROM minirt/base\nENV GREETING=hi\nSHELL ["/bin/sh", "-ec"]\n'
    engine.images.build(text=base, tag="checked-base:1")
    text = "FROM checked-base:1 AS one\nLABEL a=$GREETING\nCMD echo hi\nFROM one\nLABEL b=$GREETING\nCMD echo ho\n"
    assert engine.images.check(text=text) == ()
    chosen = {"chosen": "docker-image://checked-base:1"}
    assert engine.images.check(text="FROM chosen\nCMD echo hi\n", contexts=chosen) == ()
    engine.images.remove("checked-base:1")
    assert {one.name for one in engine.images.check(text=text)} >= {"JSONArgsRecommended", "UndefinedVar"}
