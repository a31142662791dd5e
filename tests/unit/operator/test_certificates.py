"""An encrypted cluster's certificates: its own, strict, renewed in time, and in every Pod."""

import contextlib
import ssl
from datetime import datetime, timezone

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from dask_k8s_operator.certificates import issue_certificates
from dask_k8s_operator.resources import builders
from dask_k8s_operator.resources.tls import RENEW_BEFORE_S


def can_connect(server, client, tmp_path):
    """Whether two members trust each other, by a handshake in memory."""
    ends = []
    for number, (texts, purpose) in enumerate(
        [(server, ssl.Purpose.CLIENT_AUTH), (client, ssl.Purpose.SERVER_AUTH)]
    ):
        context = ssl.create_default_context(purpose, cadata=texts["ca.crt"])
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        chain = tmp_path / f"{number}.pem"
        chain.write_text(texts["tls.crt"] + texts["tls.key"])
        context.load_cert_chain(chain)
        ends.append((context, ssl.MemoryBIO(), ssl.MemoryBIO()))
    wires = [
        context.wrap_bio(inward, outward, server_side=number == 0)
        for number, (context, inward, outward) in enumerate(ends)
    ]
    try:
        for _ in range(6):
            for number in (1, 0):
                with contextlib.suppress(ssl.SSLWantReadError):
                    wires[number].do_handshake()
                ends[1 - number][1].write(ends[number][2].read())
    except ssl.SSLError:
        return False
    return True


@pytest.fixture(scope="module")
def made():
    now = datetime.now(timezone.utc).timestamp()
    return issue_certificates("demo", None, now)


@pytest.fixture(scope="module")
def other():
    return issue_certificates("other", None, datetime.now(timezone.utc).timestamp())


def test_members_of_a_cluster_trust_each_other_and_nobody_else(made, other, tmp_path):
    assert can_connect(made.texts, made.texts, tmp_path)
    assert not can_connect(made.texts, other.texts, tmp_path)
    mixed = {**other.texts, "ca.crt": made.texts["ca.crt"]}
    assert not can_connect(made.texts, mixed, tmp_path)


def test_a_renewed_member_and_one_of_before_trust_each_other(made, tmp_path):
    later = made.until - RENEW_BEFORE_S + 1
    renewed = issue_certificates("demo", made.texts, later)
    assert renewed.is_renewed
    assert not renewed.is_new
    assert renewed.texts["ca.crt"] == made.texts["ca.crt"]
    assert renewed.texts["tls.crt"] != made.texts["tls.crt"]
    assert renewed.until > made.until


YEAR_S = 365 * 86_400.0


@pytest.mark.parametrize(
    ("years", "keeps_authority"), [(6, True), (16, True), (24, True), (26, False), (40, False)]
)
def test_an_authority_that_ends_soon_is_made_anew_and_no_member_outlives_its_own(
    made, years, keeps_authority
):
    now = made.until - 10 * YEAR_S + years * YEAR_S
    again = issue_certificates("demo", made.texts, now)
    assert (again.authority == made.authority) is keeps_authority
    assert again.until - now >= RENEW_BEFORE_S
    authority = x509.load_pem_x509_certificate(again.texts["ca.crt"].encode())
    assert again.until <= authority.not_valid_after_utc.timestamp()


@pytest.mark.parametrize("key", ["ca.crt", "tls.crt"])
def test_certificates_have_the_identifiers_that_strict_verifiers_want(made, key):
    certificate = x509.load_pem_x509_certificate(made.texts[key].encode())
    for oid in (ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.SUBJECT_KEY_IDENTIFIER):
        assert certificate.extensions.get_extension_for_oid(oid)


@pytest.mark.parametrize(
    ("change", "is_renewed"),
    [
        ({}, False),
        ({"tls.crt": "broken"}, True),
        ({"tls.crt": None}, True),
        ({"ca.key": "broken", "tls.crt": "broken"}, True),
        ({"ca.crt": None}, True),
        ({"ca.crt": "broken"}, True),
        ({"tls.key": None}, True),
        ({"tls.key": "broken"}, True),
        ({"ca.crt": "other"}, True),
        ({"ca.crt": "other", "tls.crt": "other", "tls.key": "other"}, False),
        ({"tls.key": "other"}, True),
        ({"ca.crt": None, "ca.key": None, "tls.crt": None, "tls.key": None}, True),
    ],
)
def test_a_secret_that_somebody_broke_is_mended(made, other, tmp_path, change, is_renewed):
    changed = {key: other.texts[key] if v == "other" else v for key, v in change.items()}
    present = {k: v for k, v in {**made.texts, **changed}.items() if v is not None}
    again = issue_certificates("demo", present, made.until - 2 * RENEW_BEFORE_S)
    assert again.is_renewed is is_renewed
    if is_renewed:
        # Those of now: the ones above are not valid before long.
        again = issue_certificates("demo", present, datetime.now(timezone.utc).timestamp())
    keeps_authority = not {"ca.crt", "ca.key"} & set(change)
    assert (again.authority == made.authority) is keeps_authority
    assert can_connect(again.texts, again.texts, tmp_path)
    assert set(again.texts) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}


def env_of(pod):
    return {v["name"]: v for v in pod["spec"]["containers"][0].get("env", ())}


def test_every_pod_of_an_encrypted_cluster_gets_them_from_the_secret(make):
    cluster, job = make.cluster(), make.job()
    cluster["spec"]["tls"] = job["spec"]["cluster"]["spec"]["tls"] = True
    pods = {
        "demo": builders.build_scheduler_pod(cluster),
        "demo ": builders.build_worker_pod(make.group(), "0" * 10, cluster),
        "etl": builders.build_runner_pod(job),
    }
    for name, pod in pods.items():
        env = env_of(pod)
        key = env["DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY"]["valueFrom"]["secretKeyRef"]
        assert key == {"name": f"{name.strip()}-tls", "key": "tls.key"}
        assert env["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"]["value"] == "True"
        assert "ca.key" not in str(pod)
    assert env_of(pods["etl"])["DASK_SCHEDULER_ADDRESS"]["value"].startswith("tls://etl-scheduler.")


def test_without_tls_nothing_of_it_is_in_a_pod(make):
    for pod in (
        builders.build_scheduler_pod(make.cluster()),
        builders.build_worker_pod(make.group(), "0" * 10, make.cluster()),
        builders.build_runner_pod(make.job()),
    ):
        assert "tls" not in str(pod).lower()
