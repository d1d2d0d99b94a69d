"""Docker: its daemon.json, and what the daemon itself says is in effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.host.controls import Control

from .facts import Facts, asks
from .proof import Proof, Source, Table, proves

asks("daemon.json", "cat /etc/docker/daemon.json")
asks("docker info", "docker info --format '{{json .}}'")
asks("docker0", "docker network inspect bridge --format '{{json .Options}}'")
asks("docker group", "getent group docker")
asks("docker proxies", "pgrep -c docker-proxy || true")

# Where the daemon says it, in its words: key → what it says of a control's value, and what it said.
SAID: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Any]] = {
    "live-restore": lambda info, _: info.get("LiveRestoreEnabled"),
    "log-driver": lambda info, _: info.get("LoggingDriver"),
    "experimental": lambda info, _: info.get("ExperimentalBuild"),
    "no-new-privileges": lambda info, _: "name=no-new-privileges" in (info.get("SecurityOptions") or []),
    "userns-remap": lambda info, _: "on" if "name=userns" in (info.get("SecurityOptions") or []) else "",
    "icc": lambda _, bridge: {"true": True, "false": False}.get(
        bridge.get("com.docker.network.bridge.enable_icc", "")
    ),
    "insecure-registries": lambda info, _: sorted(
        name
        for name, each in ((info.get("RegistryConfig") or {}).get("IndexConfigs") or {}).items()
        if not each.get("Secure", True)
    ),
}


def in_file(key: str, value: Any) -> Any:
    """A control's value as daemon.json has it; None for a key that is left out."""
    if value == "":
        return None
    if key == "default-ulimits":
        return {name: {"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in value.items()}
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


@proves("daemon_json.*")
def daemon_key(facts: Facts, control: Control) -> Proof:
    """In the file, and by the daemon where it says so."""
    key = control.id.partition(".")[2]
    config, info = facts.data("daemon.json"), facts.data("docker info") or {}
    expected: dict[str, Any] = {"daemon.json": in_file(key, control.value), "daemon.json is read": True}
    found: dict[str, Any] = {
        "daemon.json": (config or {}).get(key),
        "daemon.json is read": isinstance(config, dict) and bool(info.get("ServerVersion")),
    }
    source: Source = "file"
    if key in SAID:
        source = "value"
        wanted = control.value
        expected["the daemon says"] = sorted(wanted) if isinstance(wanted, tuple) else wanted  # type: ignore[type-var]
        found["the daemon says"] = SAID[key](info, facts.data("docker0") or {}) if info else None
    if key == "userland-proxy" and not control.value:
        source = "value"
        expected["docker-proxy processes"], found["docker-proxy processes"] = (
            "0",
            facts.text("docker proxies"),
        )
    return Proof(expected, found, source)


@proves("docker.packages", "docker.client-packages")
def packages(facts: Facts, control: Control) -> Proof:
    """Installed."""
    return Proof({"not installed": []}, {"not installed": facts.missing(facts.values.items(control.id))})


@proves("docker.folder-mode", "docker.config-mode", "projects.mode")
def mode(facts: Facts, control: Control) -> Proof:
    """Mode and owner."""
    user = facts.plan.deploy_user
    path, owner = {
        "docker.folder-mode": ("/etc/docker", "root:root"),
        "docker.config-mode": ("/etc/docker/daemon.json", "root:root"),
        "projects.mode": (facts.plan.base_dir, f"{user}:{user}"),
    }[control.id]
    return Proof({path: f"{control.value} {owner}"}, {path: facts.state(path)})


@proves("docker.deployer-only")
def deployer_only(facts: Facts, control: Control) -> Proof:
    """Who is in the group that owns the daemon's socket."""
    group = facts.text("docker group").split(":")
    found = sorted(filter(None, group[3].split(","))) if group[3:] else None
    wanted: Table = {"members of docker": [facts.plan.deploy_user]}
    return Proof(wanted, {"members of docker": found})
