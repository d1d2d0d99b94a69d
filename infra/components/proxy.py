"""Caddy: the only container that publishes ports."""

from __future__ import annotations

from dataclasses import dataclass

from pulumi import ResourceOptions

from infra.components.container import Health, Port
from infra.components.service import Form, Service, ServiceArgs

UID = 10072
HTTP_PORT = 8080  # inside; unprivileged, so that no capability is needed
HTTPS_PORT = 8443
HEALTH_PORT = 8081


def collector(memory_mib: int) -> dict[str, str]:
    """When Go collects garbage: at four times what is in use, not at twice, and before the limit is met.

    With a thousand sockets open, looking through their goroutines was 85 % of what Caddy itself computed
    (perf, 10 messages a second to each); GOMEMLIMIT keeps the rare collection within the container's memory.
    """
    return {"GOGC": "400", "GOMEMLIMIT": f"{memory_mib * 3 // 4}MiB"}


@dataclass(frozen=True, kw_only=True)
class ProxyArgs(ServiceArgs):
    """Where people reach it: an address and two ports."""

    bind: str
    https_port: int
    http_port: int


class Proxy(Service):
    """TLS, HTTP/2 and HTTP/3, compression, security headers; both slots are always configured.

    Its configuration is the Caddyfile.
    """

    def __init__(self, name: str, args: ProxyArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("stack:edge:Proxy", name, None, opts)
        form = Form(
            role="proxy",
            data_class="internal",
            uid=UID,
            networks=("edge", "egress"),
            config_at="/etc/gad/caddy",
            data_at="/data",
            tmpfs=("/config", "/tmp"),  # noqa: S108  (inside the container)
            workdir="/config",
            health=Health(test=("CMD", "gad-probe", str(HEALTH_PORT), "/health")),
            envs=collector(args.memory_mib),
            grace_s=15,  # longer than grace_period in the Caddyfile
            ports=(
                Port(ip=args.bind, external=args.http_port, internal=HTTP_PORT),
                Port(ip=args.bind, external=args.https_port, internal=HTTPS_PORT),
                Port(ip=args.bind, external=args.https_port, internal=HTTPS_PORT, protocol="udp"),
            ),
        )
        self._run(name, args, form)
