"""What every store must do: written once against the Protocols, run on each implementation.

A test module gives fixtures `store` (an open Store) and `clock` (a SettableClock the store was made with), and
derives a class from each contract here. Tests that need a disk or several processes are the implementation's own.
"""

from postroom.testing.store_contract.accounts import AccountContract
from postroom.testing.store_contract.alarms import AlarmContract
from postroom.testing.store_contract.audit import AuditContract
from postroom.testing.store_contract.build import SettableClock, message, received
from postroom.testing.store_contract.contacts import ContactsContract
from postroom.testing.store_contract.directory import DirectoryContract
from postroom.testing.store_contract.events import EventContract
from postroom.testing.store_contract.filters import FilterContract
from postroom.testing.store_contract.flags import FlagContract
from postroom.testing.store_contract.folders import FolderContract
from postroom.testing.store_contract.hooks import HookContract
from postroom.testing.store_contract.limits import LimitsContract
from postroom.testing.store_contract.marks import MarkContract
from postroom.testing.store_contract.metadata import AnnotationContract
from postroom.testing.store_contract.past import PastContract
from postroom.testing.store_contract.quarantine import QuarantineContract
from postroom.testing.store_contract.queue import QueueContract
from postroom.testing.store_contract.reports import ReportContract
from postroom.testing.store_contract.saved import SavedContract
from postroom.testing.store_contract.sharing import AclContract, GroupContract
from postroom.testing.store_contract.spool import SpoolContract
from postroom.testing.store_contract.training import TrainingContract
from postroom.testing.store_contract.traits import TraitContract
from postroom.testing.store_contract.transport import TransportContract
from postroom.testing.store_contract.usage import UsageContract

__all__ = [
    "AccountContract",
    "AclContract",
    "AlarmContract",
    "AnnotationContract",
    "AuditContract",
    "ContactsContract",
    "DirectoryContract",
    "EventContract",
    "FilterContract",
    "FlagContract",
    "FolderContract",
    "GroupContract",
    "HookContract",
    "LimitsContract",
    "MarkContract",
    "PastContract",
    "QuarantineContract",
    "QueueContract",
    "ReportContract",
    "SavedContract",
    "SettableClock",
    "SpoolContract",
    "TrainingContract",
    "TraitContract",
    "TransportContract",
    "UsageContract",
    "message",
    "received",
]
