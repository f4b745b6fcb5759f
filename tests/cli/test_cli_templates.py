"""--format runs Go templates."""

from __future__ import annotations

import pytest

from minirt.cli.templates import Fields, Template, unescape
from minirt.errors import InvalidInput

DATA = {
    "Id": "abc",
    "Size": 7,
    "Nothing": None,
    "State": {"Status": "running", "Running": True, "Code": 0},
    "Mounts": [{"Name": "a"}, {"Name": "b"}],
    "Config": {"Env": ["A=1", "B=2"], "Labels": {"x.y": "z"}, "Entrypoint": None, "Volumes": None, "Healthcheck": None},
}


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{.Id}}", "abc"),
        ("{{ .Id }}: {{.State.Status}}", "abc: running"),
        ("plain } text {", "plain } text {"),
        ("{{.Nothing}}", "<no value>"),
        ("{{.Config.Entrypoint}} {{.Config.Volumes}} {{.Config.Healthcheck}}", "[] map[] <nil>"),
        ("{{json .Config.Entrypoint}}", "null"),
        ("{{.State.Running}} {{.Size}}", "true 7"),
        ("{{.Config.Env}} {{.Config.Labels}}", "[A=1 B=2] map[x.y:z]"),
        ("{{json .State}}", '{"Status":"running","Running":true,"Code":0}'),
        ("{{json .}}{{/* a comment */}}", None),
        ('{{index .Config.Labels "x.y"}}', "z"),
        ('{{index .Config.Labels "none"}}', "<no value>"),
        ('{{(index .Mounts 1).Name}}', "b"),
        ("{{range .Mounts}}<{{.Name}}>{{end}}", "<a><b>"),
        ("{{range $i, $m := .Mounts}}{{$i}}={{$m.Name}};{{end}}", "0=a;1=b;"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}}{{end}}", "x.y:z"),
        ("{{range .Nothing}}x{{else}}none{{end}}", "none"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if .State.Code}}bad{{else if eq .Size 7}}seven{{else}}other{{end}}", "seven"),
        ("{{if and .Id (not .Nothing)}}both{{end}}", "both"),
        ("{{with .State}}{{.Status}}{{end}}", "running"),
        ("{{$x := .Id}}{{$x}}{{$.Size}}", "abc7"),
        ('{{.Id | upper | printf "%s-%s" "x" | len}}', "5"),
        ('{{join .Config.Env ", "}} {{split "a,b" ","}}', "A=1, B=2 [a b]"),
        ('{{printf "%-5s|%03d|%q" .Id .Size "q"}}', 'abc  |007|"q"'),
        ("{{println .Id .Size}}", "abc 7\n"),
        ("a {{- .Id -}} b", "aabcb"),
        ("{{`raw \\n`}}", "raw \\n"),
        ('{{"}}"}}', "}}"),
        ('{{truncate .Id 2}}{{pad "x" 1 2}}{{title "go"}}', "ab x  Go"),
        ("{{len .Config.Env}} {{slice .Id 1 2}} {{ne 1 2}} {{lt 1 2}}", "2 b true true"),
    ],
)  # fmt: skip
def test_values(template: str, wanted: str | None) -> None:
    """Fields, pipelines, variables, conditions, loops and functions give what Go gives."""
    rendered = Template(template).render(DATA)
    if wanted is not None:
        assert rendered == wanted


@pytest.mark.parametrize(
    ("template", "says", "column"),
    [
        ("{{.Id", "unclosed action", 1),
        ("x {{.Nope}}", 'map has no entry for key "Nope"', 5),
        ("{{.Nothing.x}}", "nil pointer", 3),
        ("{{if .Id}}x", "unexpected EOF", 12),
        ("{{end}}", "unexpected {{end}}", 3),
        ("{{.Id | nope}}", 'function "nope" not defined', 9),
        ("{{}}", "missing value for command", 3),
        ("{{(.Id}}", "unclosed left paren", 9),
        ("{{$x}}", 'undefined variable "$x"', 3),
        ('{{join .Id ","}}', "error calling join", 3),
        ("{{.Id 3}}", "can't give argument to non-function", 3),
        ("{{range .Id}}{{end}}", "range can't iterate", 1),
    ],
)
def test_mistakes(template: str, says: str, column: int) -> None:
    """A mistake is named, with its place in the template and exit code 1."""
    with pytest.raises(InvalidInput) as caught:
        Template(template).render(DATA)
    assert says in caught.value.what
    assert caught.value.exit_code == 1
    assert caught.value.where is not None
    assert caught.value.where.column == column


def test_near_field() -> None:
    """A field that is not there is answered with the nearest, or with those there are."""
    with pytest.raises(InvalidInput) as caught:
        Template("{{.Namse}}").render(Fields(Names="x", ID="y"))
    assert caught.value.hint == "Did you mean .Names?"
    with pytest.raises(InvalidInput) as caught:
        Template("{{.Xyzzy}}").render(Fields(Names="x", ID="y"))
    assert caught.value.hint == "There are: ID, Names."


def test_methods() -> None:
    """A field may be a function of one argument, as .Label is."""
    data = Fields(Label=lambda name: {"a": "1"}.get(name, ""))
    assert Template('{{.Label "a"}}').render(data) == "1"
    with pytest.raises(InvalidInput, match="wrong number of args"):
        Template("{{.Label}}").render(data)


def test_escapes() -> None:
    """A tab and a newline may be typed as backslash letters."""
    assert unescape(r"a\tb\n") == "a\tb\n"
