"""Every event there is: its level, what it means, and the fields that belong to it.

An event of a message carries its `queue_id` from MAIL FROM to the end, so that its life can be read: it is kept in the
events files (store.api.events) for `retention.events_days`, found there by its addresses, ids and IP address, and
printed by `postroom trace`. So is every event of this table that has the field `queue_id`, and those marked as kept.
A name that is not here cannot be logged; a test compares this table with the code.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Kind(NamedTuple):
    """An event's level (debug, info, warning, error), meaning, and fields. kept: also without a queue_id."""

    level: str
    meaning: str
    fields: tuple[str, ...] = ()
    kept: bool = False


_MESSAGE = ("queue_id", "recipient", "status", "reply", "attempts", "remote")
_PEER = ("service", "ip", "helo", "tls", "login")

CATALOGUE: Final[dict[str, Kind]] = {
    "server.started": Kind("info", "all processes serve", ("workers", "pid")),
    "server.failed": Kind("error", "the server could not start", ("reason",)),
    "server.stopped": Kind("info", "everything was stopped", ("status",)),
    "process.died": Kind("error", "a process ended by itself and is started again", ("name", "status", "restart_in")),
    "worker.started": Kind("info", "a worker serves", ("slot",)),
    "worker.stopped": Kind("info", "a worker finished", ("slot",)),
    "worker.hurried": Kind("warning", "the stop took too long; what clients had begun was cut off", ("slot",)),
    "config.refused": Kind("error", "the new configuration cannot be used, the old one stays", ("reason",)),
    "config.reloaded": Kind("info", "new connections use the new configuration", ("slot",)),
    "config.needs_restart": Kind("warning", "the new configuration changes what a reload cannot reach", ("keys",)),
    "config.unheard": Kind("error", "a process hangs and could not be told of the new configuration", ("names",)),
    "listener.failed": Kind("warning", "a connection never came to stand", ("host", "reason")),
    "session.opened": Kind("debug", "a client connected", ("service", "ip")),
    "session.closed": Kind("debug", "a session ended", ("service", "ip", "login", "reason")),
    "session.fault": Kind("error", "a fault of ours in a session", ("service", "ip", "login", "reason")),
    "store.damaged": Kind(
        "error", "something that was kept for an account cannot be read", ("service", "ip", "login", "reason"), True
    ),
    "connection.refused": Kind("info", "too many connections from one address", ("service", "ip", "reason"), True),
    "login.succeeded": Kind("info", "a client logged in", ("service", "ip", "login", "mechanism")),
    "login.failed": Kind(
        "warning", "wrong name or password", ("service", "ip", "login", "mechanism", "reason"), kept=True
    ),
    "acl.changed": Kind(
        "info",
        "a log-in gave or took rights on a mailbox",
        ("service", "ip", "login", "mailbox", "identifier", "rights"),
    ),
    "client.named": Kind("debug", "a client said what it is (IMAP ID)", ("service", "ip", "login", "client")),
    "login.unavailable": Kind("error", "log-ins cannot be checked now", ("service", "reason")),
    "maildrop.fault": Kind("error", "a POP3 maildrop could not be closed or kept", ("service", "reason")),
    "mail.early_talker": Kind("info", "a peer spoke before the greeting", ("service", "ip"), True),
    "mail.refused": Kind(
        "info",
        "a command, a recipient or a message was refused",
        (*_PEER, "stage", "code", "text", "reason", "queue_id", "sender", "recipient", "to", "message_id", "from"),
    ),
    "mail.stranger": Kind(
        "info",
        "what is remarkable about the server that sends it",
        ("queue_id", "service", "ip", "helo", "iprev", "name", "score", "reason"),
    ),
    "blocklist.ignored": Kind("warning", "a list of the DNS cannot be used, it counts nothing", ("zone", "reason")),
    "blocklist.restored": Kind("info", "a list of the DNS is used again", ("zone",)),
    "mail.abandoned": Kind(
        "info", "a peer gave up a message between its recipients and its end", (*_PEER, "queue_id", "sender", "to")
    ),
    "trap.caught": Kind(
        "info",
        "mail came to a spam trap",
        ("queue_id", "recipient", "sender", "peer", "learned", "reason"),
    ),
    "scanner.failed": Kind("warning", "a scanner of mail does not look at messages", ("scanner", "reason")),
    "scanner.answers": Kind("info", "a scanner of mail looks at messages", ("scanner",)),
    "filter.fault": Kind("warning", "the spam filter could not learn", ("account", "reason")),
    "mail.checked": Kind(
        "info",
        "what was found out about who sent it",
        (
            *("queue_id", "spf", "dkim", "dmarc", "arc", "verdict", "reason", "report", "spam", "because"),
            *("virus", "rspamd", "unheard"),
        ),
    ),
    "message.accepted": Kind(
        "info",
        "mail is ours",
        ("queue_id", "sender", "to", "recipients", "size", "peer", *_PEER, "message_id", "from"),
    ),
    "message.delivered": Kind("info", "it lies in the mailbox", (*_MESSAGE, "mailbox", "uid", "message", "login")),
    "message.quarantined": Kind("info", "it is kept apart, as the spam filter wants it", _MESSAGE),
    "quarantine.released": Kind(
        "info", "mail was released from quarantine", ("queue_id", "recipient", "item", "release", "who")
    ),
    "quarantine.answered": Kind(
        "info", "somebody wants a message out of quarantine, by mail", ("queue_id", "recipient", "item", "reason")
    ),
    "quarantine.unreleased": Kind(
        "warning",
        "mail could not be released from quarantine, it stays there",
        ("queue_id", "recipient", "item", "reason"),
    ),
    "quarantine.swept": Kind(
        "info", "mail in quarantine whose time had come is gone", ("messages", "octets", "accounts"), True
    ),
    "quarantine.fault": Kind("error", "the quarantine could not be looked after, it is tried again", ("reason",)),
    "digest.sent": Kind("info", "a user is told what is in quarantine", ("login", "entry", "messages")),
    "digest.failed": Kind("warning", "a user could not be told what is in quarantine", ("login", "reason")),
    "mail.flagged": Kind(
        "warning",
        "mail that one of our own people sends looks like spam",
        ("queue_id", "login", "spam", "because", "verdict"),
    ),
    "bounces.flood": Kind(
        "warning",
        "many reports about mail that was not sent from here come to one address",
        ("recipient", "reports", "hourly"),
        True,
    ),
    "message.sorted": Kind(
        "info", "the recipient's filter decided", ("queue_id", "recipient", "script", "actions", "reason")
    ),
    "sieve.withheld": Kind("info", "a filter wanted more than it may", ("queue_id", "recipient", "reason")),
    "sieve.reacted": Kind(
        "info",
        "a script ran because of something done by IMAP",
        ("queue_id", "recipient", "login", "cause", "mailbox", "uid", "script", "actions", "reason"),
    ),
    "sieve.unheard": Kind("error", "a script was not told what was done by IMAP", ("account", "mailbox", "reason")),
    "message.relayed": Kind("info", "another server took it", (*_MESSAGE, "via")),
    "message.deferred": Kind("info", "it is tried again later", (*_MESSAGE, "next_try", "via", "cause")),
    "message.failed": Kind("warning", "it cannot be delivered", (*_MESSAGE, "via", "cause")),
    "message.expired": Kind("warning", "the queue life ended", (*_MESSAGE, "via", "cause")),
    "message.unsigned": Kind("warning", "mail of ours leaves without a DKIM signature", ("domain", "reason")),
    "key.turned": Kind("info", "DKIM keys were made, wait, sign or are removed", ("domain", "act", "selectors")),
    "key.unturned": Kind("error", "DKIM keys could not be looked after, it is tried again", ("reason",)),
    "delivery.fault": Kind("error", "a fault of ours in delivery; the mail waits", ("queue_id", "recipient", "reason")),
    "relay.fault": Kind("error", "a fault of ours while relaying; the mail waits", ("queue_id", "reason")),
    "ban.made": Kind("warning", "an address is turned away for a while", ("network", "until", "times", "reason")),
    "ban.unreadable": Kind("error", "bans could not be read or written", ("reason",)),
    "account.frozen": Kind(
        "error", "an account behaves as if it were stolen and may not send", ("login", "score", "reason", "held"), True
    ),
    "account.unfrozen": Kind("info", "an account may send again", ("login",), True),
    "limit.fault": Kind("error", "a limit could not be looked up or counted", ("login", "reason")),
    "limit.near": Kind(
        "warning", "a limit on sending is nearly used up", ("name", "login", "limit", "kind", "used"), True
    ),
    "limit.reached": Kind("warning", "a limit on sending was reached", ("name", "login", "limit", "kind"), kept=True),
    "quota.near": Kind(
        "warning", "an account passed a threshold of its quota", ("login", "percent", "octets", "messages"), True
    ),
    "quota.domain_near": Kind(
        "warning",
        "the accounts of a domain passed a threshold of its quota",
        ("domain", "percent", "octets", "messages"),
        True,
    ),
    "usage.unread": Kind("warning", "what an account holds could not be looked at or kept", ("login", "reason")),
    "notice.dropped": Kind("warning", "a mail of the server's own could not be sent", ("login", "reason")),
    "relay.unusable": Kind(
        "warning", "a server cannot be used, its mail waits", ("host", "reply", "pause")
    ),
    "relay.elsewhere": Kind(
        "info", "a server turned a message away for now, the next one is asked", ("queue_id", "host", "reply", "next")
    ),
    "relay.maybe_doubled": Kind(
        "warning",
        "a server may have taken it without our hearing so; it is sent again",
        ("queue_id", "recipients", "host", "reason"),
    ),
    "relay.suppressed": Kind(
        "info",
        "nothing more is sent to an address its server calls unknown",
        ("queue_id", "recipient", "reply", "until"),
    ),
    "sts.fetched": Kind(
        "info", "an MTA-STS policy of another domain is new or has changed", ("domain", "mode", "mx", "until")
    ),
    "sts.failed": Kind(
        "info", "an MTA-STS policy could not be had; the one before goes on", ("domain", "kind", "reason")
    ),
    "tls.uncounted": Kind("warning", "results of connections are missing from reports about TLS", ("count", "reason")),
    "sts.unkept": Kind("error", "MTA-STS policies could not be read or written", ("domain", "reason")),
    "queue.unwritten": Kind("error", "a result could not be written, it is tried again", ("queue_id", "reason")),
    "queue.changed": Kind(
        "info", "somebody held, released, retried, dropped or took it back", ("queue_id", "recipient", "state", "who")
    ),
    "queue.unreadable": Kind("error", "the queue could not be read, it is tried again", ("queue_id", "reason")),
    "report.sent": Kind(
        "info", "the sender is told, by mail of ours", ("queue_id", "recipient", "kind", "report")
    ),
    "report.received": Kind(
        "info",
        "another server says what became of mail (nobody vouches for that)",
        ("queue_id", "to", "recipient", "action", "status", "reply", "remote", "about"),
    ),
    "complaint.received": Kind(
        "warning",
        "a complaint about mail from here (ARF; nobody vouches for that)",
        ("queue_id", "to", "kind", "agent", "sender", "source", "about"),
    ),
    "report.dropped": Kind("warning", "a report to a sender could not be made or sent", ("queue_id", "reason")),
    "audit.failed": Kind("error", "an audit record could not be written", ("reason",)),
    "audit.recorded": Kind(
        "info", "an administrator did something", ("number", "hash", "act", "on", "who"), kept=True
    ),
    "reports.received": Kind(
        "info", "a report about a domain of ours was read", ("queue_id", "kind", "domain", "org", "proven", "report")
    ),
    "reports.unusable": Kind(
        "info", "mail to an address for reports is dropped", ("queue_id", "recipient", "sender", "reason")
    ),
    "reports.sent": Kind("info", "a daily report of ours leaves", ("kind", "day", "domain", "to", "entry")),
    "reports.unsent": Kind("warning", "a daily report of ours cannot be sent", ("kind", "day", "domain", "reason")),
    "reports.finished": Kind("info", "a day's reports of ours were made", ("kind", "day", "reports")),
    "reports.failed": Kind(
        "error", "a day's reports of ours could not be made, it is tried again", ("kind", "day", "reason")
    ),
    "webhook.failing": Kind("error", "a webhook takes no calls, they wait", ("hook", "reason")),
    "webhook.recovered": Kind("info", "a webhook takes calls again", ("hook",)),
    "webhook.dropped": Kind("error", "calls of a webhook were given up or had no room", ("hook", "count", "reason")),
    "events.omitted": Kind("info", "events of a flood that were counted but not kept", ("ip", "count"), True),
    "events.lost": Kind("error", "events could not be kept; no mail is lost for that", ("count", "reason")),
    "account.purged": Kind("info", "a deleted account is gone for good", ("login", "deleted")),
    "index.dropped": Kind("warning", "an index is no good and is made anew; no mail is lost", ("account", "reason")),
    "index.failed": Kind("error", "an index could not be kept now; it is tried again", ("account", "reason")),
    "sweep.done": Kind("info", "what was expunged long ago is gone", ("messages",)),
    "sweep.failed": Kind("error", "sweeping failed, it is tried again", ("reason",)),
}  # fmt: skip

#: names of the events that are kept in the events files
KEPT: Final = frozenset(name for name, kind in CATALOGUE.items() if kind.kept or "queue_id" in kind.fields)
