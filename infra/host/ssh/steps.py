"""SSH, changed in a way that cannot lock us out."""

from __future__ import annotations

from pyinfra.context import host
from pyinfra.operations import files, systemd

from infra.host import file, packages, proven
from infra.host.controls import Values
from infra.host.plan import HostPlan, Reach
from infra.host.ssh import keys, text
from infra.host.ssh.facts import Algorithms
from infra.host.step import step

SSHD_CONFIG = "/etc/ssh/sshd_config"
SERVED = ("sshd_config.*", "ssh.server-config-mode", "ssh.obsolete-directives")


@step("SSH client", serves=("ssh_config.*", "ssh.client-config-mode", "ssh.obsolete-directives"))
def configure_client(plan: HostPlan, values: Values) -> None:
    """The client's defaults, for every account that goes elsewhere from this server."""
    file.whole(
        name="Write ssh_config",
        path="/etc/ssh/ssh_config",
        text=text.ssh_config(values, supported=host.get_fact(Algorithms)),
        mode=values.text("ssh.client-config-mode"),
    )


@step(
    "SSH server",
    serves=(
        *SERVED,
        "ssh.folder-mode",
        "ssh.moduli-bits",
        "ssh.rsa-bits",
        "ssh.server-options",
        "ssh.socket-activation",
    ),
)
def harden_server(plan: HostPlan, values: Values, *, reach: Reach) -> None:
    """Keys only, no passwords, for members of the login group; root still by key. See `close_root_login`."""
    packages.present(name="Install the server", packages=["openssh-server"])
    files.directory(
        name="Close the folder",
        path="/etc/ssh",
        user="root",
        group="root",
        mode=values.text("ssh.folder-mode"),
    )
    ed25519 = keys.host_key(
        name="Host key, Ed25519", path="/etc/ssh/ssh_host_ed25519_key", kind="ed25519", bits=256
    )
    rsa = keys.host_key(
        name="Host key, RSA",
        path="/etc/ssh/ssh_host_rsa_key",
        kind="rsa",
        bits=values.number("ssh.rsa-bits"),
    )
    keys.moduli(name="Remove short groups from moduli", bits=values.number("ssh.moduli-bits"))
    # Socket activation would keep the old port, and give each connection a daemon with options of its own.
    socket = values.flag("ssh.socket-activation")
    systemd.service(name="Socket activation", service="ssh.socket", running=socket, enabled=socket)
    systemd.service(name="Keep the server on", service="ssh.service", running=True, enabled=True)
    systemd.service(
        name="Read the new host keys",
        service="ssh.service",
        reloaded=True,
        _if=lambda: ed25519.did_change() or rsa.did_change(),
    )
    proven.replace(
        name="Write the options of its command line and prove a login",
        staged=[file.Staged(path="/etc/default/ssh", text=text.options(values))],
        unit="gad-sshd-options-rollback",
        check="sh -n {0}",
        apply="systemctl restart ssh.service",  # a reload keeps the old ones; sessions outlive a restart
        login=reach.login_now,
    )
    # As it was when the run began: root's login that an earlier run closed is not opened again.
    closed = host.get_fact(proven.HoldsFact, condition=f"grep -qx 'PermitRootLogin no' {SSHD_CONFIG}")
    replace_sshd_config(
        plan, values, login=reach.login_planned, login_before=reach.login_now, root_login=not closed
    )


@step("Root's login", serves=SERVED)
def close_root_login(plan: HostPlan, values: Values, *, reach: Reach) -> None:
    """The last step of all: from here on only the deploy user signs in."""
    login = reach.login_planned
    replace_sshd_config(plan, values, login=login, login_before=login, root_login=False)


def replace_sshd_config(
    plan: HostPlan, values: Values, *, login: tuple[str, ...], login_before: tuple[str, ...], root_login: bool
) -> None:
    """The whole file, by a proven change."""
    supported = host.get_fact(Algorithms)
    content = text.sshd_config(values, port=plan.ssh_port, supported=supported, root_login=root_login)
    proven.replace(
        name="Write sshd_config and prove a login",
        staged=[file.Staged(path=SSHD_CONFIG, text=content, mode=values.text("ssh.server-config-mode"))],
        unit="gad-sshd-rollback",
        check="sshd -t -f {0}",
        apply="systemctl reload ssh.service",
        login=login,
        login_before=login_before,
    )
