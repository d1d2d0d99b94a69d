"""The firewall: a table of its own in nftables, beside those of Docker, also for the ports it publishes."""
