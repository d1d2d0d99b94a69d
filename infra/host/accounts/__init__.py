"""Accounts: passwords and their age, locks after failures, su and sudo, idle shells."""
