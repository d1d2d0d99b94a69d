"""The data table of the supported types: inputs, outputs, defaults, what replaces, what is refused.

Source: the schema of the official plugin 5.2.0 and what it was observed to do (conformance cases). `computed`
inputs that are left out keep what the engine reported; everything the plan must replace says so here.
"""

from __future__ import annotations

from collections.abc import Mapping

from infra.toolchain.plugin import Property, Schema, boolean, integer, listing, mapping, obj, setting, string

from .normal import normal_capability, normal_duration

_NEEDS_LATER_ENGINE = "it needs a newer engine API than 1.41"
_BUILDS = "images are built by `gad images`, never inside a deployment"

_LABELS = {"label": string(required=True), "value": string(required=True)}
_STRINGS = string()
_RATES = {"path": string(required=True), "rate": integer(required=True)}

_HEALTHCHECK = obj(
    {
        "tests": listing(string()),
        "interval": string(normal=normal_duration, default="0s"),
        "timeout": string(normal=normal_duration, default="0s"),
        "startPeriod": string(normal=normal_duration, default="0s"),
        "startInterval": string(normal=normal_duration, default="0s"),
        "retries": integer(default=0),
    },
    computed=True,
)

_MOUNT = obj(
    {
        "type": string(required=True),
        "target": string(required=True),
        "source": string(),
        "readOnly": boolean(),
        "bindOptions": obj({"propagation": string()}),
        "tmpfsOptions": obj({"mode": integer(), "sizeBytes": integer()}),
        "volumeOptions": obj(
            {
                "driverName": string(),
                "driverOptions": mapping(_STRINGS),
                "labels": setting(obj(_LABELS)),
                "noCopy": boolean(),
                "subpath": string(refused=_NEEDS_LATER_ENGINE),
            }
        ),
    }
)

_NETWORK = obj(
    {
        "name": string(required=True),
        "aliases": setting(_STRINGS),
        "ipv4Address": string(),
        "ipv6Address": string(),
        "linkLocalIps": setting(_STRINGS),
        "driverOpts": setting(_STRINGS),
        "macAddress": string(refused=_NEEDS_LATER_ENGINE),
        "gwPriority": integer(refused=_NEEDS_LATER_ENGINE),
    }
)

CONTAINER = Schema(
    token="docker:index/container:Container",  # noqa: S106 a type token
    properties={
        "attach": boolean(zero=False),
        "bridge": string(output=True),
        "capabilities": obj(
            {
                "adds": setting(string(normal=normal_capability)),
                "drops": setting(string(normal=normal_capability)),
            },
            replaces=True,
        ),
        "cgroupParent": string(replaces=True, computed=True),
        "cgroupnsMode": string(replaces=True),
        "command": listing(_STRINGS, replaces=True, computed=True, unread=True),
        "containerLogs": string(output=True),
        "containerReadRefreshTimeoutMilliseconds": integer(default=15000),
        "cpuPeriod": integer(),
        "cpuQuota": integer(),
        "cpuSet": string(),
        "cpuShares": integer(),
        "cpus": string(replaces=True),
        "destroyGraceSeconds": integer(),
        "deviceReadBps": setting(obj(_RATES)),
        "deviceReadIops": setting(obj(_RATES)),
        "deviceRequests": setting(obj({}), refused="GPUs are not part of this project"),
        "deviceWriteBps": setting(obj(_RATES)),
        "deviceWriteIops": setting(obj(_RATES)),
        "devices": setting(
            obj({"hostPath": string(required=True), "containerPath": string(), "permissions": string()}),
            replaces=True,
        ),
        "dns": setting(_STRINGS, replaces=True),
        "dnsOpts": setting(_STRINGS, replaces=True),
        "dnsSearches": setting(_STRINGS, replaces=True),
        "domainname": string(replaces=True),
        "entrypoints": listing(_STRINGS, replaces=True, computed=True, unread=True),
        "envs": setting(_STRINGS, replaces=True, computed=True),
        "exitCode": integer(output=True),
        "gpus": string(replaces=True, refused="GPUs are not part of this project"),
        "groupAdds": setting(_STRINGS, replaces=True),
        "healthcheck": _HEALTHCHECK,
        "hostname": string(replaces=True, computed=True),
        "hosts": setting(obj({"host": string(required=True), "ip": string(required=True)}), replaces=True),
        "image": string(required=True, replaces=True),
        "init": boolean(computed=True),
        "ipcMode": string(replaces=True, computed=True),
        "labels": setting(obj(_LABELS), replaces=True, computed=True),
        "logDriver": string(replaces=True, computed=True),
        "logOpts": mapping(_STRINGS, replaces=True),
        "logs": boolean(zero=False),
        "maxRetryCount": integer(),
        "memory": integer(),
        "memoryReservation": integer(),
        "memorySwap": integer(),
        "mounts": setting(_MOUNT, replaces=True),
        "mustRun": boolean(default=True),
        "name": string(replaces=True),
        "networkDatas": listing(obj({}), output=True, unread=True),
        "networkMode": string(replaces=True, default="bridge"),
        "networksAdvanced": setting(_NETWORK, replaces=True),
        "pidMode": string(replaces=True),
        "platform": string(replaces=True, computed=True),
        "ports": listing(
            obj(
                {
                    "internal": integer(required=True),
                    "external": integer(computed=True),
                    "ip": string(default="0.0.0.0"),  # noqa: S104 the engine's default
                    "protocol": string(default="tcp"),
                }
            ),
            replaces=True,
        ),
        "privileged": boolean(replaces=True),
        "publishAllPorts": boolean(replaces=True),
        "readOnly": boolean(replaces=True, zero=False),
        "removeVolumes": boolean(default=True),
        "restart": string(default="no"),
        "rm": boolean(zero=False),
        "runtime": string(replaces=True, computed=True),
        "securityOpts": setting(_STRINGS, replaces=True, computed=True),
        "shmSize": integer(replaces=True, computed=True),
        "start": boolean(default=True),
        "stdinOpen": boolean(replaces=True, zero=False),
        "stopSignal": string(replaces=True, computed=True),
        "stopTimeout": integer(replaces=True, computed=True),
        "storageOpts": mapping(_STRINGS, replaces=True),
        "sysctls": mapping(_STRINGS, replaces=True),
        "tmpfs": mapping(_STRINGS),
        "tty": boolean(replaces=True, zero=False),
        "ulimits": setting(
            obj(
                {
                    "name": string(required=True),
                    "soft": integer(required=True),
                    "hard": integer(required=True),
                }
            ),
            replaces=True,
        ),
        "uploads": setting(
            obj(
                {
                    "file": string(required=True),
                    "content": string(),
                    "contentBase64": string(),
                    "executable": boolean(zero=False),
                    "permissions": string(),
                    "source": string(),
                    "sourceHash": string(),
                }
            ),
            replaces=True,
        ),
        "user": string(replaces=True),
        "usernsMode": string(replaces=True),
        "volumes": setting(
            obj(
                {
                    "containerPath": string(),
                    "fromContainer": string(),
                    "hostPath": string(),
                    "readOnly": boolean(),
                    "selinuxRelabel": string(),
                    "volumeName": string(),
                }
            ),
            replaces=True,
        ),
        "wait": boolean(zero=False),
        "waitTimeout": integer(default=60),
        "workingDir": string(replaces=True),
    },
)

NETWORK = Schema(
    token="docker:index/network:Network",  # noqa: S106
    properties={
        "attachable": boolean(replaces=True),
        "driver": string(replaces=True, computed=True),
        "ingress": boolean(replaces=True),
        "internal": boolean(replaces=True, computed=True),
        "ipamConfigs": setting(
            obj(
                {
                    "auxAddress": mapping(_STRINGS),
                    "gateway": string(computed=True),
                    "ipRange": string(),
                    "subnet": string(),
                }
            ),
            replaces=True,
            computed=True,
        ),
        "ipamDriver": string(replaces=True, default="default"),
        "ipamOptions": mapping(_STRINGS, replaces=True),
        "ipv6": boolean(replaces=True),
        "labels": setting(obj(_LABELS), replaces=True),
        "name": string(replaces=True),
        "options": mapping(_STRINGS, replaces=True, computed=True),
        "scope": string(output=True),
    },
)

VOLUME = Schema(
    token="docker:index/volume:Volume",  # noqa: S106
    properties={
        "cluster": obj({}, refused="cluster volumes need a newer engine API than 1.41"),
        "driver": string(replaces=True, computed=True),
        "driverOpts": mapping(_STRINGS, replaces=True),
        "labels": setting(obj(_LABELS), replaces=True),
        "mountpoint": string(output=True),
        "name": string(replaces=True),
    },
)

REMOTE_IMAGE = Schema(
    token="docker:index/remoteImage:RemoteImage",  # noqa: S106
    properties={
        "build": obj({}, refused=_BUILDS),
        "forceRemove": boolean(),
        "imageId": string(output=True),
        "keepLocally": boolean(),
        "name": string(required=True, replaces=True),
        "platform": string(replaces=True),
        "pullTriggers": setting(_STRINGS, replaces=True),
        "repoDigest": string(output=True),
        "triggers": mapping(_STRINGS, replaces=True),
    },
)

TAG = Schema(
    token="docker:index/tag:Tag",  # noqa: S106
    properties={
        "sourceImage": string(required=True, replaces=True),
        "sourceImageId": string(output=True),
        "tagTriggers": setting(_STRINGS, replaces=True),
        "targetImage": string(required=True, replaces=True),
    },
)

CONFIG: Mapping[str, Property] = {
    "caMaterial": string(refused="TLS hosts are not used here; reach a remote engine by ssh://"),
    "certMaterial": string(refused="TLS hosts are not used here; reach a remote engine by ssh://"),
    "certPath": string(refused="TLS hosts are not used here; reach a remote engine by ssh://"),
    "keyMaterial": string(refused="TLS hosts are not used here; reach a remote engine by ssh://"),
    "context": string(refused="name the engine by `host`, a context is one person's setting"),
    "disableDockerDaemonCheck": boolean(),
    "host": string(),
    "registryAuth": listing(
        obj(
            {
                "address": string(required=True),
                "authDisabled": boolean(),
                "configFile": string(),
                "configFileContent": string(),
                "username": string(),
                "password": string(),
            }
        )
    ),
    "sshOpts": listing(_STRINGS),
}

REFUSED: Mapping[str, str] = {
    "docker:index/registryImage:RegistryImage": "images are pushed by `gad images push`",
    "docker:index/image:Image": _BUILDS,
    "docker:index/buildxBuilder:BuildxBuilder": _BUILDS,
    "docker:index/plugin:Plugin": "engine plugins belong to the set-up of the host",
    "docker:index/secret:Secret": "Swarm is not supported yet",
    "docker:index/service:Service": "Swarm is not supported yet",
    "docker:index/serviceConfig:ServiceConfig": "Swarm is not supported yet",
}
