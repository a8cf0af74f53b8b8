"""Between a provider and the contract (wit/): JSON in and out, failures to their cases. Only a component can import this."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any, Callable, Mapping

from componentize_py_types import Err
from wit_world.imports import context, http, log, types

try:
    # Only a world with triggers has this type.
    from wit_world.exports.triggers import Page as Found
except ImportError:
    Found = None

try:
    # Only an app with handles or recipes asks for these.
    from wit_world.imports import secrets
except ImportError:
    secrets = None

from . import OTHER, PROVIDER_DOWN, INVALID_INPUT, Account, Answer, Failure, Page, Provider

_CASES = {
    "needs-reconnect": types.Failure_NeedsReconnect,
    "missing-scope": types.Failure_MissingScope,
    "rate-limited": types.Failure_RateLimited,
    "provider-down": types.Failure_ProviderDown,
    "not-found": types.Failure_NotFound,
    "invalid-input": types.Failure_InvalidInput,
    "other": types.Failure_Other,
}


def _asked(call: Callable[[], Any]) -> Any:
    """What the host refused: down if trying again may help, else a fault of the component or its manifest."""
    try:
        return call()
    except Err as refused:
        note = refused.value
        try:
            transient = (json.loads(note.data) or {}).get("transient") is True
        except (ValueError, AttributeError):
            transient = False
        raise Failure(PROVIDER_DOWN if transient else OTHER, note.say, code=note.code) from None


def _secrets() -> Any:
    if secrets is None:
        raise Failure(OTHER, "the manifest declares no handles and no recipes", code="no_secrets")
    return secrets


class _Host:
    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        pairs = [(name, str(value)) for name, value in (headers or {}).items()]
        answer = _asked(lambda: http.send(http.Request(method, url, pairs, body, [])))
        return Answer(answer.status, list(answer.headers), answer.body)

    def manifest(self) -> Any:
        return json.loads(context.manifest())

    def value(self, name: str) -> str | None:
        return context.value(name)

    def handle(self, name: str) -> str:
        return _asked(lambda: _secrets().handle(name))

    def derive(self, recipe: str, args: Mapping[str, str] | None = None) -> str:
        return _asked(lambda: _secrets().derive(recipe, list((args or {}).items())))

    def verify(self, recipe: str, message: bytes, given: str, args: Mapping[str, str] | None = None) -> bool:
        return _asked(lambda: _secrets().verify(recipe, list((args or {}).items()), message, given))

    def log(self, level: str, text: str, data: Any = None) -> None:
        log.write(level, text, json.dumps(data))

    def now(self) -> float:
        return time.time()


def _answered(work: Callable[[_Host], Any]) -> Any:
    """Runs a provider's method; what it raises becomes a case of the contract's ``failure``."""
    try:
        return work(_Host())
    except Failure as failure:
        note = types.Note(failure.code, failure.say, failure.retry_after_ms, json.dumps(failure.data))
        raise Err(_CASES[failure.means](note)) from None


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Failure(INVALID_INPUT, "the input is not JSON") from None


def component(provider: type[Provider]) -> SimpleNamespace:
    """The exports of a component, by the interfaces of the contract. ``app.py`` names those that the manifest asks for:

    ``made = component(Notes); Connection, Actions, Triggers = made.Connection, made.Actions, made.Triggers``
    """

    class Connection:
        def check(self) -> types.Account:
            def work(host: _Host) -> types.Account:
                account: Account = provider().check(host)
                return types.Account(account.id, account.label, json.dumps(account.extra))

            return _answered(work)

    class Actions:
        def run(self, action: str, input: str) -> str:
            return _answered(lambda host: json.dumps(provider().run(host, action, _read(input))))

    class Triggers:
        def poll(self, trigger: str, input: str, cursor: str | None) -> Any:
            def work(host: _Host) -> Any:
                since = None if cursor is None else _read(cursor)
                page: Page = provider().poll(host, trigger, _read(input), since)
                return Found([json.dumps(event) for event in page.events], json.dumps(page.cursor), page.more)

            return _answered(work)

    class Lifecycle:
        def connected(self) -> str:
            return _answered(lambda host: json.dumps(provider().connected(host)))

        def disconnecting(self) -> str:
            return _answered(lambda host: json.dumps(provider().disconnecting(host)))

    class Exchange:
        def run(self, step: str, input: str) -> str:
            return _answered(lambda host: json.dumps(provider().exchange(host, step, _read(input))))

    return SimpleNamespace(
        Connection=Connection, Actions=Actions, Triggers=Triggers, Lifecycle=Lifecycle, Exchange=Exchange
    )
