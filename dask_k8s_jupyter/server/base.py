"""What all handlers of the API share: who may, and how an answer and a failure look.

Guarantees: every request is authenticated and authorized, every write carries the XSRF token
(``APIHandler`` checks it; a server with an empty token too), and every failure is JSON with a
Problem in it. Refuses to let a failure of Kubernetes look like one of the notebook server's login.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, cast

import orjson
from jupyter_server.base.handlers import APIHandler
from tornado import web

from dask_k8s_jupyter.errors import DaskKubernetesError
from dask_k8s_jupyter.state import Problem, build_problem
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError

from .hub import StoreHub
from .validate import InvalidRequestError, choose_namespace

HUB_SETTING = "dask_k8s_hub"

# 401 would send a browser to the notebook server's login, which is not what is wrong.
STATUS_BY_CODE = {
    "no-kubeconfig": 503,
    "api-unreachable": 503,
    "unauthorized": 502,
    "crds-missing": 503,
    "operator-silent": 503,
    "forbidden": 403,
    "refused": 422,
    "name-taken": 409,
    "invalid": 400,
    "not-found": 404,
    "no-such-group": 404,
}
FIELD_BY_CODE = {"name-taken": "name"}


class DaskHandler(APIHandler):
    """Base of the handlers of the API."""

    auth_resource = "dask-k8s"

    @property
    def hub(self) -> StoreHub:
        """The server's connections."""
        return cast(StoreHub, self.settings[HUB_SETTING])

    async def answer(self, work: Awaitable[Any], status: int = 200) -> None:
        """Answer with what the work gives, or with the problem that it runs into."""
        try:
            content = await work
        except InvalidRequestError as error:
            self._answer_problem(Problem("invalid", "That is not valid", str(error)), error.field)
        except (KubeError, DaskKubernetesError) as error:
            problem = build_problem(error)
            self._answer_problem(problem, FIELD_BY_CODE.get(problem.code))
        else:
            self._answer_json(status, content)

    def read_body(self) -> Any:
        """Read the JSON of the request's body."""
        try:
            return orjson.loads(self.request.body)
        except orjson.JSONDecodeError as error:
            raise InvalidRequestError(None, f"the body is not JSON: {error}") from error

    def read_namespace(self, client: KubeClient) -> str:
        """Read the namespace from the query; see ``choose_namespace`` where none is named."""
        return choose_namespace(self.get_query_argument("namespace", ""), client)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what the server itself refuses (no login, no XSRF token, a fault) as JSON too."""
        error = kwargs.get("exc_info", (None, None))[1]
        said = (error.log_message or "") if isinstance(error, web.HTTPError) else ""
        code = {400: "invalid", 403: "forbidden", 404: "not-found", 405: "invalid"}.get(status_code)
        title = self._reason or "Something went wrong"
        message = said or f"The notebook server answered {status_code} {title}"
        self._answer_problem(Problem(code or "error", title, message), status=status_code)

    def _answer_problem(
        self, problem: Problem, field: str | None = None, status: int | None = None
    ) -> None:
        content: dict[str, Any] = {"problem": problem.to_json()}
        if field is not None:
            content["field"] = field
        self._answer_json(status or STATUS_BY_CODE.get(problem.code, 500), content)

    def _answer_json(self, status: int, content: Any) -> None:
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.finish(b"" if content is None else orjson.dumps(content))
