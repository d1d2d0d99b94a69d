"""What judges really printed, on a lab and a stack of ours, is read; another form is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import GadError
from infra.operate.judges import benches, images, lynis, observatory, ssh_audit, sslyze, testssl
from infra.operate.judges.verdict import Measured

RECORDED = Path(__file__).with_name("judges")


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def changed(name: str, **changes: Any) -> str:
    return json.dumps({**json.loads(recorded(name)), **changes})


@pytest.mark.parametrize(("server", "score", "checks"), [("stock", 64, 241), ("hardened", 84, 252)])
def test_lynis(server: str, score: float, checks: int) -> None:
    said = lynis.parse(recorded(f"lynis-{server}.dat"))
    assert (said.score, said.checks, said.version) == (score, checks, "3.1.4")
    assert ("SSH-7408", "Consider hardening SSH configuration MaxSessions (set 10 to 2)") in [
        (each.id, each.text) for each in said.findings
    ]


@pytest.mark.parametrize("line", ["finish=true\n", "hardening_index=84\n"])
def test_lynis_that_broke_off_said_nothing(line: str) -> None:
    with pytest.raises(GadError, match="did not come to its end"):
        lynis.parse(recorded("lynis-hardened.dat").replace(line, ""))


POLICY = {"passed": True, "errors": []}
MISMATCH = {
    "mismatched_field": "MACs",
    "expected_required": ["hmac-sha2-512-etm@openssh.com"],
    "expected_optional": [""],
    "actual": ["umac-64@openssh.com"],
}


def by_policy(**changes: object) -> str:
    return json.dumps({**POLICY, **changes})


def test_ssh_audit_of_a_hardened_server_minds_what_is_not_post_quantum() -> None:
    said = ssh_audit.parse(recorded("ssh-audit-hardened.json"), by_policy())
    assert {each.id for each in said.findings} == {"warn.post-quantum"}
    assert (len(said.findings), said.checks, said.note) == (5, 22, "policy passed")


def test_ssh_audit_of_a_stock_server_minds_more() -> None:
    stock = ssh_audit.parse(recorded("ssh-audit-stock.json"), by_policy(passed=False, errors=[MISMATCH]))
    found = [(each.id, each.text) for each in stock.findings]
    assert found[0] == ("policy", "MACs expected: hmac-sha2-512-etm@openssh.com")
    assert {"fail.kex", "fail.key", "warn.mac"} <= {name for name, _ in found}
    assert stock.note == "policy failed"


def test_ssh_audit_that_fails_without_a_word_failed() -> None:
    said = ssh_audit.parse(recorded("ssh-audit-hardened.json"), by_policy(passed=False))
    assert said.findings[0].id == "policy"


def test_sslyze_reads_demands_and_curves() -> None:
    said = sslyze.parse(recorded("sslyze.json"), recorded("sslyze.out"))
    assert [each.id for each in said.findings] == [
        "certificate_path_validation",
        "tls_versions",
        "ciphers",
        "curves",
    ]
    assert (said.checks, said.version) == (15, "6.3.1")


def test_sslyze_is_content_only_if_it_says_so() -> None:
    head = " COMPLIANCE AGAINST TLS CONFIGURATION\n"
    good = sslyze.parse(recorded("sslyze.json"), f"{head} localhost:8593: OK - Compliant.\n")
    assert [each.id for each in good.findings] == ["curves"]  # as the recorded proxy had them
    for printed in (head, "localhost:8593: OK - Compliant."):
        with pytest.raises(GadError, match="did not say"):
            sslyze.parse(recorded("sslyze.json"), printed)


def test_a_scan_that_sslyze_could_not_make_is_a_finding() -> None:
    report = recorded("sslyze.json").replace(
        '"heartbleed": {\n     "status": "COMPLETED"', '"heartbleed": {\n     "status": "ERROR"'
    )
    said = sslyze.parse(report, recorded("sslyze.out"))
    assert (said.findings[0].id, said.checks) == ("scan", 14)


def test_observatory() -> None:
    said = observatory.parse(recorded("observatory.json"))
    assert (said.score, said.note, said.checks) == (75, "B", 10)
    assert [(each.id, each.text) for each in said.findings] == [
        ("strict-transport-security", "hsts-not-implemented"),
        ("subresource-integrity", "sri-not-implemented-but-external-scripts-loaded-securely"),
    ]
    with pytest.raises(GadError, match="seems to be down"):
        observatory.parse('{"error": "The site seems to be down."}')


def test_testssl_minds_what_is_above_low() -> None:
    said = testssl.parse(recorded("testssl.json"))
    assert [(each.id, each.text.split()[0]) for each in said.findings] == [
        ("cert_expirationStatus", "HIGH"),
        ("cert_notAfter", "HIGH"),
        ("cert_revocation", "HIGH"),
        ("secure_renego", "WARN"),
    ]
    assert (said.checks, said.version) == (96, "3.0.8")


def test_hadolint() -> None:
    said = images.parse_hadolint(recorded("hadolint.json"), recipes=13)
    assert [(each.id, each.text) for each in said.findings][:1] == [
        ("DL3006", "config/images/x/Dockerfile:1")
    ]
    assert (len(said.findings), said.checks) == (3, 13)


def test_checkov() -> None:
    said = images.parse_checkov(recorded("checkov.json"))
    assert (said.checks, len(said.findings), said.version) == (481, 15, "3.3.30")
    assert "CKV_DOCKER_1/lab/Dockerfile" in {each.id for each in said.findings}
    unread = json.loads(recorded("checkov.json"))["summary"] | {"parsing_errors": 2}
    with pytest.raises(GadError, match="could not read 2 files"):
        images.parse_checkov(changed("checkov.json", summary=unread))


def test_docker_bench_counts_warnings_of_sections_two_to_five() -> None:
    report = {
        "dockerbenchsecurity": "1.6.0",
        "checks": 117,
        "score": 63,
        "tests": [
            {"id": "1", "results": [{"id": "1.1.1", "desc": "a partition", "result": "WARN"}]},
            {
                "id": "5",
                "results": [
                    {"id": "5.1", "desc": "AppArmor", "result": "WARN"},
                    {"id": "5.2", "desc": "SELinux", "result": "PASS"},
                ],
            },
        ],
    }
    said = benches.parse_docker_bench(json.dumps(report))
    assert (said.score, said.checks, [each.id for each in said.findings]) == (63, 117, ["5.1"])


def test_debian_cis_is_a_percentage() -> None:
    printed = (
        "hardening [INFO] begun\n"
        '{"available_checks": 230, "run_checks": 228, "passed_checks": 185, "conformity_percentage": 81.14}\n'
    )
    said = benches.parse_debian_cis(printed)
    assert (said.score, said.checks, said.said) == (81.14, 228, "81.14 (%)")


@pytest.mark.parametrize("printed", ["", "{}", "[]", "Traceback (most recent call last):"])
def test_another_form_is_refused(printed: str) -> None:
    def read(parse: Any, *rest: object) -> Measured | None:
        with pytest.raises(GadError):
            parse(printed, *rest)
        return None

    read(ssh_audit.parse, by_policy())
    read(sslyze.parse, recorded("sslyze.out"))
    read(observatory.parse)
    read(testssl.parse)
    read(images.parse_checkov)
    read(benches.parse_docker_bench)
    read(benches.parse_debian_cis)
    read(lynis.parse)
