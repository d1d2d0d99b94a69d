"""All judges, one after the other; that one cannot speak does not silence the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from infra.errors import Exit, GadError
from infra.operate.judges import (
    benches,
    ground,
    images,
    lynis,
    observatory,
    rules,
    ssh_audit,
    sslyze,
    testssl,
)
from infra.operate.judges.ground import Host
from infra.operate.judges.rules import Rule
from infra.operate.judges.running import Door
from infra.operate.judges.toolbox import Toolbox
from infra.operate.judges.verdict import Measured, Missing, Verdict, Word, judged
from infra.toolchain.progress import Reporter

OF_SERVERS = ("lynis", "ssh-audit", "docker-bench", "debian-cis")
OF_DOORS = ("sslyze", "observatory", "testssl")
OF_RECIPES = ("hadolint", "checkov")
GIVEN = ("docker-bench", "debian-cis")  # only where their folder is given


@dataclass(frozen=True)
class Asked:
    """Which stack (None: one of our own), which judges, and the folders of those no registry has."""

    stack: str | None
    only: tuple[str, ...]
    folders: Mapping[str, Path]


def hear(root: Path, asked: Asked, reporter: Reporter) -> list[Verdict]:
    """Ask those that were asked for; a verdict for each, in the order of the rules. Raises GadError."""
    known = rules.load(root, today=datetime.now(UTC).date())
    wanted = chosen(known, asked)
    hearing = _Hearing(root, asked, known, Toolbox(root, reporter), reporter)
    ours = hearing.of_recipes([name for name in wanted if name in OF_RECIPES])
    ours |= hearing.of_door([name for name in wanted if name in OF_DOORS])
    stock, hardened = hearing.of_servers([name for name in wanted if name in OF_SERVERS])
    ours |= hardened
    return [judged(name, known[name], ours[name], stock.get(name)) for name in wanted]


def chosen(known: Mapping[str, Rule], asked: Asked) -> list[str]:
    """The judges to ask. Raises GadError for one that is unknown, or whose folder is wanted but not given."""
    if strange := [name for name in asked.only if name not in known]:
        raise GadError(
            f"{strange[0]} is no judge", remedy=f"use some of {', '.join(known)}", exit_code=Exit.USAGE
        )
    for name in asked.only:
        if name in GIVEN and name not in asked.folders:
            raise GadError(
                f"no registry has {name}",
                remedy=f"get its checkout and name it: --{name} PATH",
                exit_code=Exit.USAGE,
            )
    names = asked.only or [name for name in known if name not in GIVEN or name in asked.folders]
    return [name for name in known if name in names]


@dataclass(frozen=True)
class _Hearing:
    root: Path
    asked: Asked
    known: Mapping[str, Rule]
    box: Toolbox
    reporter: Reporter

    def of_recipes(self, judges: list[str]) -> dict[str, Word]:
        return {judge: self._word(judge, self._of_recipes) for judge in judges}

    def of_door(self, judges: list[str]) -> dict[str, Word]:
        """On the stack that was named, else on one of our own, which is made for them."""
        if not judges:
            return {}
        with ExitStack() as held:
            try:
                door = (
                    ground.door_of(self.root, self.asked.stack)
                    if self.asked.stack
                    else held.enter_context(ground.own_stack(self.root, self.reporter.note))
                )
            except GadError as error:
                return dict.fromkeys(judges, Missing(f"there is no stack to judge: {error.fact}"))
            return {judge: self._word(judge, lambda name: self._of_door(name, door)) for judge in judges}

    def of_servers(self, judges: list[str]) -> tuple[dict[str, Word], dict[str, Word]]:
        """What they say of a stock server, if there is one, and of a hardened one."""
        stock: dict[str, Word] = {}
        if not judges:
            return stock, {}
        with ExitStack() as held:
            try:
                below = ground.server_below(self.root, self.asked.stack) if self.asked.stack else None
                if below is None:
                    bare, harden = held.enter_context(ground.bare_lab(self.root, self.reporter.note))
                    stock = {
                        each: self._word(each, lambda name: self._of_server(name, bare)) for each in judges
                    }
                    below = harden()
            except GadError as error:
                return stock, dict.fromkeys(judges, Missing(f"there is no server to judge: {error.fact}"))
            # A name of its own: what a lambda closes over must not be None.
            place = below
            return stock, {
                each: self._word(each, lambda name: self._of_server(name, place, waived=True))
                for each in judges
            }

    def _word(self, judge: str, ask: Callable[[str], Measured]) -> Word:
        self.reporter.note(f"asking {judge}")
        try:
            return ask(judge)
        except GadError as error:
            return Missing(error.fact)

    def _of_recipes(self, judge: str) -> Measured:
        if judge == "hadolint":
            return images.hadolint(self.root, self.box.hadolint())
        return images.checkov(self.root, self.box.python("checkov", "checkov"))

    def _of_door(self, judge: str, door: Door) -> Measured:
        if judge == "sslyze":
            return sslyze.run(self.box.python("judges", "sslyze"), door)
        if judge == "observatory":
            return observatory.run(self.root, self.box.observatory(), door)
        self.box.testssl()
        return testssl.run(door)

    def _of_server(self, judge: str, place: Host, *, waived: bool = False) -> Measured:
        if judge == "ssh-audit":
            return ssh_audit.run(
                self.root, self.box.python("judges", "ssh-audit"), place.server, place.system
            )
        if judge == "docker-bench":
            return benches.docker_bench(place.server, self.asked.folders[judge])
        if judge == "debian-cis":
            return benches.debian_cis(place.server, self.asked.folders[judge])
        whole = lynis.run(place.server)
        left_out = tuple(waiver.id for waiver in self.known[judge].waivers)
        if not waived or not left_out:
            return whole
        # Both are told: with all its tests, and without those that we have a reason not to follow.
        return replace(lynis.run(place.server, left_out), note=f"{whole.said} with every test")
