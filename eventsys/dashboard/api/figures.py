"""What is known of the bus as a whole, by HTTP: figures, alerts, the doctor's findings, event types."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from eventsys.dashboard.alert_rules import AlertRule, rules_of
from eventsys.dashboard.api.answering import answer, answer_all
from eventsys.dashboard.context import Bus
from eventsys.model.catalog import Catalog
from eventsys.model.diagnosis import Diagnosis
from eventsys.model.metrics import EventMetrics, SubscriptionMetrics, TypeMetrics
from eventsys.model.schema_changes import SchemaSet, TypeSchema
from eventsys.model.trouble import Trouble
from eventsys.runtime.doctor import examine

figures = APIRouter(tags=["figures"])


class MinuteFigures(BaseModel):
    """What happened in one minute."""

    published: int
    """Events of the application."""
    succeeded: int
    """Attempts that did."""
    failed: int
    """Attempts that did not."""


@figures.get("/metrics", response_model=EventMetrics)
def show_metrics(bus: Bus) -> Response:
    """Show the figures of the bus."""
    return answer(bus.get_metrics())


@figures.get("/metrics/types", response_model=dict[str, TypeMetrics])
def show_types(bus: Bus) -> Response:
    """Show the figures of each event type."""
    return answer_all(bus.get_metrics(by="type"))


@figures.get("/metrics/subscriptions", response_model=dict[str, SubscriptionMetrics])
def show_subscriptions(bus: Bus) -> Response:
    """Show the figures of each subscription."""
    return answer_all(bus.get_metrics(by="subscription"))


@figures.get("/metrics/activity", response_model=list[MinuteFigures])
def show_activity(bus: Bus) -> Response:
    """Show what happened in each minute of the last hour, the oldest first, this one last."""
    return answer_all([MinuteFigures(**one._asdict()) for one in bus.store.metrics.look().activity()])


@figures.get("/alerts", response_model=list[Trouble])
def list_alerts(bus: Bus) -> Response:
    """List what is wrong now, by the alert rules and by those parts that report troubles."""
    return answer_all(bus.bus.system.troubles())


@figures.get("/alerts/rules", response_model=list[AlertRule])
def list_rules(bus: Bus) -> Response:
    """List the alert rules, each with when it warns."""
    return answer_all(rules_of(bus.settings.alerts))


@figures.get("/doctor", response_model=Diagnosis)
def show_diagnosis(bus: Bus) -> Response:
    """Look at everything the doctor looks at, and show what it found."""
    return answer(examine(bus))


@figures.get("/schema", response_model=SchemaSet)
def show_schema(bus: Bus) -> Response:
    """Show the event types that the process of this dashboard knows, with the JSON Schema of their payloads."""
    return answer(schemas_of(bus.catalog))


def schemas_of(catalog: Catalog) -> SchemaSet:
    """Return the registered types with their schemas, by name."""
    return SchemaSet(
        types={
            event_type: TypeSchema(version=catalog.version_for(event_type), payload=model.model_json_schema())
            for event_type, model in sorted(catalog.registered().items())
        }
    )
