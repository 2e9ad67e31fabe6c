"""The name of every key, and nowhere else.

All keys of a bus share the hash tag `{name}`, so each script touches one slot of a cluster. `docs/keys.md` tells what
each of them holds. Scripts derive the same names from the prefix they get in KEYS.
"""

from __future__ import annotations

#: The consumer group of every lane, of the log as of the queues.
GROUP = "workers"

#: The consumer that owns what a process handed back before it started it.
RETURNED = "returned"

#: The consumer that owns what a dead process may have been killed by.
SUSPECTS = "suspects"

#: What the dispatcher's queue is called among the queues of Dramatiq; its lanes are the log itself.
LOG_QUEUE = "eventsys.log"

#: The queue of deliveries that a publisher runs itself. Nobody reads it; should the publisher die, they are moved.
INLINE_QUEUE = "eventsys.inline"

#: The queue of the sweeps: periodiq's messages to them, and nothing else.
SWEEP_QUEUE = "eventsys.sweeps"

#: The classes of what the system says of itself, which have logs of their own.
CLASSES = ("system", "cron")

#: The queue of the ticks of cron tasks, and of the ends of their runs.
CRON_QUEUE = "eventsys.cron"

#: The number of the stored format. A newer one than this is refused.
FORMAT = 1


class Keys:
    """The keys of one bus.

    Args:
        bus: Its name; letters, digits, `_`, `.` and `-`.
    """

    def __init__(self, bus: str) -> None:
        self.prefix = f"es:{{{bus}}}"
        self.format = f"{self.prefix}:format"
        self.clock = f"{self.prefix}:clock"
        self.counts = f"{self.prefix}:counts"
        self.pending = f"{self.prefix}:pending"
        self.history = f"{self.prefix}:history"
        self.types = f"{self.prefix}:types"
        self.replays = f"{self.prefix}:replays"
        self.replays_running = f"{self.prefix}:replays:running"
        self.queues = f"{self.prefix}:queues"
        self.queues_paused = f"{self.prefix}:queues:paused"
        self.processes = f"{self.prefix}:processes"
        self.workers = f"{self.prefix}:workers"
        self.subscriptions = f"{self.prefix}:subscriptions"
        self.subscription_names = f"{self.prefix}:subscriptions:names"
        self.subscription_numbers = f"{self.prefix}:subscriptions:numbers"
        self.names_gone = f"{self.prefix}:names:gone"
        self.news = f"{self.prefix}:news"
        self.subscription_rows = f"{self.prefix}:subscriptions:rows"
        self.subscriptions_version = f"{self.prefix}:subscriptions:version"
        self.subscriptions_ended = f"{self.prefix}:subscriptions:ended"
        self.settling = f"{self.prefix}:settling"
        self.subscription_states = f"{self.prefix}:subscriptions:states"
        self.open_breakers = f"{self.prefix}:subscriptions:open"
        self.unhosted = f"{self.prefix}:subscriptions:unhosted"
        self.renamed = f"{self.prefix}:subscriptions:renamed"
        self.waiting = f"{self.prefix}:waiting"
        self.delayed_due = f"{self.prefix}:delayed:due"
        self.delayed_bodies = f"{self.prefix}:delayed:bodies"
        self.delayed_far_due = f"{self.prefix}:delayed:far:due"
        self.delayed_far_bodies = f"{self.prefix}:delayed:far:bodies"
        self.delayed_priorities = f"{self.prefix}:delayed:priorities"
        self.delayed_queues = f"{self.prefix}:delayed:queues"
        self.delayed_messages = f"{self.prefix}:delayed:messages"
        self.dead = f"{self.prefix}:dead"
        self.measured_types = f"{self.prefix}:metrics:types"
        self.measured_deliveries = f"{self.prefix}:metrics:deliveries"
        self.measures_aside = f"{self.prefix}:metrics:aside"
        self.lateness = f"{self.prefix}:metrics:lateness"
        self.troubles = f"{self.prefix}:troubles"
        self.poller = f"{self.prefix}:poller"
        self.cron_tasks = f"{self.prefix}:cron:tasks"
        self.cron_declared = f"{self.prefix}:cron:declared"
        self.periodic_last = f"{self.prefix}:periodic:last"
        self.periodic_doubled = f"{self.prefix}:periodic:doubled"
        self.periodic_specs = f"{self.prefix}:periodic:specs"
        self.wake = f"{self.prefix}:wake"

    def effects(self, event_id: str) -> str:
        """Return the key of the steps of an event's deliveries that have taken effect."""
        return f"{self.prefix}:effects:{event_id}"

    def record(self, event_id: str) -> str:
        """Return the hash that says where an event stands and how its deliveries went."""
        return f"{self.prefix}:event:{event_id}"

    def log(self, home: int | str) -> str:
        """Return the stream that is the log of one priority, or of a class of system events."""
        return f"{self.prefix}:log:{home}"

    def delayed_chain(self, correlation_id: str) -> str:
        """Return the set of the ids of a chain's events that wait for their time."""
        return f"{self.prefix}:delayed:chain:{correlation_id}"

    def replay(self, replay_id: str) -> str:
        """Return the hash that says how far a replay has come."""
        return f"{self.prefix}:replay:{replay_id}"

    def chain(self, correlation_id: str) -> str:
        """Return the list of the places of a chain's events in the log."""
        return f"{self.prefix}:chain:{correlation_id}"

    def type_index(self, event_type: str) -> str:
        """Return the stream that lists the places of all events of a type in the log."""
        return f"{self.prefix}:type:{event_type}"

    def status_index(self, status: str) -> str:
        """Return the sorted set of the events that ended as `status`, other than delivered."""
        return f"{self.prefix}:status:{status}"

    def lane(self, queue: str, lane: int) -> str:
        """Return the stream that is one priority of a queue; the log's own for the dispatcher's queue."""
        return self.log(lane) if queue == LOG_QUEUE else f"{self.prefix}:queue:{queue}:{lane}"

    def room(self, subscription: str, lane: int) -> str:
        """Return the stream where deliveries of one priority wait that may not run now."""
        return f"{self.prefix}:waiting:{subscription}:{lane}"

    def gate(self, subscription: str) -> str:
        """Return the hash of what holds a subscription back, and for how long."""
        return f"{self.prefix}:gate:{subscription}"

    def slots(self, subscription: str) -> str:
        """Return the sorted set of the deliveries that may run, or do, under the limits of a subscription."""
        return f"{self.prefix}:slots:{subscription}"

    def delayed_ids(self, bucket: str) -> str:
        """Return the hash that says which member of the delayed store an id is, for the ids of one bucket."""
        return f"{self.prefix}:delayed:ids:{bucket}"

    def delayed_keys(self, bucket: str) -> str:
        """Return the hash that says which event waits under a key, for the keys of one bucket."""
        return f"{self.prefix}:delayed:keys:{bucket}"

    def hosts(self, subscription: str) -> str:
        """Return the set of the processes that a subscription which is not persistent lives as long as."""
        return f"{self.prefix}:subscriptions:hosts:{subscription}"

    def letter(self, letter_id: str) -> str:
        """Return the hash of one dead letter."""
        return f"{self.prefix}:dead:{letter_id}"

    def cron_task(self, name: str) -> str:
        """Return the hash of one cron task."""
        return f"{self.prefix}:cron:task:{name}"

    def cron_open(self, name: str) -> str:
        """Return the hash of the runs of a cron task that are on."""
        return f"{self.prefix}:cron:open:{name}"

    def cron_history(self, name: str) -> str:
        """Return the list of the runs of a cron task that are over, the newest first."""
        return f"{self.prefix}:cron:history:{name}"

    def sweep(self, name: str) -> str:
        """Return the hash that says when a sweep was run, and how it ended."""
        return f"{self.prefix}:sweep:{name}"

    def type_metrics(self, event_type: str) -> str:
        """Return the hash of what was counted of the events of a type."""
        return f"{self.prefix}:metrics:type:{event_type}"

    def delivery_metrics(self, pair: str) -> str:
        """Return the hash of what was counted of deliveries, `<type>:<number of the subscription>`."""
        return f"{self.prefix}:metrics:delivery:{pair}"

    def delivery_times(self, pair: str) -> str:
        """Return the string of how long those waited and took."""
        return f"{self.prefix}:metrics:times:{pair}"

    def minute_metrics(self, minute: int) -> str:
        """Return the hash of what happened in a minute, counted from 1970."""
        return f"{self.prefix}:metrics:minute:{minute}"

    def letters_of_actor(self, actor: str) -> str:
        """Return the sorted set of the dead letters of a plain actor, by the time they died."""
        return f"{self.prefix}:letters:actor:{actor}"

    def letters_of(self, subscription: str) -> str:
        """Return the sorted set of the dead letters of a subscription, by the time they died."""
        return f"{self.prefix}:letters:subscription:{subscription}"

    def process(self, process: str) -> str:
        """Return the hash that describes a running process."""
        return f"{self.prefix}:process:{process}"
