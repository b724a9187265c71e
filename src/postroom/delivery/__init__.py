"""Local recipients of the queue: each message into the mailboxes of its accounts, once."""
