"""A stack's status for people: one screen."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.operate.status import Service, Status

MOST_REASONS = 4  # in the verdict line; the table and --json show all


def render(status: Status) -> RenderableType:
    """Services, rotation, volumes, URLs; the verdict is the caller's last line."""
    parts: list[RenderableType] = []
    if status.services:
        parts += [_services(status), Text()]
    parts.append(_facts(status))
    return Group(*parts)


def verdict(status: Status) -> str:
    """One line: how the stack is, why, and what next."""
    stack = status.stack
    match status.verdict:
        case "healthy":
            count = len(status.services)
            return f"healthy: {count} of {count} services, slot {status.slot} in rotation, {status.url}"
        case "down":
            data = "; its data is kept" if any(volume.exists for volume in status.volumes) else ""
            return f"down: nothing of stack {stack} runs{data}. Start it with `gad up {stack}`"
        case "degraded":
            shown = list(status.reasons[:MOST_REASONS])
            more = len(status.reasons) - len(shown)
            reasons = "; ".join([*shown, f"{more} more"] if more else shown)
            then = "Wait for it" if status.updating else f"Mend it with `gad up {stack}`"
            return f"degraded: {reasons}. {then}"


def _services(status: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("service", "state", "health", "image"):
        table.add_column(column, no_wrap=True)
    for column in ("up", "memory MiB", "restarts"):
        table.add_column(column, justify="right", no_wrap=True)
    for service in status.services:
        table.add_row(
            Text.assemble(service.role, (" ●", "green") if service.role == f"api-{status.slot}" else ""),
            Text(service.state, style="" if service.state == "running" else "red"),
            Text(service.health, style="green" if service.health == "healthy" else "red"),
            Text(_image(service), style="red" if "≠" in _image(service) else ""),
            age(service.uptime_s),
            _memory(service),
            str(service.restarts),
        )
    return table


def _image(service: Service) -> str:
    if service.image == service.declared_image or not service.declared_image:
        return service.image or "-"
    return f"{service.image or '-'} ≠ {service.declared_image}"


def _memory(service: Service) -> str:
    if service.memory_mib is None:
        return "-"
    return f"{service.memory_mib:.0f}/{service.limit_mib or '∞'}"


def age(seconds: int | None) -> str:
    """A duration in its two largest units; `-` for none."""
    if seconds is None:
        return "-"
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if days:
        return f"{days}d {h}h"
    if hours:
        return f"{hours}h {m:02}m"
    return f"{minutes}m {s:02}s"


def _facts(status: Status) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("stack", f"{status.stack} ({status.prefix or 'nothing claimed'}) on {status.host}")
    if status.updating:
        table.add_row("update", Text(status.updating, style="yellow"))
    if status.url:
        table.add_row("urls", f"{status.url}  {status.http_url} (redirects)")
    if status.declared_slot:
        same = status.slot == status.declared_slot
        text = f"{status.slot or 'none'}" + ("" if same else f", declared: {status.declared_slot}")
        table.add_row("slot", Text(text, style="green" if same else "red"))
    if status.asked:
        table.add_row("next", f"{status.asked} is asked for: `gad deploy {status.stack}` releases it")
    for index, volume in enumerate(status.volumes):
        size = f"  {volume.mib:,.1f} MiB" if volume.mib is not None else ""
        text = volume.name + size + ("" if volume.exists else "  missing")
        table.add_row("volumes" if index == 0 else "", Text(text, style="" if volume.exists else "red"))
    return table
