"""The contract of webhooks' calls."""

from __future__ import annotations

from msgspec.structs import replace

from postroom.store.api import Call, HookChange, HookState, Store
from postroom.store.api.hooks import CONTEXT_KEPT, DEAD_KEPT

CALL = Call(hook="crm", id="evt_1", type="message.delivered", time=10.0, body=b"{}", next=10.0)
NEXT = replace(CALL, id="evt_2", time=11.0, next=11.0)


class HookContract:
    """What HookStore promises."""

    async def test_calls_wait_until_they_are_taken(self, store: Store) -> None:
        hooks = store.hooks
        assert await hooks.due(99.0, ["crm"], 10) == []
        assert await hooks.states() == []
        assert await hooks.add(HookChange(at=1.0, calls=[NEXT, CALL, CALL], contexts={})) == 0
        assert await hooks.add(HookChange(at=1.0, calls=[CALL], contexts={})) == 0  # told twice, kept once
        assert await hooks.due(9.0, ["crm"], 10) == []
        assert await hooks.due(99.0, ["other"], 10) == []
        assert await hooks.due(99.0, ["crm"], 10) == [CALL, NEXT]
        assert await hooks.due(99.0, ["crm"], 1) == [CALL]
        later = replace(NEXT, next=50.0, attempts=1, last="500")
        await hooks.settle([CALL], [later])
        assert await hooks.due(49.0, ["crm"], 10) == []
        assert await hooks.due(50.0, ["crm"], 10) == [later]
        assert await hooks.states() == [HookState(hook="crm", waiting=1, dead=0, oldest=11.0, last="500")]

    async def test_what_was_given_up_can_be_tried_again(self, store: Store) -> None:
        hooks = store.hooks
        await hooks.add(HookChange(at=1.0, calls=[CALL, NEXT], contexts={}))
        await hooks.settle([], [replace(CALL, dead=True, last="gone")])
        assert await hooks.due(99.0, ["crm"], 10) == [NEXT]
        assert (await hooks.states())[0].dead == 1
        assert await hooks.retry("crm", 60.0) == 2
        assert {one.id: one.time for one in await hooks.due(60.0, ["crm"], 10)} == {"evt_1": 60.0, "evt_2": 11.0}
        assert await hooks.retry("other", 60.0) == 0
        await hooks.settle([], [replace(CALL, dead=True, next=70.0)])
        assert await hooks.sweep(70.0 + DEAD_KEPT, ["crm"]) == 0
        assert await hooks.sweep(71.0 + DEAD_KEPT, ["crm"]) == 1
        assert await hooks.sweep(0.0, []) == 1
        assert await hooks.states() == []

    async def test_contexts(self, store: Store) -> None:
        hooks = store.hooks
        assert await hooks.contexts(["a"]) == {}
        await hooks.add(HookChange(at=5.0, contexts={"a": b"1", "b": b"2"}))
        assert await hooks.contexts(["a", "b", "c"]) == {"a": b"1", "b": b"2"}
        await hooks.add(HookChange(at=6.0, contexts={"a": None, "b": b"3"}))
        assert await hooks.contexts(["a", "b"]) == {"b": b"3"}
        await hooks.sweep(6.5 + CONTEXT_KEPT, [])
        assert await hooks.contexts(["b"]) == {}
