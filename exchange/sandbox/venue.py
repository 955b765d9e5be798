"""What is true of the whole venue at this moment, for all who speak in its name."""

from dataclasses import dataclass, field

from exchange.sandbox.market.market import Market

ONLINE, MAINTENANCE, CANCEL_ONLY, POST_ONLY = "online", "maintenance", "cancel_only", "post_only"


@dataclass
class Venue:
    """The market, and what the operator of the venue has done to it. The control API changes it, the wire reads it."""

    market: Market
    status: str = ONLINE
    suspended: set[str] = field(default_factory=set)  # instruments that can't be traded
    hidden: set[str] = field(default_factory=set)  # instruments left out of every list of markets
    skew_ns: int = 0  # what the venue's clock is wrong by

    def now_ns(self) -> int:
        """What the venue's clock says."""
        return self.market.now_ns + self.skew_ns
