"""Entry point: the command table and the global options.

The table names each command's module and its one-line help, so that nothing is imported to print `--help`.
On failure: one line on standard error saying what is wrong and what to do, and an exit code of cli.codes.
"""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from postroom import __version__
from postroom.cli.codes import CommandFailed, Exit

#: name: (module that has `command`, one line of help); commands appear in this order
COMMANDS = {
    "demo": ("demo", "Run the whole system here with sample accounts and mail."),
    "init": ("init", "Write a commented configuration and an empty data folder."),
    "serve": ("serve", "Run the server."),
    "status": ("status", "Say what the running server does."),
    "check": ("check", "Look for damage in the store."),
    "config": ("config", "Check, show and explain the configuration."),
    "domain": ("domain", "Hosted domains: add, list, show, set, rm."),
    "user": ("user", "Accounts: add, list, show, set, passwd, disable, enable, rm, deleted, token, app-password."),
    "index": ("index", "Full-text indexes of accounts: show, rebuild."),
    "alias": ("alias", "Addresses that stand for others: add, list, show, set, rm."),
    "group": ("group", "People who are given rights together: add, list, show, join, leave, rm."),
    "share": ("share", "Mailboxes for several people, without a log-in: add, list, show, set, join, leave, rm."),
    "acl": ("acl", "Who may do what with an account's mailboxes: list, set, rm."),
    "mailbox": ("mailbox", "What is in mailboxes, and was: list, show, search, saved, restore, undo, deleted."),
    "contact": ("contact", "Address books: import, list, add, rm, export."),
    "sieve": ("sieve", "Filters of people's mail: check, put, list, show, activate, rename, rm, test, global."),
    "rules": ("rules", "Rules, answers while away, forwarding: show, set, add, rm, away, forward."),
    "limit": ("limit", "Limits on outgoing mail: show, lift, freeze, unfreeze."),
    "ban": ("ban", "Addresses that may not connect: list, add, rm."),
    "trace": ("trace", "Say what became of a message."),
    "alarm": ("alarm", "What somebody must look at: list, done."),
    "audit": ("audit", "What administrators did: list, verify."),
    "dns": ("dns", "DNS records and DKIM keys of a domain: show, check, keys, rotate."),
    "explain": ("explain", "Why a message passes or fails: spf, dkim, arc, dmarc, spam, tls."),
    "filter": ("filter", "Spam: show, set, allow, block, unlist, rules, trap, learn, train, scanners, status, forget."),
    "quarantine": ("quarantine", "Mail that the spam filter keeps apart: list, show, release, delete, undelete, link."),
    "suppress": ("suppress", "Outside addresses nothing is sent to: list, add, rm."),
    "report": ("report", "Reports of others about your domains, and yours: dmarc, tls, feedback, send."),
    "webhook": ("webhook", "Programs that are told what becomes of mail: list, test, retry."),
    "queue": ("queue", "Mail on its way: list, show, retry, hold, release, reroute, drop, flush."),
}

EPILOG = """\b
Examples:
  postroom demo
  postroom user add ann@example.org --config /etc/postroom/postroom.toml
"""


class CommandTable(click.Group):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"postroom.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command list, printed without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a guess when the name is unknown."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as fault:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if near:
                raise click.UsageError(f"{fault.message} Did you mean '{near[0]}'?", ctx) from fault
            raise


@click.group(cls=CommandTable, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name="postroom")
def root() -> None:
    """Postroom: the whole mail system. SMTP, LMTP, submission, POP3 and IMAP on one durable store."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter shows its number
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _look_at(words)
        status = _run(words)
    except (Exception, KeyboardInterrupt) as fault:
        try:
            status = _failed(fault)
        except BrokenPipeError:  # nor does anybody hear why
            status = _unread()
    sys.exit(int(status or 0) if isinstance(status, int) else 0)


def _run(words: list[str]) -> Any:
    """As click's own main, which would tell nobody that a pipe was closed, or that a person stopped the command."""
    if (wish := os.environ.get("_POSTROOM_COMPLETE")) is not None:  # the shell asks what a word may become
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "postroom", "_POSTROOM_COMPLETE", wish)
    try:
        with root.make_context("postroom", words) as context:
            status = root.invoke(context)
    except click.exceptions.Exit as left:
        status = left.exit_code
    if sys.stdout is not None:
        sys.stdout.flush()  # a pipe may close at the last word, too
    return status


def _look_at(words: Sequence[str]) -> None:
    """What is no text is nobody's name, and no name of a file that could be written into a configuration."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"{word!r} is no UTF-8 text.") from None
        if "\0" in word:
            raise click.UsageError(f"{word!r} has a NUL in it.")


def _failed(fault: Exception | KeyboardInterrupt) -> int:
    """Say what went wrong; the exit code."""
    match fault:
        case CommandFailed():
            _say(f"postroom: {fault.text}", *filter(None, [fault.advice]))
            return fault.code
        case click.exceptions.Abort() | KeyboardInterrupt():
            _say("postroom: stopped")
            return Exit.STOPPED
        case click.exceptions.NoArgsIsHelpError():
            fault.show()
            return Exit.USAGE
        case click.UsageError():
            context = fault.ctx
            if context is not None:
                _say(context.get_usage(), f"Try '{context.command_path} --help' for help.", "")
            _say(f"Error: {fault.format_message()}")
            return Exit.USAGE
        case click.ClickException():
            _say(f"Error: {fault.format_message()}")
            return fault.exit_code
        case BrokenPipeError():
            return _unread()
        case PermissionError():
            _say(f"postroom: not allowed: {fault.filename or fault}")
            return Exit.NO_PERMISSION
        case OSError():
            _say(f"postroom: {f'{fault.filename}: ' if fault.filename else ''}{fault.strerror or fault}")
            return Exit.FAILED
    return _fault_of_ours(fault)


def _unread() -> int:
    """The reader has gone, as `head` does when it has enough: silence, also of what waits in buffers."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return Exit.UNREAD


def _fault_of_ours(fault: Exception) -> int:
    """What nobody foresaw: one line, and how to see more."""
    if os.environ.get("POSTROOM_TRACEBACK"):
        raise fault
    _say(
        f"postroom: a fault of the program itself: {type(fault).__name__}: {fault}",
        "Please report it, with what is printed when POSTROOM_TRACEBACK=1 is set.",
    )
    return Exit.FAILED


def _say(*lines: str) -> None:
    from postroom.cli.output import say

    for text in lines:
        say(text)


if __name__ == "__main__":
    main()
