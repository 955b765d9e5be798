"""Errors, named by what the reader must do next. A broken invariant is none of these: it asserts."""


class SlipwayError(Exception):
    """Anything this project raises on purpose; its text is a sentence for the person who reads it."""


class ExchangeUnavailable(SlipwayError):
    """Nothing happened. Retry with backoff and jitter."""


class OrderRefused(SlipwayError):
    """The venue said no. Record it, carry on."""


class OutcomeUnknown(SlipwayError):
    """It may have happened. Find the order before anything else."""


class TradingHalted(SlipwayError):
    """A limit was reached, or another writer took over. Cancel entries, alert, stop."""


class CheckFailed(SlipwayError):
    """The data is wrong. Do not build further; alert with the rows."""


class Outdated(CheckFailed):
    """What was checked is not what is there by now. Build and check again."""


class InputUnusable(SlipwayError):
    """A file or a value from outside can't be used at all. Mend it and run again; nothing was landed."""


class WarehouseBusy(SlipwayError):
    """Another process held the build file for the whole bounded wait. Retry."""


class SetupFailed(SlipwayError):
    """The machine lacks something: a port, disk space, a module. Mend it as the sentence says."""
