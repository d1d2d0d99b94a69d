"""The cases of docker.yaml: filled in, run in four stacks, and what was seen."""

from __future__ import annotations

import re
import secrets
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.errors import NotFound

from tests.engine.conformance.harness import Declared, Recorded, Run, Stack
from tests.engine.conformance.images import TestImages
from tests.ports import free_ports

Json = dict[str, Any]
DATA: Json = yaml.safe_load(Path(__file__).with_name("docker.yaml").read_text())
CASES: list[Json] = DATA["cases"]
# Of the HostConfig that `docker inspect` shows.
HOST_FACTS = (
    *("Binds", "CapAdd", "CapDrop", "CpuPeriod", "CpuQuota", "CpuShares", "CpusetCpus", "Dns", "Init"),
    *("IpcMode", "LogConfig", "Memory", "MemorySwap", "Mounts", "NanoCpus", "NetworkMode", "PortBindings"),
    *("ReadonlyRootfs", "RestartPolicy", "SecurityOpt", "ShmSize", "Sysctls", "Tmpfs"),
)
GROUPS = ("edited", "tampered", "failing", "stuck")


def case_ids(**wanted: object) -> list[str]:
    """The cases that have every wanted key; a value of `...` matches any."""
    return [
        each["case"]
        for each in CASES
        if all(key in each if value is ... else each.get(key) == value for key, value in wanted.items())
    ]


def overlaid(base: Any, change: Any) -> Any:
    """`change` over `base`; null removes."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    merged = {key: overlaid(base.get(key), value) for key, value in change.items() if value is not None}
    return {**{key: value for key, value in base.items() if key not in change}, **merged}


@dataclass
class Case:
    """One case with its placeholders filled in, and what was recorded about it."""

    name: str  # the logical name in the stack
    data: Json
    physical: str
    values: Mapping[str, str]
    runs: dict[str, Run] = field(default_factory=dict)
    facts: dict[str, Json] = field(default_factory=dict)
    state: Recorded | None = None

    @property
    def is_container(self) -> bool:
        return bool(self.data["type"] == "Container")

    @property
    def inputs(self) -> Json:
        own = self.data.get("inputs", {})
        return self.filled(overlaid(DATA["inputs"], own) if self.is_container else own)

    @property
    def edited_inputs(self) -> Json:
        base = self.data.get("inputs", {})
        whole = overlaid(DATA["inputs"], base) if self.is_container else base
        edit = self.data["edit"]
        merged = {**whole, **{key: value for key, value in edit.items() if value is not None}}
        return self.filled({key: value for key, value in merged.items() if edit.get(key, ...) is not None})

    def filled(self, value: Any) -> Any:
        """`value` with the placeholders of this run."""
        if isinstance(value, str):
            for key, real in self.values.items():
                if value == key and key in ("$PORT", "$TAKEN"):
                    return int(real)
                value = value.replace(key, real)
            return value
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        if isinstance(value, dict):
            return {self.filled(key): self.filled(each) for key, each in value.items()}
        return value

    def expected(self, key: str) -> Json:
        """The expected facts or outputs, placeholders filled, ports in facts as the engine writes them."""
        own = self.data.get(key, {})
        base = DATA["facts" if key == "edited_facts" else key] if self.is_container else {}
        return (
            _texts_of_ports(self.filled(overlaid(base, own)))
            if "facts" in key
            else self.filled(overlaid(base, own))
        )

    def declared(self, inputs: Json) -> Declared:
        return Declared(
            name=self.name,
            type=f"pulumi_docker.{self.data['type']}",
            inputs=inputs,
            options=self.data.get("options", {}),
        )

    def prepare(self, key: str) -> None:
        """Run the case's `before` or `tamper` command."""
        if key in self.data:
            subprocess.run(
                shlex.split(self.filled(self.data[key])), check=True, capture_output=True, timeout=60
            )


def _texts_of_ports(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts_of_ports(each) for each in value]
    if isinstance(value, dict):
        return {key: str(each) if key == "HostPort" else _texts_of_ports(each) for key, each in value.items()}
    return value


def masked(value: Any, case: Case) -> Any:
    """`value` with everything the engine chose itself replaced by its mask; empty values left out."""
    if isinstance(value, dict):
        found = {key: masked(each, case) for key, each in value.items()}
        found |= {"ipPrefixLength": "<n>"} if found.get("ipPrefixLength") else {}
        return {key: each for key, each in found.items() if each not in (None, False, 0, "", [], {})}
    if isinstance(value, list):
        return [masked(each, case) for each in value]
    if not isinstance(value, str):
        return value
    value = re.sub(rf"^{re.escape(case.name)}-[0-9a-f]{{7}}$", "$AUTONAME", value)
    known = {real: f"\0{index}\0" for index, real in enumerate(case.values.values())}
    for real, mark in known.items():
        value = value.replace(real, mark)
    value = re.sub(r"\b(?:172\.\d+|192\.168)\.\d+\.\d+\b", "<ip>", value)
    value = re.sub(r"^<ip>/\d+$", "<ip>/<n>", value)
    value = re.sub(r"\b02:42(?::[0-9a-f]{2}){4}\b", "<mac>", value)
    value = re.sub(r"\bsha256:[0-9a-f]{64}", "sha256:<d>", value)
    value = re.sub(r"^[0-9a-f]{64}$", "<id64>", value)
    value = re.sub(r"^[0-9a-f]{12}$", "<id12>", value)
    for real, mark in known.items():
        value = value.replace(mark, real)
    return value


class Recorder:
    """Runs the three groups once and keeps what they did."""

    def __init__(
        self, new_stack: Callable[[str], Stack], images: TestImages, folder: Path, client: docker.DockerClient
    ) -> None:
        self.prefix = f"gadt{secrets.token_hex(3)}"
        self.client = client
        self._new_stack = new_stack
        subnet = f"10.{64 + secrets.randbelow(190)}"
        ports = [str(port) for port in free_ports(len(CASES))]
        self.cases = {}
        for data, port in zip(CASES, ports, strict=True):
            name = re.sub(r"[._]", "-", data["case"])
            physical = f"{self.prefix}-{name}"
            self.cases[data["case"]] = Case(
                name=physical,
                data=data,
                physical=physical,
                values={
                    "$NAME": physical,
                    "$IMAGE2": images.second,
                    "$IMAGE": images.first,
                    "$TAGGED": images.tagged,
                    "$REGISTRY": images.registry,
                    "$PORT": port,
                    "$TAKEN": port,
                    "$SUBNET": subnet,
                    "$FOLDER": str(folder),
                },
            )

    def record(self) -> None:
        """All groups; they share nothing and mostly wait, so they run side by side."""
        with ThreadPoolExecutor(len(GROUPS)) as pool:
            for done in [pool.submit(self._record, group) for group in GROUPS]:
                done.result()

    def _record(self, group: str) -> None:
        cases = [each for each in self.cases.values() if each.data["group"] == group]
        edited = [each for each in cases if "edit" in each.data]
        stack = self._new_stack(group)
        for case in cases:
            case.prepare("before")
        stack.declare([case.declared(case.inputs) for case in cases])
        self._keep("create", stack.up("--parallel", "16", "--continue-on-error"), cases)
        states = stack.exported()
        for case in cases:
            case.state = states.get(case.name)
            case.facts["created"] = self._look(case)
        for case in cases:
            case.prepare("tamper")
        if group == "tampered":
            self._keep("after_tamper", stack.preview("--refresh"), cases)
            self._keep("tamper_refresh", stack.refresh("--parallel", "16"), cases)
        stack.declare([case.declared(case.edited_inputs) for case in edited])
        self._keep("plan", stack.preview(), cases)
        # With --continue-on-error the engine waits for ever on a replacement whose deletion failed.
        carry_on = ["--continue-on-error"] if group != "stuck" else []
        self._keep("edit", stack.up("--parallel", "16", *carry_on), cases)
        for case in edited:
            case.facts["edited"] = self._look(case)
        self._keep("second", stack.preview(), cases)
        if group in ("edited", "tampered"):
            self._keep("refresh", stack.refresh("--parallel", "16"), cases)
        self._keep("destroy", stack.destroy("--parallel", "16", "--continue-on-error"), cases)
        for case in cases:
            case.facts["destroyed"] = self._look(case)

    @staticmethod
    def _keep(phase: str, run: Run, cases: Sequence[Case]) -> None:
        for case in cases:
            case.runs[phase] = run

    def _look(self, case: Case) -> Json:
        if case.is_container:
            return self._look_at_container(case)
        kind = case.data["type"]
        try:
            if kind == "Network":
                found = self.client.api.inspect_network(case.physical)
                keys = ("Driver", "IPAM", "Internal", "Labels")
            elif kind == "Volume":
                found = self.client.api.inspect_volume(case.physical)
                keys = ("Driver", "Labels", "Options")
            else:
                return {}
        except NotFound:
            return {"exists": False}
        return {key: found.get(key) for key in keys}

    def _look_at_container(self, case: Case) -> Json:
        # The name itself, the one the edit gives, or one that the engine made up from the logical name.
        pattern = f"^/{case.physical}(-2|-[0-9a-f]{{7}})?$"
        ids = [each["Id"] for each in self.client.api.containers(all=True, filters={"name": pattern})]
        if not ids:
            return {"exists": False}
        (id_,) = ids
        found = self.client.api.inspect_container(id_)
        return container_facts(found, self.client.api.inspect_image(found["Image"]))

    def clean(self) -> None:
        """Remove whatever a failed run left."""
        api = self.client.api
        names = {"name": f"^/?{self.prefix}-"}
        for container in api.containers(all=True, filters=names):
            api.remove_container(container["Id"], force=True, v=True)
        for network in api.networks(filters={"name": f"{self.prefix}-"}):
            api.remove_network(network["Id"])
        for volume in api.volumes(filters={"name": f"{self.prefix}-"})["Volumes"] or ():
            api.remove_volume(volume["Name"], force=True)
        for image in self.client.images.list(filters={"reference": f"{self.prefix}-*"}):
            for tag in image.tags:
                if tag.startswith(self.prefix):
                    api.remove_image(tag)


def container_facts(found: Json, image: Json) -> Json:
    """The part of an inspection that the cases speak about; what the image gives is left out."""
    config, host, base = found["Config"], found["HostConfig"], image["Config"] or {}
    environment = [each for each in config["Env"] or () if each not in (base.get("Env") or ())]
    labels = {k: v for k, v in (config["Labels"] or {}).items() if (base.get("Labels") or {}).get(k) != v}
    own = ("Cmd", "Entrypoint", "User", "WorkingDir", "StopTimeout", "Healthcheck")
    short = found["Id"][:12]
    return {
        "exists": True,
        "state": found["State"]["Status"],
        "config": {
            **{key: config.get(key) for key in own if config.get(key) != base.get(key)},
            "Env": environment,
            "Labels": labels,
        },
        "host": {key: host.get(key) for key in HOST_FACTS},
        "networks": {
            name: {"aliases": [each for each in network["Aliases"] or () if each != short]}
            for name, network in found["NetworkSettings"]["Networks"].items()
        },
        "mounts": [
            {key: mount.get(key) for key in ("Destination", "Name", "RW", "Source", "Type")}
            for mount in found["Mounts"]
        ],
    }
