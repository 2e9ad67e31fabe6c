"""A workflow of several steps: the handler of each publishes the next."""

import logging
from typing import Any

from pydantic import BaseModel, Field

from actors.app import events
from eventsys import Event

logger = logging.getLogger(__name__)

STEPS = ("reserve", "charge", "ship")


class Step(BaseModel):
    """One step of one workflow, to be executed."""

    workflow_id: str
    step_id: str
    action: str = "execute"
    input_data: dict[str, Any] = Field(default_factory=dict)


events.type("workflow.step.execute", Step)


def start_workflow(workflow_id: str, **input_data: Any) -> Event[Any]:
    """Publish the first step of a workflow; all that follows from it has its correlation id."""
    return publish_step(Step(workflow_id=workflow_id, step_id=STEPS[0], input_data=input_data))


def publish_step(step: Step) -> Event[Any]:
    """Publish a step."""
    return events.publish("workflow.step.execute", step, source="workflow-engine")


@events.on("workflow.step.execute", name="workflow.execute", max_retries=3)
def execute_step(event: Event[Step]) -> None:
    """Do a step, and publish what follows it.

    What a handler publishes goes out together with its own success: a step that fails, or whose worker dies, has
    published nothing, and its next attempt publishes once.
    """
    step = event.payload
    logger.info("workflow %s: %s", step.workflow_id, step.step_id)
    following = STEPS[STEPS.index(step.step_id) + 1 :]
    if following:
        publish_step(step.model_copy(update={"step_id": following[0]}))
    else:
        events.publish("workflow.completed", {"workflow_id": step.workflow_id}, source="workflow-engine")
