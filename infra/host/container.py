"""Whether this server is a container: then its kernel is another's, and what asks the kernel cannot start."""

from __future__ import annotations

from pyinfra.api.facts import FactBase


class InContainer(FactBase[bool]):
    """True in a container, such as a lab. A server never becomes one, so a step may branch on it."""

    def command(self) -> str:
        """The kind of container, or `none`; never a failure."""
        return "systemd-detect-virt --container || true"

    def process(self, output: list[str]) -> bool:
        """Read what the command printed."""
        return output != ["none"]
