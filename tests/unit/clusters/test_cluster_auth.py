"""Ways to log in: the first that leads anywhere is taken, and failures say how each failed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dask_k8s_jupyter import ClusterAuth, InCluster, KubeAuth, KubeConfig
from dask_k8s_jupyter.errors import NoKubernetesError

CONFIG = {
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
        {"name": "two", "context": {"cluster": "d", "user": "u"}},
    ],
    "clusters": [
        {"name": "c", "cluster": {"server": "http://one:1"}},
        {"name": "d", "cluster": {"server": "http://two:2"}},
    ],
    "users": [{"name": "u", "user": {"token": "t"}}],
}


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(CONFIG))
    return str(path)


async def test_a_kubeconfig_is_read_by_file_and_context(config_file: str) -> None:
    credentials = await KubeConfig(config_file).load()
    assert (credentials.host, credentials.namespace) == ("http://one:1", "team")
    assert await credentials.authorization() == "Bearer t"
    other = await KubeConfig(config_file=config_file, context="two", persist_config=False).load()
    assert other.host == "http://two:2"


async def test_everything_may_be_said_explicitly() -> None:
    plain = KubeAuth("http://kube:8080/", username="me", password="pw", namespace="team")
    credentials = await plain.load()
    assert (credentials.host, credentials.namespace) == ("http://kube:8080", "team")
    assert str(await credentials.authorization()).startswith("Basic ")
    loose = await KubeAuth("https://kube", token="t", verify_ssl=False).load()
    assert loose.tls is not None
    assert not loose.tls.check_hostname
    unnamed = await KubeAuth("https://kube", assert_hostname=False).load()
    assert unnamed.tls is not None
    assert not unnamed.tls.check_hostname


async def test_the_first_way_that_leads_anywhere_is_taken(config_file: str) -> None:
    ways = [InCluster(), KubeConfig("/no/such/file"), KubeConfig(config_file)]
    assert (await ClusterAuth.load_first(ways)).host == "http://one:1"
    assert (await ClusterAuth.load_first(KubeConfig(config_file))).host == "http://one:1"


async def test_a_failure_says_how_each_way_failed(config_file: str) -> None:
    with pytest.raises(NoKubernetesError) as caught:
        await ClusterAuth.load_first([InCluster(), KubeConfig("/no/such/file")])
    assert "InCluster: " in caught.value.message
    assert "KubeConfig: no kubeconfig: /no/such/file" in caught.value.message


async def test_by_default_a_set_kubeconfig_goes_first(
    config_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", config_file)
    for auth in (None, ClusterAuth.DEFAULT):
        assert (await ClusterAuth.load_first(auth)).host == "http://one:1"
