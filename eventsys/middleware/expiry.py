"""Whether it is too late to begin a delivery."""

from __future__ import annotations

from dramatiq import Broker, MessageProxy, Middleware
from dramatiq.middleware import SkipMessage

from eventsys.broker.actor import HandlerActor
from eventsys.broker.broker import EventBroker
from eventsys.broker.messages import DeliveryMessage
from eventsys.store.subscriptions import was_closed


class Expiry(Middleware):
    """Ends a delivery as expired whose first attempt would begin too late; its handler is not called.

    Only the first attempt can be too late. A delivery whose process died, or ended because of another handler, is at
    its first attempt still, and began in time. What waits for its next attempt carries no limit, nor does what is
    redriven or replayed. What lay in its queue when its subscription was paused, and was not too late then, never is.
    """

    #: The kinds of messages that this does something for, when they carry no options and do not fail.
    concerns = (DeliveryMessage,)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        """Skip what is too late.

        Raises:
            SkipMessage: If it is.
        """
        if not isinstance(message, DeliveryMessage) or message.expires_ms is None:
            return
        if not isinstance(broker, EventBroker) or not isinstance(message.actor, HandlerActor):
            return  # nobody here has its handler: it goes to the waiting room, where a sweep ends it
        if message.previous or message.place.is_suspect or message.place.has_begun:
            return
        if broker.clock.now_ms() <= message.expires_ms:
            return
        came_ms = int(message.place.entry.partition("-")[0])
        if not was_closed(broker.link, broker.keys, message.subscription, came_ms, message.expires_ms):
            message.is_expired = True
            raise SkipMessage(f"{message} expired before it could begin")
