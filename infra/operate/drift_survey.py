"""What no step of a server's deploy controls: accounts, rights, jobs, the host key.

One login that only looks. What is declared: root and the deploy user are the only accounts with a shell, and
nobody else has uid 0 or is in a group that leads to root; rules of sudo and jobs are those of Debian's
packages, as they were shipped, and ours; the host key is the one that the stack file pins.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from infra.errors import GadError
from infra.host.controls import Values
from infra.host.plan import CLOSED_SHELLS, HostPlan
from infra.operate.drift_report import Difference, one_line
from infra.operate.host import LOGIN_S, fresh_login
from infra.operate.server import refusal
from infra.operate.server_plan import SECTION, Role, ServerPlan
from infra.ssh import SshAccess

KEY_FILE = "/etc/ssh/ssh_host_ed25519_key"
HOST_KEY = "host key"  # the aspect
# Whoever is in one of them is root, or one command away from it.
PRIVILEGED = ("adm", "disk", "docker", "lxd", "root", "shadow", "sudo", "wheel")
# Files that steps of the deploy write among those of packages.
OURS = ("/etc/sudoers.d/gad-defaults", "/etc/systemd/system/gad-aide.timer")

# No hash and no key's private half is printed. The last word proves that all of it ran.
LOOK = f"""export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
awk -F: '{{print "account", $1, $3, $7}}' /etc/passwd
awk -F: '{{print "group", $1, $4}}' /etc/group
find /etc/sudoers /etc/sudoers.d /etc/crontab /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly \\
  /etc/cron.monthly /etc/cron.yearly /var/spool/cron /etc/systemd/system -maxdepth 2 -type f \\
  \\( ! -path '/etc/systemd/system/*' -o -name '*.timer' \\) -printf 'file %p\\n' 2>/dev/null
shipped=$(dpkg-query -W -f '${{Conffiles}}\\n' | awk '$1 ~ "^/etc/(cron|sudoers)" {{print $2 "  " $1}}')
printf '%s\\n' "$shipped" | awk 'NF {{print "shipped", $2}}'
printf '%s\\n' "$shipped" | md5sum -c --quiet 2>/dev/null | sed -n 's/^\\(.*\\): FAILED$/changed \\1/p'
ssh-keygen -y -P '' -f {KEY_FILE} 2>/dev/null | sed 's/^/key /'
echo end
"""


def survey(asked: ServerPlan, stack: str, role: Role = "app") -> tuple[Difference, ...]:
    """Look, and judge. Raises GadError if the server cannot be reached, or does not answer whole."""
    return judge(look(asked.access), asked.plan, asked.access.host_key, stack, role)


def look(access: SshAccess) -> str:
    """What the server says of itself, in one login. Raises GadError."""
    try:
        done = subprocess.run(
            [*fresh_login(access, port=access.port), "sudo -n sh -s"],
            input=LOOK,
            capture_output=True,
            text=True,
            timeout=LOGIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GadError(
            f"{access.address} gives no answer within {LOGIN_S} s",
            remedy="see whether it is overloaded or gone",
        ) from None
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines or lines[-1] != "end":
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise refusal(said[-1] if said else "", access)
    return done.stdout


def judge(said: str, plan: HostPlan, host_key: str, stack: str, role: Role = "app") -> tuple[Difference, ...]:
    """Compare what a server said with what is declared. Pure."""
    rows = [line.split(" ") for line in said.splitlines()]
    found = (
        *_accounts(rows, plan.deploy_user),
        *_members(rows, plan),
        *_files(rows, plan.deploy_user),
        *_host_key(said, host_key, f"{SECTION[role]}.host_key (Pulumi.{stack}.yaml)"),
    )
    return tuple(each.model_copy(update={"subject": SECTION[role].replace("_", " ")}) for each in found)


def _accounts(rows: list[list[str]], deployer: str) -> Iterator[Difference]:
    for _, name, uid, shell in (row for row in rows if row[0] == "account" and len(row) == 4):
        if uid == "0" and name != "root":
            yield _difference(f"account {name}", "root alone has uid 0", "uid 0", f"userdel {name}")
        elif shell not in CLOSED_SHELLS and name not in ("root", deployer):
            yield _difference(
                f"account {name}",
                f"root and {deployer} are the only accounts with a shell",
                f"uid {uid}, shell {shell}",
                f"find out who made it and why, then `userdel {name}`; a daemon's account has no shell",
            )


def _members(rows: list[list[str]], plan: HostPlan) -> Iterator[Difference]:
    watched = {*PRIVILEGED, *_groups(plan.values)}
    for _, group, names in (row for row in rows if row[0] == "group" and len(row) == 3):
        others = sorted({*filter(None, names.split(","))} - {plan.deploy_user})
        if group in watched and others:
            yield _difference(
                f"group {group}",
                f"nobody but {plan.deploy_user}",
                ", ".join(others),
                f"`gpasswd -d ACCOUNT {group}`",
            )


def _groups(values: Values) -> tuple[str, ...]:
    return (*values.items("sshd_config.AllowGroups"), values.text("accounts.su-group"))


def _files(rows: list[list[str]], deployer: str) -> Iterator[Difference]:
    names: Mapping[str, set[str]] = {
        kind: {" ".join(row[1:]) for row in rows if row[0] == kind} for kind in ("file", "shipped", "changed")
    }
    for path in sorted(names["file"] - names["shipped"] - {*OURS, f"/etc/sudoers.d/{deployer}"}):
        yield _difference(
            f"{_kind(path)} {path}", "only those of Debian's packages and ours", "of no package", f"rm {path}"
        )
    for path in sorted(names["changed"]):
        yield _difference(
            f"{_kind(path)} {path}",
            "as its package shipped it",
            "changed",
            f"compare it with the package's, or install that again with `--force-confask`: {path}",
        )


def _kind(path: str) -> str:
    return "sudo rule" if PurePosixPath(path).parts[2].startswith("sudoers") else "job"


def _host_key(said: str, pinned: str, key: str) -> Iterator[Difference]:
    keys = [line.removeprefix("key ").split()[:2] for line in said.splitlines() if line.startswith("key ")]
    if keys != [pinned.split()[:2]]:
        yield _difference(
            HOST_KEY,
            "the one that the stack file pins",
            "another" if keys else "none",
            f"put the old one back before sshd restarts, or nobody is let in; only if the change was meant, "
            f"write it into {key}",
        )


def _difference(aspect: str, expected: str, found: str, remedy: str) -> Difference:
    return Difference(
        subject="server",
        aspect=one_line(aspect),
        found_by=("survey",),
        expected=expected,
        found=one_line(found),
        remedy=one_line(remedy, longest=300),
    )
