"""Files about accounts as whole texts, from controls. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from infra.host.controls import Scalar, Values

HEAD = "# Written by infra/host/accounts from config/controls.yaml: a change here is overwritten.\n"

# The rest of Debian's login.defs, which nobody demands to be otherwise.
LOGIN_DEFS: Mapping[str, Scalar] = {
    "MAIL_DIR": "/var/mail",
    "LOG_UNKFAIL_ENAB": False,
    "LOG_OK_LOGINS": False,
    "HUSHLOGIN_FILE": ".hushlogin",
    "ENV_SUPATH": "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "ENV_PATH": "PATH=/usr/local/bin:/usr/bin:/bin",
    "TTYPERM": "0600",
    "ERASECHAR": "0177",
    "KILLCHAR": "025",
    "HOME_MODE": "0700",
    "UID_MIN": 1000,
    "UID_MAX": 60000,
    "GID_MIN": 1000,
    "GID_MAX": 60000,
    "SUB_UID_MIN": 100000,
    "SUB_UID_MAX": 600100000,
    "SUB_UID_COUNT": 65536,
    "SUB_GID_MIN": 100000,
    "SUB_GID_MAX": 600100000,
    "SUB_GID_COUNT": 65536,
    "CHFN_RESTRICT": "rwh",
    "DEFAULT_HOME": True,
    "NONEXISTENT": "/nonexistent",
    "USERGROUPS_ENAB": True,  # a group for each account; UMASK is said again in the profile, because of it
}

# As `pam-auth-update` reads them. The lock's two halves stand around pam_unix: one asks before a password is
# looked at whether the account is locked, the other counts what pam_unix refused.
PAM_PROFILES: Mapping[str, str] = {
    "gad-faillock-before": """Name: Lock after failed passwords, asked first
Default: yes
Priority: 1024
Auth-Type: Primary
Auth:
	requisite	pam_faillock.so preauth
Account-Type: Primary
Account:
	required	pam_faillock.so
""",
    "gad-faillock-after": """Name: Lock after failed passwords, counted last
Default: yes
Priority: 0
Auth-Type: Primary
Auth:
	[default=die]	pam_faillock.so authfail
""",
    "gad-pwhistory": """Name: Remember passwords
Default: yes
Priority: 512
Password-Type: Primary
Password:
	requisite	pam_pwhistory.so remember={remember} use_authtok
Password-Initial:
	requisite	pam_pwhistory.so remember={remember}
""",
}

# Debian's, with the line about the group.
SU = """auth       sufficient pam_rootok.so
auth       required   pam_wheel.so use_uid group={group}
session    required   pam_env.so readenv=1
session    required   pam_env.so readenv=1 envfile=/etc/default/locale
session    optional   pam_mail.so nopen
session    required   pam_limits.so
@include common-auth
@include common-account
@include common-session
"""


def login_defs(values: Values) -> str:
    """/etc/login.defs: Debian's settings, then the controls'."""
    settings = {**LOGIN_DEFS, **values.table("accounts.login-defs")}
    return HEAD + "".join(f"{name}\t{_word(value)}\n" for name, value in settings.items())


def key_values(values: Values, control: str) -> str:
    """A file of `key = value`, as pam_pwquality and pam_faillock read it; a flag that is set stands alone."""
    lines = [
        name if value is True else f"{name} = {value}"
        for name, value in values.table(control).items()
        if value is not False
    ]
    return HEAD + "".join(f"{line}\n" for line in lines)


def pam_profiles(values: Values) -> Mapping[str, str]:
    """The files in /usr/share/pam-configs: name → text."""
    remember = values.number("accounts.password-history")
    return {name: profile.replace("{remember}", str(remember)) for name, profile in PAM_PROFILES.items()}


def su(values: Values) -> str:
    """/etc/pam.d/su: only members of the group may try."""
    return HEAD + SU.format(group=values.text("accounts.su-group"))


def sudo_defaults(values: Values) -> str:
    """/etc/sudoers.d/gad-defaults."""
    pty = "" if values.flag("accounts.sudo-pty") else "!"
    return f'{HEAD}Defaults {pty}use_pty\nDefaults logfile="{values.text("accounts.sudo-log")}"\n'


def sudo_rotation(values: Values) -> str:
    """The rotation of sudo's log: it holds every command, and may be read by root only."""
    return (
        f"{values.text('accounts.sudo-log')} {{\n  daily\n  rotate 14\n  compress\n  delaycompress\n"
        "  missingok\n  notifempty\n  create 0600 root root\n}\n"
    )


def profile(values: Values) -> str:
    """What every login shell begins with. `readonly`: whoever is idle cannot have switched it off before."""
    return (
        f"{HEAD}umask {values.table('accounts.login-defs')['UMASK']}\n"
        f'if [ -z "${{TMOUT-}}" ]; then TMOUT={values.number("accounts.idle-seconds")}; '
        "readonly TMOUT; export TMOUT; fi\n"
    )


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
