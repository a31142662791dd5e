"""Ways to say which Kubernetes is meant and who we are, as objects that code passes on.

Guarantees that loading one changes nothing for anybody else: each cluster has a connection of its
own. Refuses to write: a kubeconfig belongs to a person, and renewed tokens stay in memory.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from dask_k8s_jupyter.errors import NoKubernetesError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.auth import (
    Credentials,
    is_in_cluster,
    load_credentials,
    load_kubeconfig,
    load_service_account,
    read_credentials,
)
from dask_k8s_operator.kube.errors import NoKubeconfigError
from dask_k8s_operator.kube.kubeconfig import KubeconfigContext


class ClusterAuth(ABC):
    """One way to find a Kubernetes and to be known there.

    ``ClusterAuth.DEFAULT`` is what is tried when nobody says: the Pod's service account, then a
    kubeconfig; a KUBECONFIG that is set goes before both.

    Examples
    --------
    >>> from dask_k8s_jupyter import KubeConfig
    >>> auth = KubeConfig(context="minikube")
    """

    DEFAULT: ClassVar[Sequence[ClusterAuth]]

    @abstractmethod
    async def load(self) -> Credentials:
        """Load the credentials.

        Raises
        ------
        NoKubeconfigError
            When there are none to be had this way.
        """

    @staticmethod
    async def load_first(auth: ClusterAuth | Sequence[ClusterAuth] | None = None) -> Credentials:
        """Load the first credentials that are to be had.

        Parameters
        ----------
        auth
            Ways to try in order, or one; None for ``ClusterAuth.DEFAULT``.

        Raises
        ------
        NoKubernetesError
            When every way fails; the message says how each did.
        """
        if auth is None or auth is ClusterAuth.DEFAULT:
            return await load_credentials()
        ways = [auth] if isinstance(auth, ClusterAuth) else list(auth)
        failures = []
        for way in ways:
            try:
                return await way.load()
            except NoKubeconfigError as failure:
                failures.append(f"{type(way).__name__}: {failure}")
        tried = "; ".join(failures) or "no way to log in was given"
        raise NoKubernetesError(f"Nothing says where Kubernetes is ({tried})")


class InCluster(ClusterAuth):
    """The service account of the Pod that this process runs in."""

    async def load(self) -> Credentials:
        """Load the service account that Kubernetes mounts into the Pod."""
        if not is_in_cluster():
            raise NoKubeconfigError("this process runs in no Pod that has a service account")
        return load_service_account()


class KubeConfig(ClusterAuth):
    """A context of a kubeconfig file.

    Parameters
    ----------
    config_file
        The file; None for KUBECONFIG, then ``~/.kube/config``.
    context
        The context; None for the file's current one.
    persist_config
        Taken for the sake of code that passes it; renewed tokens are never written to disk.
    """

    def __init__(
        self,
        config_file: str | os.PathLike[str] | None = None,
        context: str | None = None,
        persist_config: bool = True,
    ) -> None:
        self.config_file = config_file
        self.context = context
        self.persist_config = persist_config

    async def load(self) -> Credentials:
        """Load the context."""
        return await read_credentials(self.config_file, self.context)


class KubeAuth(ClusterAuth):
    """Everything said explicitly.

    Parameters
    ----------
    host
        URL of the Kubernetes API.
    username, password
        For HTTP basic authentication.
    token
        Bearer token.
    verify_ssl
        False trusts any certificate.
    ssl_ca_cert
        File with the authority that signed the server's certificate.
    cert_file, key_file
        Files with our certificate and key.
    assert_hostname
        False does not compare the certificate's name with the host.
    proxy
        URL of a proxy.
    namespace
        Namespace that is meant when none is named.
    debug
        Taken for the sake of code that passes it; see logging ``dask_k8s_operator.kube``.

    Examples
    --------
    >>> auth = KubeAuth("https://localhost:6443", token="abc", ssl_ca_cert="/etc/kube/ca.crt")
    """

    def __init__(
        self,
        host: str,
        *,
        username: str | None = None,
        password: str | None = None,
        token: str | None = None,
        verify_ssl: bool = True,
        ssl_ca_cert: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        assert_hostname: bool | None = None,
        proxy: str | None = None,
        namespace: str | None = None,
        debug: bool = False,
    ) -> None:
        self.host = host.rstrip("/")
        self.assert_hostname = assert_hostname
        self.debug = debug
        self._namespace = namespace
        self._cluster = _without_none(
            {
                "server": self.host,
                "certificate-authority": _absolute(ssl_ca_cert),
                "insecure-skip-tls-verify": not verify_ssl,
                "proxy-url": proxy,
            }
        )
        self._user = _without_none(
            {
                "username": username,
                "password": password,
                "token": token,
                "client-certificate": _absolute(cert_file),
                "client-key": _absolute(key_file),
            }
        )

    async def load(self) -> Credentials:
        """Build the credentials."""
        context = KubeconfigContext("KubeAuth", self._namespace, self._cluster, self._user)
        try:
            credentials = await load_kubeconfig(context)
        except OSError as error:
            raise NoKubeconfigError(f"KubeAuth({self.host!r}): {error}") from error
        if self.assert_hostname is False and credentials.tls is not None:
            credentials.tls.check_hostname = False
        return credentials


ClusterAuth.DEFAULT = (InCluster(), KubeConfig())

Auth = ClusterAuth | Sequence[ClusterAuth] | None


async def connect(auth: Auth = None) -> KubeClient:
    """Connect to the first Kubernetes that one of some ways leads to."""
    return KubeClient(await ClusterAuth.load_first(auth))


def _without_none(section: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value is not None}


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).expanduser().absolute())
