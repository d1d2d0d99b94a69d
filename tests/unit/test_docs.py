"""Every command that the documents, the help texts and our own messages name can be typed.

They are resolved against the real command tree, the Makefile and the engine's commands that we use; nothing
is run.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import typer.main
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.core import TyperGroup

from infra.cli.root import app
from infra.errors import GadError

ROOT = Path(__file__).resolve().parents[2]
GAD = typer.main.get_command(app)
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted(
    path for part in ("infra", "app", "bin", "tests/host") for path in (ROOT / part).rglob("*.py")
)
MARKDOWN = MarkdownIt("commonmark").enable("table")

PROGRAMS = {"gad", "bin/gad", "make", "pulumi"}
# The engine's commands that this project tells people to type, and the options it names.
PULUMI = {
    "preview": {"--json", "--refresh", "--diff", "--stack", "--expect-no-changes", "--policy-pack"},
    "up": {"--refresh", "--stack", "--yes", "--policy-pack"},
    "cancel": {"--stack", "--yes"},
    "destroy": {"--stack", "--yes"},
    "version": set(),
    "import": {"--file"},
    "plugin": set(),
    "stack": {"--stack"},
    "state": set(),
}
PLACEHOLDERS = {
    "STACK": "dev",
    "<stack>": "dev",
    "…": "dev",
    "COMMAND": "",
}  # an empty one: nothing to resolve
SUBSTITUTION = re.compile(r"""(?:eval\s+)?["']?\$\((?P<inner>[^()]+)\)["']?""")
ALTERNATIVES = re.compile(r"\b[a-z]+(?:\|[a-z]+)+\b")


@dataclass(frozen=True)
class Mention:
    """A piece of code in a text; `whole` if it is to be typed as it stands, with all it needs."""

    where: str
    code: str
    whole: bool


def commands(code: str) -> Iterator[list[str]]:
    """The words of each of our commands in a piece of shell, alternatives and substitutions one by one."""
    inner = [match["inner"] for match in SUBSTITUTION.finditer(code)]
    for part in [*inner, SUBSTITUTION.sub("", code) if inner else code]:
        choice = ALTERNATIVES.search(part)
        for chosen in choice[0].split("|") if choice else [""]:
            said = part.replace(choice[0], chosen) if choice else part
            lexer = shlex.shlex(said, posix=True, punctuation_chars=True)
            lexer.whitespace_split, lexer.commenters = True, "#"
            line: list[str] = []
            for word in [*lexer, ";"]:
                if not set(word) <= set("();<>|&"):
                    line.append(PLACEHOLDERS.get(word, word))
                    continue
                if line and line[0] in PROGRAMS:
                    yield line
                line = []


def problem(words: list[str], *, whole: bool = True) -> str | None:
    """Why this command cannot be typed; None if it can."""
    program, *rest = words
    match program:
        case "make":
            return make_problem(rest)
        case "pulumi":
            return pulumi_problem(rest)
        case _:
            return gad_problem(rest, whole=whole)


def gad_problem(words: list[str], *, whole: bool) -> str | None:
    """Why `gad` would refuse these words; the command itself does not run."""
    command, path = GAD, ["gad"]
    rest = [word for word in words if word not in {"", "--help"}]
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        found = command.commands.get(rest[0])
        if found is None:
            return f"{' '.join(path)} has no command {rest[0]!r}"
        command, path, rest = found, [*path, rest[0]], rest[1:]
    if isinstance(command, TyperGroup):
        known = {name for parameter in command.params for name in parameter.opts}
        return next((f"{' '.join(path)} has no option {word}" for word in rest if word not in known), None)
    try:
        command.make_context(" ".join(path), rest)
    except typer.TyperException as error:
        # In prose a command is named by what tells it apart, not with everything it asks for.
        named_only = type(error).__name__ == "MissingParameter" and not whole
        return None if named_only else f"{' '.join(path)}: {error.format_message()}"
    except GadError as error:
        return f"{' '.join(path)}: {error.fact}"
    return None


MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):(?!=)", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"\$\((?:or \$\()?([A-Z]+)", MAKEFILE))


def make_problem(words: list[str]) -> str | None:
    """Why `make` would not know these words."""
    for word in words:
        name, is_set, _ = word.partition("=")
        if is_set and name not in VARIABLES:
            return f"the Makefile reads no {name}"
        if not is_set and name not in TARGETS:
            return f"the Makefile has no target {name}"
    return None


def pulumi_problem(words: list[str]) -> str | None:
    """Why these words are none that this project uses of the engine."""
    if not words:
        return None
    if words[0] not in PULUMI:
        return f"pulumi {words[0]} is none of the engine's commands we use"
    unused = [word for word in words[1:] if word.startswith("-") and word not in PULUMI[words[0]]]
    return f"pulumi {words[0]} with {unused[0]} is not used" if unused else None


def tokens(document: str) -> Iterator[Token]:
    """Every token of a Markdown text, the inline ones too."""
    for token in MARKDOWN.parse(document):
        yield token
        yield from token.children or []


def in_markdown(path: Path, text: str) -> Iterator[Mention]:
    """Shell blocks line by line, and inline code."""
    where = str(path.relative_to(ROOT))
    for token in tokens(text):
        if token.type == "fence" and token.info in {"sh", "bash"}:
            joined = token.content.replace("\\\n", " ")
            yield from (Mention(where, line, whole=True) for line in joined.splitlines())
        elif token.type == "code_inline":
            yield Mention(where, token.content, whole=False)


def in_source(path: Path, text: str) -> Iterator[Mention]:
    """What messages and docstrings put between backticks; a value of an f-string is a placeholder."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else "dev" for p in node.values]
        elif isinstance(node, ast.Constant):
            parts = [node.value]
        else:
            continue
        said = "".join(str(part) for part in parts)
        for code in re.findall(r"`([^`\n]+)`", said):
            yield Mention(f"{path.relative_to(ROOT)}:{node.lineno}", code, whole=False)


def leaves(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(path, help) of every command that does something."""
    if isinstance(command, TyperGroup):
        for name, sub in command.commands.items():
            yield from leaves(sub, (*path, name))
    else:
        yield " ".join(path), getattr(command, "help", None) or ""


def examples(text: str) -> list[str]:
    """The commands in the `Example:` of a help text, which are two spaces or more from what is said."""
    found = re.search(r"^Example:\s+(.*)$", text, re.MULTILINE)
    parts = re.split(r"\s{2,}", found[1]) if found else []
    return [part for part in parts if [*commands(part)]]


def refused(mentions: Iterator[Mention]) -> list[str]:
    """Each command that cannot be typed, with where it is said and why."""
    return [
        f"{mention.where}: `{' '.join(words)}`: {why}"
        for mention in mentions
        for words in commands(mention.code)
        if (why := problem(words, whole=mention.whole))
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_document_can_be_typed(path: Path) -> None:
    assert refused(in_markdown(path, path.read_text())) == []


def test_every_command_that_gad_itself_recommends_can_be_typed() -> None:
    mentions = [mention for path in SOURCES for mention in in_source(path, path.read_text())]
    assert sum(bool([*commands(mention.code)]) for mention in mentions) > 50
    assert refused(iter(mentions)) == []


@pytest.mark.parametrize(("name", "text"), [*leaves(GAD)], ids=[name for name, _ in leaves(GAD)])
def test_every_command_has_an_example_of_itself(name: str, text: str) -> None:
    shown = examples(text)
    assert [words for code in shown for words in commands(code) if problem(words)] == []
    assert any(code.replace("bin/gad", "gad").find(f"gad {name}") >= 0 for code in shown)


def test_the_table_of_the_readme_has_every_command_and_no_other() -> None:
    section = (ROOT / "README.md").read_text().split("\n## Commands\n")[1].split("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    mentions = in_markdown(ROOT / "README.md", table)
    listed = [words[1:] for mention in mentions for words in commands(mention.code) if words[0] == "gad"]
    named = [[word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)] for words in listed]
    names = [" ".join(words).removesuffix(" dev") for words in named]
    assert sorted(names) == sorted(name for name, _ in leaves(GAD))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("gad upp dev", "gad has no command 'upp'"),
        ("gad images bild app", "gad images has no command 'bild'"),
        ("gad --verison", "gad has no option --verison"),
        ("gad up STACK --verfy", "gad up: No such option: --verfy (Possible options: --no-verify, --verify)"),
        ("gad up dev again", "gad up: Got unexpected extra argument(s) (again)"),
        ("gad up nowhere", "gad up: there is no stack 'nowhere' (no Pulumi.nowhere.yaml)"),
        ("gad secrets init", "gad secrets init: Missing argument 'STACK'."),
        ('eval "$(bin/gad enw dev)"', "gad has no command 'enw'"),
        ("make upp", "the Makefile has no target upp"),
        ("make up STAKC=dev", "the Makefile reads no STAKC"),
        ("pulumi perview", "pulumi perview is none of the engine's commands we use"),
        ("pulumi preview --dif", "pulumi preview with --dif is not used"),
        ("cd /tmp && make upp", "the Makefile has no target upp"),
    ],
)
def test_a_wrong_command_is_found(code: str, why: str) -> None:
    assert [problem(words) for words in commands(code)] == [why]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("gad up dev      # as always", [["gad", "up", "dev"]]),
        ("gad settings schema > x.json", [["gad", "settings", "schema"]]),
        ("gad images push|list", [["gad", "images", "push"], ["gad", "images", "list"]]),
        ('eval "$(bin/gad env STACK)" && pulumi up', [["bin/gad", "env", "dev"], ["pulumi", "up"]]),
        ("curl --cacert x https://localhost", []),
    ],
)
def test_commands_are_read(code: str, words: list[list[str]]) -> None:
    assert [*commands(code)] == words
