"""Accounts: the deploy user, passwords and their locks, su and sudo, idle shells."""

from __future__ import annotations

from dataclasses import dataclass

from infra.host.controls import Control

from .facts import Facts, asks
from .proof import Proof, proves
from .ssh import word

FIRST_PERSON = 1000  # UID_MIN of Debian
CLOSED = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync")
LOCKED = ("!", "*")

# Of both password fields the first character only: no hash leaves the server.
asks(
    "accounts",
    'awk -F: -v OFS=: \'NR==FNR {p[$1]=substr($2,1,1); age[$1]=$4":"$5":"$7":"$8; next} '
    "{print $1,$3,$7,substr($2,1,1),p[$1],age[$1]}' /etc/shadow /etc/passwd",
)
asks("sudo", lambda plan: f"sudo -l -U {plan.deploy_user}")
asks("groups", "cat /etc/group")
asks("login.defs", "cat /etc/login.defs")
asks("pwquality", "cat /etc/security/pwquality.conf")
asks("faillock", "cat /etc/security/faillock.conf")
asks("pam", "cd /etc/pam.d && grep -H . common-account common-auth common-password su")
# As a login shell begins, and whether whoever is in it can switch it off.
asks("idle", "env -i bash -lc 'echo $TMOUT; unset TMOUT; echo $TMOUT'")


@dataclass(frozen=True)
class Account:
    """An account; the passwords are first characters. `ages`: least, most, inactive days and its end."""

    name: str
    uid: int
    shell: str
    in_passwd: str
    password: str
    ages: tuple[str, ...]


def accounts(facts: Facts) -> list[Account]:
    """All accounts of the machine's own files. Raises ValueError if there is none: then nothing was seen."""
    rows = (line.split(":") for line in facts.lines("accounts"))
    found = [Account(n, int(u), s, seen, p, tuple(ages)) for n, u, s, seen, p, *ages in rows]
    if not found:
        raise ValueError("no accounts were shown")
    return found


def deployer(facts: Facts) -> Account | None:
    """The deploy user, if there is one."""
    return next((each for each in accounts(facts) if each.name == facts.plan.deploy_user), None)


def pam(facts: Facts, file: str, module: str) -> list[str]:
    """The lines of a PAM file that use a module, with single spaces."""
    lines = (
        " ".join(line.partition(":")[2].split()) for line in facts.lines("pam") if line.startswith(f"{file}:")
    )
    return [line for line in lines if line[:1] != "#" and module in line]


@proves("deployer.key-only")
def key_only(facts: Facts, control: Control) -> Proof:
    """Its password opens nothing."""
    who = f"password of {facts.plan.deploy_user} is locked"
    account = deployer(facts)
    return Proof({who: control.value}, {who: account and account.password in LOCKED})


@proves("deployer.sudo")
def sudo(facts: Facts, control: Control) -> Proof:
    """What sudo itself says of its rules for the account."""
    rules = [" ".join(line.split()) for line in facts.lines("sudo") if line.startswith("    ")]
    wanted = f"(ALL : ALL) {control.value}: ALL"
    return Proof({"rule of sudo": wanted}, {"rule of sudo": next((r for r in rules if r == wanted), None)})


@proves("deployer.password-age")
def password_age(facts: Facts, control: Control) -> Proof:
    """Neither its password nor the account ends by itself."""
    account = deployer(facts)
    return Proof({"ends": control.value}, {"ends": account and account.ages != ("0", "", "", "")})


@proves("accounts.login-defs")
def login_defs(facts: Facts, control: Control) -> Proof:
    """The file that useradd and login read anew each time."""
    wanted = {name: str(value) for name, value in facts.values.table(control.id).items()}
    pairs = (line.split() for line in facts.lines("login.defs") if line.lstrip()[0] != "#")
    said = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    return Proof(wanted, {name: said.get(name) for name in wanted}, "file")


@proves("accounts.password-quality", "accounts.failed-passwords")
def password_rule(facts: Facts, control: Control) -> Proof:
    """What the module of PAM reads, and that PAM asks the module."""
    file, used = {
        "accounts.password-quality": ("pwquality", (("common-password", "pam_pwquality.so"),)),
        "accounts.failed-passwords": (
            "faillock",
            (
                ("common-auth", "pam_faillock.so preauth"),
                ("common-auth", "pam_faillock.so authfail"),
                ("common-account", "pam_faillock.so"),
            ),
        ),
    }[control.id]
    rules = {
        name: word(value) for name, value in facts.values.table(control.id).items() if value is not False
    }
    wanted = {name: "true" if value == "yes" else value for name, value in rules.items()}
    said = facts.assigned(file)
    asked = {f"{name} asks {module}": pam(facts, name, module) != [] for name, module in used}
    return Proof(
        {**wanted, **dict.fromkeys(asked, True)},
        {**{name: said.get(name) for name in wanted}, **asked},
        "file",
    )


@proves("accounts.password-history")
def history(facts: Facts, control: Control) -> Proof:
    """How many old passwords PAM remembers."""
    words = [each for line in pam(facts, "common-password", "pam_pwhistory.so") for each in line.split()]
    said = [each.partition("=")[2] for each in words if each.startswith("remember=")]
    return Proof({"remembered": [str(control.value)]}, {"remembered": said}, "file")


@proves("accounts.hashes-in-shadow")
def hashes(facts: Facts, control: Control) -> Proof:
    """No password in the file that all may read."""
    found = [each.name for each in accounts(facts) if each.in_passwd not in ("x", "*")]
    return Proof(
        {"accounts with a password in /etc/passwd": []}, {"accounts with a password in /etc/passwd": found}
    )


@proves("accounts.system-shell")
def system_shell(facts: Facts, control: Control) -> Proof:
    """Accounts of daemons have neither shell nor password."""
    system = [each for each in accounts(facts) if 0 < each.uid < FIRST_PERSON]
    shells = [each.name for each in system if each.shell not in (control.value, *CLOSED)]
    passwords = [each.name for each in system if each.password not in LOCKED]
    return Proof(
        {"daemons with a shell": [], "daemons with a password": []},
        {"daemons with a shell": shells, "daemons with a password": passwords},
    )


@proves("accounts.unique-ids")
def unique(facts: Facts, control: Control) -> Proof:
    """No two accounts with one uid."""
    uids = [each.uid for each in accounts(facts)]
    twice = sorted(each.name for each in accounts(facts) if uids.count(each.uid) > 1)
    return Proof({"accounts that share a uid": []}, {"accounts that share a uid": twice})


@proves("accounts.root-locked")
def root_locked(facts: Facts, control: Control) -> Proof:
    """No password opens root."""
    root = next(each for each in accounts(facts) if each.uid == 0)
    return Proof(
        {"password of root is locked": control.value}, {"password of root is locked": root.password in LOCKED}
    )


@proves("accounts.rescue-shell")
def rescue(facts: Facts, control: Control) -> Proof:
    """What systemd tells the shell of a repair."""
    units = ("rescue.service", "emergency.service")
    said = {unit: "SYSTEMD_SULOGIN_FORCE=1" in facts.unit(unit, "Environment").split() for unit in units}
    return Proof(dict.fromkeys(units, control.value), said)


@proves("accounts.su-group")
def su(facts: Facts, control: Control) -> Proof:
    """PAM lets only the group try, and the group is there. Who is in it is its owner's business."""
    rule = f"auth required pam_wheel.so use_uid group={control.value}"
    groups = [line.partition(":")[0] for line in facts.lines("groups")]
    return Proof(
        {"rule of su": [rule], "group": True},
        {"rule of su": pam(facts, "su", "pam_wheel.so"), "group": control.value in groups},
        "file",
    )


def sudo_defaults(facts: Facts) -> list[str]:
    """The defaults of sudo for the deploy user, as sudo lists them before its rules."""
    lines = facts.text("sudo").partition("may run the following")[0].splitlines()[1:]
    return [each.strip() for line in lines for each in line.split(",") if each.strip()]


@proves("accounts.sudo-pty")
def pty(facts: Facts, control: Control) -> Proof:
    """As sudo says of its defaults."""
    return Proof({"use_pty": control.value}, {"use_pty": "use_pty" in sudo_defaults(facts)})


@proves("accounts.sudo-log")
def sudo_log(facts: Facts, control: Control) -> Proof:
    """As sudo says of its defaults; and its log is there, because this very question went by sudo."""
    path = str(control.value)
    said = [each.partition("=")[2] for each in sudo_defaults(facts) if each.startswith("logfile=")]
    return Proof(
        {"logfile": path, path: "600 root:root"}, {"logfile": next(iter(said), None), path: facts.state(path)}
    )


@proves("accounts.idle-seconds")
def idle(facts: Facts, control: Control) -> Proof:
    """A login shell ends itself, and cannot be told not to."""
    lines = facts.said["idle"].splitlines()
    both = {
        "TMOUT of a login shell": lines[0] if lines else None,
        "after unset": lines[1] if lines[1:] else None,
    }
    return Proof(dict.fromkeys(both, str(control.value)), both, "effect")
