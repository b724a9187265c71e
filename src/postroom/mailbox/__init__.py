"""Mailboxes as their users know them: names, messages, views, search, and the POP3 drop.

Owns the rules (what a name may be, what INBOX means, what a client has been told) and no storage: all of that is
store.api. Protocol-free but for the typed commands of wire.imap that it evaluates.
"""
