"""A mistake in the form of a stack file is said before any engine runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import Exit, GadError
from infra.operate.stack_file import read


def written(root: Path, content: bytes | str) -> Path:
    data = content if isinstance(content, bytes) else content.encode()
    (root / "Pulumi.dev.yaml").write_bytes(data)
    return root


def test_only_our_namespace_is_read_and_secrets_stay_closed(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        "config:\n  grupo-gad:api: {memory_mib: 256}\n  pulumi:x: 1\n"
        "  grupo-gad:secrets: {kek: {secure: v1:abc}}\nencryptionsalt: v1:x\n",
    )
    assert read(root, "dev") == {"api": {"memory_mib": 256}, "secrets": {"kek": {"secure": "v1:abc"}}}


@pytest.mark.parametrize("content", ["", "config: {}\n", "# only a comment\n"])
def test_an_empty_file_has_no_values(tmp_path: Path, content: str) -> None:
    assert read(written(tmp_path, content), "dev") == {}


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("config:\n  grupo-gad:api: {memory_mib: 256\n", "Pulumi.dev.yaml is not valid YAML at line 3"),
        ("config:\n\tgrupo-gad:api: 1\n", "Pulumi.dev.yaml is not valid YAML at line 2"),
        ("config:\n", "Pulumi.dev.yaml: config is not what a stack file holds"),
        ("settings: {}\n", "Pulumi.dev.yaml: settings is not what a stack file holds"),
        ("- a\n", "Pulumi.dev.yaml: the document is not what a stack file holds"),
        (b"config: \xff\n", "Pulumi.dev.yaml is not valid YAML"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes | str, fact: str) -> None:
    with pytest.raises(GadError) as caught:
        read(written(tmp_path, content), "dev")
    assert caught.value.fact == fact
    assert caught.value.exit_code == Exit.USAGE


def test_a_stack_without_a_file_names_those_that_have_one(tmp_path: Path) -> None:
    written(tmp_path, "")
    (tmp_path / "Pulumi.staging.yaml").touch()
    (tmp_path / "Pulumi.yaml").touch()
    with pytest.raises(GadError) as caught:
        read(tmp_path, "stagin")
    assert caught.value.fact == "there is no Pulumi.stagin.yaml"
    assert caught.value.remedy == "name one of dev, staging, or write that file"
    assert caught.value.exit_code == Exit.USAGE
