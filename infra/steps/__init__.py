"""The steps of a release as POSIX scripts, for the machine that runs a stack. Texts: nothing is run here."""
