"""What the control API accepts, checked where it comes in. A time is nanoseconds since 1970 UTC, or RFC3339 text."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from exchange.sandbox.barrier import Report
from exchange.sandbox.units import SECOND_NS
from exchange.sandbox.venue import CANCEL_ONLY, MAINTENANCE, ONLINE, POST_ONLY
from exchange.sandbox.wire.faults import FRAME_KINDS, HANDSHAKE_KINDS, REQUEST_KINDS, Fault, On

STATUSES = ONLINE, MAINTENANCE, CANCEL_ONLY, POST_ONLY
SILENCE = "silence"  # every frame that matches is dropped, and the connection lives on
FASTEST = 1e6  # eleven days of the market in a second: beyond it, no machine comes along
LONGEST_S = 1e9  # thirty years: beyond it, times don't fit into 64 bits
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Message = TypeVar("Message", bound=BaseModel)


class Refused(Exception):
    """A command that can't be obeyed; its text says why and what to do."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def checked(kind: type[Message], said: Any) -> Message:
    """What was said, as a message of this kind. Raises Refused: it is none, with a sentence for each thing wrong."""
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        raise Refused("; ".join(_sentence(problem) for problem in error.errors()) + ".") from error


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])


def time_ns(value: object) -> object:
    """RFC3339 text as nanoseconds; anything else as it is."""
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1) * 1000


def known_status(value: str) -> str:
    """One of the venue's modes."""
    if value not in STATUSES:
        raise ValueError(f"is not one of {', '.join(STATUSES)}")
    return value


def known_kind(value: str) -> str:
    """One of the kinds of faults."""
    kinds = sorted({*FRAME_KINDS, *REQUEST_KINDS})
    if value not in kinds:
        raise ValueError(f"is not one of {', '.join(kinds)}")
    return value


Time = Annotated[int, BeforeValidator(time_ns), Field(ge=0, lt=2**62)]


class Command(BaseModel):
    """A body of the control API; a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def contradiction(self) -> str:
        """Which of its keys don't go together, as a sentence; "" when all do."""
        return ""


class Advance(Command):
    """Move the market: to a time, or by so many of its seconds."""

    to: Time | None = None
    by_s: Annotated[float, Field(ge=0, le=LONGEST_S)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None  # of the machine's time; None: as long as it takes

    def contradiction(self) -> str:
        """Both goals, or none."""
        return "Say either `to` or `by_s`." if (self.to is None) == (self.by_s is None) else ""

    def goal_ns(self, now_ns: int) -> int:
        """The time to move to, from now."""
        return self.to if self.to is not None else now_ns + round((self.by_s or 0) * SECOND_NS)


class Clock(Command):
    """How time passes."""

    pace: Literal["real", "accelerated", "lockstep"]
    speed: Annotated[float, Field(gt=0, le=FASTEST)] | None = None  # market seconds per second, when accelerated

    def contradiction(self) -> str:
        """A speed that the pace does not have, or lacks."""
        goes_together = (self.speed is not None) == (self.pace == "accelerated")
        return "" if goes_together else "`speed` goes with the pace `accelerated`, and only with it."

    def market_speed(self) -> float | None:
        """Market seconds per second; None in lockstep."""
        return 1.0 if self.pace == "real" else self.speed


class Scheduled(Command):
    """A change of the venue: at once or at a time, for good or until another time."""

    at: Time | None = None
    until: Time | None = None

    def begins_ns(self, now_ns: int) -> int:
        """When the change is made, if it is ordered now."""
        return now_ns if self.at is None else max(self.at, now_ns)


class Status(Scheduled):
    """The mode of the whole venue."""

    status: Annotated[str, AfterValidator(known_status)]


class Instruments(Scheduled):
    """Instruments by the venue's names for them: `BTC/USD` on spot, `PF_XBTUSD` on futures."""

    instruments: Annotated[list[str], Field(min_length=1)]
    on: bool = True  # false: take it back


class Skew(Scheduled):
    """What the venue's clock is wrong by."""

    by_s: Annotated[float, Field(ge=-LONGEST_S, le=LONGEST_S)]


class Drop(Command):
    """End connections now: one of them by its id, or all."""

    how: Literal["close", "reset", "half_open"]
    link: int | None = None


class FaultOrder(Command):
    """A fault to put in force; `wire.faults.Fault` says what its keys mean."""

    kind: Annotated[str, AfterValidator(known_kind)]
    on: On
    match: str = ""
    nth: Annotated[int, Field(ge=1)] = 1
    times: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    at: Time = 0
    until: Time | None = None
    delay_s: Annotated[float, Field(ge=0, le=LONGEST_S)] = 1.0
    status: Annotated[int, Field(ge=500, le=599)] = 502

    def contradiction(self) -> str:
        """A kind that can't happen there, a number of times that it can't have, or a time that is over before it."""
        kinds = REQUEST_KINDS if self.on.endswith("rest") else (*FRAME_KINDS, *HANDSHAKE_KINDS)
        if self.kind not in kinds:
            return f"{self.kind!r} can't happen on {self.on}: {', '.join(kinds)} can."
        if self.kind == SILENCE and "times" in self.model_fields_set and self.times is not None:
            return f"{SILENCE!r} hits all that match: leave `times` out, or order 'drop'."
        return "" if self.until is None or self.until > self.at else "`until` has to come after `at`."

    def fault(self) -> Fault:
        """The fault as the wire knows it."""
        return Fault(
            kind=self.kind,  # type: ignore[arg-type]  # checked above
            on=self.on,
            match=self.match,
            nth=self.nth,
            times=None if self.kind == SILENCE else self.times,
            probability=self.probability,
            from_ns=self.at,
            until_ns=self.until,
            delay_s=self.delay_s,
            status=self.status,
        )


class SessionReport(BaseModel):
    """What a session of the lockstep barrier reports, as `barrier.Report` has it. Nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    stop: Annotated[int, Field(ge=0)]
    sent: dict[str, Annotated[int, Field(ge=0)]]
    calls: Annotated[int, Field(ge=0)]
    timer_ns: int | None

    def report(self) -> Report:
        """The report as the barrier knows it."""
        return Report(self.stop, self.sent, self.calls, self.timer_ns)
