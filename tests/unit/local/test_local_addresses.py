"""Machines without loopback addresses for Pods are told what to do."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from dask_k8s_jupyter.cli.up import up
from dask_k8s_jupyter.local import addresses


class _Missing:
    """A socket where 127.0.0.1 is the only loopback address, as on macOS."""

    def __init__(self, *_: object) -> None:
        pass

    def bind(self, address: tuple[str, int]) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Can't assign requested address")

    def close(self) -> None:
        pass


class _Taken(_Missing):
    def bind(self, address: tuple[str, int]) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")


def _use(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    fake = SimpleNamespace(socket=kind, AF_INET=2, SOCK_STREAM=1)
    monkeypatch.setattr(addresses, "socket", fake)


def test_a_machine_with_one_loopback_address_says_where_to_go(monkeypatch):
    _use(monkeypatch, _Missing)
    result = CliRunner().invoke(up, ["--no-lab"])
    assert result.exit_code == 1
    for words in ("cannot listen on 127.", "macOS has not", "Linux", "docker run", "KUBECONFIG"):
        assert words in result.output
    assert "Traceback" not in result.output


def test_a_machine_full_of_clusters_says_so(monkeypatch):
    _use(monkeypatch, _Taken)
    with pytest.raises(addresses.NoLoopbackError, match="are in use"):
        addresses.claim_network()
