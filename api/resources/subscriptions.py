"""What a login wants to be told of alarms: its own subscriptions, listed, made and ended."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from api.resources.problems import only_with_token, problems
from dashboards.web import NotFoundError, reading, requires, services_of
from monitoring.alarms.kinds import AlarmSeverity
from monitoring.notifications.subscriptions import (
    Channel,
    Subscription,
    Wish,
    quiet_of,
    quiet_words,
    subscribe,
    subscriptions,
    unsubscribe,
)
from registry.actors import Actor, Permission

router = APIRouter(prefix="/subscriptions", tags=["通知"])
Reader = Annotated[Actor, Depends(requires(Permission.VIEW_STATIONS))]
Reading = Annotated[Session, Depends(reading)]


class SubscriptionIn(BaseModel):
    """A wish to be told; `target` is a mail address or the name of a configured webhook."""

    channel: Channel
    target: str = Field(min_length=1, max_length=254)
    area: str = Field("", max_length=12, description="12 位区划代码；空为本人辖区")
    severity: AlarmSeverity = Field(AlarmSeverity.MAJOR, description="最轻到哪一级还要通知")
    level: int = Field(0, ge=0, le=2, description="从第几级升级起才通知")
    digest_minutes: int = Field(15, ge=0, le=1440, description="多少分钟汇总一次；0 为立即，1440 为每天 8 点")
    quiet: str = Field("", max_length=11, description="免打扰，如 22:00-07:00；空为没有")
    urgent_always: bool = Field(True, description="紧急的不受免打扰限制")
    closings: bool = Field(True, description="恢复时也通知")


class SubscriptionOut(SubscriptionIn):
    """A subscription as it stands."""

    id: str
    created_at: datetime


def _out(one: Subscription) -> SubscriptionOut:
    wish = one.wish
    return SubscriptionOut(
        id=one.id,
        created_at=one.created_at,
        channel=wish.channel,
        target=wish.target,
        area=wish.area,
        severity=wish.severity,
        level=wish.level,
        digest_minutes=wish.digest_minutes,
        quiet=quiet_words(wish.quiet),
        urgent_always=wish.urgent_always,
        closings=wish.closings,
    )


@router.get("")
def list_subscriptions(actor: Reader, session: Reading) -> list[SubscriptionOut]:
    """Return the login's own subscriptions."""
    return [_out(one) for one in subscriptions(session, actor, actor.user_id)]


@router.post("", status_code=201, dependencies=[Depends(only_with_token)], responses=problems(400))
def add_subscription(request: Request, given: SubscriptionIn, actor: Reader) -> SubscriptionOut:
    """Make a subscription of the login's own."""
    services = services_of(request)
    wish = Wish(**given.model_dump(exclude={"quiet"}), quiet=quiet_of(given.quiet))
    with services.database.transaction() as session:
        made = subscribe(session, actor, actor.user_id, wish, services.clock())
        (found,) = (one for one in subscriptions(session, actor, actor.user_id) if one.id == made)
    return _out(found)


@router.delete("/{subscription_id}", status_code=204, dependencies=[Depends(only_with_token)])
def end_subscription(request: Request, subscription_id: str, actor: Reader) -> Response:
    """End a subscription of the login's own."""
    services = services_of(request)
    with services.database.transaction() as session:
        if subscription_id not in {one.id for one in subscriptions(session, actor, actor.user_id)}:
            raise NotFoundError(subscription_id)
        unsubscribe(session, actor, subscription_id, services.clock())
    return Response(status_code=204)
