"""Plans over the API: text, life and trial."""

from tests.api.conftest import BOOKED_MONTH, MONTH
from tests.api.test_resources import V1, problem_of


def test_a_plan_has_its_text_and_life_and_its_trial_adds_up(county):
    (summary,) = county["auditor"].json(f"{V1}/plans")
    shown = county["auditor"].json(f"{V1}/plans/{summary['plan_id']}/{summary['version']}")
    assert 'id = "default-county"' in shown["text"]
    assert [one["state"] for one in shown["states"]] == ["draft", "tested", "approved", "published"]
    assert shown["publications"][0]["division_code"] == ""
    address = f"{V1}/plans/default-county/1/trial?month={MONTH}&month={BOOKED_MONTH}"
    trial = county["auditor"].json(address)
    assert trial["months"] == sorted({MONTH, BOOKED_MONTH})
    assert trial["computed"] > 0
    assert trial["problems"] == []
    for one in trial["changes"]:
        assert one["new_fen"] - one["old_fen"] == sum(cause["delta_fen"] for cause in one["causes"])
    problem_of(county["auditor"].get(f"{V1}/plans/nothing/1"), 404)
    problem_of(county["auditor"].get(f"{V1}/plans/nothing/1/trial?month={MONTH}"), 404)
    problem_of(county["auditor"].get(f"{V1}/plans/default-county/1/trial"), 422)
