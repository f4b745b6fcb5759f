"""The parser as a whole: stages, names, directives, notices, and where things stand."""

from minirt.dockerfile import Copy, parse


def test_stages_and_meta_args_are_separated() -> None:
    """ARG before FROM is not part of a stage; every FROM opens one."""
    dockerfile = parse("ARG V=1\nFROM a AS One\nRUN x\nFROM one\n")
    assert [arg.args[0].name for arg in dockerfile.meta_args] == ["V"]
    assert [(stage.name, len(stage.instructions)) for stage in dockerfile.stages] == [("one", 1), ("", 0)]
    assert dockerfile.find_stage("ONE") is dockerfile.stages[0]
    assert dockerfile.find_stage("1") is dockerfile.stages[1]
    assert dockerfile.find_stage("one", before=0) is None


def test_a_source_is_found_again_under_its_word() -> None:
    """The location of a COPY source points at the very word, heredocs not counted, on a continuation line too."""
    copy = parse("FROM a\nCOPY --chown=1 <<E one \\\n   two /to/\nE\n").stages[0].instructions[0]
    assert isinstance(copy, Copy)
    assert copy.locate_source(1).draw() == "  3 |    two /to/\n    |    ^^^"
    assert (copy.locate_destination().line, copy.locate_destination().column) == (3, 8)
