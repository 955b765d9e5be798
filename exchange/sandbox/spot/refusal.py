"""How the spot venue says no."""

INVALID_ARGUMENTS = "EGeneral:Invalid arguments"
UNKNOWN_METHOD = "EGeneral:Unknown method"
UNKNOWN_PAIR = "EQuery:Unknown asset pair"
UNKNOWN_ASSET = "EQuery:Unknown asset"
INVALID_KEY = "EAPI:Invalid key"
UNAVAILABLE = "EService:Unavailable"
RATE_LIMIT_OF_CLIENT = "EAPI:Rate limit exceeded"
RATE_LIMIT_OF_PAIR = "EGeneral:Too many requests"


class Refused(Exception):
    """A request that the venue answers with an error; its text is the venue's own word."""
