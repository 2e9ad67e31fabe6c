"""Examples of every command, which its help ends with."""

from __future__ import annotations

import typer

#: What somebody types, by command; a test has each of them understood.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": ("eventsys demo",),
    "new": ("eventsys new shop", "eventsys new . --package orders"),
    "dev": ("eventsys dev actors", "eventsys dev actors --poll"),
    "worker": ("eventsys worker actors", "eventsys worker actors -p 4 -t 16 --queues reports"),
    "scheduler": ("eventsys scheduler actors",),
    "web": ("eventsys web", "eventsys web actors --port 8080 --read-only"),
    "publish": (
        """eventsys publish user.login '{"user_id": "12345"}' --source shell""",
        """eventsys publish order.paid '{"order_id": "1"}' --delay 10m --priority high""",
    ),
    "doctor": ("eventsys doctor", "eventsys doctor --wait-for-redis --only redis", "eventsys doctor --json"),
    "bench": ("eventsys bench --quick",),
    "health": ("eventsys health --liveness-file /run/eventsys/alive", "eventsys health --ready"),
    "top": ("eventsys top", "eventsys top --every 5", "eventsys top --once"),
    "metrics": ("eventsys metrics", "eventsys metrics --by subscription", "eventsys metrics --json"),
    "settings": ("eventsys settings", "EVENTSYS_RETENTION=7d eventsys settings --json"),
    "redis-acl": ("eventsys redis-acl --user shop",),
    "version": ("eventsys version",),
    "events publish": ("""eventsys events publish user.login '{"user_id": "12345"}'""",),
    "events ls": (
        "eventsys events ls --since 2h --status failed",
        "eventsys events ls --type 'order.*' --sub send-invoice -n 200",
    ),
    "events show": ("eventsys events show 01a21331-ca2c-7ce9-b173-735349f1d408",),
    "events tail": ("eventsys events tail", "eventsys events tail --type 'order.#' --json"),
    "events trace": ("eventsys events trace 01a21331-ca2c-7ce9-b173-735349f1d408",),
    "events export": ("eventsys events export --since 1d --type order.paid --to orders.jsonl",),
    "events replay": (
        "eventsys events replay --sub send-invoice --since 1d --dry-run",
        "eventsys events replay --sub send-invoice --type order.paid --since 1d --rate 50/s --yes",
    ),
    "delayed ls": ("eventsys delayed ls --type review.requested", "eventsys delayed ls --retries --sub send-invoice"),
    "delayed show": ("eventsys delayed show 01a21331-ca33-71a0-925c-3d2b82207160",),
    "delayed schedule": (
        """eventsys delayed schedule cart.expired '{"cart_id": "7"}' --delay 30m --key cart-7""",
        """eventsys delayed schedule report.due '{}' --at 2027-01-01T06:00""",
    ),
    "delayed cancel": (
        "eventsys delayed cancel 01a21331-ca33-71a0-925c-3d2b82207160",
        "eventsys delayed cancel --key cart-7",
        "eventsys delayed cancel --type cart.expired --dry-run",
    ),
    "delayed reschedule": ("eventsys delayed reschedule 01a21331-ca33-71a0-925c-3d2b82207160 --delay 1h",),
    "delayed run": ("eventsys delayed run 01a21331-ca33-71a0-925c-3d2b82207160",),
    "dead ls": ("eventsys dead ls --since 1d --sub send-invoice",),
    "dead show": ("eventsys dead show 01a21331-ca2c-7ce9-b173-735349f1d408:send-invoice",),
    "dead redrive": (
        "eventsys dead redrive 01a21331-ca2c-7ce9-b173-735349f1d408:send-invoice",
        "eventsys dead redrive --sub send-invoice --dry-run",
        "eventsys dead redrive --all --rate 20/s --yes",
    ),
    "dead purge": ("eventsys dead purge --type user.login --until 7d --dry-run",),
    "cron ls": ("eventsys cron ls",),
    "cron show": ("eventsys cron show invoices",),
    "cron create": (
        "eventsys cron create invoices --schedule '0 6 1 * *' --publish invoice.due --timezone Europe/Berlin",
        """eventsys cron create tidying --schedule @hourly --actor tidy --actor-args '["uploads"]' --run-timeout 5m""",
        "eventsys cron create rates --schedule '*/5 * * * *' --publish rates.due --priority high --max-retries 0",
    ),
    "cron update": (
        "eventsys cron update invoices --schedule '0 7 1 * *'",
        "eventsys cron update invoices --catch-up-all --clear max-runs",
    ),
    "cron delete": ("eventsys cron delete invoices --yes",),
    "cron pause": ("eventsys cron pause invoices",),
    "cron resume": ("eventsys cron resume invoices",),
    "cron run": ("eventsys cron run invoices", "eventsys cron run invoices --delay 10m"),
    "cron history": ("eventsys cron history invoices -n 20",),
    "subs ls": ("eventsys subs ls",),
    "subs show": ("eventsys subs show send-invoice",),
    "subs pause": ("eventsys subs pause send-invoice",),
    "subs resume": ("eventsys subs resume send-invoice",),
    "subs delete": ("eventsys subs delete send-invoice",),
    "subs backfill": ("eventsys subs backfill send-invoice --since 7d --dry-run",),
    "replays ls": ("eventsys replays ls",),
    "replays show": ("eventsys replays show 01a21331-ca33-71a0-925c-3d2b82207160",),
    "replays cancel": ("eventsys replays cancel 01a21331-ca33-71a0-925c-3d2b82207160",),
    "queue ls": ("eventsys queue ls",),
    "queue pause": ("eventsys queue pause reports",),
    "queue resume": ("eventsys queue resume reports",),
    "queue purge": ("eventsys queue purge reports --dry-run",),
    "workers ls": ("eventsys workers ls", "eventsys workers ls --json"),
    "schema ls": ("eventsys schema ls actors",),
    "schema export": ("eventsys schema export actors",),
    "schema diff": ("eventsys schema diff schema.json actors",),
}


def give_examples(app: typer.Typer, family: str = "") -> None:
    """Let the help of each command end with its examples.

    Args:
        app: Holds the commands, themselves and no families.
        family: The words before their names, with a space behind; empty for commands of one word.
    """
    for info in app.registered_commands:
        name = info.name or getattr(info.callback, "__name__", "").replace("_", "-")
        examples = EXAMPLES.get(f"{family}{name}", ())
        if examples:
            info.epilog = "\n\n".join(["Examples:" if len(examples) > 1 else "Example:", *examples])
