"""Rights: what a server grants to its members, to roles, and to one member. Pure.

Each member has the best that their roles grant in each right, else the server's default; an
allowance of a member's own comes first. A right that nobody has set is unlimited.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from bot.errors import Mentions, UserError
from bot.periods import PeriodKind, ZoneChange

MOST_CREDITS = 1_000_000_000  # thousandths: of an allowance, a budget or a grant
MOST_JOBS = 100
MOST_COOLDOWN = 24 * 60 * 60  # seconds
ALL_MODELS = frozenset({"*"})
# For the comparison of allowances of different periods.
PER_MONTH: Mapping[PeriodKind, float] = {
    PeriodKind.DAY: 365 / 12,
    PeriodKind.WEEK: 365 / 12 / 7,
    PeriodKind.MONTH: 1,
}

Amount = Annotated[int, Field(ge=0, le=MOST_CREDITS)]


class Stored(BaseModel):
    """A value that the database has as JSON. Names of a newer version are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Subject(StrEnum):
    """The kinds of subjects that have rights in a server."""

    DEFAULT = "default"
    TIER = "tier"
    ROLE = "role"
    MEMBER = "member"


class Allowance(Stored):
    """Credits for each period, in thousandths. `amount` is None for no limit, 0 for none at all."""

    amount: Amount | None
    period: PeriodKind = PeriodKind.MONTH

    @property
    def in_a_month(self) -> float:
        """The size by which allowances of different periods are compared."""
        return float("inf") if self.amount is None else self.amount * PER_MONTH[self.period]


class Rights(Stored):
    """The rights of one subject: the server's default, a tier, a role or a member.

    None stands for a right that is not set here. `tier` is the name of the tier that a role or the
    default has taken, whose rights apply where no own ones are set.
    """

    tier: str | None = None
    allowance: Allowance | None = None
    models: frozenset[str] | None = None  # keys of models; ALL_MODELS for each
    pictures: Annotated[int, Field(ge=0, le=10)] | None = None  # of one request
    private: bool | None = None
    edit: bool | None = None  # input pictures
    jobs: Annotated[int, Field(ge=1, le=MOST_JOBS)] | None = None  # unsettled in this server
    cooldown: Annotated[int, Field(ge=0, le=MOST_COOLDOWN)] | None = None  # seconds

    @property
    def is_empty(self) -> bool:
        return self == Rights()

    def over(self, base: "Rights") -> "Rights":
        """Return these rights, with those of `base` where none are set here."""
        own = {name: value for name in RIGHTS if (value := getattr(self, name)) is not None}
        return base.model_copy(update={**own, "tier": self.tier})


RIGHTS = tuple(name for name in Rights.model_fields if name != "tier")

# The tiers that every server has; a server may change them.
READY_MADE: Mapping[str, Rights] = {
    "guest": Rights(
        allowance=Allowance(amount=40_000, period=PeriodKind.WEEK),
        pictures=1,
        private=False,
        edit=False,
        jobs=1,
        cooldown=60,
    ),
    "member": Rights(
        allowance=Allowance(amount=200_000, period=PeriodKind.WEEK),
        pictures=2,
        private=True,
        edit=True,
        jobs=2,
        cooldown=0,
    ),
    "artist": Rights(
        allowance=Allowance(amount=1_000_000, period=PeriodKind.WEEK),
        models=ALL_MODELS,
        pictures=10,
        private=True,
        edit=True,
        jobs=5,
        cooldown=0,
    ),
}


class ServerSettings(Stored):
    """The choices of a server's managers. Empty sets allow every channel, or every role."""

    budget: Allowance | None = None
    channels: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    notices: int | None = None  # the channel that hears of the budget
    zones: tuple[ZoneChange, ...] = ()  # in order

    @property
    def zone(self) -> str:
        return self.zones[-1].zone if self.zones else "UTC"


class Policy(Stored):
    """The settings of a server, and the rights that one member has there."""

    settings: ServerSettings = ServerSettings()
    rights: Rights = Rights()

    def check(
        self,
        *,
        channel_ids: Iterable[int],
        role_ids: frozenset[int],
        model: str,
        count: int,
        private: bool,
        edits: bool,
    ) -> None:
        """Raise a UserError for a request that the server does not allow to the member."""
        if self.settings.channels and not self.settings.channels & {*channel_ids}:
            raise ChannelNotAllowed(self.settings.channels)
        if self.settings.roles and not self.settings.roles & role_ids:
            raise RoleNotAllowed(self.settings.roles)
        rights = self.rights
        if rights.pictures == 0:
            raise PicturesNotAllowed
        if edits and rights.edit is False:
            raise EditNotAllowed
        if private and rights.private is False:
            raise PrivateNotAllowed
        if not allows_model(rights.models, model):
            raise ModelNotAllowed(model, rights.models or frozenset())
        if rights.pictures is not None and count > rights.pictures:
            raise TooManyPictures(rights.pictures)

    @classmethod
    def of(
        cls,
        settings: ServerSettings,
        *,
        own: Rights,
        roles: Iterable[Rights],
        default: Rights,
        tiers: Mapping[str, Rights],
    ) -> Self:
        """Return the policy for a member with these roles; `tiers` are those that were changed."""
        known = {**READY_MADE, **tiers}

        def whole(rights: Rights) -> Rights:
            return rights.over(known.get(rights.tier or "", Rights()))

        best = best_of(whole(each) for each in roles)
        return cls(settings=settings, rights=whole(own).over(best.over(whole(default))))


def allows_model(models: frozenset[str] | None, model: str) -> bool:
    """Return whether the right to `models` includes a model; None is the right to every model."""
    return models is None or not models.isdisjoint({model, *ALL_MODELS})


def best_of(several: Iterable[Rights]) -> Rights:
    """Return the best of each right among those that are set."""
    best: dict[str, object] = {}
    for rights in several:
        for name in RIGHTS:
            new, known = getattr(rights, name), best.get(name)
            if new is not None:
                best[name] = new if known is None else _better(name, known, new)
    return Rights().model_copy(update=best)


def _better(name: str, one: object, other: object) -> object:
    match one, other:
        case Allowance(), Allowance():
            # Of two that are as large, that of the longer period, which leaves more freedom.
            return max(one, other, key=lambda each: (each.in_a_month, -PER_MONTH[each.period]))
        case frozenset(), frozenset():
            return one | other
        case int(), int():  # bool too
            return min(one, other) if name == "cooldown" else max(one, other)
    raise TypeError(name)


class ChannelNotAllowed(UserError):
    def __init__(self, channels: Iterable[int]) -> None:
        super().__init__(
            "Pictures are not made in this channel. Go to one of these: {channels}.",
            channels=Mentions("#", channels),
        )


class RoleNotAllowed(UserError):
    def __init__(self, roles: Iterable[int]) -> None:
        super().__init__(
            "This server lets only members with one of these roles make pictures: {roles}. Ask a "
            "manager of this server.",
            roles=Mentions("@&", roles),
        )


class PicturesNotAllowed(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Your roles may not make pictures in this server. Ask a manager of this server."
        )


class EditNotAllowed(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Your roles may not edit pictures in this server. Use /imagine without a picture, or "
            "ask a manager of this server."
        )


class PrivateNotAllowed(UserError):
    def __init__(self) -> None:
        super().__init__(
            "Your roles may not make private pictures in this server. Set private to False, or "
            "choose another way with /my notify: the result is public then."
        )


class ModelNotAllowed(UserError):
    def __init__(self, model: str, allowed: frozenset[str]) -> None:
        super().__init__(
            "Your roles may not use {model} in this server. "
            + ("Choose one of these: {allowed}." if allowed else "Ask a manager of this server."),
            model=model,
            allowed=tuple(sorted(allowed)),
        )


class TooManyPictures(UserError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            "The limit of pictures at once is {limit} for your roles in this server. Set count to "
            "{limit} or less.",
            limit=limit,
        )
