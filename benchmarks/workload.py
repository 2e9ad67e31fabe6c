"""What every benchmark sends, and how its work is cut; read by peers' interpreters too, so it imports nothing."""

from __future__ import annotations

#: The payload of every message: nearly 200 bytes of JSON.
PAYLOAD: dict[str, object] = {"user_id": "12345", "note": "x" * 165}

#: Handlers that take one event of a fan-out.
SUBSCRIBERS = 3

#: Threads of one worker process, where a worker has threads.
THREADS = 8

#: Messages of one batch, where a system can send several at once.
BATCH = 100
