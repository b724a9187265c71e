"""What must not be in the tables of the files that all accounts share (docs/store.md, invariants).

Rules of policy.db know the accounts there are as the table `known` (see shared.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from postroom.store.api.reports import LARGEST
from postroom.store.embedded.checks.account_rules import TRAINING
from postroom.store.embedded.checks.row_rules import Rule

_HOSTED: Final = "(SELECT name FROM domain)"
_ACCOUNTS: Final = "(SELECT id FROM account)"
_STRAY_MEMBERS: Final = "team_member WHERE team NOT IN (SELECT address FROM team)"
_LOST_TOKENS: Final = f"token WHERE account NOT IN {_ACCOUNTS}"
_LOST_SHARES: Final = f"share WHERE account NOT IN {_ACCOUNTS} OR identifier = ''"
_LOST_DELEGATES: Final = f"delegate WHERE account NOT IN {_ACCOUNTS} OR mode NOT IN ('as', 'behalf')"
#: what is not the part of an address behind its @
_ELSEWHERE: Final = "substr({0}, -length(domain) - 1) != '@' || domain"

#: directory.db
DIRECTORY: Final = (
    Rule(
        "SELECT 'version' WHERE NOT EXISTS (SELECT 1 FROM version)",
        "nobody can see that something changed: the {} is missing",
        "INSERT INTO version VALUES (1, 1)",
    ),
    Rule(
        f"SELECT name FROM domain WHERE alias_of != '' AND alias_of NOT IN {_HOSTED}",
        "domains {} stand for a domain that is not hosted",
    ),
    Rule(f"SELECT login FROM account WHERE domain NOT IN {_HOSTED}", "the domain of the accounts {} is not hosted"),
    Rule(
        f"SELECT login FROM account WHERE {_ELSEWHERE.format('login')}", "accounts {} are not of the domain they name"
    ),
    Rule(f"SELECT address FROM alias WHERE domain NOT IN {_HOSTED}", "the domain of the aliases {} is not hosted"),
    Rule(
        f"SELECT address FROM alias WHERE {_ELSEWHERE.format('address')}",
        "aliases {} are not of the domain they name",
        "UPDATE alias SET domain = substr(address, instr(address, '@') + 1)"
        f" WHERE {_ELSEWHERE.format('address')} AND address LIKE '%_@_%' AND address NOT LIKE '%@%@%'",
    ),
    Rule(
        "SELECT address FROM alias WHERE NOT json_valid(members) OR json_type(members) != 'array'",
        "it is lost for whom the aliases {} stand",
    ),
    Rule(
        f"SELECT domain FROM signing_key WHERE domain NOT IN {_HOSTED}", "the domain of the keys for {} is not hosted"
    ),
    Rule(
        "SELECT selector || '._domainkey.' || domain FROM signing_key"
        " WHERE state NOT IN ('next', 'active', 'retired') OR instr(private, 'PRIVATE KEY') = 0",
        "keys {} cannot be used",
    ),
    Rule(f"SELECT id FROM {_LOST_TOKENS}", "tokens {} belong to no account", f"DELETE FROM {_LOST_TOKENS}"),
    Rule(f"SELECT address FROM team WHERE domain NOT IN {_HOSTED}", "the domain of the groups {} is not hosted"),
    Rule(
        f"SELECT team FROM {_STRAY_MEMBERS}",
        "somebody is in the groups {}, which are not there",
        f"DELETE FROM {_STRAY_MEMBERS}",
    ),
    Rule(
        f"SELECT account FROM {_LOST_SHARES}",
        "accounts {} share something and are not there",
        f"DELETE FROM {_LOST_SHARES}",
    ),
    Rule(
        f"SELECT identifier FROM {_LOST_DELEGATES}",
        "{} may send for accounts that are not there, or in no way there is",
        f"DELETE FROM {_LOST_DELEGATES}",
    ),
    Rule("SELECT owner FROM filter WHERE NOT json_valid(data)", "what {} wanted of the spam filter is lost"),
    Rule(
        f"SELECT owner FROM filter WHERE owner NOT IN {_HOSTED} AND owner NOT IN (SELECT login FROM account)"
        " AND owner NOT IN (SELECT login FROM deleted_account)",
        "something is wanted of the spam filter by {}, who are not here",
        f"DELETE FROM filter WHERE owner NOT IN {_HOSTED} AND owner NOT IN (SELECT login FROM account)"
        " AND owner NOT IN (SELECT login FROM deleted_account)",
    ),
    Rule(
        f"SELECT name FROM site_script WHERE owner != '' AND owner NOT IN {_HOSTED}",
        "the domain of the site scripts {} is not hosted",
        f"DELETE FROM site_script WHERE owner != '' AND owner NOT IN {_HOSTED}",
    ),
    Rule(
        f"SELECT login FROM deleted_account WHERE id IN {_ACCOUNTS}",
        "accounts {} are deleted, and there",
        f"DELETE FROM deleted_account WHERE id IN {_ACCOUNTS}",
    ),
)

#: a queue's slot
QUEUE: Final = (
    Rule(
        "SELECT hex(key) FROM answer WHERE length(key) = 0 OR length(answer) = 0",
        "requests {} were told nothing",
        "DELETE FROM answer WHERE length(key) = 0 OR length(answer) = 0",
    ),
)

_NOBODYS: Final = "account != '' AND account NOT IN (SELECT id FROM known)"
_POLICY: Final = (
    Rule(
        "SELECT 'version' WHERE NOT EXISTS (SELECT 1 FROM version)",
        "nobody can see that something changed: the {} is missing",
        "INSERT INTO version SELECT 1, coalesce(max(serial), 0) + 1 FROM ban",
    ),
    Rule("SELECT name FROM used WHERE count < 0", "less than nothing was counted for {}",
         "DELETE FROM used WHERE count < 0"),
    Rule(
        "SELECT name FROM warned WHERE typeof(until) NOT IN ('real', 'integer')",
        "it has no end that {} were warned",
        "DELETE FROM warned WHERE typeof(until) NOT IN ('real', 'integer')",
    ),
    *(
        Rule(f"SELECT account FROM {table} WHERE {_NOBODYS}", words, f"DELETE FROM {table} WHERE {_NOBODYS}")
        for table, words in (
            ("correspondent", "accounts {} wrote to somebody and are not there"),
            ("sent_id", "accounts {} sent something and are not there"),
            ("place", "accounts {} were logged in to and are not there"),
            ("held", "accounts {} hold something and are not there"),
            ("frozen", "accounts {} may not send and are not there"),
        )
    ),
    Rule(
        "SELECT account FROM held WHERE octets < 0 OR messages < 0 OR percent < 0",
        "accounts {} hold less than nothing",
        "DELETE FROM held WHERE octets < 0 OR messages < 0 OR percent < 0",
    ),
    Rule("SELECT domain FROM held_domain WHERE warned < 0", "domains {} were warned of less than nothing",
         "DELETE FROM held_domain WHERE warned < 0"),
    Rule(
        "SELECT network FROM ban WHERE serial > (SELECT number FROM version)",
        "bans of {} are newer than what is known of bans",
        "UPDATE version SET number = (SELECT max(serial) FROM ban)",
    ),
    Rule("SELECT network FROM ban WHERE instr(network, '.') = 0 AND instr(network, ':') = 0",
         "{} are no networks to be banned"),
    Rule("SELECT account FROM frozen WHERE NOT json_valid(reasons)", "it is lost why accounts {} may not send",
         "UPDATE frozen SET reasons = '[]' WHERE NOT json_valid(reasons)"),
    Rule(
        "SELECT quote(address) FROM suppression WHERE instr(address, '@') = 0",
        "{} are no addresses to be left alone",
        "DELETE FROM suppression WHERE instr(address, '@') = 0",
    ),
    Rule(
        "SELECT name FROM waiting WHERE first > last",
        "it was heard of {} before it came",
        "DELETE FROM waiting WHERE first > last",
    ),
    Rule("SELECT name FROM lift WHERE until < since", "limits of {} were lifted until before they were",
         "DELETE FROM lift WHERE until < since"),
    Rule("SELECT domain FROM sts WHERE NOT json_valid(mx)", "policies of {} name no servers",
         "DELETE FROM sts WHERE NOT json_valid(mx)"),
    Rule("SELECT quote(domain) FROM demanded WHERE domain = ''", "TLS was demanded by nobody: {}",
         "DELETE FROM demanded WHERE domain = ''"),
    Rule(
        "SELECT domain FROM tls_count WHERE count < 1 OR length(day) != 10",
        "connections to {} were counted on no day, or none were",
        "DELETE FROM tls_count WHERE count < 1 OR length(day) != 10",
    ),
)  # fmt: skip
_REPORTS: Final = (
    Rule("SELECT domain FROM received WHERE begin > until", "reports about {} end before they begin"),
    Rule(f"SELECT domain FROM received WHERE length(data) > {LARGEST}", "reports about {} are larger than is kept"),
    Rule(
        "SELECT name FROM sent WHERE length(day) != 10 OR entry = ''", "reports to {} were written down without a day"
    ),
    Rule(
        "SELECT kind || ' ' || day FROM finished WHERE length(day) != 10",
        "days that are done are no days: {}",
        "DELETE FROM finished WHERE length(day) != 10",
    ),
)
_WEBHOOKS: Final = (
    Rule("SELECT hook FROM call WHERE json_valid(CAST(body AS TEXT)) = 0", "calls of {} have no JSON"),
    Rule(
        "SELECT hook FROM call WHERE attempts < 0",
        "calls of {} cannot be made",
        "UPDATE call SET attempts = 0 WHERE attempts < 0",
    ),
    Rule(
        "SELECT type FROM call WHERE id = '' OR hook = ''",
        "nobody is to be told of {}",
        "DELETE FROM call WHERE id = '' OR hook = ''",
    ),
    Rule(
        "SELECT id FROM context WHERE length(data) = 0",
        "whose the messages {} are is lost",
        "DELETE FROM context WHERE length(data) = 0",
    ),
)
_ALARMS: Final = (
    Rule(
        "SELECT name FROM alarm WHERE count < 1 OR first > last OR NOT json_valid(CAST(fields AS TEXT))",
        "the alarms {} cannot be told",
        "DELETE FROM alarm WHERE count < 1 OR first > last OR NOT json_valid(CAST(fields AS TEXT))",
    ),
)

_ITEM_LOST: Final = "entry NOT IN (SELECT entry FROM content)"
_QUARANTINE: Final = (
    Rule(f"SELECT id FROM item WHERE {_ITEM_LOST}", "the octets of {} in quarantine are lost"),
    Rule(
        "SELECT id FROM item WHERE until < received",
        "{} were to leave the quarantine before they came",
        "UPDATE item SET until = received + 2592000 WHERE until < received",
    ),
    Rule(
        "SELECT id FROM item WHERE state NOT IN ('kept', 'releasing', 'released', 'deleted')",
        "it is lost what became of {} in quarantine",
        "UPDATE item SET state = 'kept' WHERE state NOT IN ('kept', 'releasing', 'released', 'deleted')",
    ),
    Rule("SELECT entry FROM content WHERE length(data) != size", "octets of {} in quarantine are missing"),
    Rule(
        "SELECT entry FROM content WHERE entry NOT IN (SELECT entry FROM item)",
        "octets of {} are in quarantine for nobody",
        "DELETE FROM content WHERE entry NOT IN (SELECT entry FROM item)",
    ),
)

#: the small files, by name
FILES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "policy.db": _POLICY,
    "reports.db": _REPORTS,
    "webhooks.db": _WEBHOOKS,
    "alarms.db": _ALARMS,
    "training.db": TRAINING,
    "quarantine.db": _QUARANTINE,
}
