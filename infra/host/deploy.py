"""The whole deploy of a server, in order; pyinfra executes this file. Each line is a step of a topic.

The order matters: an account that can sign in before anything could close another way, SSH before what takes
long, root's login last of all. A new topic comes between.
"""

from typing import get_args

from pyinfra.api.exceptions import DeployError
from pyinfra.context import host
from pyinfra.facts.server import OsRelease

from infra.host.accounts import steps as accounts
from infra.host.audit import steps as audit
from infra.host.banners import steps as banners
from infra.host.clock import steps as clock
from infra.host.connection import notice_loss
from infra.host.controls import Os
from infra.host.deployer import steps as deployer
from infra.host.docker import steps as docker
from infra.host.files import steps as files
from infra.host.firewall import steps as firewall
from infra.host.kernel import steps as kernel
from infra.host.logs import steps as logs
from infra.host.mounts import steps as mounts
from infra.host.plan import read_run
from infra.host.questions import ask_by_one_shell
from infra.host.room import require_room
from infra.host.software import steps as software
from infra.host.ssh import steps as ssh

_run = read_run()
_plan, _reach = _run.plan, _run.reach

notice_loss(host)
ask_by_one_shell(host)
_release = host.get_fact(OsRelease)
_os = f"{_release.get('id')}-{_release.get('version_id')}"
if _os != _plan.os:  # never changes while we are here
    raise DeployError(
        f"this server runs {_os}, the plan is for {_plan.os}; supported are {' and '.join(get_args(Os))}: "
        "put one of them on it, or correct hardening.os in the stack file"
    )
if not _run.dry:
    require_room(host)

deployer.create_deployer(_plan, reach=_reach)
firewall.let_ssh_move(_plan)
ssh.configure_client(_plan)
ssh.harden_server(_plan, reach=_reach)
firewall.close_ports(_plan, reach=_reach)
accounts.configure_passwords(_plan, reach=_reach)
accounts.close_accounts(_plan)
accounts.configure_su(_plan, reach=_reach)
accounts.configure_shells(_plan)
docker.install_engine(_plan)
docker.prepare_folder(_plan)
files.keep_files(_plan)
files.keep_path(_plan)
kernel.set_sysctl(_plan)
kernel.block_modules(_plan)
kernel.drop_cores(_plan)
kernel.look_at_processor(_plan)
mounts.tighten_mounts(_plan)
software.remove_packages(_plan)
software.keep_current(_plan)
software.watch_files(_plan)
banners.write_banners(_plan)
audit.record_changes(_plan)
logs.keep_logs(_plan)
logs.count_use(_plan)
clock.set_clock(_plan)
software.remember_files(_plan)
ssh.close_root_login(_plan, reach=_reach)
