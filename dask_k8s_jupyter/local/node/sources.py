"""What a Pod is made of beyond its spec: ConfigMaps, Secrets, and tokens of its ServiceAccount.

Guarantees that nothing is read that the Pod does not name. Refuses to guess: what is missing is an
error that says what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError, NotFoundError
from dask_k8s_operator.resources.kinds import CONFIG_MAPS, SECRETS

from .environment import ConfigError, Downward, Lookup, build_variables
from .settings import NodeSettings
from .volumes import (
    VolumeError,
    VolumeScene,
    build_files,
    find_kind,
    has_token,
    list_volume_sources,
    write_volume,
)

Pod = Mapping[str, Any]
_KINDS = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}
# A Pod's token outlives any session on a laptop.
_TOKEN_LIFETIME_S = 365 * 24 * 3600


class PodSources:
    """Reads what one Pod names.

    Parameters
    ----------
    client
        Connection to the API as the node.
    pod, ip
        The Pod and its address.
    """

    def __init__(self, client: KubeClient, settings: NodeSettings, pod: Pod, ip: str) -> None:
        self._client = client
        self._pod = pod
        self._namespace = str(pod["metadata"]["namespace"])
        self._downward = Downward(settings.name, settings.address, ip, settings.capacity)

    async def request_token(self) -> str:
        """A token of the Pod's ServiceAccount."""
        account = self._pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_LIFETIME_S},
        }
        answer = await self._client.request("POST", path, body=request)
        return str(answer["status"]["token"])

    async def _read(self, named: Iterable[tuple[str, str]]) -> Lookup:
        found: dict[tuple[str, str], dict[str, Any] | None] = {}
        for kind, name in named:
            try:
                found[(kind, name)] = await self._client.get(_KINDS[kind], name, self._namespace)
            except NotFoundError:
                found[(kind, name)] = None
            except KubeError as error:
                raise ConfigError(f'{kind.lower()} "{name}" could not be read: {error}') from error
        return lambda kind, name: found.get((kind, name))

    async def build_variables(self, container: Mapping[str, Any]) -> dict[str, str]:
        """The variables that a container's ``env`` and ``envFrom`` set; raises ConfigError."""
        lookup = await self._read(list_sources(container))
        return build_variables(self._pod, container, self._downward, lookup)

    async def write_volumes(self, folder: Path) -> None:
        """Make the volumes of the Pod in a folder; raises VolumeError naming the volume."""
        volumes = self._pod["spec"].get("volumes") or ()
        if not volumes:
            return
        try:
            lookup = await self._read(list_volume_sources(self._pod))
            token = await self.request_token() if has_token(self._pod) else ""
        except (ConfigError, KubeError) as error:
            raise VolumeError(f"MountVolume.SetUp failed: {error}") from error
        scene = VolumeScene(self._pod, self._downward, lookup, token)
        for volume in volumes:
            if find_kind(volume) == "hostPath":
                continue
            try:
                write_volume(folder / volume["name"], build_files(volume, scene))
            except VolumeError as error:
                name = volume["name"]
                message = f'MountVolume.SetUp failed for volume "{name}" : {error}'
                raise VolumeError(message) from error


def list_sources(container: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The ConfigMaps and Secrets that a container's variables come from."""
    found = []
    for source in container.get("envFrom") or ():
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if field in source:
                found.append((kind, source[field]["name"]))
    for variable in container.get("env") or ():
        reference = variable.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if field in reference:
                found.append((kind, reference[field]["name"]))
    return list(dict.fromkeys(found))
