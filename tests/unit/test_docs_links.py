"""The documents hold together: links, anchors and paths lead somewhere, diagrams can be drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
MARKDOWN = MarkdownIt("commonmark").enable("table")
DIAGRAMS = {"flowchart", "graph", "sequenceDiagram", "stateDiagram-v2"}
BRACKETS = {"(": ")", "[": "]", "{": "}"}


def tokens(document: str) -> Iterator[Token]:
    """Every token of a Markdown text, the inline ones too."""
    for token in MARKDOWN.parse(document):
        yield token
        yield from token.children or []


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(text: str) -> set[str]:
    """Of every heading."""
    parsed = [*MARKDOWN.parse(text)]
    return {slug(inline.content) for opening, inline in pairwise(parsed) if opening.type == "heading_open"}


def dead_links(path: Path, text: str) -> list[str]:
    """Relative links of a document to a file or a heading that is not there."""
    found = []
    for token in tokens(text):
        target = str(token.attrGet("href") or token.attrGet("src") or "")
        if not target or re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        # A document that is being written may not be on disk as it is read.
        there = text if file == path else file.read_text() if file.is_file() else None
        is_there = there is not None or file.is_dir()
        if not is_there or (anchor and anchor not in anchors(there or "")):
            found.append(target)
    return found


def dead_paths(text: str) -> list[str]:
    """Inline code that names a path of this repository (its first part is one of ours) which is not there."""
    ours = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")}
    named = [t.content for t in tokens(text) if t.type == "code_inline" and " " not in t.content]
    paths = [name.split("::")[0] for name in named if name.split("/")[0] in ours]
    return [path for path in paths if not [*ROOT.glob(path.rstrip("/"))]]


def faults(diagram: str) -> list[str]:
    """What keeps a mermaid block from being drawn, as far as its structure tells."""
    lines = [line.strip() for line in diagram.splitlines() if line.strip()]
    found = [] if lines and lines[0].split()[0] in DIAGRAMS else ["it is of no known kind"]
    depth = 0
    for line in lines:
        depth += (line.split()[0] == "subgraph") - (line == "end")
        if depth < 0:
            found.append("an end without a subgraph")
            depth = 0
        bare = re.sub(r'"[^"]*"', "", line)
        if '"' in bare or not balanced(bare):
            found.append(f"brackets or quotes do not close: {line}")
    return [*found, *(["a subgraph without an end"] if depth else [])]


def balanced(line: str) -> bool:
    """Whether every bracket closes in order."""
    waiting: list[str] = []
    for character in line:
        if character in BRACKETS:
            waiting.append(BRACKETS[character])
        elif character in BRACKETS.values() and (not waiting or waiting.pop() != character):
            return False
    return not waiting


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_paths_and_diagrams_of_a_document_hold(path: Path) -> None:
    text = path.read_text()
    diagrams = [token.content for token in tokens(text) if token.info == "mermaid"]
    broken = [fault for diagram in diagrams for fault in faults(diagram)]
    assert (dead_links(path, text), dead_paths(text), broken) == ([], [], [])


def test_the_readme_has_a_diagram() -> None:
    fences = [token.info for token in tokens((ROOT / "README.md").read_text()) if token.type == "fence"]
    assert "mermaid" in fences


def test_decisions_are_numbered_once_and_without_a_gap() -> None:
    files = sorted((ROOT / "docs" / "adr").glob("*.md"))
    titles = [re.match(r"# (\d+)\. ", path.read_text()) for path in files]
    numbers = [int(path.name[:4]) for path in files]
    assert numbers == [*range(1, len(files) + 1)]
    assert [int(title[1]) if title else None for title in titles] == numbers


def test_what_is_dead_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One thing\n\n## `gad up`: what, and why?\n")
    text = (
        "# Here\n[a](other.md) [b](other.md#one-thing) [c](other.md#gad-up-what-and-why)\n"
        "[d](#here) [e](x:y)\n"
        "[f](gone.md) [g](other.md#gone) [h](#gone)\n"
        "`infra/settings.py` `infra/gone.py` `config/*.py` `a/b.py` `not infra/gone.py`\n"
    )
    assert dead_links(tmp_path / "here.md", text) == ["gone.md", "other.md#gone", "#gone"]
    assert dead_paths(text) == ["infra/gone.py", "config/*.py"]


@pytest.mark.parametrize(
    ("diagram", "found"),
    [
        ('flowchart LR\n  subgraph a [A]\n    b[("B (x")]\n  end\n  b -- "c" --> d([D])', []),
        ("flowchart LR\n  subgraph a", ["a subgraph without an end"]),
        ("flowchart LR\n  end", ["an end without a subgraph"]),
        ("flowchart LR\n  a[A --> b", ["brackets or quotes do not close: a[A --> b"]),
        ('flowchart LR\n  a["A] --> b', ['brackets or quotes do not close: a["A] --> b']),
        ("flowchat LR\n  a --> b", ["it is of no known kind"]),
    ],
)
def test_a_diagram_that_cannot_be_drawn_is_found(diagram: str, found: list[str]) -> None:
    assert faults(diagram) == found
