"""`gad`: arguments, output and exit codes. One file per command group; what it does lives in `operate`.

Command modules import only typer and our own light modules at the top: `gad --help` and shell completion must
answer at once. Pulumi, Docker and the rest are imported inside the commands.
"""
