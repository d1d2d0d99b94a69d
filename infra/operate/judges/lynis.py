"""Lynis, Debian's package, on the server itself: unpacked, run and removed, no part of what it judges."""

from __future__ import annotations

from infra.operate.judges.running import Server, refuse
from infra.operate.judges.verdict import Finding, Measured

LIMIT_S = 600  # measured: 60 s on an idle machine, 100 s beside other tests
# Not /tmp, which may be noexec. Downloaded as root: apt's own account cannot write in a folder of root's.
SCRIPT = """
set -e
umask 077
folder=$(mktemp -d /var/lib/gad-judge.XXXXXX)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -q update >/dev/null 2>&1 || true
apt-get -q -o APT::Sandbox::User=root download lynis >/dev/null 2>&1
umask 022
dpkg -x lynis_*.deb x
cd x/usr/share/lynis
cp "$folder/x/usr/sbin/lynis" .
ln -s "$folder/x/etc/lynis/plugins" plugins
{ cat "$folder/x/etc/lynis/default.prf"; printf '%%s\\n' %(skips)s; } >"$folder/gad.prf"
./lynis audit system --quiet --no-colors --profile "$folder/gad.prf" \
  --log-file "$folder/log" --report-file "$folder/report" >"$folder/out" 2>&1 </dev/null || true
cat "$folder/report"
"""


def run(server: Server, waived: tuple[str, ...] = ()) -> Measured:
    """Ask it on the server, without the tests named. Raises GadError if it did not come to its end."""
    skips = " ".join(f"'skip-test={each}'" for each in waived) or "'#'"
    return parse(server.said(SCRIPT % {"skips": skips}, limit_s=LIMIT_S))


def parse(report: str) -> Measured:
    """Its report file. Raises GadError if the report has no end."""
    lines = [line.partition("=") for line in report.splitlines()]
    fields = {key: value for key, _, value in lines}
    if fields.get("finish") != "true" or "hardening_index" not in fields:
        raise refuse("lynis", "it did not come to its end")
    found = []
    for key, _, value in lines:
        if key in ("warning[]", "suggestion[]"):
            test, text, details, *_ = [*value.split("|"), "", "", ""]
            found.append(Finding(test, f"{text} {details.strip('-')}".strip()))
    return Measured(
        checks=int(fields.get("lynis_tests_done", "0")),
        findings=tuple(found),
        score=float(fields["hardening_index"]),
        version=fields.get("lynis_version", ""),
    )
