"""Which engine and which plugins: a pure decision that carries its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from infra.errors import Exit, GadError

VARIABLE = "GAD_TOOLCHAIN"


class Engine(StrEnum):
    """Where the `pulumi` executable comes from."""

    PATH = "path"  # found on PATH, of the required version
    RELEASE = "release"  # Pulumi's archive, checked against the pinned SHA-256
    BUILD = "build"  # built from its Go module


class Plugins(StrEnum):
    """Who serves the language and the providers."""

    OFFICIAL = "official"
    OFFLINE = "offline"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found on this machine. `refusal` says why nothing can be downloaded; None: it can."""

    required: str
    forced: str | None
    path_version: str | None = None
    path_has_language_host: bool = False
    release_cached: bool = False
    release_pinned: bool = False
    build_cached: bool = False
    plugins_installed: bool = False
    refusal: str | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The decision; each reason is printed by `gad setup`."""

    engine: Engine
    engine_reason: str
    plugins: Plugins
    plugins_reason: str


def forced_plugins(value: str | None) -> Plugins | None:
    """Read GAD_TOOLCHAIN; unset and empty leave the choice open. Raises GadError for any other word."""
    if not value:
        return None
    try:
        return Plugins(value)
    except ValueError:
        raise GadError(
            f"{VARIABLE} is {value!r}, which is no toolchain",
            remedy=f"set it to {' or '.join(Plugins)}, or unset it to let `gad setup` choose",
            exit_code=Exit.USAGE,
        ) from None


def choose(facts: Facts) -> Choice:
    """Take the first engine and the first plugins that can be had.

    Raises GadError when GAD_TOOLCHAIN asks for the impossible.
    """
    forced = forced_plugins(facts.forced)
    if forced is Plugins.OFFICIAL:
        return _official(facts)
    engine, reason = _engine(facts, downloads=forced is None)
    if forced is Plugins.OFFLINE:
        plugins, why = Plugins.OFFLINE, f"{VARIABLE}=offline"
    else:
        plugins, why = _plugins(facts, engine)
    return Choice(engine=engine, engine_reason=reason, plugins=plugins, plugins_reason=why)


def _engine(facts: Facts, *, downloads: bool) -> tuple[Engine, str]:
    if facts.path_version == facts.required:
        return Engine.PATH, f"pulumi {facts.required} is on PATH"
    other = f"; pulumi {facts.path_version} on PATH is another version" if facts.path_version else ""
    if facts.release_cached:
        return Engine.RELEASE, f"the release archive is in the cache{other}"
    if facts.build_cached:
        return Engine.BUILD, f"built from the Go module, in the cache{other}"
    if not downloads:
        return Engine.BUILD, f"{VARIABLE}=offline{other}"
    if not facts.release_pinned:
        return Engine.BUILD, f"no SHA-256 is pinned for this platform, so no archive is trusted{other}"
    if facts.refusal:
        return Engine.BUILD, f"{facts.refusal}{other}"
    return Engine.RELEASE, f"the release archive can be downloaded{other}"


def _has_language_host(facts: Facts, engine: Engine) -> bool:
    """A built engine never has one: no Go module, wheel or package carries the official host."""
    return engine is Engine.RELEASE or (engine is Engine.PATH and facts.path_has_language_host)


def _plugins(facts: Facts, engine: Engine) -> tuple[Plugins, str]:
    if not _has_language_host(facts, engine):
        return Plugins.OFFLINE, "this engine comes without a Python language host"
    if facts.plugins_installed:
        return Plugins.OFFICIAL, "installed"
    if facts.refusal:
        return Plugins.OFFLINE, facts.refusal
    return Plugins.OFFICIAL, "the engine downloads them"


def _official(facts: Facts) -> Choice:
    """GAD_TOOLCHAIN=official: the same order without the ways that end in offline plugins."""
    why_not = facts.refusal or ("" if facts.release_pinned else "no SHA-256 is pinned for this platform")
    if facts.path_version == facts.required and facts.path_has_language_host:
        engine, reason = Engine.PATH, f"pulumi {facts.required} is on PATH"
    elif facts.release_cached:
        engine, reason = Engine.RELEASE, "the release archive is in the cache"
    elif not why_not:
        engine, reason = Engine.RELEASE, f"{VARIABLE}=official"
    else:
        raise GadError(
            f"{VARIABLE}=official, but the official engine cannot be had: {why_not}",
            remedy=f"put pulumi {facts.required} on PATH, or unset {VARIABLE}",
        )
    if facts.refusal and not facts.plugins_installed:
        raise GadError(
            f"{VARIABLE}=official, but the official plugins cannot be had: {facts.refusal}",
            remedy=f"allow downloads from this network, or unset {VARIABLE}",
        )
    why = "installed" if facts.plugins_installed else f"{VARIABLE}=official"
    return Choice(engine=engine, engine_reason=reason, plugins=Plugins.OFFICIAL, plugins_reason=why)
