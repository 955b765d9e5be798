"""What a venue lists, what of it can be traded, and whether to believe it."""

from prefect import flow

from config.settings import ROOT, load_settings
from tasks import facts
from tasks.catalog import discover_markets, note, nothing_to_fetch, tell, tell_of_failure
from tasks.provenance import code_version


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def universe(
    venue: str | None = None,
    shrink_is_believed: bool = False,
    addresses: str | None = None,
    is_routine: bool = False,
    profile: str = "paper",
) -> None:
    """Look at the markets of a venue, and keep what it says. The next build brings it to the tables.

    What is not believed changes nothing but is kept and alerted, and the run fails.

    Args:
        venue: A venue of the settings, `kraken` or `sandbox`. Left out: the one whose data the warehouse holds.
        shrink_is_believed: Whether a person has looked, and more than half of a list, or of the universe, is gone.
        addresses: The file of a running sandbox, instead of the one that the settings name.
        is_routine: Whether it is fine that there is nothing to do: no venue was chosen yet, or its sandbox has ended.
        profile: Settings, by the name of a file in config/.
    """
    settings = load_settings(profile)
    if is_routine and (reason := nothing_to_fetch(settings, venue)):
        tell(reason)
        return
    look = discover_markets(
        settings, venue, addresses=ROOT / addresses if addresses else None, shrink_is_believed=shrink_is_believed
    )
    for sentence in look.sentences:
        tell(sentence)
    note(facts.of_discovery(look))
    look.refuse_doubted()
