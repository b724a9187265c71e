"""The contract of the store, on every store."""

from __future__ import annotations

from postroom.testing.store_contract import (
    AccountContract,
    AclContract,
    AlarmContract,
    AnnotationContract,
    AuditContract,
    ContactsContract,
    DirectoryContract,
    EventContract,
    FilterContract,
    FlagContract,
    FolderContract,
    GroupContract,
    HookContract,
    LimitsContract,
    MarkContract,
    PastContract,
    QuarantineContract,
    QueueContract,
    ReportContract,
    SavedContract,
    SpoolContract,
    TrainingContract,
    TraitContract,
    TransportContract,
    UsageContract,
)


class TestAccounts(AccountContract):
    pass


class TestAcls(AclContract):
    pass


class TestGroups(GroupContract):
    pass


class TestMarks(MarkContract):
    pass


class TestAlarms(AlarmContract):
    pass


class TestAnnotations(AnnotationContract):
    pass


class TestAudit(AuditContract):
    pass


class TestEvents(EventContract):
    pass


class TestFilters(FilterContract):
    pass


class TestFlags(FlagContract):
    pass


class TestFolders(FolderContract):
    pass


class TestContacts(ContactsContract):
    pass


class TestDirectory(DirectoryContract):
    pass


class TestLimits(LimitsContract):
    pass


class TestPast(PastContract):
    pass


class TestQueue(QueueContract):
    pass


class TestHooks(HookContract):
    pass


class TestTraining(TrainingContract):
    pass


class TestQuarantine(QuarantineContract):
    pass


class TestReports(ReportContract):
    pass


class TestSpool(SpoolContract):
    pass


class TestSaved(SavedContract):
    pass


class TestTraits(TraitContract):
    pass


class TestTransport(TransportContract):
    pass


class TestUsage(UsageContract):
    pass
