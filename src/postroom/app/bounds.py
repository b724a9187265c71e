"""What rooms of a worker are bounded by, as the configuration says."""

from __future__ import annotations

import random

from postroom.config import Config
from postroom.mailbox.limits import MailboxLimits
from postroom.message.index import IndexLimits
from postroom.queue.schedule import Schedule


def mailbox_limits(config: Config) -> MailboxLimits:
    """What one account's mailboxes may hold."""
    boxes = config.mailboxes
    return MailboxLimits(
        message_size=config.limits.message_size,
        mailboxes=boxes.most,
        depth=boxes.depth,
        quota=boxes.quota,
        quota_messages=boxes.quota_messages,
        grace=boxes.grace_percent,
        annotations=boxes.annotations,
        annotation_size=boxes.annotation_size,
        annotation_storage=boxes.annotation_storage,
        recover_days=config.retention.expunged_days,
        subscribe_shared=config.imap.subscribe_shared,
    )


def make_schedule(config: Config) -> Schedule:
    """When the queue tries again."""
    relay = config.relay
    return Schedule(
        jitter=random.random,
        first=relay.retry_first,
        longest=relay.retry_longest,
        lifetime=relay.lifetime,
        warn_after=relay.warn_after,
    )


def index_limits(config: Config) -> IndexLimits:
    """How far messages that arrive are looked into."""
    limits = config.limits
    return IndexLimits(depth=limits.mime_depth, parts=limits.mime_parts, header=limits.header_size)
