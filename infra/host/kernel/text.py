"""Files of sysctl, modprobe, limits and systemd-coredump as wholes, from controls. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from infra.errors import GadError
from infra.host.controls import FILE, Values

HEAD = "# Written by infra/host/kernel from config/controls.yaml: a change here is overwritten.\n"


def parameters(values: Values) -> Mapping[str, str]:
    """Key → value, in the order of the controls: forwarding first, because its change resets others.

    `modules_disabled` is there only if it is on: the kernel takes no 0. Raises GadError for a value that is
    neither number nor text.
    """
    found = {}
    for key, value in values.under("sysctl").items():
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise GadError(
                f"sysctl.{key} is {value!r}, wanted is a number or a text", remedy=f"correct {FILE}"
            )
        found[key] = str(value)
    if values.flag("kernel.modules-disabled"):
        found["kernel.modules_disabled"] = "1"
    return found


def sysctl(values: Values) -> str:
    """The file of sysctl.d. With `-` a key that this kernel lacks ends nothing; the deploy looks itself."""
    return HEAD + "".join(f"-{key} = {value}\n" for key, value in parameters(values).items())


def modprobe(values: Values, *, efi: bool, snap: bool) -> str:
    """What is never loaded, by name or by another module. Raises GadError for one that Docker needs.

    `efi`: the machine boots from a FAT; `snap`: its packages are squashfs.
    """
    blocked = [
        *values.items("kernel.blocked-modules"),
        *(() if efi else values.items("kernel.blocked-without-efi")),
        *(() if snap else values.items("kernel.blocked-without-snap")),
    ]
    needed = values.items("kernel.needed-modules")
    if wrong := [name for name in blocked if any(fnmatchcase(name, each) for each in needed)]:
        raise GadError(f"{', '.join(wrong)}: blocked, but Docker needs it", remedy=f"correct {FILE}")
    # `blacklist` holds for a module that a device asks for, `install` for every way.
    return HEAD + "".join(f"install {name} /bin/true\nblacklist {name}\n" for name in blocked)


def limits(values: Values) -> str:
    """limits.d: bytes of a core dump of whoever signs in; `*` is everybody but root."""
    size = values.number("kernel.core-limit")
    return HEAD + "".join(f"{who} {kind} core {size}\n" for who in ("*", "root") for kind in ("soft", "hard"))


def profile(values: Values) -> str:
    """profile.d: the same limit, in kilobytes, for a login shell that no session of PAM began."""
    return f"{HEAD}ulimit -c {values.number('kernel.core-limit') // 1024}\n"


def coredump(values: Values) -> str:
    """coredump.conf.d: what systemd-coredump keeps, where somebody installs it."""
    storage = values.text("kernel.core-storage")
    size = "ProcessSizeMax=0\n" if storage == "none" else ""
    return f"{HEAD}[Coredump]\nStorage={storage}\n{size}"
