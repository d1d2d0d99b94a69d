"""The machine that runs a stack's containers: its engine, and commands on it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi_command as command
import pulumi_docker as docker
from pulumi import CustomResource, Input, Output, Resource, ResourceOptions


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """How to reach a server."""

    address: str
    port: int
    user: str
    host_key: str
    private_key: str | None  # content of the key file; the agent's keys are used without it
    url: str  # ssh://user@address:port
    ssh_options: tuple[str, ...]  # they pin the host key and name the private key


@dataclass(frozen=True, kw_only=True)
class Host:
    """A reachable machine: the Docker provider for it and the connection its commands use."""

    provider: docker.Provider
    connection: command.remote.ConnectionArgs | None
    ready: Resource | None = None  # what makes the machine fit for both; None: it is as it is

    def options(self, *, parent: Resource, depends_on: list[Resource] | None = None) -> ResourceOptions:
        """Options of a Docker resource on this machine."""
        return ResourceOptions(parent=parent, provider=self.provider, depends_on=depends_on or [])


# One connection carries all calls: sshd drops further ones past MaxStartups. In a folder that only its
# owner can write to, and short: a socket's path has 107 characters.
SHARED = ("-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "ControlPath=~/.ssh/gad-%C")


def connect(args: HostArgs | None, *, ready: Resource | None = None, name: str = "server") -> Host:
    """The machine as resources: an explicit provider (default providers are off) and a connection.

    Without a server it is this machine. `ready` comes before anything else on it; `name` is the provider's.
    """
    if args is None:
        return Host(provider=docker.Provider("local"), connection=None)
    provider = docker.Provider(
        name,
        host=args.url,
        ssh_opts=[*args.ssh_options, *SHARED],
        opts=ResourceOptions(depends_on=[ready] if ready is not None else []),
    )
    connection = command.remote.ConnectionArgs(
        host=args.address,
        port=args.port,
        user=args.user,
        host_key=args.host_key,
        private_key=Output.secret(args.private_key) if args.private_key else None,
        dial_error_limit=3,
        per_dial_timeout=10,
    )
    return Host(provider=provider, connection=connection, ready=ready)


def host_command(
    name: str,
    host: Host,
    *,
    create: Input[str],
    opts: ResourceOptions,
    delete: Input[str] | None = None,
    stdin: Input[str] | None = None,
    quiet: bool = False,
) -> CustomResource:
    """A POSIX shell script that runs on the machine when it or its input changes.

    Secrets travel in `stdin` only: a command's text is in previews, errors and process lists.
    `quiet` keeps its output out of the log and out of clear state. The script must be idempotent:
    any edit runs it again.
    """
    secret_outputs = ["stdout", "stderr"] if quiet else []
    before = [host.ready] if host.ready is not None else []
    more = ResourceOptions(additional_secret_outputs=secret_outputs, depends_on=before)
    options = ResourceOptions.merge(opts, more)
    if host.connection is None:
        local: CustomResource = command.local.Command(
            name,
            create=create,
            delete=delete,
            stdin=stdin,
            interpreter=["/bin/sh", "-c"],
            logging=command.local.Logging.NONE if quiet else None,
            add_previous_output_in_env=False,
            opts=options,
        )
        return local
    remote: CustomResource = command.remote.Command(
        name,
        connection=host.connection,
        create=create,
        delete=delete,
        stdin=stdin,
        logging=command.remote.Logging.NONE if quiet else None,
        add_previous_output_in_env=False,
        opts=options,
    )
    return remote


def printed(run: CustomResource) -> Output[str]:
    """What a command wrote to stdout when it ran last, without the last line break."""
    stdout: Output[str] = run.stdout  # type: ignore[attr-defined]  # the generated SDK is not analysed
    return stdout
