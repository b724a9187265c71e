"""What a store can say no with. Each names what the caller may tell its peer."""


class StoreError(Exception):
    """The store could not do what was asked; nothing was changed."""


class StoreUnavailable(StoreError):
    """Disk full, IO error, lock not to be had in time: the same call may succeed later (4yz, [UNAVAILABLE])."""


class StoreBusy(StoreUnavailable):
    """Somebody else has held the file for too long ([INUSE])."""


class StoreDamaged(StoreUnavailable):
    """What is kept cannot be read, and will not be by itself ([CORRUPTION]); `postroom check` says what it is."""


class NotFound(StoreError):
    """No such account, mailbox, message or queue entry."""


class MessageGone(StoreError):
    """The message to be replaced is not there any more ([EXPUNGEISSUED])."""


class MailboxExists(StoreError):
    """A mailbox of that name is there already ([ALREADYEXISTS])."""


class MailboxHasChildren(StoreError):
    """The mailbox cannot be removed while others lie below it ([HASCHILDREN])."""


class OverQuota(StoreError):
    """One of the account's limits, octets or messages, would be passed ([OVERQUOTA], 452 4.2.2)."""


class TooManyKeywords(StoreError):
    """A mailbox knows at most 64 keywords ([LIMIT])."""


class TooManyAnnotations(StoreError):
    """A mailbox, or the account itself, holds as many annotations as it may ([METADATA TOOMANY])."""


class TooManyScripts(StoreError):
    """An account holds as many scripts as it may ([QUOTA/MAXSCRIPTS])."""


class TooManySearches(StoreError):
    """An account keeps as many searches as it may."""


class TooManyContacts(StoreError):
    """An address book would have more addresses than it may."""


class ScriptExists(StoreError):
    """A script of that name is there already ([ALREADYEXISTS])."""


class ScriptActive(StoreError):
    """The active script cannot be removed ([ACTIVE])."""


class DeliveredAlready(StoreError):
    """This (queue id, recipient) was committed before; delivering again changes nothing."""
