"""What the tests of the doctor share."""

from __future__ import annotations

import pytest
import redis

from tests.support.services import Services


@pytest.fixture
def services(redis_client: redis.Redis, services: Services) -> Services:
    """Services on an empty Redis: the doctor looks at all of it, and tells of what others left there."""
    return services
