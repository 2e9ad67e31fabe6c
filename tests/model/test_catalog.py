import pytest
from pydantic import BaseModel

from eventsys.errors import InvalidEventError, InvalidPayloadError
from eventsys.model import BUILTIN_TYPES, Catalog, encode_payload
from eventsys.model.builtin_payloads import UserSession
from eventsys.model.catalog import RECORD_TYPES, SYSTEM_ERROR, USER_LOGIN


class Notification(BaseModel):
    user_id: str
    title: str = ""


EXAMPLES = {
    "cron.task.created": {"task": "nightly", "schedule": "0 3 * * *", "timezone": "Europe/Berlin"},
    "cron.task.updated": {"task": "nightly", "paused": True},
    "cron.task.deleted": {"task": "nightly"},
    "cron.task.executed": {"task": "nightly", "scheduled_for": "2026-01-31T03:00:00Z"},
    "cron.task.failed": {"task": "nightly", "error": "boom", "duration_seconds": 1.5},
    "cron.task.completed": {"task": "nightly", "duration_seconds": 0.2},
    "system.startup": {"host": "a", "pid": 1, "version": "0.1", "subscriptions": ["mail"]},
    "system.shutdown": {"host": "a", "pid": 1, "version": "0.1", "uptime_seconds": 3},
    "system.error": {"message": "no worker for queue 'mail'", "details": {"queue": "mail"}},
    "system.warning": {"message": "backlog is old", "rule": "backlog-age", "ended": True},
    "user.login": {"user_id": "12345", "ip": "192.168.1.100", "timestamp": "2026-01-31T12:00:00Z", "device": "web"},
    "user.logout": {"user_id": "12345"},
    "user.registered": {"user_id": "12345", "plan": "free"},
    "data.created": {"table_name": "users", "record_id": 7},
    "data.updated": {"table_name": "users", "record_id": "7"},
    "data.deleted": {"table_name": "temp_uploads", "conditions": {"created_at": {"$lt": "x"}}, "action": "delete"},
}


def test_the_sixteen_built_in_types_are_known():
    assert set(BUILTIN_TYPES) == set(EXAMPLES)
    assert Catalog().registered() == {**BUILTIN_TYPES, **RECORD_TYPES}


@pytest.mark.parametrize("event_type", EXAMPLES)
def test_a_built_in_payload_is_validated_keeps_further_fields_and_is_written_whole(event_type):
    example = {**EXAMPLES[event_type], "tenant": "t-1"}
    model = Catalog().check_payload(event_type, example)
    assert type(model) is BUILTIN_TYPES[event_type]
    again = type(model).model_validate_json(encode_payload(model))
    assert again == model
    assert again.model_dump()["tenant"] == "t-1"
    assert model.model_dump(mode="json", exclude_unset=True) == example


@pytest.mark.parametrize("event_type", EXAMPLES)
def test_a_built_in_payload_without_its_main_fact_is_refused_in_pydantics_words(event_type):
    with pytest.raises(InvalidPayloadError, match=f"(?s){event_type}.*Field required"):
        Catalog().check_payload(event_type, {})


def test_an_unregistered_type_takes_any_payload():
    payload = {"anything": 1}
    assert Catalog().check_payload("order.placed", payload) is payload
    assert Catalog().model_for("order.placed") is None
    assert Catalog().version_for("order.placed") == 1


def test_a_registered_type_is_validated_versioned_and_found_by_its_class():
    catalog = Catalog()
    catalog.register("user.notification", Notification, version=2)
    assert catalog.model_for("user.notification") is Notification
    assert catalog.version_for("user.notification") == 2
    assert catalog.type_for(Notification) == "user.notification"
    assert catalog.check_payload("user.notification", {"user_id": "1"}) == Notification(user_id="1")


def test_a_payload_of_its_class_is_taken_as_it_is_and_of_another_class_by_its_content():
    catalog = Catalog()
    catalog.register("user.notification", Notification)
    notification = Notification(user_id="1")
    assert catalog.check_payload("user.notification", notification) is notification
    assert catalog.check_payload("user.notification", UserSession(user_id="1")) == notification
    with pytest.raises(InvalidPayloadError):
        catalog.check_payload("user.notification", 5)


def test_registering_again_takes_the_place_of_the_first():
    class Newer(BaseModel):
        user_id: str

    catalog = Catalog()
    catalog.register("user.notification", Notification)
    catalog.register("user.notification", Newer, version=2)
    assert catalog.model_for("user.notification") is Newer
    with pytest.raises(InvalidEventError, match="no registered type"):
        catalog.type_for(Notification)


def test_a_class_of_several_types_cannot_tell_which():
    with pytest.raises(InvalidEventError, match=r"user\.login, user\.logout; name the type"):
        Catalog().type_for(UserSession)


@pytest.mark.parametrize(
    "wrong",
    [("User", Notification, 1), ("a.b", dict, 1), ("a.b", Notification(user_id="1"), 1), ("a.b", Notification, 0)],
)
def test_what_cannot_be_registered_is_refused(wrong):
    with pytest.raises(InvalidEventError):
        Catalog().register(*wrong)


def test_names_of_types_are_constants():
    assert (USER_LOGIN, SYSTEM_ERROR) == ("user.login", "system.error")
