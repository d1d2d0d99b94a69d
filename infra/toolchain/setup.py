"""Everything a checkout needs to run Pulumi, in order; a second run only looks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from infra.toolchain import debian, dockerd, plugins
from infra.toolchain.build import Recipe, build
from infra.toolchain.cache import cache_root
from infra.toolchain.choice import VARIABLE, Choice, Engine, Facts, Plugins, choose, forced_plugins
from infra.toolchain.engine import CachedEngine, find_on_path, version_of
from infra.toolchain.environment import pulumi_home
from infra.toolchain.progress import Reporter
from infra.toolchain.release import DownloadRefusedError, Release, load_release, this_platform
from infra.toolchain.shims import bin_folder, write_shims


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that is now in place, what was used for it, and why."""

    name: str
    used: str
    why: str


def set_up(root: Path, reporter: Reporter) -> Iterator[Step]:
    """Bring the checkout `root` up to work, yielding each thing as it is in place. Raises GadError."""
    forced_plugins(os.environ.get(VARIABLE))  # a misspelt wish fails before anything is installed
    debian.require(debian.ALWAYS, reporter)
    engine = dockerd.ensure(reporter)
    yield Step(
        name="docker",
        used=f"engine {engine.version} (API {engine.api})",
        why="started now" if engine.started else "answers",
    )
    toolchain = Toolchain(root, load_release(root))
    choice, executable = toolchain.obtain(reporter)
    yield Step(name="engine", used=f"pulumi {toolchain.release.version}", why=choice.engine_reason)
    if choice.plugins is Plugins.OFFLINE:
        debian.offer(debian.OFFLINE, reporter)
    write_shims(root, executable, choice.plugins)
    versions = ", ".join(f"{name} {number}" for name, number in plugins.required_plugins().items())
    yield Step(name="plugins", used=f"{choice.plugins} (python, {versions})", why=choice.plugins_reason)


@dataclass(frozen=True)
class Toolchain:
    """The pinned release, as this machine can have it."""

    root: Path
    release: Release

    @property
    def recipe(self) -> Recipe:
        """What the engine is built from where it cannot be downloaded."""
        return Recipe(self.root / "config" / "engine", self.release.version)

    @property
    def built(self) -> CachedEngine:
        """Where the engine built here is kept."""
        return CachedEngine(cache_root() / "engine" / self.release.version, self.recipe.digest())

    @property
    def downloaded(self) -> CachedEngine:
        """Where the release archive is unpacked."""
        pin = self.release.archives.get(this_platform(), "")
        return CachedEngine(cache_root() / "engine" / f"{self.release.version}-release", f"sha256:{pin}")

    def survey(self, on_path: Path | None) -> Facts:
        """What is here, without asking the network."""
        return Facts(
            required=self.release.version,
            forced=os.environ.get(VARIABLE),
            path_version=version_of(on_path) if on_path else None,
            path_has_language_host=bool(on_path and on_path.with_name("pulumi-language-python").exists()),
            release_cached=self.downloaded.is_intact(),
            release_pinned=this_platform() in self.release.archives,
            build_cached=self.built.is_intact(),
            plugins_installed=plugins.are_installed(pulumi_home()),
        )

    def obtain(self, reporter: Reporter) -> tuple[Choice, Path]:
        """Choose, and get what was chosen; a network that refuses is a fact for the next choice."""
        on_path = find_on_path(os.environ.get("PATH", os.defpath), exclude=bin_folder(self.root))
        facts = self.survey(on_path)
        url = self.release.archive_url(this_platform())
        choice = choose(facts)
        if _downloads(choice, facts):
            from infra.toolchain import archive  # noqa: PLC0415 - httpx, for the first run only

            facts = replace(facts, refusal=archive.refusal(url))
            choice = choose(facts)
        try:
            return choice, self._get(choice, on_path, url, reporter)
        except DownloadRefusedError as error:
            reporter.note(f"{error}; going on without downloads")
            facts = replace(facts, refusal=str(error), release_cached=self.downloaded.is_intact())
            choice = choose(facts)
            return choice, self._get(choice, on_path, url, reporter)

    def _get(self, choice: Choice, on_path: Path | None, url: str, reporter: Reporter) -> Path:
        if choice.engine is Engine.PATH and on_path is not None:
            executable = on_path
        elif choice.engine is Engine.RELEASE:
            from infra.toolchain import archive  # noqa: PLC0415

            pin = self.release.archives[this_platform()]
            executable = archive.fetch(url, pin, self.downloaded, reporter)
        else:
            executable = build(self.recipe, self.built, reporter)
        home = pulumi_home()
        if choice.plugins is Plugins.OFFICIAL and not plugins.are_installed(home):
            env = {**os.environ, "PULUMI_HOME": str(home), "PULUMI_SKIP_UPDATE_CHECK": "1"}
            plugins.install(executable, env, reporter)
        return executable


def _downloads(choice: Choice, facts: Facts) -> bool:
    """Does the choice rest on the network?"""
    engine = choice.engine is Engine.RELEASE and not facts.release_cached
    return engine or (choice.plugins is Plugins.OFFICIAL and not facts.plugins_installed)
