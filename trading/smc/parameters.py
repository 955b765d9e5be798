"""What a person may set, and the field's common values for it."""

from dataclasses import dataclass, fields

from trading.errors import InputUnusable

LONGEST_SWING = 60  # candles on one side: the window that a state carries holds both sides
MOST_OPEN_ZONES = 16  # of each kind and side: a state has no more places

Hours = tuple[int, int]  # UTC: from the first hour on, up to and without the second; may run over midnight


@dataclass(frozen=True)
class Parameters:
    """How the concepts are measured. Lengths in candles, distances in ATR, hours in UTC.

    Sources of the defaults: LuxAlgo's "Smart Money Concepts" (internal structure over 5 candles, equal highs and lows
    within 0.1 ATR), the Python package smartmoneyconcepts 0.0.27 (its tests' swing length of 5, every gap counts, the
    hours of its Tokyo, London and New York sessions), Wilder (ATR over 14), and what is commonly taught as ICT's
    (displacement is a body of 1.5 ATR; optimal trade entry lies between the retracements 0.618 and 0.79).
    """

    swing_before: int = 5  # a swing high is above the highs of so many candles before it ...
    swing_after: int = 5  # ... and not below those of so many after it: so many later it is known
    atr_period: int = 14
    displacement_atr: float = 1.5  # a body of at least so much is a displacement
    equal_atr: float = 0.1  # swings within so much of each other are equal highs or lows
    gap_atr: float = 0.0  # a fair value gap must be at least so high; 0: every gap counts
    ote_shallow: float = 0.618
    ote_deep: float = 0.79
    open_zones: int = 16  # of each kind and side; one more, and the oldest is forgotten
    restart_after: int = 0  # more candles missing than this, and the series starts anew; 0: it never does
    asia: Hours = (0, 9)
    london: Hours = (7, 16)
    new_york: Hours = (13, 22)

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("swing_before", 1, LONGEST_SWING),
            ("swing_after", 1, LONGEST_SWING),
            ("atr_period", 1, 10_000),
            ("displacement_atr", 0.0, 1_000.0),
            ("equal_atr", 0.0, 1_000.0),
            ("gap_atr", 0.0, 1_000.0),
            ("ote_shallow", 0.0, self.ote_deep),
            ("ote_deep", self.ote_shallow, 1.0),
            ("open_zones", 1, MOST_OPEN_ZONES),
            ("restart_after", 0, 1_000_000),
        ):
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise InputUnusable(f"`{name}` is {value}; it must lie between {lowest} and {highest}.")
        for name, (start, end) in self.sessions().items():
            if not (0 <= start <= 23 and 0 <= end <= 24 and start != end):
                raise InputUnusable(f"The session `{name}` is {start} to {end}; hours of a day are needed, UTC.")

    def sessions(self) -> dict[str, Hours]:
        """The sessions in the order of their bits in `Row.session`."""
        return {"asia": self.asia, "london": self.london, "new_york": self.new_york}

    def numbers(self) -> dict[str, float]:
        """All but the sessions, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in self.sessions()}
