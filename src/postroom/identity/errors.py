"""What identity says no with. Texts name the way out and never hold a password."""

from __future__ import annotations

from postroom.store.api import StoreUnavailable


class BadCredentials(Exception):
    """No such login, no password set, or the wrong one: deliberately one and the same."""


class AppPasswordRefused(Exception):
    """The app password is right, but not for this; the text says why."""


class AccountDisabled(Exception):
    """The password was right, but the account or its domain is switched off."""


class PasswordsUnavailable(StoreUnavailable):
    """Passwords cannot be checked just now (4yz, [UNAVAILABLE]); says nothing about the password."""


class DirectoryError(Exception):
    """An administration command that cannot be done; nothing was changed. advice: what to do about it."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.advice = advice


class NoSuchDomain(DirectoryError):
    """The domain is not hosted here."""


class NoSuchAccount(DirectoryError):
    """There is no account with this login."""


class NoSuchAlias(DirectoryError):
    """There is no alias with this address."""


class NoSuchGroup(DirectoryError):
    """There is no group with this address."""


class AddressTaken(DirectoryError):
    """The address is an account, an alias or a domain that exists already."""


class TooManyAccounts(DirectoryError):
    """The domain has as many accounts as it may."""


class StillInUse(DirectoryError):
    """It cannot be removed while other things depend on it."""


class BadValue(DirectoryError):
    """The text is no address, domain, password or value of the kind that is needed."""
