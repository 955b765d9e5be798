"""One bounded trading session. Paper and live are two deployments of it, with another profile each."""

from prefect import flow

from tasks import facts
from tasks.catalog import note, publish_journals, run_session, session_settings, tell, tell_of_lost_session
from tasks.provenance import code_version


@flow(version=code_version(), on_failure=[tell_of_lost_session], on_crashed=[tell_of_lost_session])
def trade(profile: str = "paper", chain: str | None = None) -> None:
    """Trade one session, then end. Starting is recovering: a run that died is simply started again.

    Args:
        profile: Settings, by the name of a file in config/.
        chain: Filled in by a trigger; names the chain of runs that ends here.
    """
    settings = session_settings(profile)
    try:
        session = run_session(settings)
        tell(session.sentence)
        note(facts.of_session(session, settings.risk.starting_cash_usd))
    finally:  # a session that halts has a journal too; a state, unlike an error, can't hide why it halted
        journals = publish_journals(settings, return_state=True)
        if journals.is_completed():
            for sentence in journals.result().sentences:
                tell(sentence)
    journals.result()  # raises what kept the journals from being published
