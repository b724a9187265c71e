"""What must not be in the tables of an account's files (docs/store.md, invariants), but for what needs a look inside.

`modseq`, `end` and `box` below are pieces of SQL: the account's MODSEQ, the first message id without traits, and the
mailboxes there are.
"""

from __future__ import annotations

from typing import Final

from postroom.store.api.filters import MOST_REMEMBERED
from postroom.store.api.marks import SeenMode
from postroom.store.api.traits import BLOCK
from postroom.store.embedded.checks.row_rules import Rule
from postroom.store.embedded.metadata import MOST_REMOVED
from postroom.values.rights import ALL

_MODSEQ: Final = "(SELECT max(n) FROM (SELECT modseq AS n FROM account UNION ALL SELECT account_modseq FROM mailbox))"
_NEXT: Final = "(SELECT max(n) FROM (SELECT next_message AS n FROM account UNION ALL SELECT next_message FROM mailbox))"
_END: Final = "(SELECT first + count FROM traits ORDER BY first DESC LIMIT 1)"
_BOX: Final = "(SELECT id FROM mailbox)"
_MODES: Final = ", ".join(f"'{mode.value}'" for mode in SeenMode)
_NO_TRAITS: Final = "DELETE FROM traits"
_NO_FINDS: Final = (
    "length(uids) != length(messages) OR length(uids) % 8 != 0 OR uidnext < 1 OR uidnext * 8 <= length(uids)"
)
_NO_CONTACT: Final = "instr(address, '@') < 2 OR instr(address, char(10)) OR address != lower(address)"
_OLD_REMOVED: Final = f"FROM annotation WHERE value IS NULL ORDER BY modseq DESC LIMIT -1 OFFSET {MOST_REMOVED}"

#: mail.db
MAIL: Final = (
    Rule(
        "SELECT name FROM mailbox WHERE uidvalidity > (SELECT uidvalidity FROM account)",
        "mailboxes {} have a UIDVALIDITY above the account's",
        "UPDATE account SET uidvalidity = (SELECT max(uidvalidity) FROM mailbox)",
    ),
    Rule(
        f"SELECT name FROM mailbox WHERE seen NOT IN ({_MODES})",
        "nobody knows whose \\Seen is in mailboxes {}",
        f"UPDATE mailbox SET seen = '' WHERE seen NOT IN ({_MODES})",
    ),
    Rule("SELECT id FROM mailbox WHERE name = ''", "mailboxes {} have no name"),
    # what is subscribed to, noted, granted, seen
    Rule(
        "SELECT quote(name) FROM subscription WHERE name = '' OR instr(name, char(10)) OR length(name) > 4000",
        "nothing is called what is subscribed to: {}",
        "DELETE FROM subscription WHERE name = '' OR instr(name, char(10)) OR length(name) > 4000",
    ),
    Rule(
        f"SELECT mailbox FROM annotation WHERE mailbox != 0 AND mailbox NOT IN {_BOX}",
        "annotations are of mailbox {}, which is not there",
        f"DELETE FROM annotation WHERE mailbox != 0 AND mailbox NOT IN {_BOX}",
    ),
    Rule(
        f"SELECT mailbox FROM annotation WHERE modseq > {_MODSEQ}",
        "an annotation of mailbox {} is above the account's MODSEQ",
        f"UPDATE annotation SET modseq = {_MODSEQ} WHERE modseq > {_MODSEQ}",
    ),
    Rule(
        "SELECT quote(entry) FROM annotation WHERE entry = '' OR name = ''",
        "no program can ask for the annotations {}",
        "DELETE FROM annotation WHERE entry = '' OR name = ''",
    ),
    Rule(
        f"SELECT entry {_OLD_REMOVED}",
        "removed annotations are kept beyond their number: {}",
        "DELETE FROM annotation WHERE value IS NULL AND (mailbox, login, entry) IN"
        f" (SELECT mailbox, login, entry {_OLD_REMOVED})",
    ),
    Rule(
        f"SELECT mailbox FROM acl WHERE mailbox != 0 AND mailbox NOT IN {_BOX}",
        "an ACL is of mailbox {}, which is not there",
        f"DELETE FROM acl WHERE mailbox != 0 AND mailbox NOT IN {_BOX}",
    ),
    Rule(
        f"SELECT mailbox FROM acl WHERE rights <= 0 OR rights > {ALL}", "the ACL of mailbox {} has rights there are not"
    ),
    Rule(
        "SELECT mailbox FROM acl WHERE identifier = ''",
        "the ACL of mailbox {} names nobody",
        "DELETE FROM acl WHERE identifier = ''",
    ),
    Rule(
        f"SELECT mailbox FROM mark WHERE mailbox NOT IN {_BOX}",
        "marks are of mailbox {}, which is not there",
        f"DELETE FROM mark WHERE mailbox NOT IN {_BOX}",
    ),
    # messages
    Rule(
        "SELECT message FROM origin WHERE message NOT IN (SELECT id FROM message)",
        "it is known where messages {} came from, but they are not kept",
        "DELETE FROM origin WHERE message NOT IN (SELECT id FROM message)",
    ),
    Rule(
        "SELECT message FROM origin WHERE emailid = ''",
        "messages {} came from elsewhere without a name",
        "DELETE FROM origin WHERE emailid = ''",
    ),
    Rule("SELECT id FROM message WHERE length(guid) != 16", "messages {} have no name that is like no other's"),
    # traits
    Rule(
        f"SELECT first FROM traits WHERE count < 1 OR (first - 1) / {BLOCK} != (first + count - 2) / {BLOCK}",
        "traits reach into another block, or are of nobody: rows {}",
        _NO_TRAITS,
    ),
    Rule(
        "SELECT first FROM (SELECT first, lag(first + count, 1, 1) OVER (ORDER BY first) AS before FROM traits)"
        f" WHERE first < before OR first > before AND (first - 1) % {BLOCK} != 0",
        "rows of traits do not follow each other: {}",
        _NO_TRAITS,
    ),
    Rule(
        f"SELECT first FROM traits WHERE first + count > {_NEXT}",
        "traits are of messages that have not come yet: rows {}",
        _NO_TRAITS,
    ),
    Rule(
        f"SELECT id FROM message WHERE id < {_END} AND NOT EXISTS"
        f" (SELECT 1 FROM traits WHERE first BETWEEN id - {BLOCK - 1} AND id AND first + count > id)",
        "messages {} have no traits",
        _NO_TRAITS,
    ),
    Rule(
        "SELECT id FROM reference WHERE id = 0 OR thread = 0",
        "nothing refers to the threads {}",
        "DELETE FROM reference WHERE id = 0 OR thread = 0",
    ),
    # what was
    Rule(
        "SELECT mailbox FROM former WHERE mailbox NOT IN (SELECT mailbox FROM life)",
        "names were those of mailbox {}, of which nothing is known",
        "DELETE FROM former WHERE mailbox NOT IN (SELECT mailbox FROM life)",
    ),
    Rule(
        "SELECT mailbox FROM life WHERE deleted IS NOT NULL"
        " AND (name IS NULL OR uidvalidity IS NULL OR special_use IS NULL OR keywords IS NULL)",
        "it is not known what mailboxes {} were when they were deleted",
        "UPDATE life SET name = coalesce(name, 'Mailbox ' || mailbox), uidvalidity = coalesce(uidvalidity, 1),"
        " special_use = coalesce(special_use, ''), keywords = coalesce(keywords, '') WHERE deleted IS NOT NULL",
    ),
    Rule(
        f"SELECT name FROM saved WHERE {_NO_FINDS}",
        "what the searches {} found is cut off",
        "UPDATE saved SET uidvalidity = uidvalidity + 1, uidnext = 1, version = version + 1, uids = x'', messages = x''"
        f" WHERE {_NO_FINDS};"
        " UPDATE account SET uidvalidity = max(uidvalidity, (SELECT max(uidvalidity) FROM saved))",
    ),
    Rule(
        "SELECT id FROM saved WHERE name = '' OR query = ''",
        "searches {} look for nothing",
        "DELETE FROM saved WHERE name = '' OR query = ''",
    ),
    Rule(
        f"SELECT quote(address) FROM contact WHERE {_NO_CONTACT}",
        "nobody has the addresses {} of the address book",
        f"DELETE FROM contact WHERE {_NO_CONTACT}",
    ),
    # what sorts mail
    Rule(
        "SELECT name FROM script WHERE size != length(data)",
        "scripts {} are not as long as they say",
        "UPDATE script SET size = length(data) WHERE size != length(data)",
    ),
    Rule(
        "SELECT 'filters' WHERE NOT EXISTS (SELECT 1 FROM filter)",
        "it is not known which of the {} is active: none is",
        "INSERT INTO filter VALUES (1, 1, '')",
    ),
    Rule(
        "SELECT active FROM filter WHERE active != '' AND active NOT IN (SELECT name FROM script)",
        "the script {} is active and not there",
        "UPDATE filter SET active = '', serial = serial + 1",
    ),
    Rule(
        "SELECT hex(key) FROM remembered WHERE typeof(key) != 'blob' OR length(key) = 0"
        " OR typeof(until) NOT IN ('real', 'integer')",
        "nobody can have remembered {}",
        "DELETE FROM remembered WHERE typeof(key) != 'blob' OR length(key) = 0"
        " OR typeof(until) NOT IN ('real', 'integer')",
    ),
    Rule(
        f"SELECT count(*) FROM remembered HAVING count(*) > {MOST_REMEMBERED}",
        "more is remembered than may be: {}",
        f"DELETE FROM remembered WHERE key IN (SELECT key FROM remembered ORDER BY until DESC LIMIT -1"
        f" OFFSET {MOST_REMEMBERED})",
    ),
    Rule(
        "SELECT queue || ' ' || recipient FROM delivered WHERE queue = '' OR recipient = ''",
        "something was delivered to nobody: {}",
        "DELETE FROM delivered WHERE queue = '' OR recipient = ''",
    ),
)

#: training.db, an account's or everybody's
TRAINING: Final = (
    Rule(
        "SELECT 'total' WHERE NOT EXISTS (SELECT 1 FROM total)",
        "how much was learned is lost: {}",
        "INSERT INTO total SELECT 1, coalesce(sum(spam), 0), coalesce(sum(1 - spam), 0), 0 FROM lesson",
    ),
    Rule(
        "SELECT one FROM total WHERE spam < 0 OR ham < 0",
        "less than nothing was learned",
        "UPDATE total SET spam = max(spam, 0), ham = max(ham, 0)",
    ),
    Rule(
        "SELECT id FROM token WHERE spam < 0 OR ham < 0",
        "words {} were learned less often than never",
        "DELETE FROM token WHERE spam < 0 OR ham < 0",
    ),
    Rule(
        "SELECT quote(id) FROM lesson WHERE spam NOT IN (0, 1) OR id = ''",
        "it is not known what {} was learned as",
        "DELETE FROM lesson WHERE spam NOT IN (0, 1) OR id = ''",
    ),
    Rule(
        "SELECT name FROM standing WHERE good < 0 OR bad < 0 OR name = ''",
        "less than nothing came from {}",
        "DELETE FROM standing WHERE good < 0 OR bad < 0 OR name = ''",
    ),
)
