"""WebSocket v2: greets, answers, and sends every connection what it subscribed to."""

from dataclasses import dataclass, field

from exchange.sandbox.market.model import Instant
from exchange.sandbox.spot import messages
from exchange.sandbox.spot.listing import channel_pair, instrument_data, listed, status_of
from exchange.sandbox.spot.refusal import UNAVAILABLE
from exchange.sandbox.spot.requests import Ping, Refusal, Request, read_frame, refusal_of_parameters
from exchange.sandbox.spot.streams import Stream, Topic, open_stream, topic_of
from exchange.sandbox.units import SECOND_NS
from exchange.sandbox.venue import MAINTENANCE, Venue
from exchange.sandbox.wire.budget import Budget
from exchange.sandbox.wire.link import Link

ALREADY_SUBSCRIBED = "Already subscribed"
NOT_SUBSCRIBED = "Subscription Not Found"
UNKNOWN_SYMBOL = "Currency pair not supported"
NO_SYMBOL = "Currency pair not in ISO 4217-A3 format"  # without a slash
TOO_MANY_FRAMES = "Exceeded msg rate"
GOING_AWAY = 1001
INSTRUMENTS = Topic("instrument", 0, 0, "")


@dataclass(frozen=True)
class Manners:
    """What the venue demands of a connection, and how often it shows that it is alive. Seconds of the venue."""

    heartbeat_s: float = 1.0
    idle_s: float = 60.0  # without a subscription and without a word
    frames_at_once: int = 200
    frames_per_s: float = 50.0


@dataclass
class Connection:
    """What one client has asked for so far. Lost with the connection."""

    link: Link
    budget: Budget
    topics: dict[tuple[str, str, int], Topic] = field(default_factory=dict)  # by channel, symbol, interval


@dataclass
class Room:
    """Those who listen to one topic of one pair."""

    stream: Stream
    links: dict[int, Link]


class SpotFeed:
    """All connections of the spot venue, and who listens to what."""

    def __init__(self, venue: Venue, manners: Manners | None = None) -> None:
        self._venue = venue
        self._manners = manners or Manners()
        self._connections: dict[int, Connection] = {}
        self._rooms: dict[str, dict[Topic, Room]] = {}  # by symbol; topics in their order
        self._status = venue.status
        self._pair_status = self._statuses()

    async def serve(self, link: Link) -> None:
        """Greet a client and answer its frames until the connection ends."""
        budget = Budget(self._manners.frames_at_once, self._manners.frames_per_s)
        connection = self._connections[link.id] = Connection(link, budget)
        try:
            link.send(messages.status(self._venue.status, link.id))
            async for text in link:
                self._answer(connection, text)
        finally:
            for (_, symbol, _), topic in connection.topics.items():
                self._leave(symbol, topic, link)
            del self._connections[link.id]

    def publish(self, instant: Instant) -> None:
        """Send what is due after the market moved. The trades of one moment come before what follows from them."""
        for moment in instant.moments:
            if len(moment.spot) and moment.instrument in self._rooms:
                for room in self._rooms[moment.instrument].values():
                    text = room.stream.update(moment)
                    if text is not None:
                        _send_all(room.links, text)

    def pulse(self, now_ns: int) -> None:
        """Heartbeats for those who listen, farewell to those who neither listen nor speak."""
        heartbeat_ns = round(self._manners.heartbeat_s * SECOND_NS)
        idle_ns = round(self._manners.idle_s * SECOND_NS)
        for connection in tuple(self._connections.values()):
            link = connection.link
            if connection.topics and now_ns - link.last_sent_ns >= heartbeat_ns:
                link.send(messages.HEARTBEAT)
            elif not connection.topics and now_ns - max(link.last_received_ns, link.opened_ns) >= idle_ns:
                link.close(GOING_AWAY, "idle")

    def status_changed(self) -> None:
        """Tell everyone of the venue's new status, and those who listen to the instruments of each pair's.

        Maintenance ends all connections after the message, as it does at the venue more often than not.
        """
        connections = [connection for connection in self._connections.values() if connection.link.is_open]
        if self._status != self._venue.status:
            self._status = self._venue.status
            for connection in connections:
                connection.link.send(messages.status(self._status, connection.link.id))
        self._tell_pair_status(connections)
        if self._status == MAINTENANCE:
            for connection in connections:
                connection.link.close(GOING_AWAY, "maintenance")

    def _tell_pair_status(self, connections: list[Connection]) -> None:
        before, self._pair_status = self._pair_status, self._statuses()
        now = self._pair_status
        changed = [name for name, status in now.items() if before[name] != status]
        if changed:
            pairs = [channel_pair(self._venue.market.pairs[name], now[name]) for name in changed]
            text = messages.instruments(messages.UPDATE, {"assets": [], "pairs": pairs})
            _send_all({one.link.id: one.link for one in connections if INSTRUMENTS in one.topics.values()}, text)

    def _statuses(self) -> dict[str, str]:
        return {name: status_of(self._venue, pair) for name, pair in self._venue.market.pairs.items()}

    def _answer(self, connection: Connection, text: str) -> None:
        link, now_ns = connection.link, self._venue.now_ns()
        if not connection.budget.take("frames", 1.0, now_ns):
            link.send(messages.refused(TOO_MANY_FRAMES, None, None, None, now_ns))
            return
        frame = read_frame(text)
        if isinstance(frame, Ping):
            link.send(messages.pong(frame.req_id, now_ns))
        elif isinstance(frame, Refusal):
            link.send(messages.refused(frame.error, frame.method, None, frame.req_id, now_ns))
        elif self._venue.status == MAINTENANCE:
            link.send(messages.refused(UNAVAILABLE, frame.method, None, frame.req_id, now_ns))
        else:
            self._answer_request(connection, frame, now_ns)

    def _answer_request(self, connection: Connection, request: Request, now_ns: int) -> None:
        """Every symbol gets its own answer, and after it its own snapshot."""
        for symbol in request.symbols or ("",):
            error = self._refusal(connection, request, symbol)
            if error is not None:
                answer = messages.refused(error, request.method, symbol or None, request.req_id, now_ns)
                connection.link.send(answer)
                continue
            connection.link.send(messages.accepted(request, symbol, now_ns))
            if request.method == "subscribe":
                self._subscribe(connection, request, symbol)
            else:
                self._leave(symbol, connection.topics.pop(_key(request, symbol)), connection.link)

    def _refusal(self, connection: Connection, request: Request, symbol: str) -> str | None:
        if request.channel != "instrument" and symbol not in self._venue.market.pairs:
            return f"{UNKNOWN_SYMBOL if '/' in symbol else NO_SYMBOL} {symbol}"
        error = refusal_of_parameters(request)
        if error is not None:
            return error
        topic = connection.topics.get(_key(request, symbol))
        if request.method == "subscribe":
            return None if topic is None else ALREADY_SUBSCRIBED
        return NOT_SUBSCRIBED if topic is None or topic.depth != request.depth else None

    def _subscribe(self, connection: Connection, request: Request, symbol: str) -> None:
        topic = connection.topics[_key(request, symbol)] = topic_of(request)
        if topic == INSTRUMENTS:
            text = messages.instruments(messages.SNAPSHOT, instrument_data(self._venue, listed(self._venue)))
        else:
            room = self._enter(symbol, topic)
            room.links[connection.link.id] = connection.link
            text = room.stream.snapshot() if request.snapshot else ""
        if request.snapshot:
            connection.link.send(text)

    def _enter(self, symbol: str, topic: Topic) -> Room:
        rooms = self._rooms.setdefault(symbol, {})
        if topic not in rooms:
            rooms[topic] = Room(open_stream(topic, self._venue, self._venue.market.pairs[symbol]), {})
            self._rooms[symbol] = dict(sorted(rooms.items(), key=lambda item: _rank(item[0])))
        return rooms[topic]

    def _leave(self, symbol: str, topic: Topic, link: Link) -> None:
        """The last one to leave closes the stream: an update that nobody gets isn't worked out."""
        if topic == INSTRUMENTS:
            return
        room = self._rooms[symbol][topic]
        del room.links[link.id]
        if not room.links:
            del self._rooms[symbol][topic]


def _key(request: Request, symbol: str) -> tuple[str, str, int]:
    """What can be subscribed to once: candles once per interval, everything else once per symbol."""
    return request.channel, symbol, request.interval_minutes


def _rank(topic: Topic) -> tuple[int, Topic]:
    return ("trade", "ticker", "book", "ohlc").index(topic.channel), topic


def _send_all(links: dict[int, Link], text: str) -> None:
    for link in links.values():
        link.send(text)
