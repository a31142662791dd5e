"""Every way in which a Pod does not work is told in words that a person can act on."""

import pytest

from dask_k8s_operator.reconcile.pods import explain_pod, standing, summarize_troubles


def waiting(reason, message="", last=None):
    status = {"image": "acme/dask:7", "state": {"waiting": {"reason": reason, "message": message}}}
    if last:
        status["lastState"] = {"terminated": last}
    return {"containerStatuses": [status]}


def ended(**terminated):
    return {"containerStatuses": [{"state": {"terminated": terminated}}]}


def unschedulable(message):
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return {"conditions": [{**condition, "message": message}]}


NO_COMMAND = (
    "failed to create containerd task: OCI runtime create failed: unable to start container "
    'process: exec: "dask-worker": executable file not found in $PATH'
)
OLD_COMMAND = (
    "the image has no command 'dask-worker': distributed 2026.6.0 removed it, "
    "write 'dask worker' (two words) in the container's args"
)


@pytest.mark.parametrize(
    ("state", "status", "reason", "message"),
    [
        ("pending", {}, None, None),
        ("pending", waiting("ContainerCreating"), None, None),
        ("ready", {}, None, None),
        (
            "pending",
            unschedulable("0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes"),
            "Unschedulable",
            "0/3 nodes are available: 3 Insufficient memory",
        ),
        ("pending", unschedulable(""), "Unschedulable", "no node takes it"),
        (
            "pending",
            waiting("ErrImagePull", "not found"),
            "ErrImagePull",
            "image 'acme/dask:7': not found",
        ),
        (
            "pending",
            waiting("ImagePullBackOff"),
            "ImagePullBackOff",
            "image 'acme/dask:7': the registry gives no reason",
        ),
        (
            "pending",
            waiting("InvalidImageName", "bad"),
            "InvalidImageName",
            "image 'acme/dask:7': bad",
        ),
        (
            "running",
            waiting(
                "CrashLoopBackOff",
                "",
                {"exitCode": 1, "message": "Traceback:\n  x\nValueError: no"},
            ),
            "CrashLoopBackOff",
            "exit code 1: ValueError: no",
        ),
        (
            "running",
            waiting("CrashLoopBackOff", "", {"exitCode": 2}),
            "CrashLoopBackOff",
            "exit code 2",
        ),
        (
            "running",
            waiting("CrashLoopBackOff", "", {"exitCode": 137, "reason": "OOMKilled"}),
            "OOMKilled",
            "it used more memory than its limit",
        ),
        ("running", waiting("RunContainerError", NO_COMMAND), "CommandNotFound", OLD_COMMAND),
        (
            "running",
            waiting(
                "CrashLoopBackOff",
                "",
                {"reason": "StartError", "exitCode": 128, "message": NO_COMMAND},
            ),
            "CommandNotFound",
            OLD_COMMAND,
        ),
        (
            "running",
            ended(reason="StartError", exitCode=128, message=NO_COMMAND),
            "CommandNotFound",
            OLD_COMMAND,
        ),
        (
            "running",
            waiting("RunContainerError", NO_COMMAND.replace("dask-worker", "dsk")),
            "CommandNotFound",
            'exec: "dsk": executable file not found in $PATH',
        ),
        ("running", ended(exitCode=127), "CommandNotFound", "exit code 127: no such command"),
        (
            "pending",
            waiting("CreateContainerConfigError", 'secret "x" not found'),
            "CreateContainerConfigError",
            'secret "x" not found',
        ),
        ("running", ended(exitCode=1), "ContainerError", "exit code 1"),
        ("running", ended(exitCode=0), None, None),
        ("Failed", {"reason": "Evicted", "message": "low on memory"}, "Evicted", "low on memory"),
        (
            "Failed",
            ended(exitCode=137) | {"reason": "Evicted", "message": "low on memory"},
            "Evicted",
            "low on memory",
        ),
        ("Failed", {}, "PodFailed", "it failed"),
        ("Succeeded", {}, "PodEnded", "it ended, although it ought to run on"),
    ],
)
def test_what_ails_a_pod(make, state, status, reason, message):
    trouble = explain_pod(make.pod("w", state, status=status))
    assert (trouble.reason, trouble.message) == (reason, message) if trouble else reason is None


def test_an_old_command_is_named_also_where_only_the_exit_code_tells(make):
    pod = make.pod("w", "running", status=ended(exitCode=127))
    pod["spec"]["containers"][0]["args"] = ["dask-worker", "--name", "x"]
    assert explain_pod(pod).message == OLD_COMMAND


@pytest.mark.parametrize(
    ("state", "retiring", "expected"),
    [
        ("pending", False, "pending"),
        ("running", False, "running"),
        ("ready", False, "ready"),
        ("ready", True, "retiring"),
        ("leaving", False, "leaving"),
        ("leaving", True, "leaving"),
        ("Failed", False, "ended"),
        ("Failed", True, "ended"),
        ("Succeeded", False, "ended"),
    ],
)
def test_a_pod_counts_as_one_thing(make, state, retiring, expected):
    assert standing(make.pod("w", state, retiring=retiring)) == expected


@pytest.mark.parametrize(
    ("statuses", "message", "is_lasting"),
    [
        ([], None, None),
        (
            [unschedulable("0/1 nodes: 1 Insufficient cpu")],
            "1 Pod does not fit: 0/1 nodes: 1 Insufficient cpu",
            False,
        ),
        (
            [unschedulable("0/1 nodes: 1 Insufficient cpu")] * 3,
            "3 Pods do not fit: 0/1 nodes: 1 Insufficient cpu",
            False,
        ),
        (
            [waiting("ImagePullBackOff", "gone")],
            "worker w0: ImagePullBackOff: image 'acme/dask:7': gone",
            True,
        ),
        (
            [unschedulable("full"), unschedulable("full"), waiting("ErrImagePull", "gone")],
            "worker w2: ErrImagePull: image 'acme/dask:7': gone",
            True,
        ),
        (
            [waiting("CrashLoopBackOff", "", {"exitCode": 1})] * 2,
            "2 workers: CrashLoopBackOff: exit code 1",
            True,
        ),
    ],
)
def test_what_ails_several_pods_is_one_sentence(make, statuses, message, is_lasting):
    pods = [make.pod(f"w{i}", "pending", status=status) for i, status in enumerate(statuses)]
    summary = summarize_troubles([(pod, explain_pod(pod)) for pod in pods], "worker")
    assert (summary and summary.message) == message
    assert (summary and summary.is_lasting) == is_lasting


def test_an_endless_message_is_cut(make):
    trouble = explain_pod(make.pod("w", "pending", status=waiting("ErrImagePull", "x" * 5000)))
    assert len(trouble.message) <= 200
