"""What a provider is written with: requests, answers and failures.

Nothing in here needs a sandbox, so a provider is tested with ``python3 -m unittest`` (see ``keyport.testing``). A provider
never sees a credential: the host attaches it to the requests that the manifest allows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping, Protocol
from urllib.parse import quote

#: What follows from a failure. The host acts on it, so choose the weakest that is true.
NEEDS_RECONNECT = "needs-reconnect"
MISSING_SCOPE = "missing-scope"
RATE_LIMITED = "rate-limited"
PROVIDER_DOWN = "provider-down"
NOT_FOUND = "not-found"
INVALID_INPUT = "invalid-input"
OTHER = "other"

MEANS = (NEEDS_RECONNECT, MISSING_SCOPE, RATE_LIMITED, PROVIDER_DOWN, NOT_FOUND, INVALID_INPUT, OTHER)


class Failure(Exception):
    """What went wrong, by what follows from it. Any other exception is a bug of the provider and is reported as one."""

    def __init__(
        self, means: str, say: str, *, code: str = "", retry_after_ms: int | None = None, data: Any = None
    ) -> None:
        super().__init__(say)
        if means not in MEANS:
            raise ValueError(f"{means} is not one of {', '.join(MEANS)}")
        self.means = means
        #: One sentence for the person. No secrets, no raw answer of the app.
        self.say = say
        self.code = code
        self.retry_after_ms = retry_after_ms
        self.data = data


@dataclass
class Account:
    """Whose connection it is."""

    #: Never changes for the same account.
    id: str
    #: What people know the account by.
    label: str
    #: More to show: texts by name.
    extra: dict[str, str] = field(default_factory=dict)


@dataclass
class Page:
    """What one poll found."""

    #: New events, oldest first.
    events: list[Any]
    #: Handed back at the next poll.
    cursor: Any
    #: Whether asking again at once would find more.
    more: bool = False


def path(base: str, query: Mapping[str, Any] | None = None) -> str:
    """A path with a query, every value escaped; ``None`` is left out."""
    pairs = [
        f"{quote(name, safe='')}={quote(_text(value), safe='')}"
        for name, value in (query or {}).items()
        if value is not None
    ]
    if not pairs:
        return base
    return base + ("&" if "?" in base else "?") + "&".join(pairs)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@dataclass
class Answer:
    """An answer of the app. Any status is an answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, by name in any case."""
        wanted = name.lower()
        return next((value for known, value in self.headers if known.lower() == wanted), None)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as a value. An error page in the place of JSON is the app's fault."""
        try:
            # Not `utf-8-sig`: codecs beside the usual ones are looked up when they are first used, and a component has no files.
            return json.loads(self.body.decode("utf-8").removeprefix("\ufeff"))
        except ValueError:
            raise Failure(
                PROVIDER_DOWN, "the app's answer is not in the form that it documents", code="unexpected_answer"
            ) from None

    def success(self) -> Answer:
        """Itself if its status is 2xx; else it raises what its status usually means."""
        if 200 <= self.status < 300:
            return self
        means, say = _meaning(self.status)
        after = (self.header("retry-after") or "").strip()
        raise Failure(means, say, retry_after_ms=min(int(after), 86_400) * 1000 if after.isdecimal() else None)


def _meaning(status: int) -> tuple[str, str]:
    if status == 401:
        return NEEDS_RECONNECT, "the app no longer accepts this sign-in"
    if status == 403:
        return MISSING_SCOPE, "this sign-in lacks a right that is needed here"
    if status in (404, 410):
        return NOT_FOUND, "the app does not have what was asked for"
    if status == 429:
        return RATE_LIMITED, "the app asks to slow down; try again later"
    if status in (408, 425) or status >= 500:
        return PROVIDER_DOWN, "the app has a problem of its own; try again later"
    if status >= 400:
        return INVALID_INPUT, "the app did not accept what was sent"
    return OTHER, "the app answered with an unusual status"


class Host(Protocol):
    """What the outside world is to a provider."""

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Sends a request, with the credential attached by the host, and waits for the whole answer."""

    def manifest(self) -> Any:
        """The manifest's parts ``api``, ``test``, ``actions`` and ``triggers``."""

    def value(self, name: str) -> str | None:
        """A public field or capture of the connection; ``account.id`` and ``account.label`` once known."""

    def handle(self, name: str) -> str:
        """A placeholder for a secret that the manifest lists under ``handles``."""

    def derive(self, recipe: str, args: Mapping[str, str] | None = None) -> str:
        """A placeholder for what the host computes by a recipe of the manifest."""

    def verify(self, recipe: str, message: bytes, given: str, args: Mapping[str, str] | None = None) -> bool:
        """Whether ``given`` is what a signing recipe makes of ``message``."""

    def log(self, level: str, text: str, data: Any = None) -> None:
        """A line for the person who runs Keyport; ``level`` is debug, info, warn or error."""

    def now(self) -> float:
        """The time, in seconds since 1970 (UTC)."""


def get(host: Host, url: str, query: Mapping[str, Any] | None = None) -> Answer:
    """A GET."""
    return host.send("GET", path(url, query))


def post(host: Host, url: str, value: Any) -> Answer:
    """A POST of JSON."""
    return host.send("POST", url, {"content-type": "application/json"}, json.dumps(value).encode())


class Provider:
    """An app's own code. Each call runs in a fresh component: nothing that it keeps in memory survives.

    Only ``check`` must be there. An action ``add_note`` of the manifest (with ``code: true``) is the method
    ``action_add_note(self, host, input)``, a trigger ``new_note`` is ``trigger_new_note(self, host, input, cursor)``.
    """

    def check(self, host: Host) -> Account:
        """The test call: proves that the connection works and says whose it is. It must only read."""
        raise NotImplementedError

    def connected(self, host: Host) -> dict[str, str]:
        """After connecting: public captures."""
        return {}

    def disconnecting(self, host: Host) -> dict[str, str]:
        """Before the credentials are destroyed."""
        return {}

    def exchange(self, host: Host, step: str, input: Any) -> Any:
        """A step of an unusual sign-in. Secrets go in and come out as placeholders."""
        raise Failure(NOT_FOUND, f"this app has no sign-in step {step}", code="no_such_step")

    def run(self, host: Host, action: str, input: Any) -> Any:
        """Runs an action by its name."""
        return self._named("action", action)(host, input)

    def poll(self, host: Host, trigger: str, input: Any, cursor: Any) -> Page:
        """Polls a trigger by its name. No cursor: the first poll."""
        return self._named("trigger", trigger)(host, input, cursor)

    def _named(self, what: str, name: str) -> Any:
        found = getattr(self, f"{what}_{name.replace('-', '_')}", None)
        if found is None:
            raise Failure(NOT_FOUND, f"this app has no {what} {name}", code=f"no_such_{what}")
        return found
