"""The checks by name: what each is about, in a sentence that says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RULES", "Rule"]

_REFERENCE = "https://docs.docker.com/reference/build-checks/"


@dataclass(frozen=True, slots=True)
class Rule:
    """``experimental`` ones run only when asked for; ``ours`` are minirt's own, without a page at docker's."""

    name: str
    why: str
    experimental: bool = False
    ours: bool = False

    @property
    def url(self) -> str:
        dashed = "".join(f"-{char.lower()}" if char.isupper() else char for char in self.name).lstrip("-")
        return "" if self.ours else f"{_REFERENCE}{dashed.replace('j-s-o-n', 'json')}/"


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("StageNameCasing", "Stage names should be lowercase: they are matched without regard to case."),
        Rule("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword, to be read as one line."),
        Rule("NoEmptyContinuation", "Empty continuation lines will become errors in a future release."),
        Rule(
            "ConsistentInstructionCasing",
            "All instructions of a Dockerfile should use the same casing, upper or lower, to be told from arguments.",
        ),
        Rule("DuplicateStageName", "Stage names should be unique: only one of the stages can be referred to."),
        Rule("ReservedStageName", "A stage of a reserved name, such as scratch or context, cannot be referred to."),
        Rule(
            "JSONArgsRecommended",
            "In shell form a shell stands between docker and the program, and does not pass signals on: docker stop "
            "waits ten seconds and kills.",
        ),
        Rule("MaintainerDeprecated", "MAINTAINER is deprecated: a label says the same, and docker inspect shows it."),
        Rule("UndefinedArgInFrom", "FROM sees only the ARGs that are declared before the first FROM."),
        Rule(
            "WorkdirRelativePath",
            "A relative WORKDIR continues the base image's own, and changes when the base image does.",
        ),
        Rule("UndefinedVar", "A variable that nothing defines is replaced by nothing."),
        Rule("MultipleInstructionsDisallowed", "Only the last instruction of this kind in a stage has an effect."),
        Rule("LegacyKeyValueFormat", "The old form takes the rest of the line as one value, which surprises readers."),
        Rule(
            "InvalidBaseImagePlatform",
            "The base image is for another platform than the build: its programs may not run.",
        ),
        Rule("RedundantTargetPlatform", "The target platform is what FROM takes anyway."),
        Rule(
            "SecretsUsedInArgOrEnv",
            "Values of ARG and ENV stay in the image's history and config, for everybody who has the image.",
        ),
        Rule(
            "InvalidDefaultArgInFrom",
            "Without --build-arg the image cannot be built: the defaults give no valid base image name.",
        ),
        Rule(
            "FromPlatformFlagConstDisallowed",
            "A constant platform makes the stage the same for every target, so --platform has no effect on it.",
        ),
        Rule(
            "CopyIgnoredFile",
            "What .dockerignore excludes is not in the context, so it cannot be copied.",
            experimental=True,
        ),
        Rule(
            "InvalidDefinitionDescription",
            "A comment right above ARG or FROM is shown as its description by docker build --call=outline.",
            experimental=True,
        ),
        Rule("ExposeProtoCasing", "Protocols are written in lower case: tcp, udp, sctp."),
        Rule("ExposeInvalidFormat", "EXPOSE names ports of the container; docker run -p maps them to the host."),
        Rule(
            "DeletedInLaterLayer",
            "A layer never changes: what a later one deletes is only hidden, and its bytes still ship.",
            ours=True,
        ),
        Rule(
            "PackageCacheLeft",
            "The package manager's downloads stay in the layer unless the same RUN removes them.",
            ours=True,
        ),
        Rule(
            "CopyEverythingEarly",
            "Any change of any file makes this COPY new, and every RUN after it runs again.",
            ours=True,
        ),
        Rule(
            "LatestBase", "latest is another image tomorrow: the same Dockerfile then builds something else.", ours=True
        ),
    )
}
