"""The tables of the kinds of SQLite file, and why they are cut this way. See docs/store.md.

Version numbers are SQLite's user_version; a file of a newer version is refused, never guessed at.
"""

from __future__ import annotations

from typing import Final

#: team: a group ("group" is a word of SQL), place: of a member in its list; share: index of identifiers in ACLs;
#: delegate: who may send as an account, or on its behalf
DIRECTORY_VERSION: Final = 1
DIRECTORY: Final = """
CREATE TABLE version(one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
INSERT INTO version VALUES (1, 1);
CREATE TABLE domain(
    name TEXT PRIMARY KEY, created REAL NOT NULL, disabled INTEGER NOT NULL, catch_all TEXT NOT NULL,
    hourly_messages INTEGER NOT NULL, spoof TEXT NOT NULL, alias_of TEXT NOT NULL, separators TEXT NOT NULL,
    detail_folders TEXT NOT NULL, receives INTEGER NOT NULL, quota INTEGER NOT NULL, quota_messages INTEGER NOT NULL,
    account_quota INTEGER NOT NULL, account_messages INTEGER NOT NULL, most_accounts INTEGER NOT NULL,
    batv TEXT NOT NULL, batv_since REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE account(
    id TEXT PRIMARY KEY, login TEXT NOT NULL UNIQUE, domain TEXT NOT NULL, created REAL NOT NULL, name TEXT NOT NULL,
    password TEXT NOT NULL, scram BLOB NOT NULL, disabled INTEGER NOT NULL, quota INTEGER NOT NULL,
    pop3_delete TEXT NOT NULL, pop3_seen INTEGER NOT NULL, pop3_last_login REAL NOT NULL,
    quota_messages INTEGER NOT NULL, quota_mailboxes INTEGER NOT NULL, quota_annotations INTEGER NOT NULL,
    administers TEXT NOT NULL, imap_without TEXT NOT NULL,
    daily_messages INTEGER NOT NULL, daily_recipients INTEGER NOT NULL, daily_new INTEGER NOT NULL,
    receives INTEGER NOT NULL, detail_folders TEXT NOT NULL, past TEXT NOT NULL,
    shared INTEGER NOT NULL, sent_copies INTEGER NOT NULL, filtered INTEGER NOT NULL,
    reacting INTEGER NOT NULL, contacts INTEGER NOT NULL, name_key TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE deleted_account(
    id TEXT PRIMARY KEY, login TEXT NOT NULL, domain TEXT NOT NULL, deleted REAL NOT NULL, data BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX deleted_login ON deleted_account(login);
CREATE INDEX account_domain ON account(domain);
CREATE INDEX account_name ON account(name_key) WHERE name_key != '';
CREATE TABLE alias(
    address TEXT PRIMARY KEY, domain TEXT NOT NULL, members TEXT NOT NULL, created REAL NOT NULL,
    disabled INTEGER NOT NULL, trap INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX alias_domain ON alias(domain);
CREATE TABLE signing_key(
    domain TEXT NOT NULL, selector TEXT NOT NULL, algorithm TEXT NOT NULL, private TEXT NOT NULL,
    state TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (domain, selector)
) WITHOUT ROWID;
CREATE TABLE token(
    digest BLOB PRIMARY KEY, id TEXT NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL,
    created REAL NOT NULL, expires REAL NOT NULL, scram BLOB NOT NULL, networks TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX token_account ON token(account);
CREATE TABLE team(
    address TEXT PRIMARY KEY, domain TEXT NOT NULL, name TEXT NOT NULL, created REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX team_domain ON team(domain);
CREATE TABLE team_member(
    member TEXT NOT NULL, team TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (member, team)
) WITHOUT ROWID;
CREATE INDEX team_member_team ON team_member(team);
CREATE TABLE share(
    identifier TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (identifier, account)
) WITHOUT ROWID;
CREATE INDEX share_account ON share(account);
CREATE TABLE delegate(
    account TEXT NOT NULL, identifier TEXT NOT NULL, mode TEXT NOT NULL, PRIMARY KEY (account, identifier)
) WITHOUT ROWID;
CREATE TABLE filter(owner TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE site_script(
    owner TEXT NOT NULL, name TEXT NOT NULL, changed REAL NOT NULL, data BLOB NOT NULL, PRIMARY KEY (owner, name)
);
"""

#: answer: what requests with a key of their own were told, for a day (store.api.queue.Once)
#: entry: everything but the octets, packed in `envelope`, so that a retry rewrites a few hundred octets only;
#: next: earliest retry of a waiting recipient, NULL when none waits; body: row of `body`, or 0 for a file
QUEUE_VERSION: Final = 1
QUEUE: Final = """
CREATE TABLE entry(
    id TEXT PRIMARY KEY, next REAL, received REAL NOT NULL, size INTEGER NOT NULL, body INTEGER NOT NULL,
    envelope BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX entry_next ON entry(next) WHERE next IS NOT NULL;
CREATE TABLE body(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE answer(key BLOB PRIMARY KEY, at REAL NOT NULL, request BLOB NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX answer_at ON answer(at);
"""

ALARMS_VERSION: Final = 1
ALARMS: Final = """
CREATE TABLE alarm(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, subject TEXT NOT NULL, first REAL NOT NULL,
    last REAL NOT NULL, count INTEGER NOT NULL, fields BLOB NOT NULL, UNIQUE (name, subject)
);
"""

#: block: what one flush brought, or several that were merged (events_file.py). keys: for choosing blocks, 32 bits for
#:   each value an event is found by, stored before the data, so that looking through the keys does not read the data.
EVENTS_VERSION: Final = 1
EVENTS: Final = """
CREATE TABLE block(
    id INTEGER PRIMARY KEY, level INTEGER NOT NULL, count INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    keys BLOB NOT NULL, data BLOB NOT NULL
);
"""

#: account: the account's counters as the last change of the list of mailboxes left them. Every row of mailbox has them
#:   too (account_*, next_message), as they were when it was written: the row with the highest account_modseq is right.
#:   So a delivery writes one row for the mailbox and the account.
#: mailbox: counters as STATUS needs them; next_page: number of the next new page; paged: MODSEQ of the last change of
#:   rows in `page`; tail: the newest messages, row by row (codec.py), before they move to a page; marks: the newest
#:   deliveries into it, before they move to `delivered`. What a delivery changes lies in this one row.
#: subscription: names as the log-in sees them, whether there is such a mailbox or not (RFC 3501 6.3.6); wanted 0: it
#:   unsubscribed from what would count as subscribed to by itself.
#: annotation: METADATA (store.api.account.Annotation), mailbox 0 the account's; entry: the name in lower case; value
#:   NULL: removed, kept for a while to be told to other sessions.
#: origin: messages that came from another account and keep their EMAILID and THREADID (RFC 8474 5.1).
#: message: rendered once, never changed; refs: the References field; prefix NULL: the octets are in `body`, else in the
#:   file named by guid after these octets. extra: references to a message beyond the first (COPY), narrow so that
#:   copying a thousand messages does not rewrite a thousand wide rows.
#: traits: what messages are sorted, threaded and found by, of `count` ids from `first` on (store.api.traits);
#: reference: threads of message ids that others refer to, by their hash.
#: page: packed columns (codec.py), id = mailbox << 32 | page << 1 | kind (0 fixed columns, 1 flags), so that a
#:   mailbox is one range and the halves of a small page share a leaf; version: MODSEQ when it was written.
#: expunged: what left a mailbox at one MODSEQ; messages and columns NULL once that is swept. moved: to another mailbox;
#:   the message ids are no references then, for in the other mailbox a message lives at least as long. number: how many
#:   messages were expunged in the account up to here; back: an octet a message, 1 for what was brought back since.
#: acl: rights (values.rights) on a mailbox, 0 for the top level; narrow and beside the mailboxes, so that who shares
#:   nothing pays nothing. mark: what readers have seen (marks.py); version: MODSEQ when it was written.
#: No index on MODSEQ anywhere but there: it would make a bulk STORE five times dearer.
#: script, filter: what the account's mail is sorted by (filters.py); serial grows with every change. remembered: what a
#:   script has seen or answered (digests), each until its end.
#: life: what outlives a mailbox: when it was made; once it is deleted, what it was. former: until when it had a name.
#: restored: what was brought back, so that it can be undone (past.py).
#: contact: the address book (contacts.py).
#: saved: searches, with the UIDs given to what they found (saved.py), both columns of u64.
ACCOUNT_VERSION: Final = 1
ACCOUNT: Final = """
CREATE TABLE account(
    one INTEGER PRIMARY KEY CHECK (one = 1), modseq INTEGER NOT NULL, uidvalidity INTEGER NOT NULL,
    next_message INTEGER NOT NULL, octets INTEGER NOT NULL, messages INTEGER NOT NULL, boot TEXT NOT NULL DEFAULT ''
);
INSERT INTO account VALUES (1, 1, 0, 1, 0, 0, '');
CREATE TABLE mailbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, uidvalidity INTEGER NOT NULL,
    special_use TEXT NOT NULL, uidnext INTEGER NOT NULL, modseq INTEGER NOT NULL,
    messages INTEGER NOT NULL, unseen INTEGER NOT NULL, deleted INTEGER NOT NULL, size INTEGER NOT NULL,
    next_page INTEGER NOT NULL, history INTEGER NOT NULL, paged INTEGER NOT NULL DEFAULT 0,
    account_modseq INTEGER NOT NULL DEFAULT 0, next_message INTEGER NOT NULL DEFAULT 0,
    account_octets INTEGER NOT NULL DEFAULT 0, account_messages INTEGER NOT NULL DEFAULT 0,
    keywords TEXT NOT NULL, tail BLOB NOT NULL DEFAULT x'', marks TEXT NOT NULL DEFAULT '',
    seen TEXT NOT NULL DEFAULT ''
);
CREATE TABLE subscription(name TEXT PRIMARY KEY, wanted INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE annotation(
    mailbox INTEGER NOT NULL, login TEXT NOT NULL, entry TEXT NOT NULL, name TEXT NOT NULL, value BLOB,
    modseq INTEGER NOT NULL, PRIMARY KEY (mailbox, login, entry)
) WITHOUT ROWID;
CREATE INDEX annotation_modseq ON annotation(modseq);
CREATE TABLE page(id INTEGER PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE message(
    id INTEGER PRIMARY KEY, size INTEGER NOT NULL, internaldate INTEGER NOT NULL, header INTEGER NOT NULL,
    guid BLOB NOT NULL, digest BLOB NOT NULL, prefix BLOB, envelope BLOB NOT NULL, structure BLOB NOT NULL,
    bodystructure BLOB NOT NULL, parts BLOB NOT NULL, refs BLOB NOT NULL
);
CREATE TABLE origin(message INTEGER PRIMARY KEY, emailid TEXT NOT NULL, thread INTEGER NOT NULL);
CREATE INDEX origin_emailid ON origin(emailid);
CREATE TABLE traits(
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, numbers BLOB NOT NULL, keys BLOB NOT NULL, texts BLOB NOT NULL
);
CREATE TABLE reference(id INTEGER PRIMARY KEY, thread INTEGER NOT NULL);
CREATE TABLE body(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE extra(message INTEGER PRIMARY KEY, count INTEGER NOT NULL);
CREATE TABLE expunged(
    modseq INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL, time REAL NOT NULL, moved INTEGER NOT NULL,
    number INTEGER NOT NULL, uids BLOB NOT NULL, messages BLOB, columns BLOB, back BLOB
);
CREATE TABLE life(
    mailbox INTEGER PRIMARY KEY, created REAL NOT NULL, deleted REAL, name TEXT, uidvalidity INTEGER, special_use TEXT,
    keywords TEXT
);
CREATE TABLE former(
    mailbox INTEGER NOT NULL, until REAL NOT NULL, name TEXT NOT NULL, PRIMARY KEY (mailbox, until)
) WITHOUT ROWID;
CREATE TABLE restored(id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, placed BLOB NOT NULL);
CREATE TABLE saved(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, query TEXT NOT NULL, uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL, version INTEGER NOT NULL, uids BLOB NOT NULL, messages BLOB NOT NULL
);
CREATE TABLE contact(
    address TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT NOT NULL, added REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE acl(
    mailbox INTEGER NOT NULL, identifier TEXT NOT NULL, rights INTEGER NOT NULL, PRIMARY KEY (mailbox, identifier)
) WITHOUT ROWID;
CREATE TABLE mark(
    mailbox INTEGER NOT NULL, reader TEXT NOT NULL, chunk INTEGER NOT NULL, version INTEGER NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (mailbox, reader, chunk)
) WITHOUT ROWID;
CREATE TABLE script(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, changed REAL NOT NULL, data BLOB NOT NULL
);
CREATE TABLE filter(one INTEGER PRIMARY KEY CHECK (one = 1), serial INTEGER NOT NULL, active TEXT NOT NULL);
INSERT INTO filter VALUES (1, 0, '');
CREATE TABLE remembered(key BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX remembered_until ON remembered(until);
CREATE TABLE delivered(
    queue TEXT NOT NULL, recipient TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (queue, recipient)
) WITHOUT ROWID;
"""

#: held, held_domain: what accounts held at the last look (store.api.usage);
#: used: counts by slot (store.api.limits); correspondent: who was written to, by account;
#: sent_id: hashes of Message-IDs; place: networks of log-ins;
#: version: grows with every change of bans, freezes and lifts, and is the serial of a ban changed with it
POLICY_VERSION: Final = 1
POLICY: Final = """
CREATE TABLE version(one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
INSERT INTO version VALUES (1, 1);
CREATE TABLE used(
    name TEXT NOT NULL, kind TEXT NOT NULL, slot INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (name, kind, slot)
) WITHOUT ROWID;
CREATE TABLE warned(
    name TEXT NOT NULL, kind TEXT NOT NULL, until REAL NOT NULL, PRIMARY KEY (name, kind)
) WITHOUT ROWID;
CREATE TABLE correspondent(
    account TEXT NOT NULL, address TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (account, address)
) WITHOUT ROWID;
CREATE TABLE sent_id(
    id INTEGER NOT NULL, account TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (id, account)
) WITHOUT ROWID;
CREATE TABLE place(
    account TEXT NOT NULL, network TEXT NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    PRIMARY KEY (account, network)
) WITHOUT ROWID;
CREATE TABLE held(
    account TEXT PRIMARY KEY, domain TEXT NOT NULL, octets INTEGER NOT NULL, messages INTEGER NOT NULL,
    percent INTEGER NOT NULL, at REAL NOT NULL, full_since REAL NOT NULL, warned INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX held_of ON held(domain, octets, messages);
CREATE TABLE held_domain(domain TEXT PRIMARY KEY, warned INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE ban(
    network TEXT PRIMARY KEY, since REAL NOT NULL, until REAL NOT NULL, reason TEXT NOT NULL, times INTEGER NOT NULL,
    author TEXT NOT NULL, serial INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ban_serial ON ban(serial);
CREATE TABLE frozen(
    account TEXT PRIMARY KEY, since REAL NOT NULL, score INTEGER NOT NULL, reasons TEXT NOT NULL, author TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE suppression(
    address TEXT PRIMARY KEY, since REAL NOT NULL, until REAL NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE waiting(name TEXT PRIMARY KEY, first REAL NOT NULL, last REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE lift(name TEXT PRIMARY KEY, since REAL NOT NULL, until REAL NOT NULL, author TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sts(
    domain TEXT PRIMARY KEY, id TEXT NOT NULL, mode TEXT NOT NULL, mx TEXT NOT NULL, max_age INTEGER NOT NULL,
    fetched REAL NOT NULL, until REAL NOT NULL, used REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE demanded(domain TEXT PRIMARY KEY, why TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE tls_count(
    day TEXT NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, failure TEXT NOT NULL, host TEXT NOT NULL,
    address TEXT NOT NULL, source TEXT NOT NULL, detail TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (day, domain, policy, failure, host, address, source, detail)
) WITHOUT ROWID;
"""

#: received: reports of others (store.api.reports), data as their kind has it; sent: ours, written down before they are
#: queued; finished: days whose reports have all been made
REPORTS_VERSION: Final = 1
REPORTS: Final = """
CREATE TABLE received(
    kind TEXT NOT NULL, domain TEXT NOT NULL, proven TEXT NOT NULL, org TEXT NOT NULL, id TEXT NOT NULL,
    begin REAL NOT NULL, until REAL NOT NULL, received REAL NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (kind, domain, proven, org, id)
);
CREATE INDEX received_of ON received(domain, proven, received);
CREATE TABLE sent(
    kind TEXT NOT NULL, day TEXT NOT NULL, name TEXT NOT NULL, entry TEXT NOT NULL, at REAL NOT NULL,
    queued INTEGER NOT NULL, PRIMARY KEY (kind, day, name)
) WITHOUT ROWID;
CREATE TABLE finished(kind TEXT NOT NULL, day TEXT NOT NULL, PRIMARY KEY (kind, day)) WITHOUT ROWID;
"""

#: item: a message for one recipient (store.api.quarantine); content: the octets of a queue entry, data NULL: in the
#: file named by the entry, after the prefix
QUARANTINE_VERSION: Final = 1
QUARANTINE: Final = """
CREATE TABLE item(
    id TEXT PRIMARY KEY, entry TEXT NOT NULL, account TEXT NOT NULL, domain TEXT NOT NULL, recipient TEXT NOT NULL,
    sender TEXT NOT NULL, received REAL NOT NULL, until REAL NOT NULL, size INTEGER NOT NULL,
    outgoing INTEGER NOT NULL, author TEXT NOT NULL, subject TEXT NOT NULL, score REAL NOT NULL, why TEXT NOT NULL,
    body TEXT NOT NULL, smtputf8 INTEGER NOT NULL, state TEXT NOT NULL, changed REAL NOT NULL, by TEXT NOT NULL,
    release TEXT NOT NULL, told INTEGER NOT NULL, guarded INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX item_account ON item(account, state, size);
CREATE INDEX item_received ON item(received);
CREATE INDEX item_until ON item(until);
CREATE INDEX item_entry ON item(entry);
CREATE INDEX item_untold ON item(account) WHERE told = 0 AND outgoing = 0 AND state = 'kept';
CREATE INDEX item_releasing ON item(id) WHERE state = 'releasing';
CREATE TABLE content(
    entry TEXT PRIMARY KEY, size INTEGER NOT NULL, prefix BLOB NOT NULL, digest BLOB NOT NULL, data BLOB
);
"""

#: call: of a webhook, until it is taken (store.api.hooks); context: whose a message is, until it is done
WEBHOOKS_VERSION: Final = 1
WEBHOOKS: Final = """
CREATE TABLE call(
    hook TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, time REAL NOT NULL, body BLOB NOT NULL,
    next REAL NOT NULL, attempts INTEGER NOT NULL, last TEXT NOT NULL, dead INTEGER NOT NULL, PRIMARY KEY (hook, id)
);
CREATE INDEX call_next ON call(hook, dead, next);
CREATE TABLE context(id TEXT PRIMARY KEY, at REAL NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
"""

#: state: which segments there are (store.api.index), one row; piece: segment << 24 | number, 64 KiB of a segment; text:
#: what was taken out of a message's attachments. crc: of data, because SQLite does not notice octets that changed
INDEX_VERSION: Final = 1
INDEX: Final = """
CREATE TABLE state(one INTEGER PRIMARY KEY CHECK (one = 1), crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE piece(id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE text(message INTEGER PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL);
"""

#: token: in how many messages of each kind it stood (store.api.training); lesson: what a message was learned as
TRAINING_VERSION: Final = 1
TRAINING: Final = """
CREATE TABLE total(
    one INTEGER PRIMARY KEY CHECK (one = 1), spam INTEGER NOT NULL, ham INTEGER NOT NULL, serial INTEGER NOT NULL
);
INSERT INTO total VALUES (1, 0, 0, 0);
CREATE TABLE token(
    id INTEGER PRIMARY KEY, spam INTEGER NOT NULL DEFAULT 0, ham INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL
);
CREATE TABLE lesson(id TEXT PRIMARY KEY, spam INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE standing(name TEXT PRIMARY KEY, good REAL NOT NULL, bad REAL NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""
