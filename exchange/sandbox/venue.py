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
    hidden: set[str] = field(default_factory=set)  # left out where all are listed; who asks by name gets an answer
    skew_ns: int = 0  # what the venue's clock is wrong by

    def halt_trading(self) -> None:
        """Have the market print nothing that could not trade. In every mode but one nobody may take from the book."""
        everything = {*self.market.pairs, *self.market.contracts}
        self.market.halt(self.suspended if self.status == ONLINE else everything)

    def now_ns(self) -> int:
        """What the venue's clock says."""
        return self.market.now_ns + self.skew_ns
