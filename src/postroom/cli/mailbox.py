"""`postroom mailbox`: what is in people's mailboxes. Its commands lie in modules of their own."""

from __future__ import annotations

import click

from postroom.cli.mailbox_deleted import deleted, undo
from postroom.cli.mailbox_past import list_, restore, show
from postroom.cli.mailbox_saved import saved
from postroom.cli.mailbox_search import search


@click.group(short_help="People's mailboxes.")
def command() -> None:
    """What is in people's mailboxes, what was, and what was deleted."""


for one in (list_, show, search, restore, undo, deleted, saved):
    command.add_command(one)
