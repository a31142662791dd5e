"""Pod templates: dictionaries as in a manifest, which also take the spelling of Python clients.

Guarantees that a template read from a dict, a YAML file or text, or an object of a generated client
(``V1Pod``) comes out the same; and that nothing of the source is changed. Refuses what is no Pod or
has no container.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dask_k8s_jupyter.errors import InvalidSpecError

# Where a client's snake_case does not become the manifest's camelCase by the rule.
_IRREGULAR = {
    "cluster_ip": "clusterIP",
    "host_ip": "hostIP",
    "host_ipc": "hostIPC",
    "host_pid": "hostPID",
    "pd_id": "pdID",
    "volume_id": "volumeID",
}


class PodTemplate(dict[str, Any]):
    """A manifest, or a part of one, whose fields are attributes as well.

    Parameters
    ----------
    manifest
        Its fields; None for none.

    Examples
    --------
    >>> pod = PodTemplate({"spec": {"containers": [{"name": "dask"}]}})
    >>> pod.spec.node_selector = {"disk": "fast"}
    >>> pod["spec"]["nodeSelector"], pod.spec.containers[0].name
    ({'disk': 'fast'}, 'dask')
    """

    def __init__(self, manifest: Mapping[str, Any] | None = None) -> None:
        super().__init__({key: as_template(value) for key, value in (manifest or {}).items()})

    def __getattr__(self, name: str) -> Any:
        key = to_camel_case(name)
        if key not in self:
            raise AttributeError(f"this part of the Pod template has no {key}")
        return self[key]

    def __setattr__(self, name: str, value: Any) -> None:
        self[to_camel_case(name)] = as_template(value)

    def to_dict(self) -> dict[str, Any]:
        """The manifest as plain dictionaries and lists."""
        return {key: _as_plain(value) for key, value in self.items()}


def _represent(dumper: yaml.SafeDumper, template: PodTemplate) -> yaml.Node:
    return dumper.represent_dict(template.to_dict())


yaml.SafeDumper.add_representer(PodTemplate, _represent)


def read_pod_template(argument: str, source: Any) -> PodTemplate:
    """Read a Pod template, and check what it is.

    Parameters
    ----------
    argument
        What the caller calls it, for messages.
    source
        A dict, the path of a YAML file, YAML text, or a ``V1Pod``.

    Raises
    ------
    InvalidSpecError
        When it is no Pod, or cannot be read.
    """
    template = as_template(_read_yaml(argument, source))
    if not isinstance(template, PodTemplate):
        raise InvalidSpecError(f"{argument}: a Pod is needed, not {type(source).__name__}")
    if template.get("kind", "Pod") != "Pod":
        raise InvalidSpecError(f"{argument}: a Pod is needed, not a {template['kind']}")
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    if not isinstance(containers, list) or not containers:
        raise InvalidSpecError(f"{argument}: spec.containers needs at least one container")
    if not all(isinstance(container, Mapping) for container in containers):
        raise InvalidSpecError(f"{argument}: spec.containers should be a list of dicts")
    if not isinstance(template.setdefault("metadata", PodTemplate()), Mapping):
        raise InvalidSpecError(f"{argument}: metadata should be a dict")
    return template


def as_template(value: Any) -> Any:
    """Turn dictionaries and objects of a generated client into templates, in lists too."""
    if isinstance(value, Mapping):
        return PodTemplate({key: each for key, each in value.items() if each is not None})
    if isinstance(value, (list, tuple)):
        return [as_template(each) for each in value]
    fields = getattr(type(value), "attribute_map", None)
    if isinstance(fields, Mapping):
        named = {key: getattr(value, attribute) for attribute, key in fields.items()}
        return as_template(named)
    return value


def to_camel_case(name: str) -> str:
    """Spell a field's name as manifests do.

    Examples
    --------
    >>> to_camel_case("image_pull_policy"), to_camel_case("nodeSelector")
    ('imagePullPolicy', 'nodeSelector')
    """
    first, *rest = name.split("_")
    return _IRREGULAR.get(name) or first + "".join(word[:1].upper() + word[1:] for word in rest)


def _read_yaml(argument: str, source: Any) -> Any:
    if not isinstance(source, (str, os.PathLike)):
        return source
    text = source if isinstance(source, str) and "\n" in source else None
    try:
        if text is not None:
            return yaml.safe_load(text)
        path = Path(os.path.expandvars(source)).expanduser()
        return yaml.safe_load(path.read_text())
    except (OSError, RuntimeError, ValueError, yaml.YAMLError) as error:
        what = repr(source) if text is None else "the text"
        raise InvalidSpecError(f"{argument}: {what} cannot be read: {error}") from error


def _as_plain(value: Any) -> Any:
    if isinstance(value, PodTemplate):
        return value.to_dict()
    return [_as_plain(each) for each in value] if isinstance(value, list) else value
