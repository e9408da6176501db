"""The job of a row, and the row of a job."""

from collections.abc import Iterable
from dataclasses import asdict
from sys import intern
from typing import Any

from sqlalchemy import Row

from bot.errors import Reason
from bot.jobs import (
    Attachment,
    GenerationRequest,
    Job,
    JobStatus,
    NewJob,
    Notify,
    Route,
    attached_bytes,
)
from bot.periods import PeriodKind
from bot.rights import Allowance


def job_of(row: Row[Any]) -> Job:
    inputs = tuple(Attachment(**each) for each in row.inputs)
    return Job(
        id=row.id,
        status=JobStatus(row.status),
        user_id=row.user_id,
        route=Route(
            channel_id=row.channel_id,
            account_server_id=row.account_server_id,
            application_id=row.application_id,
            interaction_token=row.interaction_token,
            token_expires_at=row.token_expires_at,
            status_message_id=row.status_message_id,
            postable=row.postable,
            private=row.private,
            guild_id=row.guild_id,
            parent_id=row.parent_id,
            upload_limit=row.upload_limit,
            reply_to_id=row.reply_to_id,
            notify=Notify(row.notify),
        ),
        request=GenerationRequest(
            model=intern(row.model),  # one text for all jobs in memory
            prompt=row.prompt,
            options=row.options,
            inputs=tuple(each.url for each in inputs),
        ),
        provider=intern(row.provider),
        price=row.price,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        running_at=row.running_at,
        generation_ms=row.generation_ms,
        settled_at=row.settled_at,
        delivered_at=row.delivered_at,
        result_message_id=row.result_message_id,
        cancel_requested_at=row.cancel_requested_at,
        submit_after=row.submit_after,
        reason=Reason(row.reason) if row.reason else None,
        cost=row.cost,
        estimated=row.estimated,
        deliver_after=row.deliver_after,
        delivery_attempts=row.delivery_attempts,
        delivery_started_at=row.delivery_started_at,
        delivery_error=row.delivery_error,
        inputs=inputs,
        model_auto=row.model_auto,
        remark=row.remark,
        overdue_at=row.overdue_at,
        final_status_sent=row.final_status_sent,
        secret=row.secret,
        epoch=row.epoch,
        source_job_id=row.source_job_id,
        expanded_prompt=row.expanded_prompt,
        hidden_at=row.hidden_at,
        spoiler=row.spoiler,
        result_channel_id=row.result_channel_id,
        canceled_by=row.canceled_by,
        slow_shown=row.slow_shown,
        origin_id=row.origin_id,
        allowance=_allowance_of(row),
        allowed_models=None if row.allowed_models is None else frozenset(row.allowed_models),
        granted=row.granted,
        locale=row.locale,
    )


def _allowance_of(row: Row[Any]) -> Allowance | None:
    if row.allowance_period is None:
        return None
    return Allowance(amount=row.allowance, period=PeriodKind(row.allowance_period))


def rows_of(inputs: Iterable[Attachment]) -> list[dict[str, object]]:
    """Return attachments in the form of the column `inputs`."""
    return [asdict(each) for each in inputs]


def row_of(new: NewJob) -> dict[str, object]:
    """Return the columns of a new job, by their names."""
    return {
        "id": new.id,
        "status": JobStatus.QUEUED,
        "user_id": new.user_id,
        "account_server_id": new.route.account_server_id,
        "channel_id": new.route.channel_id,
        "application_id": new.route.application_id,
        "interaction_token": new.route.interaction_token,
        "token_expires_at": new.route.token_expires_at,
        "postable": new.route.postable,
        "private": new.route.private,
        "guild_id": new.route.guild_id,
        "parent_id": new.route.parent_id,
        "upload_limit": new.route.upload_limit,
        "inputs": rows_of(new.inputs),
        "input_bytes": attached_bytes(new.inputs),
        "inputs_stored": not new.inputs,
        "model": new.request.model,
        "provider": new.provider,
        "model_auto": new.model_auto,
        "prompt": new.request.prompt,
        "options": dict(new.request.options),
        "price": new.price,
        "created_at": new.created_at,
        "origin_id": new.origin_id,
        "secret": new.secret,
        "source_job_id": new.source_job_id,
        "reply_to_id": new.route.reply_to_id,
        "notify": new.route.notify,
        "allowance": new.allowance and new.allowance.amount,
        "allowance_period": new.allowance and new.allowance.period,
        "allowed_models": None if new.allowed_models is None else sorted(new.allowed_models),
        "locale": new.locale,
    }


def stored_job(new: NewJob) -> Job:
    """Return the job that `job_of` would return for the row of a new job."""
    return Job(
        id=new.id,
        status=JobStatus.QUEUED,
        user_id=new.user_id,
        route=new.route,
        request=new.request,
        provider=new.provider,
        price=new.price,
        created_at=new.created_at,
        inputs=new.inputs,
        model_auto=new.model_auto,
        secret=new.secret,
        source_job_id=new.source_job_id,
        origin_id=new.origin_id,
        allowance=new.allowance,
        allowed_models=new.allowed_models,
        locale=new.locale,
    )
