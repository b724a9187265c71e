"""What is shown as mailboxes and is none: the past of an account, and what its searches find.

Their ids lie above store.api.VIEW, they can only be read, and they have no MODSEQs.
"""

from __future__ import annotations

from typing import Final

from postroom.mailbox.recover import PastRealm, PastStore
from postroom.mailbox.saved import SavedRealm, SavedStore

#: for isinstance
VIEW_STORES: Final = (PastStore, SavedStore)
VIEW_REALMS: Final = (PastRealm, SavedRealm)
