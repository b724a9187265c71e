"""Actions in words, one line each: what `postroom sieve test` and the trace of a message show."""

from __future__ import annotations

from postroom.sieve.actions import (
    Action,
    Discard,
    FileInto,
    Form,
    Keep,
    Notify,
    Redirect,
    Reject,
    Remember,
    Target,
    Vacation,
)
from postroom.sieve.printer import quoted


def describe(action: Action) -> str:
    """One line, in the words of the language."""
    if isinstance(action, Keep):
        return ("implicit keep" if action.implicit else "keep") + _flags(action.flags) + _form(action.form)
    if isinstance(action, FileInto):
        return "fileinto " + target(action.target) + _flags(action.flags) + _form(action.form)
    if isinstance(action, Redirect):
        return f"redirect {quoted(action.address)}{_form(action.form)}"
    if isinstance(action, Discard):
        return "discard"
    if isinstance(action, Reject):
        return f"{'ereject' if action.extended else 'reject'} {_line(action.reason)}"
    if isinstance(action, Vacation):
        return _vacation(action)
    if isinstance(action, Notify):
        return _notify(action)
    return _remember(action)


def target(one: Target) -> str:
    """A mailbox as it was asked for."""
    words = [quoted(one.name)]
    if one.create:
        words.append("create")
    if one.special:
        words.append(f"special {one.special}")
    if one.id:
        words.append(f"id {one.id}")
    return " ".join(words)


def _flags(flags: tuple[str, ...]) -> str:
    return f" flags {' '.join(flags)}" if flags else ""


def _form(form: Form) -> str:
    return " changed" if form.header is not None or form.body is not None else ""


def _line(text: str) -> str:
    return quoted(text).replace("\r", "").replace("\n", "\\n")


def _vacation(action: Vacation) -> str:
    words = [f"vacation {_line(action.reason)} every {action.seconds}s"]
    if action.subject:
        words.append(f"subject {quoted(action.subject)}")
    if action.sender:
        words.append(f"from {quoted(action.sender)}")
    if action.addresses:
        words.append(f"addresses {' '.join(action.addresses)}")
    if action.mime:
        words.append("mime")
    if action.handle:
        words.append(f"handle {quoted(action.handle)}")
    return " ".join([*words, *_fcc(action.fcc, action.fcc_flags)])


def _notify(action: Notify) -> str:
    words = [f"notify {quoted(action.method)}"]
    if action.message:
        words.append(f"message {_line(action.message)}")
    if action.sender:
        words.append(f"from {quoted(action.sender)}")
    if action.importance != "2":
        words.append(f"importance {action.importance}")
    if action.options:
        words.append(f"options {' '.join(action.options)}")
    return " ".join([*words, *_fcc(action.fcc, action.fcc_flags)])


def _fcc(fcc: Target | None, flags: tuple[str, ...]) -> list[str]:
    return [f"fcc {target(fcc)}{_flags(flags)}"] if fcc is not None else []


def _remember(action: Remember) -> str:
    return f"remember {quoted(action.key)} for {action.seconds}s{' since last' if action.last else ''}"
