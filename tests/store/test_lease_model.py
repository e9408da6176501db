"""The protocol of leases, with every interleaving of two workers, one stall and one kill.

A worker lists a due result, takes the job, checks the lease, searches the channel after an earlier
attempt, posts, and writes the outcome. Between any two of these steps the other worker may act,
time may pass, and a worker may be stopped for a minute or killed. The statements are those of
bot.store.leases; the check, the heartbeat and the silence those of bot.worker.leases; the search
and the nonce those of cogs.delivery.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

import pytest

# A tick is ten seconds.
LEASE, SILENCE, STALL, NONCE = 3, 2, 6, 12
ATTEMPT = 6  # the timeout of a post, which counts from the check
EPOCHS = 3  # leases of the job, beyond which nothing is explored


class Step(IntEnum):
    LIST = 0
    TAKE = 1
    CHECK = 2
    SEARCH = 3
    POST = 4
    WRITE = 5
    DONE = 6


@dataclass(frozen=True, slots=True)
class Worker:
    step: Step = Step.LIST
    listed: int = 0  # the epoch that the list showed
    epoch: int = 0  # of the lease
    again: bool = False
    silence: int = 0  # ticks since the last renewal
    renewed: bool = False  # since the last tick
    stalled: int = 0  # ticks left
    begun: int = 0  # ticks since the check
    dead: bool = False

    @property
    def works(self) -> bool:
        return Step.CHECK <= self.step <= Step.WRITE


@dataclass(frozen=True, slots=True)
class State:
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    owner: int | None = None
    epoch: int = 0
    lease: int = 0  # ticks left
    attempts: int = 0
    outcomes: int = 0  # writes of an outcome that the row has accepted
    messages: int = 0
    nonce: int = 0  # ticks in which Discord takes the same nonce for the same message
    stalls: int = 1  # that may still happen
    kills: int = 1


@dataclass(frozen=True, slots=True)
class Protocol:
    """The protocol, or one without a part, by which the test shows that the part is needed."""

    repeats_status: bool = True
    fences: bool = True
    has_nonce: bool = True
    searches: bool = True
    loses: bool = True  # a worker that cannot renew ends its work


def changed(state: State, index: int, worker: Worker, **values: object) -> State:
    one, other = state.workers
    workers = (worker, other) if index == 0 else (one, worker)
    return replace(state, workers=workers, **values)  # type: ignore[arg-type]


def next_states(state: State, protocol: Protocol) -> Iterator[State]:
    for index, worker in enumerate(state.workers):
        if worker.dead:
            continue
        if state.kills:
            yield changed(state, index, replace(worker, dead=True), kills=0)
        if worker.stalled:
            yield changed(state, index, replace(worker, stalled=0))
            continue
        if state.stalls and worker.works:
            yield changed(state, index, replace(worker, stalled=STALL), stalls=0)
        if worker.step is not Step.DONE:
            yield act(state, index, worker, protocol)
        if worker.works and not worker.renewed:
            yield beat(state, index, worker, protocol)
    if ticked := tick(state):
        yield ticked


def act(state: State, index: int, worker: Worker, protocol: Protocol) -> State:
    """Make the worker's next step."""
    again = replace(worker, step=Step.LIST)
    match worker.step:
        case Step.LIST:
            if state.outcomes:
                return changed(state, index, replace(worker, step=Step.DONE))
            if state.lease:
                return state
            return changed(state, index, replace(worker, step=Step.TAKE, listed=state.epoch))
        case Step.TAKE:
            unchanged = not state.outcomes and not state.lease and state.epoch == worker.listed
            if protocol.repeats_status and not unchanged:
                return changed(state, index, again)
            taken = replace(
                worker,
                step=Step.CHECK,
                epoch=state.epoch + 1,
                again=state.attempts > 0,
                silence=0,
                renewed=True,
            )
            return changed(
                state,
                index,
                taken,
                owner=index,
                epoch=state.epoch + 1,
                lease=LEASE,
                attempts=min(state.attempts + 1, 2),
            )
        case Step.CHECK:
            if worker.silence > SILENCE:
                return changed(state, index, again)
            search = worker.again and protocol.searches
            step = Step.SEARCH if search else Step.POST
            return changed(state, index, replace(worker, step=step))
        case Step.SEARCH:
            step = Step.WRITE if state.messages else Step.POST
            return changed(state, index, replace(worker, step=step))
        case Step.POST:
            posted = replace(worker, step=Step.WRITE)
            if state.nonce and protocol.has_nonce:
                return changed(state, index, posted)
            return changed(state, index, posted, messages=state.messages + 1, nonce=NONCE)
        case _:
            held = state.owner == index and state.epoch == worker.epoch
            if protocol.fences and not held:
                return changed(state, index, again)
            done = replace(worker, step=Step.DONE)
            return changed(state, index, done, outcomes=state.outcomes + 1, lease=0)


def beat(state: State, index: int, worker: Worker, protocol: Protocol) -> State:
    """Renew the lease, or end the work if it was lost."""
    held = state.owner == index and state.epoch == worker.epoch
    if protocol.loses and (worker.silence > SILENCE or not held):
        return changed(state, index, replace(worker, step=Step.LIST))
    renewed = replace(worker, silence=0, renewed=True)
    return changed(state, index, renewed, lease=LEASE if held else state.lease)


def tick(state: State) -> State | None:
    """Let time pass, unless a worker that runs has to renew its lease, or to post, first."""
    for each in state.workers:
        runs = each.works and not each.stalled and not each.dead
        if runs and (not each.renewed or (each.begun >= ATTEMPT and each.step < Step.WRITE)):
            return None
    one, other = (
        replace(
            each,
            silence=min(each.silence + 1, SILENCE + 1) if each.works else 0,
            renewed=False,
            begun=min(each.begun + 1, ATTEMPT) if Step.CHECK < each.step < Step.WRITE else 0,
            stalled=max(each.stalled - 1, 0),
        )
        for each in state.workers
    )
    return replace(
        state,
        workers=(one, other),
        lease=max(state.lease - 1, 0),
        nonce=max(state.nonce - 1, 0),
    )


def explore(protocol: Protocol) -> Iterator[State]:
    """Yield every state that can be reached, once."""
    first = State()
    seen, waiting = {first}, [first]
    while waiting:
        state = waiting.pop()
        yield state
        for after in next_states(state, protocol):
            if after not in seen and after.epoch <= EPOCHS:
                seen.add(after)
                waiting.append(after)


def faults(state: State) -> Iterator[str]:
    """Yield the names of the promises that a state breaks."""
    if state.messages > 1:
        yield "two messages"
    if state.outcomes > 1:
        yield "two outcomes"
    # A lease that ends at the next tick is the worker's until then.
    if all(each.works and each.silence <= SILENCE for each in state.workers):
        yield "two workers with a lease"


@pytest.mark.long
def test_no_interleaving_delivers_twice() -> None:
    states = list(explore(Protocol()))

    assert [fault for state in states for fault in faults(state)] == []
    assert len(states) > 10_000
    for state in states:  # nothing blocks: whoever lives can go on, or time can pass
        if not state.outcomes and any(not each.dead for each in state.workers):
            assert any(after != state for after in next_states(state, Protocol()))


@pytest.mark.long
def test_every_state_leads_to_a_delivery_while_a_worker_lives() -> None:
    protocol = Protocol()
    states = set(explore(protocol))
    before: dict[State, set[State]] = {}
    for state in states:
        for after in next_states(state, protocol):
            before.setdefault(after, set()).add(state)
    good = {state for state in states if state.outcomes}
    waiting = list(good)
    while waiting:
        for state in before.get(waiting.pop(), ()):
            if state not in good:
                good.add(state)
                waiting.append(state)

    living = (each for each in states - good if any(not worker.dead for worker in each.workers))
    assert [each for each in living if each.epoch < EPOCHS] == []


@pytest.mark.parametrize(
    ("without", "fault"),
    [
        ("repeats_status", "two workers with a lease"),
        ("fences", "two outcomes"),
        ("has_nonce", "two messages"),
        ("searches", "two messages"),
    ],
)
def test_each_part_of_the_protocol_is_needed(without: str, fault: str) -> None:
    states = explore(replace(Protocol(), **{without: False}))

    assert any(fault in faults(state) for state in states)
