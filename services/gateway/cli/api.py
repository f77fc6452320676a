"""The HTTP API as the commands use it: one client, readable errors, bounded retries."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import click
import httpx

from services.gateway.cli.settings import (
    DEFAULT_ENDPOINT,
    Cli,
    CliError,
    read_credentials,
    stored_path,
)

TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
TRIES: Final = 3
TASK_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
LONGEST_WAIT_S: Final = 5.0
PAGE: Final = 500


class ApiError(CliError):
    """A refusal of the gateway; `code` names the reason for programs."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """A session with one gateway. Every failure leaves as a CliError."""

    def __init__(self, endpoint: str, auth: httpx.Auth | None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._http = httpx.Client(
            base_url=self.endpoint,
            auth=auth,
            timeout=TIMEOUT,
            headers={"Accept": "application/json", "User-Agent": "qm"},
        )

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the JSON object at `path`; query values that are None are left out."""
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Create or act, at most once however often the request had to be sent."""
        return self._ask("POST", path, body=body or {})

    def post_text(self, path: str, text: bytes, media_type: str, **query: Any) -> dict[str, Any]:
        """Post a file as it is, at most once however often the request had to be sent."""
        return self._ask("POST", path, query=query, text=text, media_type=media_type)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change what `body` names and return the object."""
        return self._ask("PATCH", path, body=body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Set the object at `path` and return it."""
        return self._ask("PUT", path, body=body)

    def delete(self, path: str, body: dict[str, Any] | None = None, **query: Any) -> dict[str, Any]:
        """Delete, at most once; returns {} where the answer has no body."""
        return self._ask("DELETE", path, query=query, body=body)

    def listed(self, path: str, limit: int, **query: Any) -> dict[str, Any]:
        """Return up to `limit` objects, however many pages they stand on."""
        found = self.get(path, limit=min(limit, PAGE), **query)
        items = found["items"]
        while found["next_cursor"] and len(items) < limit:
            left = min(limit - len(items), PAGE)
            page = self.get(path, limit=left, cursor=found["next_cursor"], **query)
            items += page["items"]
            found["next_cursor"] = page["next_cursor"]
        return found

    def settled(self, answered: dict[str, Any], path: str) -> dict[str, Any]:
        """Return what a write answered; where that was not visible yet, wait and read it."""
        if "task_id" not in answered:
            return answered
        self.finish(str(answered["task_id"]))
        return self.get(path)

    def finish(self, task_id: str) -> dict[str, Any]:
        """Wait until a task is over and return it; raises CliError when it fails or takes long."""
        for pause_s in TASK_PAUSES_S:
            task = self.get(f"/v1/tasks/{task_id}")
            if task["status"] == "done":
                return task
            if task["status"] != "running":
                raise CliError(f"it {task['status']}: {task.get('error') or task.get('message')}")
            time.sleep(pause_s)
        raise CliError("it was accepted but is not visible yet; look again in a moment")

    @contextmanager
    def stream(self, path: str, accept: str, **query: Any) -> Iterator[httpx.Response]:
        """Open an answer that goes on; reading has no deadline, the caller ends it."""
        with (
            _readable(self.endpoint),
            self._http.stream(
                "GET",
                path,
                params=_given(query),
                headers={"Accept": accept},
                timeout=httpx.Timeout(5.0, read=None),
            ) as response,
        ):
            if response.is_error:
                response.read()
                raise problem(response)
            yield response

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        text: bytes | None = None,
        media_type: str = "",
    ) -> dict[str, Any]:
        headers = {} if method == "GET" else {"Idempotency-Key": str(uuid.uuid4())}
        if text is not None:
            headers["Content-Type"] = media_type
        for left in reversed(range(TRIES)):
            with _readable(self.endpoint):
                response = self._http.request(
                    method,
                    path,
                    params=_given(query or {}) or None,  # what the path itself asks stays
                    json=body,
                    content=text,
                    headers=headers,
                )
            wait_s = _retry_after(response)
            if wait_s is None or not left:
                break
            time.sleep(wait_s)
        if response.is_error:
            raise problem(response)
        return _object(response)


class Bearer(httpx.Auth):
    """Sends a bearer token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Any:
        """Add the token to the request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def connect(cli: Cli) -> Api:
    """Return a client as the options, the environment and the stored token say, in that order.

    Raises CliError when nothing tells who is asking.
    """
    stored = read_credentials(stored_path())
    if cli.credentials_file:
        given = _credentials(cli.credentials_file)
        return Api(_endpoint(cli, given), _keypair(given, cli.credentials_file))
    token = os.environ.get("QM_TOKEN") or stored.get("token")
    if not token:
        raise CliError("you are not logged in; run 'qm login' first")
    return Api(_endpoint(cli, stored), Bearer(str(token)))


def anonymous(cli: Cli, given: dict[str, Any]) -> Api:
    """Return a client without credentials, for logging in."""
    return Api(_endpoint(cli, given), None)


def _credentials(path: str) -> dict[str, Any]:
    given = read_credentials(Path(path))
    if not given:
        raise CliError(f"there are no credentials in {path}")
    return given


def _keypair(given: dict[str, Any], path: str) -> httpx.Auth:
    if token := given.get("token"):
        return Bearer(str(token))
    if not (given.get("access_key") and given.get("secret_key")):
        raise CliError(f"{path} holds neither a token nor an access_key with its secret_key")
    from services.gateway.cli.signing import KeypairSignature  # noqa: PLC0415  # costs start-up

    return KeypairSignature(str(given["access_key"]), str(given["secret_key"]))


def _endpoint(cli: Cli, given: dict[str, Any]) -> str:
    endpoint = cli.endpoint or str(given.get("endpoint") or DEFAULT_ENDPOINT)
    if not endpoint.startswith(("http://", "https://")):
        raise CliError(f"'{endpoint}' is not an address; it starts with http:// or https://")
    return endpoint


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


@contextmanager
def _readable(endpoint: str) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectError as error:
        raise CliError(f"nothing answers at {endpoint}; is it running? ('qm up')") from error
    except httpx.TimeoutException as error:
        raise CliError(f"{endpoint} did not answer in time") from error
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise CliError(f"the connection to {endpoint} failed: {error}") from error


def _retry_after(response: httpx.Response) -> float | None:
    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
        return None
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_WAIT_S) if asked.isdigit() else None


def _object(response: httpx.Response) -> dict[str, Any]:
    if not response.content:
        return {}
    try:
        body = response.json()
    except ValueError as error:
        raise CliError(f"{response.url} answered with something that is not JSON") from error
    return body if isinstance(body, dict) else {"items": body}


def problem(response: httpx.Response) -> ApiError:
    """Return a problem+json answer as one line: what, which fields, which request."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    text = str(body.get("detail") or body.get("title") or f"HTTP {response.status_code}")
    errors = [error for error in body.get("errors") or [] if isinstance(error, dict)]
    fields = "; ".join(
        f"{error.get('field')}: {str(error.get('message')).rstrip('.')}" for error in errors
    )
    if errors and all(str(error.get("message")) in text for error in errors):
        text = fields
    elif errors:
        text += f" ({fields})"
    if response.status_code == httpx.codes.UNAUTHORIZED and "login" not in str(response.url):
        text += " — run 'qm login'"
    request_id = body.get("request_id") or response.headers.get("X-Request-Id")
    code = str(body.get("code") or "")
    return ApiError(f"{text} [request {request_id}]" if request_id else text, code)


def cli_of(ctx: click.Context) -> Cli:
    """Return this run's global options."""
    found = ctx.find_object(Cli)
    if found is None:
        raise TypeError("the root command sets the options")
    return found
