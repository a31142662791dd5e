"""``dask-k8s gen``: writes manifests for ``kubectl apply``. Needs no Kubernetes."""

from __future__ import annotations

from typing import Any

import click

from dask_k8s_operator.resources import names

from .common import build_failure
from .options import build_cluster, cluster_options, resolve_worker, worker_options
from .output import print_document

DEFAULT_WORKERS = 3


def manifest_output_option(command: Any) -> Any:
    """Add ``--output`` for what is no table."""
    return click.option(
        "--output", "-o", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True
    )(command)


@click.group()
def gen() -> None:
    """Write a manifest for `kubectl apply -f -`."""


@gen.command()
@click.option("--name", required=True, help="Name of the cluster.")
@worker_options(DEFAULT_WORKERS)
@cluster_options
@manifest_output_option
def cluster(name: str, output: str, **options: Any) -> None:
    """Write a DaskCluster."""
    try:
        manifest = build_cluster(name, **options)
    except (ValueError, TypeError) as error:
        raise build_failure(error) from error
    print_document(manifest, output)


@gen.command()
@click.option("--cluster", "cluster_name", required=True, help="The cluster that it belongs to.")
@click.option("--name", required=True, help="Short name of the group, such as gpu.")
@worker_options(DEFAULT_WORKERS)
@manifest_output_option
def worker(cluster_name: str, name: str, output: str, **options: Any) -> None:
    """Write a DaskWorkerGroup: more workers, of another kind, for a cluster that is there."""
    from dask_k8s_jupyter.clusters.checks import check_name
    from dask_k8s_jupyter.clusters.groupspec import build_worker_group
    from dask_k8s_jupyter.clusters.spec import make_worker_spec

    try:
        check_name("--cluster", cluster_name)
        check_name("--name", name, names.MAX_GROUP_NAME_LENGTH - len(cluster_name) - 1)
        wanted = resolve_worker(**options)
        section = make_worker_spec(
            wanted.image, wanted.n_workers, wanted.resources, wanted.env, wanted.worker_command
        )
    except (ValueError, TypeError) as error:
        raise build_failure(error) from error
    full_name = names.group_name(cluster_name, name)
    print_document(build_worker_group(full_name, cluster_name, section), output)


@gen.command()
@click.option("--name", required=True, help="Name of the job and of its cluster.")
@worker_options(DEFAULT_WORKERS)
@cluster_options
@manifest_output_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def job(name: str, output: str, command: tuple[str, ...], **options: Any) -> None:
    """Write a DaskJob that runs COMMAND (after --) with a cluster of its own."""
    from dask_k8s_jupyter import config
    from dask_k8s_jupyter.clusters.jobs import make_job_spec

    try:
        made = build_cluster(name, **options)
        image = config.get("image", options["image"])
        manifest = make_job_spec(made, command, image=image, env=config.get("env", options["env"]))
    except (ValueError, TypeError) as error:
        raise build_failure(error) from error
    print_document(manifest, output)
