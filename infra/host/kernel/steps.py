"""Parameters, modules, core dumps, and a look at the processor."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra import logger
from pyinfra.api.command import StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.facts.files import Directory
from pyinfra.operations import files

from infra.host import file
from infra.host.controls import Values
from infra.host.kernel import text
from infra.host.kernel.facts import CpuFlaws, Differing, differing
from infra.host.plan import HostPlan
from infra.host.step import step

SYSCTL = "/etc/sysctl.d/60-gad.conf"
APPLY = "/usr/lib/systemd/systemd-sysctl"


@operation()
def set_parameters(wanted: Mapping[str, str]) -> Generator[StringCommand, None, None]:
    """Apply all files of sysctl.d, as at boot, where a value differs; fails if one differs then."""
    if host.get_fact(Differing, wanted=wanted):
        # As one command, so that what it prints is why it failed.
        yield StringCommand(f'{APPLY} && left=$({differing(wanted)}) && {{ echo "$left"; [ -z "$left" ]; }}')


@step("Kernel parameters", serves=("sysctl.*", "kernel.modules-disabled", "kernel.overruled-files"))
def set_sysctl(plan: HostPlan, values: Values) -> None:
    """One file, and the running kernel by it."""
    for path in host.loop(values.items("kernel.overruled-files")):  # type: ignore[no-untyped-call]
        # A file of the same name in /etc stands for the one in /usr/lib.
        file.whole(name=f"Overrule {path}", path=f"/etc/sysctl.d/{path}", text=text.HEAD)
    file.whole(name="Write kernel parameters", path=SYSCTL, text=text.sysctl(values))
    set_parameters(name="Set kernel parameters", wanted=dict(text.parameters(values)))


@step(
    "Kernel modules",
    serves=(
        "kernel.blocked-modules",
        "kernel.blocked-without-efi",
        "kernel.blocked-without-snap",
        "kernel.needed-modules",
    ),
)
def block_modules(plan: HostPlan, values: Values) -> None:
    """File systems and protocols that no server here uses cannot be loaded."""
    # Neither changes by what we do.
    efi = host.get_fact(Directory, path="/sys/firmware/efi") is not None
    snap = host.get_fact(Directory, path="/var/lib/snapd") is not None
    file.whole(
        name="Write blocked modules",
        path="/etc/modprobe.d/dev-sec.conf",
        text=text.modprobe(values, efi=efi, snap=snap),
    )


@step("Core dumps", serves=("kernel.core-limit", "kernel.core-storage"))
def drop_cores(plan: HostPlan, values: Values) -> None:
    """Nothing of a crashed process's memory is kept; `sysctl.kernel.core_pattern` does it for the others."""
    file.whole(
        name="Write the limit of a core dump",
        path="/etc/security/limits.d/60-gad-core.conf",
        text=text.limits(values),
    )
    file.whole(
        name="Write the limit of a shell", path="/etc/profile.d/60-gad-core.sh", text=text.profile(values)
    )
    folder = "/etc/systemd/coredump.conf.d"
    files.directory(name="Folder of systemd-coredump", path=folder, user="root", group="root", mode="755")
    file.whole(
        name="Write what of a core dump is kept", path=f"{folder}/60-gad.conf", text=text.coredump(values)
    )


@step("Processor", serves=("kernel.cpu-flaws", "kernel.no-execute"))
def look_at_processor(plan: HostPlan, values: Values) -> None:
    """Say what it is open to: only its firmware, its hoster or another machine can change that."""
    accepted = {*values.items("kernel.cpu-flaws"), *(() if values.flag("kernel.no-execute") else ("nx",))}
    if flaws := sorted(host.get_fact(CpuFlaws) - accepted):
        logger.warning(
            "The processor is open to %s: update its firmware, or ask the hoster", ", ".join(flaws)
        )
