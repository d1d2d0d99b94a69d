"""The deploy user, before anything else is changed: every proof is a login of this account."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.operations import files, server

from infra.host import file, packages, proven
from infra.host.controls import Values
from infra.host.deployer import text
from infra.host.plan import HostPlan, Reach
from infra.host.step import step


@step(
    "Deploy user",
    serves=("deployer.sudo", "deployer.password-age", "deployer.key-only", "sshd_config.AllowGroups"),
)
def create_deployer(plan: HostPlan, values: Values, *, reach: Reach) -> None:
    """The account, its keys, its sudo rule; proven before anything could close another way in."""
    user, home = plan.deploy_user, f"/home/{plan.deploy_user}"
    groups = list(values.items("sshd_config.AllowGroups"))
    packages.present(name="Install sudo", packages=["sudo"])
    for group in host.loop(groups):  # type: ignore[no-untyped-call]
        server.group(name="Group of those who may sign in", group=group, system=True)
    server.user(
        name="Account", user=user, home=home, shell="/bin/bash", groups=groups, append=True, create_home=True
    )
    if values.flag("deployer.key-only"):
        lock_password(name="Lock its password", account=user)
    if not values.flag("deployer.password-age"):
        never_expire(name="Keep its absent password from expiring", account=user)
    files.directory(name="Folder of its keys", path=f"{home}/.ssh", user=user, group=user, mode="700")
    proven.replace(
        name="Write its keys and its sudo rule, and prove a login",
        staged=[
            file.Staged(
                path=f"{home}/.ssh/authorized_keys",
                text=text.authorized_keys(plan.deploy_keys, come_from=plan.deploy_from),
                mode="600",
                owner=f"{user}:{user}",
            ),
            file.Staged(path=f"/etc/sudoers.d/{user}", text=text.sudo_rule(user), mode="440"),
        ],
        unit="gad-deployer-rollback",
        check="ssh-keygen -lf {0} >/dev/null && visudo -cqf {1}",
        apply="true",
        login=reach.login_now,
    )


class Shadow(FactBase[tuple[str, ...]]):
    """The fields of an account in /etc/shadow, the password cut to its first character; empty without one."""

    def command(self, account: str) -> str:
        """One line, or nothing."""
        return f"getent shadow {shlex.quote(account)} | sed -E 's/^([^:]*:[^:]?)[^:]*/\\1/' || true"

    @staticmethod
    def default() -> tuple[str, ...]:
        """Of an account that is not there yet."""
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        """Read what the command printed."""
        return tuple(output[0].split(":"))


@operation()
def lock_password(account: str) -> Generator[StringCommand, None, None]:
    """No password opens the account; its keys do."""
    fields = host.get_fact(Shadow, account=account)
    if not fields or fields[1][:1] not in ("!", "*"):
        yield StringCommand(f"usermod --lock {shlex.quote(account)}")


@operation()
def never_expire(account: str) -> Generator[StringCommand, None, None]:
    """Ages of a password that nobody has or changes: they would end the logins by key too (pam_unix)."""
    fields = host.get_fact(Shadow, account=account)
    # Fields 4, 5, 7, 8: least and most days of a password, days of inactivity, day the account ends.
    if not fields or (fields[3], fields[4], fields[6], fields[7]) != ("0", "", "", ""):
        yield StringCommand(f"chage -m 0 -M -1 -I -1 -E -1 {shlex.quote(account)}")
