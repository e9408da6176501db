"""Requests for pictures: checked, held and stored; then their replies confirmed or withdrawn."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from bot.catalog import ModelSpec
from bot.errors import EaselError, NotNow, OutcomeUnknown, UserError
from bot.jobs import (
    Attachment,
    GenerationRequest,
    Job,
    NewJob,
    Option,
    Route,
    attached_bytes,
    plain,
)
from bot.option_values import fit
from bot.quotas import INPUT_PERIOD, Member, ProviderBudgetExhausted, check_input_bytes
from bot.rights import ModelNotAllowed
from bot.service_balances import NoCreditsAtService
from bot.services import Services
from bot.store import holds, jobs, members, servers, settlement
from bot.store.database import Transaction
from bot.store.dialects import lock_quotas
from bot.store.holds import Held

WRITE_LOCK_TIMEOUT = 1.0  # seconds: Discord waits 3 s for a reply, and SQLite needs some of them
READ_AGAIN = (0.0, 0.5)  # seconds before each attempt to read a job whose commit was not confirmed


class AlreadyRequested(EaselError):
    """The interaction has a job already: Discord has sent the interaction twice."""


class Restarting(UserError):
    def __init__(self) -> None:
        super().__init__("The bot is restarting, and nothing was charged. Try again in a minute.")


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """The arguments of a command, and the interaction or message that brought them.

    `model` is None if the member named none. `source_job_id` is the job whose result, or request,
    this one begins with. `locale` is that of the member, by Discord's name.
    """

    origin_id: int
    prompt: str
    options: Mapping[str, Option]
    inputs: Sequence[Attachment] = ()
    model: str | None = None
    source_job_id: str | None = None
    locale: str | None = None


class Requests:
    def __init__(self, services: Services, wake: Callable[[], None]) -> None:
        self._services = services
        self._database = services.database
        self._wake = wake
        self._closed = False
        self._turns = asyncio.Lock()  # first come, first served

    def close(self) -> None:
        self._closed = True

    async def create(self, member: Member, route: Route, request: PictureRequest) -> Held:
        """Check a request, then hold its price and store the job in one transaction.

        The worker claims the job only after `confirm`. Raises a UserError, or AlreadyRequested.
        """
        if self._closed:
            raise Restarting
        services = self._services
        services.quotas.check_member(member)
        wanted = GenerationRequest(
            model=request.model or "",
            prompt=plain(request.prompt).strip(),
            options={
                name: plain(value) if isinstance(value, str) else value
                for name, value in request.options.items()
            },
            inputs=tuple(each.url for each in request.inputs),
        )
        if request.model:
            spec = services.catalog.get(request.model)
        else:
            spec = services.catalog.choose(wanted, down=services.health.down)
        fitted = fit(wanted, spec, services.catalog)
        services.quotas.check_safety(member, fitted.options)
        low, specs = services.balances.low, services.catalog.specs.values()
        closed = frozenset(each.key for each in specs if each.provider in low)
        if spec.key in closed:
            spec = self._elsewhere(wanted, closed, NoCreditsAtService(spec.service))
        await services.inputs.check(request.inputs)
        first: UserError | None = None
        while True:
            try:
                # Not before: a check of input pictures waits for the network.
                with services.precedence.command():
                    return await self._hold(member, self._job(member, route, request, wanted, spec))
            except (ProviderBudgetExhausted, ModelNotAllowed) as refusal:
                first = first or refusal
                closed |= {spec.key}
                spec = self._elsewhere(wanted, closed, first)

    def _elsewhere(
        self, wanted: GenerationRequest, closed: frozenset[str], refusal: UserError
    ) -> ModelSpec:
        """Return a model that is not closed, for a member who named none.

        Raise the refusal if there is none that takes the request as it is.
        """
        catalog, down = self._services.catalog, self._services.health.down
        while not wanted.model:
            spec = catalog.choose(wanted, down=down, closed=closed)
            if spec.key in closed:
                break
            with suppress(UserError):
                fit(wanted, spec, catalog)
                return spec
            closed |= {spec.key}
        raise refusal

    def _job(
        self,
        member: Member,
        route: Route,
        request: PictureRequest,
        wanted: GenerationRequest,
        spec: ModelSpec,
    ) -> NewJob:
        wanted = fit(wanted, spec, self._services.catalog)
        return NewJob(
            user_id=member.user_id,
            route=route,
            request=replace(wanted, model=spec.key),
            price=spec.price * wanted.count,
            created_at=self._services.now(),
            provider=spec.provider,
            inputs=tuple(request.inputs),
            model_auto=request.model is None,
            origin_id=request.origin_id,
            source_job_id=request.source_job_id,
            locale=request.locale,
        )

    async def _hold(self, member: Member, new: NewJob) -> Held:
        try:
            async with self._turn():
                return await self._database.run(
                    lambda tx: self._store(tx, member, new), timeout=WRITE_LOCK_TIMEOUT
                )
        except OutcomeUnknown:
            return Held(await self._stored(new.id))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Let one request of this process wait for the quotas; NotNow if others take too long.

        Else a burst of commands would occupy every connection, only to wait for the same lock. A
        database for one process has turns of its own.
        """
        if not self._database.shared:
            yield
            return
        try:
            async with asyncio.timeout(WRITE_LOCK_TIMEOUT):
                await self._turns.acquire()
        except TimeoutError:
            raise NotNow from None
        try:
            yield
        finally:
            self._turns.release()

    async def _store(self, tx: Transaction, member: Member, new: NewJob) -> Held:
        await lock_quotas(tx)
        await self._check_input_bytes(tx, new)
        policy = await servers.policy_of(tx, member)
        policy.check(
            channel_ids=(new.route.channel_id, member.parent_channel_id),
            role_ids=member.role_ids,
            model=new.request.model,
            count=new.request.count,
            private=new.route.private,
            edits=bool(new.inputs),
        )
        rights = policy.rights
        new = replace(new, allowance=rights.allowance, allowed_models=rights.models)
        try:
            job = await jobs.add(tx, new)
        except jobs.OriginTaken:
            raise AlreadyRequested from None
        return await holds.hold(tx, job, self._services.quotas, policy)

    async def _stored(self, job_id: str) -> Job:
        """Return the job that the commit has stored.

        NotNow if nothing was stored, OutcomeUnknown if that cannot be found out.
        """
        for wait in READ_AGAIN:
            await asyncio.sleep(wait)
            with suppress(NotNow):
                async with self._database.transaction(timeout=WRITE_LOCK_TIMEOUT) as tx:
                    await lock_quotas(tx)  # the transaction without an outcome has this lock
                    stored = await jobs.get(tx, job_id)
                if stored is None:
                    break
                return stored
        else:
            raise OutcomeUnknown
        raise NotNow

    async def _check_input_bytes(self, tx: Transaction, new: NewJob) -> None:
        if not new.inputs:
            return
        since = new.created_at - INPUT_PERIOD
        used, first = await members.input_bytes_since(tx, new.user_id, since)
        size = attached_bytes(new.inputs)
        check_input_bytes(used, size, frees_at=(first or new.created_at) + INPUT_PERIOD)

    async def confirm(self, job_id: str, message_id: int) -> None:
        """Let the worker claim the job: its reply has arrived as this message."""
        async with self._database.transaction() as tx:
            await jobs.confirm_reply(tx, job_id, message_id)
        self._wake()

    async def withdraw(self, job_id: str) -> None:
        """Cancel the job as if never requested: Discord has surely not shown the reply."""
        async with self._database.transaction() as tx:
            await settlement.withdraw(tx, job_id, self._services.now())
