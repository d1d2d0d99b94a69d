from __future__ import annotations

import dataclasses

import pytest

from infra.errors import Exit, GadError
from infra.toolchain.choice import Engine, Facts, Plugins, choose, forced_plugins

NOTHING = Facts(required="3.259.0", forced=None, release_pinned=True)
REFUSED = dataclasses.replace(NOTHING, refusal="the release host cannot be resolved")
ON_PATH = {"path_version": "3.259.0", "path_has_language_host": True}


@pytest.mark.parametrize(
    ("facts", "engine", "plugins"),
    [
        (NOTHING, Engine.RELEASE, Plugins.OFFICIAL),
        (REFUSED, Engine.BUILD, Plugins.OFFLINE),
        (dataclasses.replace(NOTHING, release_pinned=False), Engine.BUILD, Plugins.OFFLINE),
        (dataclasses.replace(NOTHING, **ON_PATH), Engine.PATH, Plugins.OFFICIAL),
        (dataclasses.replace(REFUSED, **ON_PATH), Engine.PATH, Plugins.OFFLINE),
        (dataclasses.replace(REFUSED, **ON_PATH, plugins_installed=True), Engine.PATH, Plugins.OFFICIAL),
        (dataclasses.replace(NOTHING, path_version="3.259.0"), Engine.PATH, Plugins.OFFLINE),
        (dataclasses.replace(NOTHING, path_version="3.1.0"), Engine.RELEASE, Plugins.OFFICIAL),
        (dataclasses.replace(REFUSED, release_cached=True), Engine.RELEASE, Plugins.OFFLINE),
        (dataclasses.replace(NOTHING, build_cached=True), Engine.BUILD, Plugins.OFFLINE),
        (dataclasses.replace(NOTHING, forced="offline"), Engine.BUILD, Plugins.OFFLINE),
        (dataclasses.replace(NOTHING, forced="offline", **ON_PATH), Engine.PATH, Plugins.OFFLINE),
        (
            dataclasses.replace(NOTHING, forced="official", build_cached=True),
            Engine.RELEASE,
            Plugins.OFFICIAL,
        ),
        (dataclasses.replace(NOTHING, forced="official", **ON_PATH), Engine.PATH, Plugins.OFFICIAL),
    ],
)
def test_the_first_way_that_works_is_taken(facts: Facts, engine: Engine, plugins: Plugins) -> None:
    choice = choose(facts)
    assert (choice.engine, choice.plugins) == (engine, plugins)


def test_reasons_name_the_cause() -> None:
    choice = choose(dataclasses.replace(REFUSED, path_version="3.1.0"))
    assert choice.engine_reason == (
        "the release host cannot be resolved; pulumi 3.1.0 on PATH is another version"
    )
    assert choice.plugins_reason == "this engine comes without a Python language host"


@pytest.mark.parametrize(
    ("facts", "fact"),
    [
        (REFUSED, "the official engine cannot be had: the release host cannot be resolved"),
        (dataclasses.replace(NOTHING, release_pinned=False), "no SHA-256 is pinned for this platform"),
        (dataclasses.replace(REFUSED, **ON_PATH), "the official plugins cannot be had"),
    ],
)
def test_official_that_cannot_be_had_is_an_error(facts: Facts, fact: str) -> None:
    with pytest.raises(GadError, match=fact) as caught:
        choose(dataclasses.replace(facts, forced="official"))
    assert "unset GAD_TOOLCHAIN" in caught.value.remedy


@pytest.mark.parametrize("value", [None, ""])
def test_unset_leaves_the_choice_open(value: str | None) -> None:
    assert forced_plugins(value) is None


def test_a_misspelt_toolchain_is_bad_usage() -> None:
    with pytest.raises(GadError, match="GAD_TOOLCHAIN is 'ofline'") as caught:
        forced_plugins("ofline")
    assert caught.value.exit_code is Exit.USAGE
    assert "official or offline" in caught.value.remedy
