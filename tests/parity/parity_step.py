"""One request of the parity table, and how it is sent to a Kubernetes.

A scenario is a list of steps in a namespace of its own. ``{ns}`` in a path or body is that
namespace's name (also the prefix of cluster-wide names, so that runs never meet), and
``${step.metadata.uid}`` is a value from the answer to an earlier step.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import secrets
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_REFERENCE = re.compile(r"\$\{([\w-]+)((?:\.[\w-]+)*)\}")


@dataclass(frozen=True)
class Step:
    """One request.

    Parameters
    ----------
    body
        An object, or a string that is sent as it is.
    until
        Send it again until the answer has this code (for a minute at most): it takes its time.
    differs
        Name of the documented difference that its answer shows.
    token
        Bearer token in place of the administrator's.
    pause_s
        Time for controllers to write what they write, before the request is sent.
    renews
        An earlier step that is sent once more, and this one after it, when a controller has written
        to the object in between (409), which it may at any moment.
    """

    name: str
    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    until: int | None = None
    until_text: str = ""
    differs: str = ""
    token: str = ""
    pause_s: float = 0
    renews: str = ""


@dataclass(frozen=True)
class Scenario:
    """Steps that build on each other, in a fresh namespace."""

    name: str
    steps: list[Step]
    cleanup: tuple[str, ...] = ()


@dataclass
class Answer:
    """What came back."""

    code: int
    text: str
    media_type: str

    @property
    def value(self) -> Any:
        """The body as JSON, as a list of events, or as text."""
        try:
            return json.loads(self.text)
        except ValueError:
            pass
        try:
            return [json.loads(line) for line in self.text.splitlines()]
        except ValueError:
            return self.text


class Api:
    """A connection to the API server of a kubeconfig."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        self._token = user.get("token", "")
        self._bare = ssl.create_default_context(cadata=authority)
        if "client-certificate-data" in user:
            pair = folder / f"client-{secrets.token_hex(4)}.pem"
            keys = ("client-certificate-data", "client-key-data")
            pair.write_bytes(b"\n".join(base64.b64decode(user[key]) for key in keys))
            self._context.load_cert_chain(pair)
        self._host = urlsplit(cluster["server"]).netloc
        self._connections: dict[bool, http.client.HTTPSConnection] = {}

    def send(self, step: Step) -> Answer:
        """Send one request."""
        headers = {"Content-Type": step.content_type, "User-Agent": "parity/1"} | step.headers
        token = step.token or self._token
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        body = step.body
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        is_own = bool(step.token) or headers.pop("Anonymous", "") != ""
        if is_own and not step.token:
            headers.pop("Authorization", None)
        connection = self._connect(is_own)
        try:
            connection.request(step.method, step.path, body and body.encode(), headers)
            response = connection.getresponse()
            text = response.read().decode()
        except (http.client.HTTPException, OSError):
            connection.close()
            connection.request(step.method, step.path, body and body.encode(), headers)
            response = connection.getresponse()
            text = response.read().decode()
        media_type = response.headers.get("Content-Type", "").partition(";")[0]
        return Answer(response.status, text, media_type)

    def _connect(self, is_bare: bool) -> http.client.HTTPSConnection:
        if is_bare not in self._connections:
            context = self._bare if is_bare else self._context
            made = http.client.HTTPSConnection(self._host, context=context, timeout=60)
            self._connections[is_bare] = made
        return self._connections[is_bare]

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()


class Run:
    """A scenario being run on one Kubernetes."""

    def __init__(self, api: Api, scenario: Scenario, tag: str) -> None:
        self._api = api
        self._scenario = scenario
        self.namespace = f"parity-{scenario.name}-{tag}"
        self._answers: dict[str, Any] = {}

    def run(self) -> dict[str, Answer]:
        """Send every step; the namespace is made before and deleted after."""
        body = {"metadata": {"name": self.namespace}}
        self._api.send(Step("", "POST", "/api/v1/namespaces", body))
        place = f"/api/v1/namespaces/{self.namespace}"
        self._send(Step("", "GET", f"{place}/serviceaccounts/default", until=200))
        answers = {}
        try:
            for step in self._scenario.steps:
                answers[step.name] = answer = self._send_undisturbed(step)
                self._answers[step.name] = answer.value
        finally:
            for path in self._scenario.cleanup:
                self._api.send(Step("", "DELETE", self._fill(path)))
            self._api.send(Step("", "DELETE", place))
        return answers

    def _send_undisturbed(self, step: Step) -> Answer:
        answer = self._send(step)
        while step.renews and answer.code == 409 and "has been modified" in answer.text:
            read = next(each for each in self._scenario.steps if each.name == step.renews)
            self._answers[read.name] = self._send(read).value
            answer = self._send(step)
        return answer

    def _send(self, step: Step) -> Answer:
        time.sleep(step.pause_s)
        body = step.body
        if body is not None:
            body = self._fill(body if isinstance(body, str) else json.dumps(body))
        headers = {key: self._fill(value) for key, value in step.headers.items()}
        filled = Step(
            step.name,
            step.method,
            self._fill(step.path).replace(" ", "%20"),
            body,
            step.content_type,
            headers,
            token=self._fill(step.token),
        )
        ends = time.monotonic() + 60
        while True:
            answer = self._api.send(filled)
            is_done = step.until in (None, answer.code) and step.until_text in answer.text
            if is_done or time.monotonic() > ends:
                return answer
            time.sleep(0.05)

    def _fill(self, text: str) -> str:
        text = text.replace("{ns}", self.namespace)
        text = re.sub(r'"\$\$\{([\w-]+)\}"', lambda m: json.dumps(self._answers[m[1]]), text)
        return _REFERENCE.sub(lambda match: self._find(match[1], match[2]), text)

    def _find(self, step: str, path: str) -> str:
        value = self._answers.get(step)
        for key in path.strip(".").split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return str(value)
