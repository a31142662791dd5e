"""What a client of an encrypted cluster shows and trusts: the certificates of its Secret.

Guarantees that the private key stays in this process's memory. Refuses to make certificates: the
operator does.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from distributed.security import Security

from dask_k8s_jupyter.errors import ClusterStartError, explain
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import SECRETS
from dask_k8s_operator.resources.names import tls_name
from dask_k8s_operator.resources.tls import (
    AUTHORITY_CERTIFICATE_KEY,
    CERTIFICATE_KEY,
    PRIVATE_KEY,
)


async def read_security(client: KubeClient, namespace: str, name: str) -> Security:
    """Read what a client of an encrypted cluster needs.

    Raises
    ------
    PermissionMissingError
        When we may not read the cluster's Secret.
    ClusterStartError
        When it holds no certificates.
    """
    try:
        secret = await client.get(SECRETS, tls_name(name), namespace)
    except KubeError as error:
        raise explain(error) from error
    return build_security(secret)


def build_security(secret: Mapping[str, Any]) -> Security:
    """Build the Security of a client from a cluster's Secret."""
    held = secret.get("data") or {}
    missing = {AUTHORITY_CERTIFICATE_KEY, CERTIFICATE_KEY, PRIVATE_KEY} - set(held)
    if missing:
        metadata = secret["metadata"]
        where = f"{metadata['namespace']}/{metadata['name']}"
        raise ClusterStartError(
            f"Secret {where} has no {', '.join(sorted(missing))}",
            fix="Delete the Secret: the operator makes it anew",
        )
    texts = {key: base64.b64decode(text).decode() for key, text in held.items()}
    return Security(
        require_encryption=True,
        tls_ca_file=texts[AUTHORITY_CERTIFICATE_KEY],
        tls_client_cert=texts[CERTIFICATE_KEY],
        tls_client_key=texts[PRIVATE_KEY],
    )
