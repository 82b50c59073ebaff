"""What can go wrong."""

from __future__ import annotations


class VisemeError(Exception):
    """An error that the server told, or that this package found.

    Attributes:
        code: Stable and coarse, as the server sends it ("usage", "conflict", "busy", …); "unreachable" when there was no answer.
        hint: What to do next, if that is known.
    """

    def __init__(self, message: str, *, code: str = "internal", status: int = 0, hint: str | None = None) -> None:
        super().__init__(f"{message}. {hint}" if hint else message)
        self.code = code
        self.status = status
        self.hint = hint


class Unreachable(VisemeError):
    """No server, or it went away."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, code="unreachable", hint=hint)
