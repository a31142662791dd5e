"""Where the API is and who we are: the Pod's service account, else a kubeconfig.

Guarantees that a token from a file and the user of a kubeconfig are read again every minute and
whenever the API refuses them, since they are replaced under us; that a credential plugin runs once
at a time, and only when what it gave has expired or is refused; that keys which we write for
OpenSSL are gone at once (kubernetes_asyncio keeps those of a plugin in files of this user's until
the process ends). Refuses to guess: without either source, NoKubeconfigError.

Only credential plugins (``exec``, ``auth-provider``) need kubernetes_asyncio, and only then is it
imported.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import os
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import NoKubeconfigError
from .kubeconfig import KubeconfigContext, read_context, read_material

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_MAX_AGE_S = 60.0
# Clocks differ, and a request takes its time.
EXPIRES_EARLIER_S = 60.0

Reread = Callable[[], KubeconfigContext]


class Credentials:
    """How to reach one API and what to say there.

    Parameters
    ----------
    host
        URL of the API, without a slash at its end.
    namespace
        Namespace that is meant when none is named.
    source
        Where this comes from, for messages.
    tls
        TLS context; None for plain http.
    read_authorization
        Reads the Authorization header's value; None sends none.
    max_age_s
        After how many seconds it is read again, or what tells that after each reading; infinity
        for what only the API's refusal makes old.
    proxy
        URL of a proxy; None for that of the environment, if any.
    server_name
        Name that the API's certificate is for; None for the host that is connected to.
    """

    def __init__(
        self,
        host: str,
        *,
        namespace: str = "default",
        source: str = "",
        tls: ssl.SSLContext | None = None,
        read_authorization: Callable[[], Awaitable[str | None]] | None = None,
        max_age_s: float | Callable[[], float] = TOKEN_MAX_AGE_S,
        proxy: str | None = None,
        server_name: str | None = None,
    ) -> None:
        self.host = host
        self.namespace = namespace
        self.source = source
        self.tls = tls
        self.proxy = proxy
        self.server_name = server_name
        self._read = read_authorization
        self._max_age_s = max_age_s
        self._value: str | None = None
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def authorization(self, *, renew: bool = False) -> str | None:
        """Value of the Authorization header; ``renew`` after the API refused the last one."""
        if self._read is None:
            return None
        asked_at = time.monotonic()
        async with self._reading:
            # Who waited for another's reading has its answer.
            was_read_meanwhile = self._read_at is not None and self._read_at >= asked_at
            if not was_read_meanwhile and (renew or self._is_old(asked_at)):
                self._value = await self._read()
                self._read_at = time.monotonic()
        return self._value

    def _is_old(self, now: float) -> bool:
        max_age_s = self._max_age_s() if callable(self._max_age_s) else self._max_age_s
        return self._read_at is None or now - self._read_at > max_age_s


async def load_credentials(
    kubeconfig: str | os.PathLike[str] | None = None, context: str | None = None
) -> Credentials:
    """Find out where the API is and who we are.

    Parameters
    ----------
    kubeconfig
        A file; None for the Pod's service account, then KUBECONFIG, then ``~/.kube/config``.
    context
        A context of the kubeconfig; None for its current one.

    Raises
    ------
    NoKubeconfigError
        When nothing says where the API is, or it cannot be read.
    """
    explicit = kubeconfig is not None or context is not None or os.environ.get("KUBECONFIG")
    if not explicit and is_in_cluster():
        return load_service_account()
    return await read_credentials(kubeconfig, context)


async def read_credentials(
    kubeconfig: str | os.PathLike[str] | None = None, context: str | None = None
) -> Credentials:
    """Read one context of a kubeconfig, and its user again whenever that may have changed."""
    chosen = read_context(kubeconfig, context)
    reread = functools.partial(read_context, kubeconfig, chosen.name)
    return await load_kubeconfig(chosen, reread=reread)


def is_in_cluster() -> bool:
    """Whether this process runs in a Pod that has a service account."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT_FOLDER / "token").is_file()


def load_service_account() -> Credentials:
    """Build the credentials of the Pod that this process runs in."""
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    namespace = SERVICE_ACCOUNT_FOLDER / "namespace"
    try:
        tls = _build_tls((SERVICE_ACCOUNT_FOLDER / "ca.crt").read_bytes())
        return Credentials(
            f"https://{host}:{port}",
            namespace=namespace.read_text().strip() if namespace.is_file() else "default",
            source=f"service account in {SERVICE_ACCOUNT_FOLDER}",
            tls=tls,
            read_authorization=_file_token(SERVICE_ACCOUNT_FOLDER / "token"),
        )
    except (OSError, ssl.SSLError) as error:
        raise NoKubeconfigError(f"the Pod's service account cannot be read: {error}") from error


async def load_kubeconfig(
    context: KubeconfigContext, *, reread: Reread | None = None
) -> Credentials:
    """Build the credentials of one context of a kubeconfig; ``reread`` reads it again."""
    common: dict[str, Any] = {
        "namespace": context.namespace or "default",
        "source": f"context {context.name!r} of {', '.join(map(str, context.sources))}",
        "proxy": context.cluster.get("proxy-url"),
        "server_name": context.server_name,
    }
    if context.has_credential_plugin:
        return await _load_with_plugin(context, common)
    tls = _context_tls(context, context.user)
    user = _KubeconfigUser(context, tls, reread)
    return Credentials(
        context.server,
        tls=tls,
        read_authorization=user.authorization if user.can_change else None,
        **common,
    )


class _KubeconfigUser:
    """The user of a context, as the kubeconfig names it now."""

    def __init__(
        self, context: KubeconfigContext, tls: ssl.SSLContext | None, reread: Reread | None
    ) -> None:
        self._context = context
        self._tls = tls
        self._reread = reread

    @property
    def can_change(self) -> bool:
        return self._reread is not None or _context_authorization(self._context.user) is not None

    async def authorization(self) -> str | None:
        if self._reread is not None:
            self._follow(self._reread)
        read = _context_authorization(self._context.user)
        return await read() if read else None

    def _follow(self, reread: Reread) -> None:
        try:
            fresh = reread()
        except NoKubeconfigError:
            return  # somebody is writing it, or took it away: what we have may still be good
        # Credentials go to the server that they were written for, and to no other: tunnels may
        # lead to several from one address.
        known = self._context
        is_other = (fresh.server, fresh.server_name) != (known.server, known.server_name)
        if is_other or fresh.has_credential_plugin:
            return
        self._context = fresh
        if self._tls is not None:
            _use_client_certificate(self._tls, fresh)


def _context_authorization(user: dict[str, Any]) -> Callable[[], Awaitable[str | None]] | None:
    if user.get("tokenFile") and not user.get("token"):
        return _file_token(Path(user["tokenFile"]))
    value: str | None = None
    if user.get("token"):
        value = f"Bearer {user['token']}"
    elif user.get("username") and user.get("password"):
        pair = f"{user['username']}:{user['password']}"
        value = "Basic " + base64.b64encode(pair.encode()).decode()
    if value is None:
        return None

    async def read() -> str | None:
        return value

    return read


def _file_token(path: Path) -> Callable[[], Awaitable[str | None]]:
    async def read() -> str | None:
        try:
            return f"Bearer {path.read_text().strip()}"  # noqa: ASYNC240 - a few bytes of tmpfs
        except OSError as error:
            raise NoKubeconfigError(f"token file {path} cannot be read: {error}") from error

    return read


def _context_tls(context: KubeconfigContext, user: dict[str, Any]) -> ssl.SSLContext | None:
    if not context.server.startswith("https"):
        return None
    try:
        tls = _build_tls(read_material(context.cluster, "certificate-authority"))
        if context.cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
    except (ssl.SSLError, ValueError) as error:
        raise _unusable(context, error) from error
    _use_client_certificate(tls, context, user)
    return tls


def _use_client_certificate(
    tls: ssl.SSLContext, context: KubeconfigContext, user: dict[str, Any] | None = None
) -> None:
    """Take the client certificate of the context's user, for connections from now on."""
    user = context.user if user is None else user
    certificate = read_material(user, "client-certificate")
    key = read_material(user, "client-key")
    try:
        if certificate and key:
            _load_client_certificate(tls, certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise _unusable(context, error) from error


def _unusable(context: KubeconfigContext, error: Exception) -> NoKubeconfigError:
    return NoKubeconfigError(f"certificates of context {context.name!r} cannot be used: {error}")


def _build_tls(authority: bytes | None) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority.decode() if authority else None)


def _load_client_certificate(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # OpenSSL reads certificates from files only.
    with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
        pem.write(certificate + b"\n" + key)
        pem.flush()
        tls.load_cert_chain(pem.name)


class _PluginLogin:
    """Asks a credential plugin, through kubernetes_asyncio; its first answer is used once."""

    tls: ssl.SSLContext | None = None

    def __init__(self, context: KubeconfigContext) -> None:
        self._context = context
        self._fresh: Any = None
        # A provider's token is refreshed by kubernetes_asyncio, which knows when.
        self._max_age_s = float("inf") if "exec" in context.user else TOKEN_MAX_AGE_S

    def max_age_s(self) -> float:
        """How long the newest answer is good for."""
        return self._max_age_s

    async def load(self) -> Any:
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import load_kube_config_from_dict
        from kubernetes_asyncio.config.config_exception import ConfigException

        context = self._context
        document = {
            "current-context": "only",
            "contexts": [{"name": "only", "context": {"cluster": "only", "user": "only"}}],
            "clusters": [{"name": "only", "cluster": context.cluster}],
            "users": [{"name": "only", "user": context.user}],
        }
        self._fresh = Configuration()
        try:
            loader = await load_kube_config_from_dict(document, client_configuration=self._fresh)
        except (ConfigException, OSError, ValueError) as error:
            raise NoKubeconfigError(
                f"the credential plugin of context {context.name!r} failed: {error}"
            ) from error
        expiry = getattr(loader, "exec_plugin_expiry", None)
        if expiry is not None:
            left_s = (expiry - datetime.now(timezone.utc)).total_seconds()
            self._max_age_s = max(0.0, left_s - EXPIRES_EARLIER_S)
        return self._fresh

    async def authorization(self) -> str | None:
        configuration = self._fresh or await self.load()
        self._fresh = None
        if self.tls is not None:
            _use_client_certificate(self.tls, self._context, _plugin_user(configuration))
        token: str | None = configuration.api_key.get("BearerToken")
        return token


def _plugin_user(configuration: Any) -> dict[str, Any]:
    return {"client-certificate": configuration.cert_file, "client-key": configuration.key_file}


async def _load_with_plugin(context: KubeconfigContext, common: dict[str, Any]) -> Credentials:
    login = _PluginLogin(context)
    login.tls = _context_tls(context, _plugin_user(await login.load()))
    return Credentials(
        context.server,
        tls=login.tls,
        read_authorization=login.authorization,
        max_age_s=login.max_age_s,
        **common,
    )
