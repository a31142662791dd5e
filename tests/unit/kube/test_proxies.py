"""Which connections go by the proxy of the environment: none to this machine itself."""

import pytest

from dask_k8s_operator.kube.connect import find_proxy


@pytest.mark.parametrize(
    ("host", "proxy"),
    [
        ("https://api.example.com:6443", "http://proxy:3128"),
        ("https://10.0.0.1", "http://proxy:3128"),
        ("https://[2001:db8::1]:6443", "http://proxy:3128"),
        ("https://api.inside.example.org", None),
        ("https://127.0.0.1:6443", None),
        ("https://127.64.0.1:6443", None),
        ("https://[::1]:6443", None),
        ("https://localhost:6443", None),
    ],
)
def test_a_proxy_is_taken_as_kubectl_takes_it(monkeypatch, host, proxy):
    for name in ("HTTPS_PROXY", "NO_PROXY", "no_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example.org")
    assert find_proxy(host) == proxy
