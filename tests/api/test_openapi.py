"""Every operation of the published description, asked with made-up input: no failure, answers that fit."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from monitoring.alarms.reads import AlarmFilter, alarms
from monitoring.work_orders.reads import work_orders
from registry.actors import SYSTEM
from registry.households import households
from tests.api.conftest import BOOKED_MONTH, MONTH, County

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 25
DESCRIPTION = schemathesis.openapi.from_dict(create_app(None).openapi())  # type: ignore[arg-type]
DESCRIPTION.config.update(base_url="http://localhost")
OPERATIONS = [one.ok() for one in DESCRIPTION.get_all_operations()]


@pytest.fixture(scope="session")
def true_values(county: County) -> dict[str, list[Any]]:
    """What the parts of an address are called in the county, so that some requests find something."""
    with county.database.reading() as session:
        families = [one.id for one in households(session, SYSTEM)]
        orders = [one.id for one in work_orders(session, SYSTEM)]
        told = [one.id for one in alarms(session, SYSTEM, AlarmFilter(grouped=True))]
    return {
        "order_id": orders,
        "alarm_id": told,
        "station_id": [one.id for one in county.stations],
        "run_id": [one.id for one in county.runs],
        "line_no": [1, 2, 3],
        "village_code": list(county.villages),
        "code": list(county.villages),
        "year": ["2026"],
        "household_id": families,
        "month": [BOOKED_MONTH, MONTH],
        "period": [BOOKED_MONTH, MONTH, "2026"],
        "plan_id": ["default-county"],
        "version": [1],
        "settlement_id": [f"settlement:{one.id}:{BOOKED_MONTH}:1" for one in county.stations],
    }


def modes_of(operation: Any) -> list[GenerationMode]:
    """Return what can be made up: input as described, and, where there is any input, other input too."""
    has_input = operation.path_parameters or operation.query or operation.body
    return [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if has_input else [GenerationMode.POSITIVE]


def with_true_parts(data: st.DataObject, given_parts: Any, true_values: dict[str, list[Any]]) -> Any:
    return {
        name: data.draw(st.sampled_from(true_values[name])) if name in true_values else value
        for name, value in given_parts.items()
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_an_operation_answers_as_described(county, true_values, monkeypatch, operation):
    async def hold_back(_seconds: float) -> None:
        return None

    monkeypatch.setattr("api.resources.session.asyncio.sleep", hold_back)
    seen: set[int] = set()

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        meant = data.draw(st.booleans(), label="meant well")
        modes = [GenerationMode.POSITIVE] if meant else modes_of(operation)
        case = data.draw(
            operation.as_strategy(generation_mode=data.draw(st.sampled_from(modes), label="mode"))
        )
        if meant or data.draw(st.booleans(), label="true path"):
            case.path_parameters = with_true_parts(data, case.path_parameters, true_values)
        if meant or data.draw(st.booleans(), label="true query"):
            case.query = with_true_parts(data, case.query, true_values)
        request = case.as_transport_kwargs(base_url="http://localhost")
        program = county["public" if operation.path.endswith("/session") else "county"]
        made_up = request.pop("headers", {})
        headers = {name: made_up[name] for name in made_up if name.lower() != "authorization"}
        answer = program.ask(request.pop("method"), request.pop("url"), headers=headers, **known(request))
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()
    print(operation.label, sorted(seen))
    if operation.method == "get":
        assert 200 in seen


def known(request: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a request by their names in httpx, which calls raw bytes content."""
    kept = {name: request[name] for name in ("params", "json") if name in request}
    return {**kept, "content": request["data"]} if "data" in request else kept


def test_the_description_is_served_to_those_who_log_in(county):
    served = county["maintenance"].json("/api/v1/openapi.json")
    assert served["openapi"].startswith("3.1")
    assert served["components"]["securitySchemes"]["session"]["scheme"] == "bearer"
    for path, methods in served["paths"].items():
        assert path.startswith("/api/v1/")
        for operation in methods.values():
            assert "422" in operation["responses"]
            assert operation["tags"]
    assert county["public"].get("/api/v1/openapi.json").status_code == 401
