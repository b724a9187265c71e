"""Several clients do random things to one mailbox; what each believes is checked against what is true.

Each client keeps what a careful mail program keeps: UIDs by number, flags, and the HIGHESTMODSEQ it may rely on. It
checks every response against the rules, and whatever it believes must be true whenever nothing is held back. Clients
with QRESYNC are cut off at random and come back with what they knew (RFC 7162 6).
"""

from __future__ import annotations

import random
import re

import pytest
from imap_house import Client, House, fill, settle

from postroom.mailbox.service import Account

FLAGS = ["\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "$Work", "$Later"]
ROW = re.compile(r"\* (\d+) FETCH \((.*)\)")
UID = re.compile(r"UID (\d+)")
#: a flag of the session, which nobody else believes in
RECENT = frozenset(("\\Recent",))
FLAG_LIST = re.compile(r"FLAGS \(([^)]*)\)")
MODSEQ = re.compile(r"MODSEQ \((\d+)\)")
HIGHEST = re.compile(r"\[HIGHESTMODSEQ (\d+)\]")


def numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition(":")
        found.extend(range(int(low), int(high or low) + 1))
    return found


class Device:
    """A client and what it believes."""

    def __init__(self, client: Client, name: str, *, qresync: bool) -> None:
        self.client = client
        self.name = name
        self.qresync = qresync
        self.uids: list[int] = []  # 0: not known yet
        self.flags: dict[int, frozenset[str]] = {}
        self.highest = 0
        self.validity = 0
        self.count = 0
        self.log: list[str] = []

    async def open(self) -> None:
        if self.qresync:
            await self.client.do("ENABLE QRESYNC")
        lines = await self.client.do("SELECT INBOX")
        for line in lines:
            if line.endswith(" EXISTS"):
                self.uids = [0] * int(line.split()[1])
            elif "UIDVALIDITY" in line:
                self.validity = int(re.search(r"UIDVALIDITY (\d+)", line)[1])  # type: ignore[index]
            elif found := HIGHEST.search(line):
                self.highest = int(found[1])
        await self.do("UID FETCH 1:* (FLAGS)")
        await self.do("NOOP")

    async def come_back(self, client: Client) -> None:
        """A new connection that brings what the old one knew (RFC 7162 3.2.5)."""
        self.client = client
        await client.do("ENABLE QRESYNC")
        known = {uid: self.flags.get(uid) for uid in self.uids if uid}
        lines = await client.do(f"SELECT INBOX (QRESYNC ({self.validity} {self.highest}))")
        exists = 0
        told: dict[int, frozenset[str]] = {}
        for line in lines:
            if line.endswith(" EXISTS"):
                exists = int(line.split()[1])
            elif line.startswith("* VANISHED (EARLIER) "):
                for uid in numbers(line.split()[3]):
                    known.pop(uid, None)
            elif row := ROW.fullmatch(line):
                told[int(UID.search(row[2])[1])] = frozenset(FLAG_LIST.search(row[2])[1].split()) - RECENT  # type: ignore[index]
            elif found := HIGHEST.search(line):
                self.highest = int(found[1])
        known.update(told)
        # messages whose UIDs it never asked for are new to it: it learns them now, as a client would from UIDNEXT
        [found_now] = await client.do("UID SEARCH RETURN (ALL) ALL")
        present = numbers(found_now.split("ALL ")[1]) if "ALL " in found_now else []
        assert len(present) == exists, (self.name, lines, found_now)
        assert known.keys() <= set(present), (self.name, known, present, self.log[-30:])
        self.uids = [uid if uid in known else 0 for uid in present]
        self.flags = {uid: flags for uid, flags in known.items() if flags is not None}

    async def do(self, command: str, expect: str = "OK") -> list[str]:
        """A command; what it says is believed."""
        self.count += 1
        tag = f"x{self.count}"
        expunge_ok = command.split()[0] not in ("FETCH", "STORE", "SEARCH")
        text = (await self.client.say(f"{tag} {command}")).decode()
        lines = text.replace("{7}\r\nHello\r\n", '""').split("\r\n")[:-1]
        self.log += [f"C: {command}", *lines]
        self.hear(lines[:-1], expunge_ok=expunge_ok, tagged=lines[-1])
        assert lines[-1].startswith(f"{tag} "), self.log[-20:]
        assert expect in lines[-1] or " NO [EXPUNGEISSUED]" in lines[-1] or " NO [COPYUID" in lines[-1], self.log[-20:]
        return lines

    def hear(self, lines: list[str], *, expunge_ok: bool, tagged: str = "") -> None:  # noqa: C901 - one case a line
        promised = None
        seen = 0
        for line in lines:
            words = line.split()
            if words[-1] == "EXISTS":
                assert int(words[1]) >= len(self.uids), self.log[-20:]
                self.uids += [0] * (int(words[1]) - len(self.uids))
            elif words[-1] == "EXPUNGE":
                assert expunge_ok, self.log[-20:]
                assert not self.qresync
                del self.uids[int(words[1]) - 1]
            elif line.startswith("* VANISHED ("):
                pass  # answers FETCH (VANISHED)
            elif line.startswith("* VANISHED "):
                assert expunge_ok, self.log[-20:]
                assert self.qresync
                self._vanish(numbers(words[2]))
            elif row := ROW.fullmatch(line):
                seen = max(seen, self._row(int(row[1]), row[2]))
            elif found := HIGHEST.search(line):
                promised = int(found[1])
        if found := HIGHEST.search(tagged):
            promised = int(found[1])
        if promised is not None:
            self.highest = promised
        elif tagged and seen > self.highest:
            self.highest = seen

    def _vanish(self, uids: list[int]) -> None:
        for uid in uids:
            if uid not in self.uids:  # it must be one whose UID we have not seen yet
                below = max((place for place, known in enumerate(self.uids) if 0 < known < uid), default=-1)
                del self.uids[self.uids.index(0, below + 1)]
            else:
                self.uids.remove(uid)

    def _row(self, seq: int, items: str) -> int:
        assert 1 <= seq <= len(self.uids), self.log[-20:]
        if found := UID.search(items):
            uid = int(found[1])
            assert self.uids[seq - 1] in (0, uid), (self.uids, self.log[-30:])
            self.uids[seq - 1] = uid
            known = [uid for uid in self.uids if uid]
            assert known == sorted(set(known)), (self.uids, self.log[-30:])
        uid = self.uids[seq - 1]
        if uid and (flags := FLAG_LIST.search(items)):
            self.flags[uid] = frozenset(flags[1].split()) - RECENT
        modseq = MODSEQ.search(items)
        return int(modseq[1]) if modseq else 0

    def assume(self, uids: list[int], op: str, flags: list[str]) -> None:
        """What .SILENT leaves to the client's own reckoning."""
        for uid in uids:
            before = self.flags.get(uid)
            if before is not None:
                after = {"": set(flags), "+": before | set(flags), "-": before - set(flags)}[op]
                self.flags[uid] = frozenset(after)

    async def check(self, truth: dict[int, frozenset[str]]) -> None:
        """After NOOP nothing is held back: the client's picture is true."""
        await self.do("NOOP")
        if 0 in self.uids:
            await self.do("UID FETCH 1:* (FLAGS)")
            await self.do("NOOP")
        assert self.uids == sorted(truth), (self.name, self.log[-40:])
        for uid, flags in self.flags.items():
            if uid in truth:
                assert flags == truth[uid], (self.name, uid, flags, truth[uid], self.log[-40:])


async def truth_of(account: Account) -> dict[int, frozenset[str]]:
    from postroom.values.flags import PRINTED

    info = await account.find("INBOX")
    snapshot = await account.snapshot(info.id)
    found = {}
    for page in snapshot.pages:
        for uid, bits, keywords in zip(page.uids, page.flags, page.keywords, strict=True):
            found[uid] = frozenset(PRINTED[bits].decode().split()) | frozenset(snapshot.keyword_names(keywords))
    return found


async def step(device: Device, dice: random.Random, account: Account, made: list[int]) -> None:  # noqa: C901
    count = len(device.uids)
    what = dice.randrange(14)
    if what < 5 and count:
        some = sorted(dice.sample(range(1, count + 1), min(count, dice.randint(1, 4))))
        op, silent = dice.choice(["", "+", "-"]), dice.choice(["", ".SILENT"])
        flags = dice.sample(FLAGS, dice.randint(0, 2))
        before = list(device.uids)
        chosen = [before[seq - 1] for seq in some]
        by_uid = dice.random() < 0.5 and all(chosen)
        listed = ",".join(map(str, chosen if by_uid else some))
        if silent:
            device.assume([uid for uid in chosen if uid], op, flags)  # responses that follow know better
        verb = "UID STORE" if by_uid else "STORE"
        await device.do(f"{verb} {listed} {op}FLAGS{silent} ({' '.join(flags)})")
    elif what == 5:
        await device.do("EXPUNGE")
    elif what == 6:
        await fill(account, "INBOX", dice.randint(1, 3), first=made[0])
        made[0] += 3
    elif what == 7 and count:
        await device.do(f"FETCH {dice.randint(1, count)}:* (UID FLAGS)")
    elif what == 8:
        await device.do("NOOP")
    elif what == 9 and count:
        seq = dice.randint(1, count)
        await device.do(f"{dice.choice(['COPY', 'MOVE'])} {seq} {dice.choice(['INBOX', 'Archive'])}", "")
    elif what == 10 and count:
        await device.do(f"FETCH {dice.randint(1, count)} (FLAGS BODY[TEXT])")
    elif what == 11:
        await device.do("SEARCH UNSEEN")
    elif what == 12:
        await device.do("UID SEARCH RETURN (SAVE) FLAGGED")
        await device.do("FETCH $ (UID FLAGS)")
    elif what == 13 and all(device.uids) and count:
        await device.do(f"UID EXPUNGE {dice.choice(device.uids)}:*")


@pytest.mark.parametrize("seed", range(25))
async def test_everybody_believes_what_is_true(house: House, seed: int) -> None:
    dice = random.Random(seed)
    row = await house.store.directory.account("ann-example.org")
    assert row is not None
    account = await house.mailboxes.open(row)
    await fill(account, "INBOX", dice.randint(0, 8))
    made = [100]
    devices = []
    for number in range(dice.randint(2, 4)):
        device = Device(await house.login(), f"{number}", qresync=dice.random() < 0.5)
        await device.open()
        devices.append(device)
    for _ in range(60):
        device = dice.choice(devices)
        if device.qresync and dice.random() < 0.1:
            device.client.link.close()
            await device.come_back(await house.login())
            device.log.append("-- came back")
        else:
            await step(device, dice, account, made)
        if dice.random() < 0.15:
            await settle(*(device.client for device in devices))
            truth = await truth_of(account)
            for device in dice.sample(devices, len(devices)):
                await device.check(truth)
    truth = await truth_of(account)
    for device in devices:
        await device.check(truth)
