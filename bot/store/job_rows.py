"""The job of a row."""

from typing import Any

from sqlalchemy import Row

from bot.errors import Reason
from bot.jobs import Attachment, GenerationRequest, Job, JobStatus, Notify, Route


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
            model=row.model,
            prompt=row.prompt,
            options=row.options,
            inputs=tuple(each.url for each in inputs),
        ),
        provider=row.provider,
        price=row.price,
        created_at=row.created_at,
        submitted_at=row.submitted_at,
        running_at=row.running_at,
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
    )
