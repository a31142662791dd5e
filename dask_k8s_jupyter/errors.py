"""What can go wrong for a person who works with Dask clusters on Kubernetes.

DaskKubernetesError                      error
├── NoKubernetesError                    no-kubeconfig     nothing says where Kubernetes is
├── KubernetesUnreachableError           api-unreachable   nobody answers there
├── NotLoggedInError                     unauthorized      it does not accept our credentials
├── NotInstalledError                    crds-missing      it does not know Dask clusters
├── OperatorSilentError                  operator-silent   nobody makes the resources true
├── PermissionMissingError               forbidden         we may not do this
├── RefusedError                         refused           a quota or a rule of the cluster says no
├── NameTakenError        (ValueError)   name-taken        a cluster with this name exists
├── InvalidSpecError      (ValueError)   invalid           what was asked for is not valid
├── ClusterNotFoundError  (LookupError)  not-found         there is no such cluster
│   └── WorkerGroupNotFoundError (ValueError)  no-such-group  it has no such worker group
├── DashboardUnavailableError            dashboard-unavailable  its dashboard does not answer
└── ClusterStartError                    cannot-start      a Pod of the cluster cannot start
    ├── PodCrashedError                  crashed           its program ends at once
    ├── CommandNotFoundError             no-such-command   its image lacks the program
    ├── ImageNotFoundError               no-such-image     its image cannot be pulled
    ├── PodDoesNotFitError               does-not-fit      no node has room for it
    ├── ClusterSuspendedError            suspended         it has no Pods until it is resumed
    └── StartTimeoutError (TimeoutError) time-out          it took longer than we may wait

VersionMismatchWarning (UserWarning)     different versions of Dask or Python here and there

Guarantees that each says what failed and on which object (``str``), in a few words (``title``),
and what to do about it (``fix``, None where nothing is known; commands stand in backticks); and
that ``code`` never changes. Refuses to hide causes: what an exception was made from is its
``__cause__``.
"""

from __future__ import annotations

from collections.abc import Callable

from dask_k8s_operator.kube import errors as kube
from dask_k8s_operator.resources.kinds import GROUP

USER_ROLE = "dask-user"


class DaskKubernetesError(Exception):
    """Anything that goes wrong with a Dask cluster on Kubernetes.

    Parameters
    ----------
    message
        What failed, on which object.
    fix
        What to do; None for the advice that belongs to the class.

    Examples
    --------
    >>> error = NameTakenError("DaskCluster default/demo exists already")
    >>> error.code, error.title
    ('name-taken', 'That name is taken')
    """

    code = "error"
    title = "Something went wrong"
    fix: str | None = None

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        if fix is not None:
            self.fix = fix

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message.rstrip('.')}. {self.fix}" if self.fix else message

    @property
    def message(self) -> str:
        """What failed, without what to do about it."""
        return str(self.args[0])


class NoKubernetesError(DaskKubernetesError):
    """Nothing says where Kubernetes is."""

    code = "no-kubeconfig"
    title = "No Kubernetes is configured"
    fix = (
        "Set KUBECONFIG to your kubeconfig file, or try everything on this machine "
        "with `dask-k8s up`"
    )


class KubernetesUnreachableError(DaskKubernetesError):
    """Nobody answers where Kubernetes should be."""

    code = "api-unreachable"
    title = "Kubernetes cannot be reached"
    fix = "Check the network (or VPN) and the server in your kubeconfig: `kubectl cluster-info`"


class NotLoggedInError(DaskKubernetesError):
    """Kubernetes does not accept our credentials."""

    code = "unauthorized"
    title = "Kubernetes does not know you"
    fix = "Log in again, or renew the credentials in your kubeconfig; `kubectl auth whoami` tells"


class NotInstalledError(DaskKubernetesError):
    """Kubernetes does not know Dask clusters: the custom resource definitions are missing."""

    code = "crds-missing"
    title = "Kubernetes does not know Dask clusters"
    fix = (
        "An administrator installs the operator once: `dask-k8s operator install`, or "
        "`kubectl apply -k operator/manifests` from the project's repository"
    )


class OperatorSilentError(DaskKubernetesError):
    """Nobody makes the resources true."""

    code = "operator-silent"
    title = "No operator is answering"
    fix = (
        "Ask an administrator whether the operator runs: `dask-k8s operator status`, or "
        "`kubectl get pods --all-namespaces -l app.kubernetes.io/name=dask-operator`"
    )


class PermissionMissingError(DaskKubernetesError):
    """We may not do this."""

    code = "forbidden"
    title = "A permission is missing"


class RefusedError(DaskKubernetesError):
    """A quota or an admission rule of the cluster says no."""

    code = "refused"
    title = "Kubernetes refused"


class NameTakenError(DaskKubernetesError, ValueError):
    """A cluster with this name exists."""

    code = "name-taken"
    title = "That name is taken"
    fix = "Choose another name, or connect to the existing one with `KubeCluster.from_name`"


class InvalidSpecError(DaskKubernetesError, ValueError):
    """What was asked for is not valid."""

    code = "invalid"
    title = "That is not valid"


class ClusterNotFoundError(DaskKubernetesError, LookupError):
    """There is no such cluster, or it has gone."""

    code = "not-found"
    title = "Not found"


class WorkerGroupNotFoundError(ClusterNotFoundError, ValueError):
    """A cluster has no worker group of that name.

    Examples
    --------
    >>> isinstance(WorkerGroupNotFoundError("worker_group: …"), (LookupError, ValueError))
    True
    """

    code = "no-such-group"
    title = "There is no such worker group"


class DashboardUnavailableError(DaskKubernetesError):
    """A scheduler's dashboard does not answer."""

    code = "dashboard-unavailable"
    title = "The dashboard does not answer yet"


class ClusterStartError(DaskKubernetesError):
    """A Pod of the cluster cannot start.

    Parameters
    ----------
    message
        What failed, on which Pod.
    fix
        What to do.
    log
        The last lines that the Pod wrote; empty when there are none.
    """

    code = "cannot-start"
    title = "The cluster cannot start"

    def __init__(self, message: str, *, fix: str | None = None, log: str = "") -> None:
        super().__init__(message, fix=fix)
        self.log = log

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said}\n\nIts last lines:\n{self.log}" if self.log else said


class PodCrashedError(ClusterStartError):
    """A Pod's program ends at once."""

    code = "crashed"
    title = "A Pod crashes"


class CommandNotFoundError(ClusterStartError):
    """A Pod's image lacks the program that it should run."""

    code = "no-such-command"
    title = "The image has no such command"
    fix = (
        "Check the command against the image; those with distributed 2026.6 or newer have "
        "`dask worker` and `dask scheduler`, no longer `dask-worker` and `dask-scheduler`"
    )


class ImageNotFoundError(ClusterStartError):
    """A Pod's image cannot be pulled."""

    code = "no-such-image"
    title = "The image cannot be pulled"
    fix = "Check the image's name and tag; a private registry needs imagePullSecrets in the spec"


class PodDoesNotFitError(ClusterStartError):
    """No node has room for a Pod."""

    code = "does-not-fit"
    title = "No node has room"
    fix = "Ask for less CPU or memory in `resources`, or make room: `kubectl describe nodes`"


class ClusterSuspendedError(ClusterStartError):
    """The cluster is suspended: it has no Pods until it is resumed."""

    code = "suspended"
    title = "The cluster is suspended"
    fix = (
        "Resume it: `cluster.resume()` where it was suspended, or `kubectl patch daskcluster NAME "
        '--type=merge -p \'{"spec": {"suspend": false}}\'`'
    )


class StartTimeoutError(ClusterStartError, TimeoutError):
    """It took longer than we may wait."""

    code = "time-out"
    title = "The cluster did not start in time"
    fix = "Wait longer with `resource_timeout=` (seconds)"


class VersionMismatchWarning(UserWarning):
    """This process and a cluster run different versions of Dask or Python."""


def explain(exc: BaseException) -> DaskKubernetesError:
    """Turn any exception into one that a person understands; its ``__cause__`` is the original.

    Parameters
    ----------
    exc
        A failure of the Kubernetes API, or anything else.

    Examples
    --------
    >>> explain(kube.NoKubeconfigError("no kubeconfig: /none does not exist")).code
    'no-kubeconfig'
    >>> explain(ValueError("a name is needed")).message
    'a name is needed'
    """
    if isinstance(exc, DaskKubernetesError):
        return exc
    for kube_type, translate in _TRANSLATIONS:
        if isinstance(exc, kube_type):
            error = translate(exc)
            break
    else:
        error = DaskKubernetesError(str(exc) or type(exc).__name__)
    error.__cause__ = exc
    return error


def _explain_forbidden(exc: kube.ForbiddenError) -> DaskKubernetesError:
    if not exc.is_permission:
        return RefusedError(f"Kubernetes refused to {exc.target}: {exc.message}")
    target = exc.target
    resource = f"{target.resource}.{target.group}" if target.group else target.resource
    where = f"in namespace {target.namespace}" if target.namespace else "in all namespaces"
    return build_permission_missing_error(target.verb, resource, where, said=exc.message)


def build_permission_missing_error(
    verb: str, resource: str, where: str, *, said: str = "", also: str = ""
) -> PermissionMissingError:
    """Build the exception for a permission that we lack, with the command that grants it.

    Parameters
    ----------
    verb, resource
        What we may not do, such as ``"create"`` and ``"daskclusters.kubernetes.dask.org"``.
    where
        ``"in namespace x"`` or ``"in all namespaces"``.
    said
        The API's own sentence, if it said one.
    also
        What else we may not do, as the sentence goes on.
    """
    namespace = where.removeprefix("in namespace ")
    scope = f" --namespace={namespace}" if namespace != where else ""
    kind = "rolebinding" if scope else "clusterrolebinding"
    fix = (
        f"An administrator grants it with the ClusterRole {USER_ROLE} of the operator's manifests: "
        f"`kubectl create {kind} dask-users{scope} --clusterrole={USER_ROLE} --user=YOU` "
        "(--serviceaccount=NAMESPACE:NAME for a Pod)"
    )
    api = f" (Kubernetes says: {said})" if said else ""
    return PermissionMissingError(f"You may not {verb} {resource} {where}{also}{api}", fix=fix)


def _explain_not_found(exc: kube.NotFoundError) -> DaskKubernetesError:
    if exc.details.get("kind") == "namespaces":
        missing = exc.details.get("name")
        return ClusterNotFoundError(
            f"There is no namespace {missing}", fix=f"Create it with `kubectl create ns {missing}`"
        )
    return ClusterNotFoundError(f"Kubernetes cannot {exc.target}: {exc.message}")


def _explain_unsupported(exc: kube.UnsupportedKindError) -> DaskKubernetesError:
    if exc.target.group == GROUP:
        return NotInstalledError(f"Kubernetes does not know {exc.target.resource}.{GROUP}")
    return DaskKubernetesError(str(exc))


def _explain_taken(exc: kube.AlreadyExistsError) -> DaskKubernetesError:
    target = exc.target
    return NameTakenError(f"{target.namespace}/{target.name} exists already ({target.resource})")


def _explain_invalid(exc: kube.InvalidError) -> DaskKubernetesError:
    return InvalidSpecError(f"Kubernetes refused to {exc.target}: {exc.message}")


_TRANSLATIONS: tuple[tuple[type[BaseException], Callable[..., DaskKubernetesError]], ...] = (
    (kube.NoKubeconfigError, lambda exc: NoKubernetesError(_sentence(exc))),
    (kube.ApiUnreachableError, lambda exc: KubernetesUnreachableError(_sentence(exc))),
    (kube.UnauthorizedError, lambda exc: NotLoggedInError(f"Kubernetes refused to {exc}")),
    (kube.ForbiddenError, _explain_forbidden),
    (kube.UnsupportedKindError, _explain_unsupported),
    (kube.NotFoundError, _explain_not_found),
    (kube.AlreadyExistsError, _explain_taken),
    (kube.InvalidError, _explain_invalid),
)


def _sentence(exc: BaseException) -> str:
    text = str(exc)
    return text[:1].upper() + text[1:]
