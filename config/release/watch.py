"""What a release sees of the API, from inside a slot: `watch.py WHAT SLOT SITE [SECONDS]`.

It lies in the release directory, which both slots mount, and runs there by `docker exec` with the standard
library alone: the slot that asks may be of any version. Exit 0 with one line of JSON, or 1 with one sentence.
"""

import argparse
import http.client
import json
import re
import socket
import ssl
import sys
import time

PUBLIC, PRIVATE, PROXY = 8000, 9000, 8443
ASK_S = 2.0  # as long as the proxy itself waits for a health check
PAUSE_S = 0.25  # between two checks, as the proxy's own
# Specified (deploy reference, "Steps"): what a release may do to people before it is taken back.
MOST_FAILED_CHECKS = 2
MOST_ERRORS, MOST_P95_S = 0.05, "0.5"  # share of answers; the bucket of the histogram
LEAST_ANSWERS = 20  # chosen: one error of fewer is more than 5 %
LEAST_TIMED = 100  # chosen: of fewer, a new process' first few are more than 5 %
IN_A_ROW = 3  # answers through the proxy until it counts as turned

FAILURES = (OSError, http.client.HTTPException, ValueError)
COUNTED = re.compile(r'^gad_http_requests_total\{method="\w+",route="([^"]*)",status="(\d+)"\} (\S+)', re.M)
TIMED = re.compile(r'^gad_http_request_duration_seconds_bucket\{le="([^"]+)",route="([^"]*)"\} (\S+)', re.M)


class Unfit(Exception):
    """The sentence that a person reads first."""


def get(slot, path, site, *, port=PUBLIC):
    """Status and body, straight from the slot."""
    line = http.client.HTTPConnection(f"api-{slot}", port, timeout=ASK_S)
    try:
        line.request("GET", path, headers={"Host": site})
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


def slot_in_rotation(site):
    """Which slot the proxy gives a request to, and the status of the answer; each time a new connection."""
    # Which slot answers is all that is asked, and nothing secret is sent: who has which certificate is
    # what verification is for.
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    line = http.client.HTTPSConnection("proxy", PROXY, timeout=ASK_S, context=anyone)
    dialled = socket.create_connection(("proxy", PROXY), timeout=ASK_S)
    line.sock = anyone.wrap_socket(dialled, server_hostname=site)
    try:
        line.request("GET", "/health/live", headers={"Host": site})
        answer = line.getresponse()
        answer.read()
        return answer.headers.get("X-Gad-Slot", ""), answer.status
    finally:
        line.close()


def checks_of(slot, site):
    """The checks of /health/ready by name, whatever its status."""
    _, body = get(slot, "/health/ready", site)
    return json.loads(body)["checks"]


def unready(slot, site):
    """Why the slot is not ready, in a few words."""
    try:
        checks = checks_of(slot, site)
    except FAILURES as error:
        return f"it does not answer ({type(error).__name__})"
    wrong = [name for name, check in checks.items() if not check["ok"] and name != "redis"]
    return f"not ok: {', '.join(wrong)}" if wrong else "it says that it is ready"


def ready(slot, site, within_s):
    """Wait until the slot itself says that it may have requests."""
    until = time.monotonic() + within_s
    while True:
        try:
            if get(slot, "/health/ready", site)[0] == 200:
                return {"slot": slot}
        except FAILURES:
            pass  # unready() says why, if it stays so
        if time.monotonic() > until:
            raise Unfit(f"slot {slot} is not ready {within_s:g} s after the turn: {unready(slot, site)}")
        time.sleep(0.05)


def route(slot, site, within_s):
    """Wait until the proxy gives requests to the slot and to no other."""
    until, row, seen = time.monotonic() + within_s, 0, "nobody answers"
    began = time.monotonic()
    while row < IN_A_ROW:
        try:
            named, status = slot_in_rotation(site)
            seen = f"{named or 'the proxy itself'} answers {status}"
            row = row + 1 if named == slot and status == 200 else 0
        except FAILURES as error:
            seen, row = f"the proxy does not answer ({type(error).__name__})", 0
        if row < IN_A_ROW:
            if time.monotonic() > until:
                why = f"{unready(slot, site)}; {seen}"
                raise Unfit(f"slot {slot} got no requests within {within_s:g} s: {why}")
            time.sleep(0.02 if row else 0.1)
    return {"slot": slot, "seconds": round(time.monotonic() - began, 2)}


def fits(slot, site):
    """Whether the slot could serve at once: all but rotation is right."""
    try:
        checks = checks_of(slot, site)
    except FAILURES as error:
        raise Unfit(f"slot {slot} does not answer ({type(error).__name__})") from None
    schema = checks["schema"]
    if not schema["ok"] and schema.get("min_ordinal") is not None and schema["min_ordinal"] > schema["code"]:
        raise Unfit(
            f"slot {slot} knows the schema up to {schema['code']}, "
            f"and a contract step has made {schema['min_ordinal']} the least"
        )
    wrong = [name for name in ("database", "schema", "stopping") if not checks[name]["ok"]]
    if wrong:
        raise Unfit(f"slot {slot} is not fit: {', '.join(wrong)}")
    return {"slot": slot}


def ordinal(slot, site):
    """The ordinal of the schema that the slot sees."""
    return {"ordinal": checks_of(slot, site)["schema"].get("ordinal")}


class Counters:
    """Answers of a slot since it began, those of health checks left out."""

    def __init__(self, text):
        self.answers = self.errors = 0
        for path, status, count in COUNTED.findall(text):
            if not path.startswith("/health"):
                self.answers += float(count)
                self.errors += float(count) if status.startswith("5") else 0
        self.timed = self.quick = 0
        for le, path, count in TIMED.findall(text):
            if not path.startswith("/health"):
                self.timed += float(count) if le == "+Inf" else 0
                self.quick += float(count) if le == MOST_P95_S else 0

    def judge(self, before):
        """Raise Unfit if what happened since `before` is more than people may be asked to bear."""
        answers, errors = self.answers - before.answers, self.errors - before.errors
        if answers < 0:
            raise Unfit("the process began anew while it was watched")
        if answers >= LEAST_ANSWERS and errors / answers > MOST_ERRORS:
            raise Unfit(f"{errors:.0f} of {answers:.0f} answers were errors of the server")
        timed, quick = self.timed - before.timed, self.quick - before.quick
        if timed >= LEAST_TIMED and quick / timed < 0.95:
            raise Unfit(f"{timed - quick:.0f} of {timed:.0f} answers took longer than 500 ms")


def counters(slot, site):
    """As the slot's private port tells them."""
    status, text = get(slot, "/metrics", site, port=PRIVATE)
    if status != 200:
        raise ValueError(f"/metrics answered {status}")
    return Counters(text)


def bake(slot, site, seconds):
    """Watch the slot at work for so long."""
    before, failed, last = counters(slot, site), 0, ""
    until, now = time.monotonic() + seconds, before
    while time.monotonic() < until:
        try:
            status, _ = get(slot, "/health/ready", site)
            last = f"/health/ready answered {status}: {unready(slot, site)}" if status != 200 else ""
            if not last:
                now = counters(slot, site)
        except FAILURES as error:
            last = f"it did not answer ({type(error).__name__})"
        failed += bool(last)
        if failed > MOST_FAILED_CHECKS:
            raise Unfit(f"slot {slot} failed {failed} checks: {last}")
        now.judge(before)
        time.sleep(PAUSE_S)
    answers, errors = now.answers - before.answers, now.errors - before.errors
    return {"slot": slot, "answers": int(answers), "errors": int(errors), "failed_checks": failed}


def main():
    """Exit code 0 as wanted, 1 not, 2 usage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("ready", "route", "bake", "fits", "ordinal"))
    parser.add_argument("slot")
    parser.add_argument("site")
    parser.add_argument("seconds", type=float, nargs="?", default=15.0)
    told = parser.parse_args()
    try:
        match told.what:
            case "ready":
                found = ready(told.slot, told.site, told.seconds)
            case "route":
                found = route(told.slot, told.site, told.seconds)
            case "bake":
                found = bake(told.slot, told.site, told.seconds)
            case "fits":
                found = fits(told.slot, told.site)
            case _:
                found = ordinal(told.slot, told.site)
    except Unfit as reason:
        print(reason)
        return 1
    except FAILURES as error:
        print(f"slot {told.slot} does not answer ({type(error).__name__})")
        return 1
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
