"""What a machine's kernel shows under /proc: a minimal one has neither `ss` nor `ps`."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from testinfra.host import Host

STATES = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN; a UDP socket without a peer (net/tcp_states.h)
COMMAND_LINES = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done 2>/dev/null; true"


def command_lines(machine: Host) -> str:
    """The command lines of all processes, one a line."""
    return str(machine.check_output(COMMAND_LINES))


def listeners(machine: Host, protocol: str, port: int) -> list[str]:
    """The addresses on which something listens on this port."""
    table = machine.check_output(f"cat /proc/net/{protocol}; cat /proc/net/{protocol}6 2>/dev/null; true")
    return listening(table, STATES[protocol], port)


def listening(table: str, state: str, port: int) -> list[str]:
    """The same out of /proc/net/{tcp,udp} and their IPv6 twins (proc_net(5)). Pure."""
    fields = [line.split() for line in table.splitlines() if ":" in line.split()[0]]
    places = [each[1].split(":") for each in fields if each[3] == state]
    return sorted(_address(address) for address, number in places if int(number, 16) == port)


def _address(digits: str) -> str:
    """An address in the kernel's notation: 32-bit words, each in the machine's (little-endian) order."""
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    found = ip_address(b"".join(words))
    return str(found.ipv4_mapped or found) if isinstance(found, IPv6Address) else str(found)
