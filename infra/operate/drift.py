"""What is there, beside what is declared: four looks at a stack and its server at once, as one report."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from infra.errors import Exit, GadError
from infra.operate import drift_checks, drift_preview, drift_survey, server_plan
from infra.operate.drift_report import Difference, DriftReport, Source, merge, not_compared
from infra.operate.outputs import read_outputs
from infra.operate.place import server_of
from infra.operate.pulumi import Pulumi
from infra.operate.verify import verify

Look = Callable[[], tuple[Difference, ...]]


def drift(pulumi: Pulumi) -> DriftReport:
    """Compare a stack and its server with what is declared; changes neither, nor the state.

    Raises GadError if there is nothing to compare with: a wrong stack file, or no stack yet. A source that
    cannot be asked is a line of the report.
    """
    hardening = server_of(pulumi.root, pulumi.stack).hardening
    looks: dict[Source, Look] = {
        "preview": lambda: drift_preview.differences(pulumi.read(*drift_preview.PREVIEW), pulumi.stack),
        "checks": lambda: drift_checks.of_checks(verify(pulumi, exported=exported)),
    }
    if hardening is not None:
        roles = server_plan.roles_of(pulumi.root, pulumi.stack)
        asked = {role: server_plan.plan_of(pulumi.root, pulumi.stack, role) for role in roles}
        looks["deploy"] = lambda: drift_checks.of_deploy(
            server_plan.apply(pulumi.root, pulumi.stack, dry=True), pulumi.stack
        )
        looks["survey"] = lambda: tuple(
            found for role, one in asked.items() for found in drift_survey.survey(one, pulumi.stack, role)
        )
    exported = pulumi.export()
    read_outputs(pulumi.stack, pulumi.deployment(exported).outputs)
    return report(pulumi.stack, looks)


def report(stack: str, looks: dict[Source, Look]) -> DriftReport:
    """Look by all of them at once, and put together what they found. Raises GadError of wrong usage."""
    with ThreadPoolExecutor(max_workers=len(looks)) as pool:
        pending = [pool.submit(_said, source, look) for source, look in looks.items()]
        found = [each for future in pending for each in future.result()]
    return DriftReport(stack=stack, sources=tuple(sorted(looks)), differences=merge(found))


def _said(source: Source, look: Look) -> tuple[Difference, ...]:
    try:
        return look()
    except GadError as error:
        if error.exit_code == Exit.USAGE:
            raise
        return (not_compared(source, error.fact, error.remedy),)
