"""Decisions with reasons: how many connections, how many failed logins, how much a minute. Counts are shared."""

from postroom.policy.bans import Bans
from postroom.policy.conduct import Conduct, Offence, Tally
from postroom.policy.connections import ConnectionGate
from postroom.policy.decision import ADMITTED, Admission
from postroom.policy.logins import LoginThrottle
from postroom.policy.networks import Networks
from postroom.policy.outgoing import Outgoing
from postroom.policy.rates import Rates
from postroom.policy.tables import Tables

__all__ = [
    "ADMITTED",
    "Admission",
    "Bans",
    "Conduct",
    "ConnectionGate",
    "LoginThrottle",
    "Networks",
    "Offence",
    "Outgoing",
    "Rates",
    "Tables",
    "Tally",
]
