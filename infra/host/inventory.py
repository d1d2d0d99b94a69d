"""The server of this run, as pyinfra's inventory. Executed by pyinfra; nobody's ssh_config has a say."""

from infra.host.plan import read_run

_reach = read_run().reach

server = [
    (
        _reach.address,
        {
            "ssh_hostname": _reach.address,
            "ssh_port": _reach.port,
            "ssh_user": _reach.user,
            "ssh_key": _reach.private_key_file,
            "ssh_allow_agent": _reach.private_key_file is None,
            "ssh_look_for_keys": False,
            "ssh_known_hosts_file": _reach.known_hosts_file,
            "ssh_strict_host_key_checking": "yes",
            "ssh_config_file": "/dev/null",
            "_sudo": _reach.user != "root",
        },
    )
]
