"""A container's inputs as the body of the engine's create call (API 1.41). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from infra.errors import GadError
from infra.toolchain.plugin import Properties, Value

from .normal import normal_capability, parse_duration
from .typed import flag, number, objects, text, texts, words

MIB = 1024 * 1024
Body = dict[str, object]


def container_body(inputs: Properties) -> Body:
    """The create call's body. Raises GadError for a value the engine could not be told."""
    body: Body = {
        "Image": text(inputs, "image"),
        "Hostname": text(inputs, "hostname"),
        "Domainname": text(inputs, "domainname"),
        "User": text(inputs, "user"),
        "Env": texts(inputs, "envs"),
        "Cmd": texts(inputs, "command") or None,
        "Entrypoint": texts(inputs, "entrypoints") or None,
        "Labels": labels(inputs),
        "WorkingDir": text(inputs, "workingDir"),
        "StopSignal": text(inputs, "stopSignal"),
        "StopTimeout": number(inputs, "stopTimeout") or None,
        "Healthcheck": _healthcheck(inputs.get("healthcheck")),
        "Tty": flag(inputs, "tty"),
        "OpenStdin": flag(inputs, "stdinOpen"),
        "ExposedPorts": {port: {} for port in _port_bindings(inputs)},
        "Volumes": {
            text(each, "containerPath"): {}
            for each in objects(inputs, "volumes")
            if not (text(each, "hostPath") or text(each, "volumeName") or text(each, "fromContainer"))
        },
        "HostConfig": _present(_host_config(inputs)),
    }
    return _present(body)


def labels(inputs: Mapping[str, Value]) -> dict[str, str]:
    """The labels of a container, network, volume or mount, as the engine wants them."""
    return {text(each, "label"): text(each, "value") for each in objects(inputs, "labels")}


class RestartPolicy(TypedDict):
    """The engine's words for it."""

    Name: str
    MaximumRetryCount: int


def restart_policy(inputs: Properties) -> RestartPolicy:
    """The restart policy; the engine takes a retry count for `on-failure` only."""
    return {"Name": text(inputs, "restart") or "no", "MaximumRetryCount": number(inputs, "maxRetryCount")}


def swap_bytes(inputs: Properties) -> int:
    """Memory plus swap in bytes; -1 stays what it is: no limit."""
    swap = number(inputs, "memorySwap")
    return swap * MIB if swap > 0 else swap


def _host_config(inputs: Properties) -> Body:
    capabilities = inputs.get("capabilities")
    caps: Properties = capabilities if isinstance(capabilities, dict) else {}
    init = inputs.get("init")
    return {
        "AutoRemove": flag(inputs, "rm"),
        "Binds": [*_binds(inputs)],
        "BlkioDeviceReadBps": _rates(inputs, "deviceReadBps"),
        "BlkioDeviceReadIOps": _rates(inputs, "deviceReadIops"),
        "BlkioDeviceWriteBps": _rates(inputs, "deviceWriteBps"),
        "BlkioDeviceWriteIOps": _rates(inputs, "deviceWriteIops"),
        "CapAdd": [normal_capability(each) for each in texts(caps, "adds")],
        "CapDrop": [normal_capability(each) for each in texts(caps, "drops")],
        "CgroupParent": text(inputs, "cgroupParent"),
        "CgroupnsMode": text(inputs, "cgroupnsMode"),
        "CpuPeriod": number(inputs, "cpuPeriod"),
        "CpuQuota": number(inputs, "cpuQuota"),
        "CpuShares": number(inputs, "cpuShares"),
        "CpusetCpus": text(inputs, "cpuSet"),
        "Devices": [
            {
                "PathOnHost": text(each, "hostPath"),
                "PathInContainer": text(each, "containerPath") or text(each, "hostPath"),
                "CgroupPermissions": text(each, "permissions") or "rwm",
            }
            for each in objects(inputs, "devices")
        ],
        "Dns": texts(inputs, "dns"),
        "DnsOptions": texts(inputs, "dnsOpts"),
        "DnsSearch": texts(inputs, "dnsSearches"),
        "ExtraHosts": [f"{text(each, 'host')}:{text(each, 'ip')}" for each in objects(inputs, "hosts")],
        "GroupAdd": texts(inputs, "groupAdds"),
        "Init": init if isinstance(init, bool) else None,
        "IpcMode": text(inputs, "ipcMode"),
        "LogConfig": _log_config(inputs),
        "Memory": number(inputs, "memory") * MIB,
        "MemoryReservation": number(inputs, "memoryReservation") * MIB,
        "MemorySwap": swap_bytes(inputs),
        "Mounts": [_present(_mount(each)) for each in objects(inputs, "mounts")],
        "NanoCpus": _nano_cpus(text(inputs, "cpus")),
        "NetworkMode": text(inputs, "networkMode"),
        "PidMode": text(inputs, "pidMode"),
        "PortBindings": _port_bindings(inputs),
        "Privileged": flag(inputs, "privileged"),
        "PublishAllPorts": flag(inputs, "publishAllPorts"),
        "ReadonlyRootfs": flag(inputs, "readOnly"),
        "RestartPolicy": restart_policy(inputs),
        "Runtime": text(inputs, "runtime"),
        "SecurityOpt": texts(inputs, "securityOpts"),
        "ShmSize": number(inputs, "shmSize") * MIB,
        "StorageOpt": words(inputs, "storageOpts"),
        "Sysctls": words(inputs, "sysctls"),
        "Tmpfs": words(inputs, "tmpfs"),
        "Ulimits": [
            {"Name": text(each, "name"), "Soft": number(each, "soft"), "Hard": number(each, "hard")}
            for each in objects(inputs, "ulimits")
        ],
        "UsernsMode": text(inputs, "usernsMode"),
        "VolumesFrom": [
            text(each, "fromContainer") for each in objects(inputs, "volumes") if text(each, "fromContainer")
        ],
    }


def _healthcheck(value: Value) -> Body | None:
    if not isinstance(value, dict):
        return None
    if parse_duration(text(value, "startInterval")):
        raise GadError(
            "healthcheck.startInterval needs a newer engine API than 1.41",
            remedy="leave it out, use healthcheck.interval",
        )
    return _present(
        {
            "Test": texts(value, "tests"),
            "Interval": parse_duration(text(value, "interval")),
            "Timeout": parse_duration(text(value, "timeout")),
            "StartPeriod": parse_duration(text(value, "startPeriod")),
            "Retries": number(value, "retries"),
        }
    )


def _port_bindings(inputs: Properties) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in objects(inputs, "ports"):
        external = number(port, "external")
        key = f"{number(port, 'internal')}/{text(port, 'protocol') or 'tcp'}"
        bindings.setdefault(key, []).append(
            {"HostIp": text(port, "ip"), "HostPort": str(external) if external else ""}
        )
    return bindings


def _binds(inputs: Properties) -> list[str]:
    binds = []
    for volume in objects(inputs, "volumes"):
        source = text(volume, "hostPath") or text(volume, "volumeName")
        if source:
            relabel = text(volume, "selinuxRelabel")
            mode = ("ro" if flag(volume, "readOnly") else "rw") + (f",{relabel}" if relabel else "")
            binds.append(f"{source}:{text(volume, 'containerPath')}:{mode}")
    return binds


def _mount(mount: Properties) -> Body:
    body: Body = {
        "Type": text(mount, "type"),
        "Target": text(mount, "target"),
        "Source": text(mount, "source"),
        "ReadOnly": flag(mount, "readOnly"),
    }
    bind, volume, tmpfs = (mount.get(f"{kind}Options") for kind in ("bind", "volume", "tmpfs"))
    if isinstance(bind, dict):
        body["BindOptions"] = _present({"Propagation": text(bind, "propagation")})
    if isinstance(volume, dict):
        driver: Body = {"Name": text(volume, "driverName"), "Options": words(volume, "driverOptions")}
        body["VolumeOptions"] = _present(
            {
                "NoCopy": flag(volume, "noCopy"),
                "Labels": labels(volume),
                "DriverConfig": _present(driver),
            }
        )
    if isinstance(tmpfs, dict):
        body["TmpfsOptions"] = _present(
            {"SizeBytes": number(tmpfs, "sizeBytes"), "Mode": number(tmpfs, "mode")}
        )
    return body


def _log_config(inputs: Properties) -> Body | None:
    driver, options = text(inputs, "logDriver"), words(inputs, "logOpts")
    if not driver and not options:
        return None
    return {"Type": driver, "Config": options}


def _rates(inputs: Properties, key: str) -> list[Body]:
    return [{"Path": text(each, "path"), "Rate": number(each, "rate")} for each in objects(inputs, key)]


def _nano_cpus(cpus: str) -> int:
    if not cpus:
        return 0
    try:
        return round(float(cpus) * 1e9)
    except ValueError as error:
        raise GadError(f"cpus is {cpus!r}, not a number", remedy='write it like "1.5"') from error


def _present(body: Body) -> Body:
    """Without what is empty: the engine's own defaults apply there."""
    return {key: value for key, value in body.items() if value not in (None, False, 0, "", [], {})}
