"""What the engine's inspect says about a container, as the outputs and inputs the state records. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from infra.toolchain.plugin import Properties, Value

from .container_body import MIB
from .normal import format_duration, normal_capability
from .recorded import outputs_of
from .typed import flag, number, objects, text, texts, words


def container_state(inspect: Properties, recorded: Properties, *, must_run: bool) -> Properties:
    """The outputs after a read. `recorded` is what was known before: inputs at creation, else the state.

    Environment, labels, mounts, ports and the like cannot change on a living container and stay as recorded;
    limits, restart policy and whether it runs can, and are read. `must_run` is what the program asks for: a
    container that does not run then reads as one that need not, and the next plan starts it.
    """
    config, host = _part(inspect, "Config"), _part(inspect, "HostConfig")
    status = _part(inspect, "State")
    running = flag(status, "Running")
    state = outputs_of(recorded)
    health = _healthcheck(_part(config, "Healthcheck"))
    state |= {
        "bridge": "",
        "command": list(texts(config, "Cmd")),
        "cpuSet": text(host, "CpusetCpus"),
        "cpuShares": number(host, "CpuShares"),
        "entrypoints": list(texts(config, "Entrypoint")),
        "envs": recorded.get("envs", []),
        "exitCode": number(status, "ExitCode"),
        "hostname": text(config, "Hostname"),
        "id": text(inspect, "Id"),
        "init": flag(host, "Init"),
        "ipcMode": text(host, "IpcMode"),
        "labels": recorded.get("labels", []),
        "logDriver": text(_part(host, "LogConfig"), "Type"),
        "maxRetryCount": number(_part(host, "RestartPolicy"), "MaximumRetryCount"),
        "memory": number(host, "Memory") // MIB,
        "memorySwap": _mib(number(host, "MemorySwap")),
        "mustRun": must_run and (running or recorded.get("start") is False),
        "name": text(inspect, "Name").removeprefix("/"),
        "networkDatas": _network_datas(inspect),
        "networkMode": text(host, "NetworkMode"),
        "platform": text(inspect, "Platform"),
        "readOnly": flag(host, "ReadonlyRootfs"),
        "restart": text(_part(host, "RestartPolicy"), "Name") or "no",
        "runtime": text(host, "Runtime"),
        "securityOpts": recorded.get("securityOpts", list(texts(host, "SecurityOpt"))),
        "shmSize": number(host, "ShmSize") // MIB,
        "stopSignal": text(config, "StopSignal"),
        "stopTimeout": number(config, "StopTimeout"),
        "tty": flag(config, "Tty"),
        # Read only when written: an image's own user and folder would show as a change for ever.
        "user": text(config, "User") if text(recorded, "user") else "",
        "workingDir": text(config, "WorkingDir") if text(recorded, "workingDir") else "",
    }
    if health and "healthcheck" in recorded:  # the image's own is the image's business, like its user
        state["healthcheck"] = health
    if "ports" in recorded:
        state["ports"] = _published(inspect, objects(state, "ports"))
    return state


def imported_inputs(inspect: Properties, image: Properties) -> Properties:
    """The inputs that would make this container from its image; what the image gives is left out."""
    config, host = _part(inspect, "Config"), _part(inspect, "HostConfig")
    base = _part(image, "Config")
    inputs: Properties = {
        "image": text(config, "Image"),
        "name": text(inspect, "Name").removeprefix("/"),
        "command": _unless(texts(config, "Cmd"), texts(base, "Cmd")),
        "entrypoints": _unless(texts(config, "Entrypoint"), texts(base, "Entrypoint")),
        "envs": [each for each in texts(config, "Env") if each not in texts(base, "Env")],
        "labels": _labels(config, base),
        "user": _own(config, base, "User"),
        "workingDir": _own(config, base, "WorkingDir"),
        "stopSignal": _own(config, base, "StopSignal"),
        "stopTimeout": number(config, "StopTimeout"),
        "hostname": _hostname(inspect),
        "domainname": text(config, "Domainname"),
        "tty": flag(config, "Tty"),
        "stdinOpen": flag(config, "OpenStdin"),
        "healthcheck": _imported_health(config, base),
        "capabilities": _capabilities(host),
        "cpuPeriod": number(host, "CpuPeriod"),
        "cpuQuota": number(host, "CpuQuota"),
        "cpuSet": text(host, "CpusetCpus"),
        "cpuShares": number(host, "CpuShares"),
        "cpus": _cpus(number(host, "NanoCpus")),
        "dns": list(texts(host, "Dns")),
        "dnsOpts": list(texts(host, "DnsOptions")),
        "dnsSearches": list(texts(host, "DnsSearch")),
        "groupAdds": list(texts(host, "GroupAdd")),
        "hosts": [
            {"host": name, "ip": ip}
            for name, _, ip in (each.partition(":") for each in texts(host, "ExtraHosts"))
        ],
        "init": flag(host, "Init"),
        "ipcMode": text(host, "IpcMode"),
        "logDriver": text(_part(host, "LogConfig"), "Type"),
        "logOpts": dict(words(_part(host, "LogConfig"), "Config")),
        "maxRetryCount": number(_part(host, "RestartPolicy"), "MaximumRetryCount"),
        "memory": number(host, "Memory") // MIB,
        "memoryReservation": number(host, "MemoryReservation") // MIB,
        "memorySwap": _mib(number(host, "MemorySwap")),
        "mounts": [_mount(each) for each in objects(host, "Mounts")],
        "networkMode": text(host, "NetworkMode"),
        "networksAdvanced": _networks(inspect),
        "pidMode": text(host, "PidMode"),
        "ports": _ports(host),
        "privileged": flag(host, "Privileged"),
        "publishAllPorts": flag(host, "PublishAllPorts"),
        "readOnly": flag(host, "ReadonlyRootfs"),
        "restart": text(_part(host, "RestartPolicy"), "Name") or "no",
        "rm": flag(host, "AutoRemove"),
        "runtime": text(host, "Runtime"),
        "securityOpts": list(texts(host, "SecurityOpt")),
        "shmSize": number(host, "ShmSize") // MIB,
        "storageOpts": dict(words(host, "StorageOpt")),
        "sysctls": dict(words(host, "Sysctls")),
        "tmpfs": dict(words(host, "Tmpfs")),
        "ulimits": [
            {"name": text(each, "Name"), "soft": number(each, "Soft"), "hard": number(each, "Hard")}
            for each in objects(host, "Ulimits")
        ],
        "usernsMode": text(host, "UsernsMode"),
        "volumes": [_bind(each) for each in texts(host, "Binds")],
    }
    return {key: value for key, value in inputs.items() if value not in (None, False, 0, "", [], {})}


def _part(values: Mapping[str, Value], key: str) -> Properties:
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def _mib(size: int) -> int:
    return size // MIB if size > 0 else size


def _healthcheck(check: Properties) -> Properties:
    if not check:
        return {}
    durations = {
        "interval": "Interval",
        "timeout": "Timeout",
        "startPeriod": "StartPeriod",
        "startInterval": "StartInterval",
    }
    return {
        "tests": list(texts(check, "Test")),
        "retries": number(check, "Retries"),
        **{ours: format_duration(number(check, theirs)) for ours, theirs in durations.items()},
    }


def _imported_health(config: Properties, base: Properties) -> Properties:
    own, inherited = _part(config, "Healthcheck"), _part(base, "Healthcheck")
    return {} if own == inherited else _healthcheck(own)


def _network_datas(inspect: Properties) -> list[Value]:
    networks = _part(_part(inspect, "NetworkSettings"), "Networks")
    return [
        {
            "networkName": name,
            "gateway": text(network, "Gateway"),
            "ipAddress": text(network, "IPAddress"),
            "ipPrefixLength": number(network, "IPPrefixLen"),
            "ipv6Gateway": text(network, "IPv6Gateway"),
            "globalIpv6Address": text(network, "GlobalIPv6Address"),
            "globalIpv6PrefixLength": number(network, "GlobalIPv6PrefixLen"),
            "macAddress": text(network, "MacAddress"),
        }
        for name, network in sorted(networks.items())
        if isinstance(network, dict)
    ]


def _published(inspect: Properties, ports: list[Properties]) -> list[Value]:
    """The recorded ports, with the host port where the engine chose it."""
    bound = _part(_part(inspect, "NetworkSettings"), "Ports")
    published: list[Value] = []
    for port in ports:
        found = objects(bound, f"{number(port, 'internal')}/{text(port, 'protocol') or 'tcp'}")
        entry = dict(port)
        if "external" not in entry and found and text(found[0], "HostPort"):
            entry["external"] = int(text(found[0], "HostPort"))
        published.append(entry)
    return published


def _unless(own: list[str], inherited: list[str]) -> list[Value]:
    return [] if own == inherited else [*own]


def _own(config: Properties, base: Properties, key: str) -> str:
    return "" if text(config, key) == text(base, key) else text(config, key)


def _labels(config: Properties, base: Properties) -> list[Value]:
    inherited = words(base, "Labels")
    return [
        {"label": label, "value": value}
        for label, value in sorted(words(config, "Labels").items())
        if inherited.get(label) != value
    ]


def _hostname(inspect: Properties) -> str:
    hostname = text(_part(inspect, "Config"), "Hostname")
    return "" if text(inspect, "Id").startswith(hostname) else hostname


def _capabilities(host: Properties) -> Properties:
    found: Properties = {}
    for ours, theirs in (("adds", "CapAdd"), ("drops", "CapDrop")):
        if names := texts(host, theirs):
            found[ours] = [normal_capability(name) for name in names]
    return found


def _cpus(nano: int) -> str:
    return f"{nano / 1e9:.9f}".rstrip("0").rstrip(".") if nano else ""


def _mount(mount: Properties) -> Properties:
    found: Properties = {
        "type": text(mount, "Type"),
        "target": text(mount, "Target"),
        "source": text(mount, "Source"),
        "readOnly": flag(mount, "ReadOnly"),
    }
    bind, volume, tmpfs = (_part(mount, f"{kind}Options") for kind in ("Bind", "Volume", "Tmpfs"))
    if bind:
        found["bindOptions"] = {"propagation": text(bind, "Propagation")}
    if volume:
        driver = _part(volume, "DriverConfig")
        found["volumeOptions"] = {
            "noCopy": flag(volume, "NoCopy"),
            "labels": _labels(volume, {}),
            "driverName": text(driver, "Name"),
            "driverOptions": dict(words(driver, "Options")),
        }
    if tmpfs:
        found["tmpfsOptions"] = {"sizeBytes": number(tmpfs, "SizeBytes"), "mode": number(tmpfs, "Mode")}
    return {key: value for key, value in found.items() if value not in ("", False)}


def _networks(inspect: Properties) -> list[Value]:
    networks = _part(_part(inspect, "NetworkSettings"), "Networks")
    found: list[Value] = []
    for name, network in sorted(networks.items()):
        if name in ("bridge", "host", "none") or not isinstance(network, dict):
            continue
        entry: Properties = {"name": name}
        # The engine adds the short id as an alias of its own.
        aliases = [a for a in texts(network, "Aliases") if not text(inspect, "Id").startswith(a)]
        if aliases:
            entry["aliases"] = [*aliases]
        if address := text(_part(network, "IPAMConfig"), "IPv4Address"):
            entry["ipv4Address"] = address
        found.append(entry)
    return found


def _ports(host: Properties) -> list[Value]:
    found: list[Value] = []
    bindings = _part(host, "PortBindings")
    for key in sorted(bindings):
        internal, _, protocol = key.partition("/")
        for binding in objects(bindings, key):
            port: Properties = {
                "internal": int(internal),
                "protocol": protocol,
                "ip": text(binding, "HostIp") or "0.0.0.0",  # noqa: S104 how the engine reads an empty one
            }
            if external := text(binding, "HostPort"):
                port["external"] = int(external)
            found.append(port)
    return found


def _bind(bind: str) -> Properties:
    source, container, *mode = bind.split(":")
    options = mode[0].split(",") if mode else []
    volume: Properties = {"containerPath": container}
    volume["hostPath" if source.startswith("/") else "volumeName"] = source
    if "ro" in options:
        volume["readOnly"] = True
    return volume
