"""Recorded builds for the tests of pictures: plain lists of events."""

from __future__ import annotations

from minirt.model.events import (
    BuildFailed,
    BuildFinished,
    BuildStarted,
    CacheMissed,
    Event,
    ImageTagged,
    LayerCommitted,
    LayerProgress,
    PlannedStage,
    PlannedStep,
    PullFinished,
    PullStarted,
    StepCached,
    StepFailed,
    StepFinished,
    StepOutput,
    StepStarted,
    WarningRaised,
    WhiteoutWritten,
)


def plan(stage: int, *lines: str, first_line: int = 1) -> tuple[PlannedStep, ...]:
    """Steps of one stage; the kind follows from the keyword."""
    kinds = {"FROM": "base", "RUN": "filesystem", "COPY": "filesystem", "ADD": "filesystem", "WORKDIR": "filesystem"}
    return tuple(
        PlannedStep(f"{stage}.{i}", text, kinds.get(text.split()[0], "config"), first_line + i)
        for i, text in enumerate(lines)
    )


def digest(number: int) -> str:
    """A made-up digest."""
    return f"sha256:{number:064x}"


HELLO = PlannedStage(
    "0",
    "",
    "minirt/base",
    plan(
        0,
        "FROM minirt/base",
        "ENV GREETING=hello",
        "COPY app.sh /app/app.sh",
        "RUN echo one > /data/one && echo two > /data/two",
        "RUN rm /data/one",
        'CMD ["/app/app.sh"]',
    ),
)


def hello_build() -> list[Event]:
    """One stage: a cached step, layers, a whiteout, config-only instructions, a warning."""
    return [
        BuildStarted((HELLO,), "hello:1"),
        WarningRaised("JSONArgsRecommended", "write CMD as a JSON array", 6),
        StepStarted("0.0"),
        StepFinished("0.0", 0.012),
        StepStarted("0.1"),
        StepFinished("0.1", 0.001),
        StepStarted("0.2"),
        StepCached("0.2"),
        LayerCommitted("0.2", digest(2), 812, 3),
        StepFinished("0.2", 0.002),
        StepStarted("0.3"),
        CacheMissed("0.3", "the command is new"),
        StepOutput("0.3", "stdout", b"\x1b[32mone\x1b[0m\ntw"),
        StepOutput("0.3", "stdout", b"o\n"),
        LayerCommitted("0.3", digest(3), 8, 3),
        StepFinished("0.3", 0.034),
        StepStarted("0.4"),
        CacheMissed("0.4", "the layer below is new"),
        WhiteoutWritten("0.4", "/data/one"),
        LayerCommitted("0.4", digest(4), 0, 2, 1),
        StepFinished("0.4", 0.029),
        StepStarted("0.5"),
        StepFinished("0.5", 0.001),
        BuildFinished(digest(99), 0.131),
        ImageTagged(digest(99), "hello:1"),
    ]


TWO_STAGES = (
    PlannedStage(
        "0",
        "build",
        "alpine:3.20",
        plan(
            0,
            "FROM alpine:3.20 AS build",
            "RUN apk add --no-cache build-base cmake ninja",
            "WORKDIR /src",
            "COPY . .",
            "RUN cmake -G Ninja -B build && ninja -C build && strip build/server",
        ),
    ),
    PlannedStage(
        "1",
        "",
        "minirt/base",
        plan(
            1,
            "FROM minirt/base",
            "LABEL org.opencontainers.image.title=server",
            "COPY --from=build /src/build/server /usr/bin/server",
            "EXPOSE 8080",
            'ENTRYPOINT ["/usr/bin/server"]',
            first_line=7,
        ),
        needs=("0",),
    ),
)


def two_stage_build() -> list[Event]:
    """Two stages side by side, a pull, and a failure at the end of the first."""
    return [
        BuildStarted(TWO_STAGES, "server:latest"),
        StepStarted("0.0"),
        StepStarted("1.0"),
        PullStarted("docker.io/library/alpine:3.20", ((digest(7), 3_620_000), (digest(8), 900)), (digest(8),)),
        LayerProgress(digest(7), 1_200_000, 3_620_000),
        StepFinished("1.0", 0.008),
        StepStarted("1.1"),
        StepFinished("1.1", 0.001),
        LayerProgress(digest(7), 3_620_000, 3_620_000),
        PullFinished("docker.io/library/alpine:3.20", digest(70)),
        StepFinished("0.0", 1.23),
        StepStarted("0.1"),
        CacheMissed("0.1", "the command is new"),
        StepOutput("0.1", "stdout", b"(1/28) Installing binutils\n(2/28) Installing libgomp\n"),
        LayerCommitted("0.1", digest(11), 203_400_000, 5120),
        StepFinished("0.1", 14.2),
        StepStarted("0.2"),
        LayerCommitted("0.2", digest(12), 0, 1),
        StepFinished("0.2", 0.01),
        StepStarted("0.3"),
        LayerCommitted("0.3", digest(13), 48_213, 37),
        StepFinished("0.3", 0.05),
        StepStarted("0.4"),
        StepOutput("0.4", "stderr", b"server.c:12: error: expected ';' before 'return'\n"),
        StepFailed("0.4", "the command ended with exit code 1", 2.87),
        BuildFailed("the command ended with exit code 1", 18.4),
    ]


def long_build(count: int) -> list[Event]:
    """``count`` RUN steps, half of them done, one running."""
    lines = ["FROM minirt/base", *(f"RUN echo {i} > /layer-{i}" for i in range(1, count))]
    stage = PlannedStage("0", "", "minirt/base", plan(0, *lines))
    log: list[Event] = [BuildStarted((stage,), f"long:{count}")]
    for i in range(count // 2):
        log += [StepStarted(f"0.{i}"), StepFinished(f"0.{i}", 0.02)]
        if i:
            log.insert(-1, LayerCommitted(f"0.{i}", digest(i), 4, 1))
    return [*log, StepStarted(f"0.{count // 2}")]
