"""Accounts on the server: how passwords are made and guessed at, and who becomes whom."""

from __future__ import annotations

from pyinfra.context import host
from pyinfra.operations import server, systemd

from infra.host import file, packages, proven
from infra.host.accounts import operations, text
from infra.host.controls import Values
from infra.host.plan import HostPlan, Reach
from infra.host.step import step

PROFILES = "/usr/share/pam-configs"
ENABLED = (
    ("pam_faillock.so", "/etc/pam.d/common-auth"),
    ("pam_faillock.so", "/etc/pam.d/common-account"),
    ("pam_pwhistory.so", "/etc/pam.d/common-password"),
)
COMMON = tuple(f"/etc/pam.d/common-{kind}" for kind in ("account", "auth", "password"))


@step(
    "Passwords",
    serves=(
        "accounts.login-defs",
        "accounts.password-quality",
        "accounts.password-history",
        "accounts.failed-passwords",
        "accounts.hashes-in-shadow",
    ),
)
def configure_passwords(plan: HostPlan, values: Values, *, reach: Reach) -> None:
    """What a password must be, for how long, and what happens to whoever guesses."""
    # With its dictionary: without one pam_pwquality refuses every password.
    packages.present(name="Install the check of passwords", packages=["libpam-pwquality", "cracklib-runtime"])
    file.whole(name="Write login.defs", path="/etc/login.defs", text=text.login_defs(values))
    file.whole(
        name="Write the demands on a password",
        path="/etc/security/pwquality.conf",
        text=text.key_values(values, "accounts.password-quality"),
    )
    file.whole(
        name="Write the lock after failures",
        path="/etc/security/faillock.conf",
        text=text.key_values(values, "accounts.failed-passwords"),
    )
    if values.flag("accounts.hashes-in-shadow"):
        operations.hide_hashes(name="Hide hashes")
    profiles = text.pam_profiles(values)
    enabled = " && ".join(f"grep -q {module} {file}" for module, file in ENABLED)
    proven.replace(
        name="Switch lock and history on in PAM, and prove a login",
        staged=[file.Staged(path=f"{PROFILES}/{name}", text=profile) for name, profile in profiles.items()],
        unit="gad-pam-rollback",
        check="grep -q pam_ {0}",
        apply=f"DEBIAN_FRONTEND=noninteractive pam-auth-update --enable {' '.join(profiles)} && {enabled}",
        undo="true",
        touched=COMMON,
        holds=enabled,
        login=reach.login_planned,
    )


@step(
    "Accounts",
    serves=("accounts.system-shell", "accounts.unique-ids", "accounts.root-locked", "accounts.rescue-shell"),
)
def close_accounts(plan: HostPlan, values: Values) -> None:
    """Nobody signs in as a daemon, nor as root with a password; a broken machine can be repaired."""
    if values.flag("accounts.unique-ids"):
        operations.refuse_shared_ids(name="Look for accounts that share a uid")
    operations.close_system_accounts(
        name="Close the daemons' accounts", shell=values.text("accounts.system-shell")
    )
    rescue = values.flag("accounts.rescue-shell")
    drop_ins = [f"/etc/systemd/system/{unit}.service.d/gad.conf" for unit in ("rescue", "emergency")]
    content = f"[Service]\nEnvironment=SYSTEMD_SULOGIN_FORCE={int(rescue)}\n"
    written = [
        file.whole(
            name="Keep the way in for a repair",
            path=path,
            text=content,
        )
        for path in host.loop(drop_ins)  # type: ignore[no-untyped-call]
    ]
    systemd.daemon_reload(name="Read the units anew", _if=lambda: any(each.did_change() for each in written))
    if values.flag("accounts.root-locked"):
        operations.lock(name="Lock root's password", account="root")


@step(
    "su and sudo",
    serves=("accounts.su-group", "accounts.sudo-pty", "accounts.sudo-log"),
)
def configure_su(plan: HostPlan, values: Values, *, reach: Reach) -> None:
    """Who may become whom, and that it is written down."""
    server.group(name="Group of those who may use su", group=values.text("accounts.su-group"), system=True)
    file.whole(name="Write the rule of su", path="/etc/pam.d/su", text=text.su(values))
    file.whole(name="Rotate sudo's log", path="/etc/logrotate.d/gad-sudo", text=text.sudo_rotation(values))
    proven.replace(
        name="Write sudo's defaults and prove a login",
        staged=[file.Staged(path="/etc/sudoers.d/gad-defaults", text=text.sudo_defaults(values), mode="440")],
        unit="gad-sudo-rollback",
        check="visudo -cqf {0}",
        apply="true",
        login=reach.login_planned,
    )


@step("Shells", serves=("accounts.idle-seconds", "accounts.login-defs"))
def configure_shells(plan: HostPlan, values: Values) -> None:
    """What a login shell begins with."""
    file.whole(name="Write the profile", path="/etc/profile.d/gad.sh", text=text.profile(values))
