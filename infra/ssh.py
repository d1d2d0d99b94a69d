"""How a server is reached over SSH, in the terms of the OpenSSH client (8.5 or later). Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SshAccess:
    """A server, the account on it, and the one host key that it may show."""

    address: str
    port: int
    user: str
    host_key: str  # type and key, without a host
    private_key_file: str | None  # without it the agent's keys are tried, and no others

    @property
    def url(self) -> str:
        """The Docker host: `ssh://user@address:port`."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"ssh://{self.user}@{address}:{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """Arguments of `ssh`. The same for everyone: nobody's ssh_config or known_hosts has a say.

        The pinned key is given by a command, not in a file: so the options say all there is, a preview
        shows another key as what it is, and no file can be missing or stale.
        """
        return (
            *("-F", "none", "-o", "BatchMode=yes"),
            *("-o", f"KnownHostsCommand=/usr/bin/env echo %H {self.host_key}"),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"),
            *("-o", "ServerAliveInterval=15"),  # a server that is gone is noticed within 45 s
            *self._identity,
        )

    @property
    def _identity(self) -> tuple[str, ...]:
        if self.private_key_file is None:
            return ("-o", "IdentityFile=none")
        # Not `-i`: with that, a file that is missing is passed over and the defaults are offered.
        return ("-o", f'IdentityFile="{self.private_key_file}"', "-o", "IdentitiesOnly=yes")
