"""Every topic's questions and judges: what is imported here is looked at."""

from . import accounts, audit, docker, files, firewall, kernel, logs, mounts, software, ssh

TOPICS = (accounts, audit, docker, files, firewall, kernel, logs, mounts, software, ssh)
