"""sshd_config and ssh_config as whole files, from controls. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from infra.host.controls import Scalar, Value, Values

HEAD = "# Written by infra/host/ssh from config/controls.yaml: a change here is overwritten.\n"

# Directives whose list is algorithms in order of preference: separated by commas, and only what this OpenSSH
# knows, because an unknown name is an error there. The word after it is what `ssh -Q` calls the list.
ALGORITHMS: Mapping[str, str] = {
    "CASignatureAlgorithms": "key-sig",
    "Ciphers": "cipher",
    "HostKeyAlgorithms": "key-sig",
    "KexAlgorithms": "kex",
    "MACs": "mac",
    "PubkeyAcceptedAlgorithms": "key-sig",
}
# Directives that are stated once for each item.
REPEATED = {"HostKey", "ListenAddress"}

Supported = Mapping[str, frozenset[str]]  # of one OpenSSH: what each `ssh -Q` prints


# As Debian ships it, so that nothing is restarted where nothing was added.
OPTIONS = """# Default settings for openssh-server. This file is sourced by /bin/sh from
# /etc/init.d/ssh.

# Options to pass to sshd
SSHD_OPTS=%s
"""


class UnsupportedError(ValueError):
    """An OpenSSH that knows none of the algorithms a control asks for."""


def sshd_config(values: Values, *, port: int, supported: Supported, root_login: bool) -> str:
    """The server's configuration: no Include, so no file beside it has a say.

    With `root_login` root may still sign in by key: the way back until all else is done. Raises
    UnsupportedError.
    """
    directives = {**values.under("sshd_config"), "Port": port}
    if root_login:
        directives["PermitRootLogin"] = "prohibit-password"
        directives["AllowGroups"] = (*values.items("sshd_config.AllowGroups"), "root")
    return HEAD + "".join(f"{line}\n" for line in _lines(values, directives, supported))


def ssh_config(values: Values, *, supported: Supported) -> str:
    """The client's configuration for every account. Raises UnsupportedError."""
    lines = _lines(values, values.under("ssh_config"), supported)
    return f"{HEAD}Host *\n" + "".join(f"    {line}\n" for line in lines)


def options(values: Values) -> str:
    """/etc/default/ssh: what is added to the command line of sshd."""
    return OPTIONS % values.text("ssh.server-options")


def _lines(values: Values, directives: Mapping[str, Value], supported: Supported) -> Iterator[str]:
    if obsolete := sorted(set(values.items("ssh.obsolete-directives")) & set(directives)):
        raise UnsupportedError(f"{', '.join(obsolete)}: no OpenSSH of today takes it")
    for name, value in directives.items():
        if isinstance(value, Mapping):
            raise TypeError(f"{name} is a mapping; a directive has a word or a list")
        if name in ALGORITHMS:
            wanted = value if isinstance(value, tuple) else (value,)
            known = [str(each) for each in wanted if each in supported[ALGORITHMS[name]]]
            if not known:
                raise UnsupportedError(f"{name}: this OpenSSH knows none of {', '.join(map(str, wanted))}")
            yield f"{name} {','.join(known)}"
        elif isinstance(value, tuple) and name in REPEATED:
            yield from (f"{name} {_word(each)}" for each in value)
        elif isinstance(value, tuple):
            yield f"{name} {' '.join(_word(each) for each in value)}"
        else:
            yield f"{name} {_word(value)}"


def _word(value: Scalar) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
