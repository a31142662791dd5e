"""Makes Jobs true, as ``decide_job`` says, and remembers which of their Pods have ended.

Guarantees that the end of a Pod counts once, also when somebody deletes the Pod afterwards.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timezone

from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.kinds import PODS, Kind

from .decide_job import Ended, build_job_pod, count_ends, decide_job
from .remembering import Key, Object, RememberingApi

JOBS = Kind("batch", "v1", "jobs", "Job")


class JobReconciler:
    """Brings Jobs in order.

    Parameters
    ----------
    backoff_s
        Pause after the first Pod that fails, in seconds; doubles up to ten minutes.
    """

    def __init__(self, backoff_s: float) -> None:
        self._backoff_s = backoff_s
        self._ended: dict[str, Ended] = {}

    def forget(self, uid: str) -> None:
        """Forget a Job that has gone, however it went."""
        self._ended.pop(uid, None)

    async def reconcile(self, api: RememberingApi, key: Key, job: Object) -> None:
        """Bring the Pods and the status of one Job in order."""
        pods = [_mark_deleted(api, pod) for pod in api.children("Pod", job)]
        uid, counted = job["metadata"]["uid"], api.find_pods(job)
        ended = self._ended[uid] = count_ends(job, counted, self._ended.get(uid, Ended()))
        plan = decide_job(job, pods, ended, datetime.now(timezone.utc), self._backoff_s)
        if plan.is_outlived:
            self.forget(uid)
            await _delete(api, job)
            return
        # First what was decided about it: a Pod's end may be all that brings us back here.
        await api.write_status(JOBS, job, plan.status)
        for pod in plan.surplus:
            await api.delete_pod(pod)
        for index in plan.missing:
            await api.create(key, PODS, build_job_pod(job, index, uuid.uuid4().hex[:5]))
        if plan.look_again_s is not None:
            api.queue.add_after(key, plan.look_again_s)


def _mark_deleted(api: RememberingApi, pod: Object) -> Object:
    """Show a Pod that was deleted here as ending, also before the watch has told of it."""
    metadata = pod["metadata"]
    if metadata["uid"] not in api.deleted or "deletionTimestamp" in metadata:
        return pod
    return {**pod, "metadata": {**metadata, "deletionTimestamp": ""}}


async def _delete(api: RememberingApi, job: Object) -> None:
    metadata = job["metadata"]
    name, namespace, uid = metadata["name"], metadata["namespace"], metadata["uid"]
    try:
        await api.client.delete(JOBS, name, namespace, propagation="Foreground", uid=uid)
    except NotFoundError:
        return
