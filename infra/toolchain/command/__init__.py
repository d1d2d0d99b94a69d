"""The offline `command` provider: the contract of the official 1.2.1, on this machine and over SSH."""
