"""A scripted host, so that a provider can be tested with ``python3 -m unittest``, without a sandbox.

Answers are given in the order in which they were scripted; what was asked is kept. It attaches nothing and refuses nothing:
what the real host refuses is tested with the real host (``keyport test``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping

from . import OTHER, Answer, Failure


@dataclass
class Sent:
    """A request that the provider made."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None

    def json(self) -> Any:
        return json.loads(self.body or b"null")


class FakeHost:
    """A host that answers what it was told to answer."""

    def __init__(
        self, manifest: Any = None, values: Mapping[str, str] | None = None, now: float = 0.0
    ) -> None:
        self._manifest = manifest if manifest is not None else {}
        self._values = dict(values or {})
        self._now = now
        self._answers: list[Answer] = []
        #: What was sent, in order.
        self.sent: list[Sent] = []
        #: What was logged, in order.
        self.lines: list[str] = []

    def answer(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> FakeHost:
        """The next answer. A value is JSON, a text is sent as it is."""
        text = body if isinstance(body, str) else json.dumps(body)
        self._answers.append(Answer(status, list((headers or {}).items()), text.encode()))
        return self

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        self.sent.append(Sent(method, url, dict(headers or {}), body))
        if not self._answers:
            raise Failure(OTHER, "the test scripted no further answer", code="no_answer")
        return self._answers.pop(0)

    def manifest(self) -> Any:
        return self._manifest

    def value(self, name: str) -> str | None:
        return self._values.get(name)

    def handle(self, name: str) -> str:
        return f"handle:{name}"

    def derive(self, recipe: str, args: Mapping[str, str] | None = None) -> str:
        return f"derived:{recipe}:" + ",".join(f"{name}={value}" for name, value in (args or {}).items())

    def verify(self, recipe: str, message: bytes, given: str, args: Mapping[str, str] | None = None) -> bool:
        return self.derive(recipe, {**(args or {}), "message": message.decode()}) == given

    def log(self, level: str, text: str, data: Any = None) -> None:
        self.lines.append(f"{level}: {text}")

    def now(self) -> float:
        return self._now
