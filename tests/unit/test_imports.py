"""The import contract: what each part of the house may know of the others, and why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("infra", "app", "policies", "tests")


@dataclass(frozen=True)
class Arrow:
    """`part` may import `may` of ours (and itself); `why` is told to whoever breaks it."""

    part: str
    may: tuple[str, ...]
    why: str


# The longest matching part decides. Errors are open to the whole package.
PURE = "it is pure: same arguments, same result, testable without a stack"
CONTRACT = (
    Arrow("infra.errors", (), PURE),
    Arrow("infra.client", (), "whoever calls the API knows its contract, and nothing of a stack"),
    Arrow("infra.migrator", (), PURE),
    Arrow("infra.names", (), PURE),
    Arrow("infra.render", (), PURE),
    Arrow("infra.release", (), PURE),
    Arrow("infra.claims", ("infra.errors",), "a claim on ports and names is made before settings exist"),
    Arrow("infra.image_lock", ("infra.errors",), "whoever builds and whoever deploys read the same file"),
    Arrow("infra.ssh", (), PURE),
    Arrow("infra.tls_pair", (), PURE),
    Arrow("infra.host", ("infra.errors",), "pyinfra executes it on the data of one plan; it knows no stack"),
    Arrow("infra.sections", (), PURE),
    Arrow("infra.server_section", ("infra.sections", "infra.ssh"), PURE),
    Arrow("infra.stack_model", ("infra.sections", "infra.server_section", "infra.tls_pair"), PURE),
    Arrow("infra.last_release", ("infra.errors", "infra.release"), "it reads a state, and knows no stack"),
    Arrow(
        "infra.settings",
        (
            *("infra.claims", "infra.errors", "infra.image_lock", "infra.ssh", "infra.tls_pair"),
            *("infra.sections", "infra.server_section", "infra.stack_model"),
        ),
        "settings are read before anything else is known",
    ),
    Arrow("infra.desired", ("infra.settings", "infra.names", "infra.migrator", "infra.release"), PURE),
    Arrow("infra.attempt", ("infra.release",), "the program asks it once who tries a release, and why"),
    Arrow("infra.steps", ("infra.names", "infra.migrator"), "they are texts: what a machine is told to do"),
    Arrow(
        "infra.components",
        ("infra.names", "infra.migrator", "infra.steps"),
        "components take values, never Settings, never each other's insides",
    ),
    Arrow(
        "infra.stack_facts",
        ("infra.settings", "infra.desired", "infra.release", "infra.components"),
        "what a stack says of itself is made of what it is made of",
    ),
    Arrow(
        "infra.stack_secrets",
        (
            *("infra.settings", "infra.names", "infra.migrator", "infra.desired"),
            *("infra.components", "infra.render"),
        ),
        "who reads which secret is known where the components are",
    ),
    Arrow(
        "infra.stack_servers",
        ("infra.settings", "infra.server_section", "infra.names", "infra.components", "infra.host.revision"),
        "which machine carries what is known where the components are",
    ),
    Arrow(
        "infra.stack_release",
        (
            *("infra.settings", "infra.names", "infra.release", "infra.components", "infra.desired"),
            *("infra.errors", "infra.steps"),
        ),
        "which slot gets what is known where the components are",
    ),
    Arrow(
        "infra.stack",
        (
            *("infra.settings", "infra.names", "infra.render", "infra.release", "infra.last_release"),
            *("infra.components", "infra.migrator", "infra.errors", "infra.desired"),
            *("infra.stack_facts", "infra.stack_release", "infra.stack_secrets", "infra.stack_servers"),
        ),
        "the wiring knows all components and nothing that operates them",
    ),
    Arrow(
        "infra.__main__",
        ("infra.settings", "infra.stack", "infra.errors", "infra.attempt"),
        "the program only loads and builds",
    ),
    Arrow(
        "infra.toolchain",
        ("infra.errors",),
        "it must work before there is a stack, and could be a project alone",
    ),
    Arrow(
        "infra.operate",
        (
            *("infra.stack", "infra.settings", "infra.names", "infra.toolchain", "infra.errors"),
            *("infra.stack_facts", "infra.server_section", "infra.last_release", "infra.stack_model"),
            # To give a claim back, to read a recorded release, to write the digests of what was built,
            # to reach a server, to make PostgreSQL's certificate, to ask the schema as an update does.
            *("infra.claims", "infra.release", "infra.image_lock", "infra.ssh", "infra.tls_pair"),
            *("infra.migrator", "infra.client"),
            # To turn back at once, by the text of the same step, and to ask the program for the way back.
            *("infra.steps", "infra.attempt", "infra.desired"),
            # Data only: the steps run in pyinfra's process.
            *("infra.host.controls", "infra.host.plan"),
        ),
        "operating goes through the stack; components and texts are the program's business",
    ),
    Arrow(
        "infra.cli", ("infra.operate", "infra.toolchain", "infra.errors"), "the command line only translates"
    ),
    Arrow("infra", (), "every part of infra has a line in this contract"),
    Arrow("policies", (), "a judge shares no code with what it judges"),
    Arrow(
        "app.smoke",
        (
            *("app.__version__", "app.command", "app.errors", "app.logs", "app.settings", "app.user.vault"),
            *("app.smoke_account", "app.smoke_visit"),
        ),
        "it asks an API that runs and must start in a second: it never builds one",
    ),
    Arrow(
        "app.smoke_visit",
        (
            *("app.errors", "app.fields", "app.settings", "app.smoke_account"),
            *("app.auth.schemas", "app.user.schemas", "app.ws.messages"),
        ),
        "it knows the API by what the API answers",
    ),
    Arrow("app", ("app",), "app and infra share data (digest, variables, port, health paths), never code"),
)
# Inside a noun of the app a lower layer never knows a higher one.
LAYERS = ("models", "repository", "service", "routes")


def module_name(path: Path, root: Path) -> str:
    """`infra/stack.py` → `infra.stack`; a package is named without `__init__`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[tuple[str, int]]:
    """Each module of ours that `tree` imports, in any form and at any depth, with its line."""
    base = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = base[: len(base) - node.level + 1] if node.level else []
            parent = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{parent}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((name, node.lineno) for name in names if name.split(".")[0] in OURS)


def is_within(name: str, part: str) -> bool:
    """`infra.components.api` is within `infra.components`."""
    return name == part or name.startswith(f"{part}.")


def forbidden(module: str, target: str) -> str | None:
    """Why `module` may not import `target`; None when it may."""
    arrow = next((a for a in sorted(CONTRACT, key=lambda a: -len(a.part)) if is_within(module, a.part)), None)
    if arrow is None:
        return "it is in no part of the contract"
    own = arrow.part != "infra" and is_within(target, arrow.part)
    if not own and not any(is_within(target, part) for part in arrow.may):
        return arrow.why
    here, there = module.split("."), target.split(".")
    if here[:2] == there[:2] and len(here) > 2 and len(there) > 2 and {here[2], there[2]} <= set(LAYERS):
        low, high = LAYERS.index(here[2]), LAYERS.index(there[2])
        return f"{here[2]} is below {there[2]}" if low < high else None
    return None


def violations(root: Path) -> list[str]:
    """Every forbidden edge below `root`, as a sentence."""
    found = []
    for path in sorted(p for part in OURS[:3] for p in (root / part).rglob("*.py")):
        module = module_name(path, root)
        tree = ast.parse(path.read_text(), filename=str(path))
        for target, line in imported(tree, module, is_package=path.name == "__init__.py"):
            if why := forbidden(module, target):
                found.append(f"{path.relative_to(root)}:{line}: {module} must not import {target}: {why}")
    return found


def test_the_house_keeps_its_contract() -> None:
    assert violations(ROOT) == []


def test_the_contract_names_only_what_exists() -> None:
    parts = [arrow.part for arrow in CONTRACT]
    there = [p for p in parts if (s := ROOT / p.replace(".", "/")).is_dir() or s.with_suffix(".py").is_file()]
    assert there == parts


@pytest.mark.parametrize(
    ("path", "code", "edge"),
    [
        ("infra/names.py", "from infra.errors import GadError", "infra.names must not import infra.errors"),
        ("infra/components/api.py", "from infra import settings", "must not import infra.settings"),
        (
            "infra/components/api.py",
            "from ..settings import Settings",
            "must not import infra.settings.Settings",
        ),
        ("infra/toolchain/docker/a.py", "def f():\n    import infra.stack", "must not import infra.stack"),
        ("infra/operate/up.py", "from infra.components import api", "must not import infra.components.api"),
        ("infra/cli/up.py", "from infra.settings import load", "must not import infra.settings.load"),
        ("infra/novelty.py", "import infra.names", "every part of infra has a line"),
        ("infra/stack.py", "import app.settings", "must not import app.settings"),
        ("app/main.py", "from infra.names import prefix", "app and infra share data"),
        (
            "app/officer/repository.py",
            "from app.officer.service import nearest",
            "repository is below service",
        ),
        ("policies/rules/health.py", "import infra.names", "a judge shares no code"),
    ],
)
def test_a_forbidden_edge_is_named(tmp_path: Path, path: str, code: str, edge: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(code)
    assert [edge in sentence for sentence in violations(tmp_path)] == [True]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("infra/stack.py", "from infra.components.api import Api\nfrom infra import render"),
        ("infra/toolchain/docker/a.py", "from infra.toolchain.plugin import Provider\nfrom . import b"),
        ("infra/cli/up.py", "from infra.operate import up\nfrom infra.errors import Exit"),
        ("app/officer/routes.py", "from app.officer import service\nfrom app.db import Session"),
        ("policies/rules/health.py", "import pulumi_policy"),
    ],
)
def test_an_allowed_edge_is_silent(tmp_path: Path, path: str, code: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(code)
    assert violations(tmp_path) == []
