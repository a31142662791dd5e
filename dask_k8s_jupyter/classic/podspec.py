"""Makes Pod templates of workers from a few common options. Pure.

Guarantees that Kubernetes' limits and what the worker is told agree. Refuses quantities that
Kubernetes would refuse; the message names the argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_k8s_jupyter.clusters.checks import (
    build_env,
    check_count,
    check_image,
    is_label_name,
    is_qualified_name,
)
from dask_k8s_jupyter.errors import InvalidSpecError
from dask_k8s_jupyter.state.words import parse_quantity

from .podtemplate import PodTemplate, read_pod_template, to_camel_case

Quantity = int | float | str | None
GPU = "nvidia.com/gpu"
# Of the workers: how long they look for their scheduler before they end.
DEATH_TIMEOUT_S = 60


def make_pod_spec(
    image: str,
    labels: Mapping[str, str] | None = None,
    threads_per_worker: int = 1,
    env: Mapping[str, str] | None = None,
    extra_container_config: Mapping[str, Any] | None = None,
    extra_pod_config: Mapping[str, Any] | None = None,
    resources: str | None = None,
    memory_limit: Quantity = None,
    memory_request: Quantity = None,
    cpu_limit: Quantity = None,
    cpu_request: Quantity = None,
    gpu_limit: int | None = None,
    annotations: Mapping[str, str] | None = None,
) -> PodTemplate:
    """Make the Pod template of a worker.

    Parameters
    ----------
    image
        Image of the worker.
    labels, annotations
        Of the Pod.
    threads_per_worker
        Threads of the worker.
    env
        Environment, name to value.
    extra_container_config, extra_pod_config
        More fields of the container and of the Pod's spec, in either spelling
        (``imagePullPolicy`` or ``image_pull_policy``).
    resources
        Dask's own resources of the worker, such as ``"GPU=2 MEM=10e9"``.
    memory_limit
        Bytes, or a quantity such as ``"4Gi"``: Kubernetes' limit, and what the worker is told.
        0 turns the worker's memory management off; None or ``"auto"`` leaves it to the worker.
    memory_request
        What Kubernetes reserves.
    cpu_limit, cpu_request
        Cores.
    gpu_limit
        NVIDIA GPUs.

    Raises
    ------
    InvalidSpecError
        When an argument cannot become a Pod; the message names it.

    Examples
    --------
    >>> pod = make_pod_spec("ghcr.io/dask/dask:latest", memory_limit="4G", cpu_limit=1)
    >>> pod["spec"]["containers"][0]["resources"]
    {'limits': {'cpu': '1', 'memory': '4G'}}
    """
    container = {
        "name": "dask-worker",
        "image": check_image(image),
        "args": _build_args(threads_per_worker, memory_limit, resources),
        "env": build_env(env),
        "resources": _build_resources(
            gpu_limit,
            limits={"cpu": cpu_limit, "memory": None if _is_off(memory_limit) else memory_limit},
            requests={"cpu": cpu_request, "memory": memory_request},
        ),
        **_fields("extra_container_config", extra_container_config),
    }
    more = _fields("extra_pod_config", extra_pod_config)
    spec = {"restartPolicy": "Never", "containers": [container], **more}
    metadata = {
        "labels": _check_labels(labels),
        "annotations": _check_texts("annotations", annotations),
    }
    return PodTemplate({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def _is_off(memory_limit: Quantity) -> bool:
    """Whether Kubernetes is to know no limit."""
    return memory_limit in (0, "0", "auto") and memory_limit is not False


def _build_args(threads: int, memory_limit: Quantity, resources: str | None) -> list[str]:
    check_count("threads_per_worker", threads)
    args = ["dask", "worker", "$(DASK_SCHEDULER_ADDRESS)", "--nthreads", str(threads)]
    args += ["--death-timeout", str(DEATH_TIMEOUT_S)]
    if memory_limit not in (None, "auto"):
        args += ["--memory-limit", str(memory_limit)]
    if resources:
        args += ["--resources", _check_dask_resources(resources)]
    return args


def _check_dask_resources(resources: str) -> str:
    """As ``dask worker`` reads them: names and numbers, with spaces or commas between."""
    try:
        pairs = [pair.split("=") for pair in resources.replace(",", " ").split()]
        is_read = bool(pairs) and all(name and float(number) >= 0 for name, number in pairs)
    except (AttributeError, TypeError, ValueError):
        is_read = False
    if not is_read or not isinstance(resources, str):
        raise InvalidSpecError(f"resources: text as 'GPU=2 MEM=10e9' is needed, not {resources!r}")
    return resources


def _build_resources(
    gpu_limit: int | None, *, limits: Mapping[str, Quantity], requests: Mapping[str, Quantity]
) -> dict[str, dict[str, Any]]:
    bounds = {"limits": _amounts("limit", **limits), "requests": _amounts("request", **requests)}
    for resource, request in bounds["requests"].items():
        limit = bounds["limits"].get(resource)
        if limit is not None and (parse_quantity(request) or 0) > (parse_quantity(limit) or 0):
            raise InvalidSpecError(
                f"{resource}_request: {request} is above {resource}_limit, {limit}"
            )
    if gpu_limit is not None:
        for amounts in bounds.values():
            amounts[GPU] = _check_gpus(gpu_limit)
    return {bound: amounts for bound, amounts in bounds.items() if amounts}


def make_pod_from_dict(dict_: Mapping[str, Any]) -> PodTemplate:
    """Make a Pod template from a dictionary as in a manifest.

    Raises
    ------
    InvalidSpecError
        When it is no Pod.

    Examples
    --------
    >>> pod = make_pod_from_dict({"spec": {"containers": [{"image": "acme/dask:7"}]}})
    >>> pod.spec.containers[0].image
    'acme/dask:7'
    """
    return read_pod_template("dict_", dict_)


def _amounts(bound: str, **asked: Quantity) -> dict[str, Any]:
    amounts = {}
    for resource, amount in asked.items():
        if amount is None:
            continue
        number = None if isinstance(amount, bool) else parse_quantity(amount)
        if number is None or number < 0:
            raise InvalidSpecError(
                f"{resource}_{bound}: {amount!r} is no quantity; write 2, 500m, 4G, 4Gi or 512Mi"
            )
        amounts[resource] = str(amount)
    return amounts


def _check_gpus(gpu_limit: Any) -> str:
    number = None if isinstance(gpu_limit, bool) else parse_quantity(gpu_limit)
    if number is None or number < 0 or not number.is_integer():
        raise InvalidSpecError(
            f"gpu_limit: a whole number, 0 or more, is needed, not {gpu_limit!r}"
        )
    return str(gpu_limit)


def _check_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    checked = _check_texts("labels", labels)
    for key, value in checked.items():
        if value and not is_label_name(value):
            raise InvalidSpecError(
                f"labels: {key} cannot be {value!r}; use at most 63 letters, digits, '-', '_', '.'"
            )
    return checked


def _check_texts(argument: str, texts: Mapping[str, str] | None) -> dict[str, str]:
    if texts is not None and not isinstance(texts, Mapping):
        raise InvalidSpecError(f"{argument}: a dict of names and texts is needed, not {texts!r}")
    for key, value in (texts or {}).items():
        if not is_qualified_name(key):
            raise InvalidSpecError(f"{argument}: {key!r} is no name that Kubernetes takes")
        if not isinstance(value, str):
            raise InvalidSpecError(f"{argument}: {key} should be a text, not {value!r}")
    return dict(texts or {})


def _fields(argument: str, config: Mapping[str, Any] | None) -> dict[str, Any]:
    is_config = config is None or isinstance(config, Mapping)
    if not is_config or not all(isinstance(name, str) for name in config or ()):
        raise InvalidSpecError(f"{argument}: a dict of fields is needed, not {config!r}")
    return {to_camel_case(name): value for name, value in (config or {}).items()}
