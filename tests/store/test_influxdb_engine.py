"""What only the InfluxDB engine has to cope with: buckets, tokens, absence, kills, names with a meaning."""

from datetime import UTC, datetime, timedelta

import pytest
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource

from collector.spool import Spool
from store.energy import device_energy
from store.engines.influxdb import parse_address
from store.periods import Period
from store.problem import ProblemsError
from store.samples import Sample, samples_to_table
from store.series import SeriesUnavailableError, open_series, prepare_series
from tests.store.conftest import INFLUX_TOKEN

START = datetime(2025, 10, 1, tzinfo=UTC)


def sample(number: int = 0, device: str = "a", **values) -> Sample:
    moment = START + number * timedelta(minutes=15)
    return Sample(device, moment, moment, values or {"generated_energy_wh": 100 * number})


@pytest.fixture(scope="module")
def server(tmp_path_factory, start_influx):
    with start_influx(tmp_path_factory.mktemp("influx")) as (port, _):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def opened(server, request):
    url = f"influxdb://:{INFLUX_TOKEN}@{server}/county/{request.node.name[:60]}"
    prepare_series(url)
    store = open_series(url)
    yield store
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "influxdb://",
        "influxdb://h/only-organization",
        "influxdb://h/o/b/c",
        "influxdb://h/o/b?colour=red",
        "influxdb://h/o/b?measurement=A-b",
        "influxdb://h/o/b?retention_days=-1",
    ],
)
def test_a_wrong_address_is_refused_without_its_token(url):
    with pytest.raises(ProblemsError, match="写得不对") as caught:
        parse_address(url.replace("://h", "://:s3cret@h"))
    assert "s3cret" not in str(caught.value)


def test_an_address_names_organization_bucket_retention_and_certificate():
    address = parse_address(
        "influxdb+https://:s3%2Fcret@db.example/%E5%8E%BF/solar?retention_days=400&ca=/etc/ca.pem"
    )
    assert (address.base, address.organization, address.bucket) == ("https://db.example:8086", "县", "solar")
    assert (address.token, address.retention.days, address.certificate) == ("s3/cret", 400, "/etc/ca.pem")


def test_an_absent_server_is_told_with_the_setting(free_port):
    for ask in (open_series, prepare_series):
        with pytest.raises(ProblemsError, match="连不上 InfluxDB") as caught:
            ask(f"influxdb://:s3cret@127.0.0.1:{free_port}/county/solar")
        assert caught.value.problems[0].where == "SUNLEDGER_SERIES_URL"
        assert "s3cret" not in str(caught.value)


@pytest.mark.influx
def test_a_wrong_token_bucket_or_organization_is_told_with_its_setting(server):
    right = f"influxdb://:{INFLUX_TOKEN}@{server}"
    cases = {
        f"influxdb://:wrong@{server}/county/first": ("SUNLEDGER_SERIES_TOKEN", "不认这个令牌"),
        f"influxdb://{server}/county/first": ("SUNLEDGER_SERIES_TOKEN", "不认这个令牌"),
        f"{right}/county/nothing": ("SUNLEDGER_SERIES_URL", "没有令牌看得到的存储桶 nothing"),
    }
    for url, (where, what) in cases.items():
        with pytest.raises(ProblemsError, match=what) as caught:
            open_series(url)
        assert caught.value.problems[0].where == where
    for ask in (open_series, prepare_series):
        with pytest.raises(ProblemsError, match="没有组织 nowhere"):
            ask(f"{right}/nowhere/first")


@pytest.mark.influx
def test_a_token_that_cannot_write_is_refused_at_the_start(opened):
    with pytest.raises(ProblemsError, match="不能写") as caught:
        open_series(f"influxdb://:{read_only_token(opened)}@{opened._address.base[7:]}/county/first")
    assert caught.value.problems[0].where == "SUNLEDGER_SERIES_TOKEN"


def read_only_token(store) -> str:
    """Have the server make a token that may read its buckets and nothing else."""
    client = store._client
    organization = client.organizations_api().find_organizations(org="county")[0].id
    resource = PermissionResource(type="buckets", org_id=organization)
    made = client.authorizations_api().create_authorization(
        org_id=organization, permissions=[Permission(action="read", resource=resource)]
    )
    return made.token


@pytest.mark.influx
def test_the_spool_keeps_what_a_server_does_not_take(tmp_path, start_influx, free_port):
    """Away, then back: every sample is there once, and what stood in the way was told."""
    url = f"influxdb://:{INFLUX_TOKEN}@127.0.0.1:{free_port}/county/first"
    spool = Spool(tmp_path / "spool.sqlite3")
    with start_influx(tmp_path / "server", free_port) as (_, process):
        store = open_series(url)
        spool.append([sample(n) for n in range(20)], at=START)
        assert spool.deliver(store, now=START).stored == 20
        process.terminate()
        process.wait()
        spool.append([sample(n) for n in range(20, 60)], at=START)
        assert "InfluxDB 暂不可用" in spool.deliver(store, now=START).unavailable
        assert spool.balance().waiting == 40
    with start_influx(tmp_path / "server", free_port):
        while spool.balance().waiting:
            spool.deliver(store, now=START)
        assert (store.statistics().rows, spool.audit().difference) == (60, 0)
        store.close()
    spool.close()


@pytest.mark.influx
def test_preparing_makes_the_bucket_and_follows_the_wanted_retention(server):
    url = f"influxdb://:{INFLUX_TOKEN}@{server}/county/kept"
    for days in (0, 0, 400, 30, 0):
        prepare_series(f"{url}?retention_days={days}")
        store = open_series(url)
        (rules,) = [one.retention_rules for one in [store._client.buckets_api().find_bucket_by_name("kept")]]
        assert [rule.every_seconds for rule in rules] in ([days * 86_400], [] if not days else None)
        store.close()


@pytest.mark.influx
def test_counters_stay_whole_and_codes_stay_codes(opened):
    values = {"generated_energy_wh": 2**62 + 1, "state": 3, "active_power_w": 0.1, "alarm_words_1": 2**31}
    opened.write(samples_to_table([sample(1, **values)]))
    assert dict(opened.latest()["a"].values) == values
    opened._forget()
    assert dict(opened.latest()["a"].values) == values


@pytest.mark.influx
def test_names_never_become_part_of_a_query(opened):
    names = ['a") |> drop(columns:["x"]) //', "b\\", 'c"\n|> yield()', "${d}", "四号"]
    opened.write(samples_to_table([sample(1, name, state=number) for number, name in enumerate(names)]))
    opened._forget()
    assert {name: one.values["state"] for name, one in opened.latest().items()} == {
        name: number for number, name in enumerate(names)
    }
    assert opened.read(names, START, START + timedelta(days=1), ["state"]).num_rows == len(names)


@pytest.mark.influx
def test_what_was_acknowledged_survives_kill_9(tmp_path, start_influx):
    url = "influxdb://:%s@127.0.0.1:%d/county/first"
    with start_influx(tmp_path / "server") as (port, process):
        store = open_series(url % (INFLUX_TOKEN, port))
        for batch in range(10):
            store.write(samples_to_table([sample(batch * 50 + n) for n in range(50)]))
        process.kill()
        process.wait()
        with pytest.raises(SeriesUnavailableError):
            store.write(samples_to_table([sample(501)]))
        store.close()
    with start_influx(tmp_path / "server") as (port, _):
        store = open_series(url % (INFLUX_TOKEN, port))
        assert store.statistics().rows == 500
        store.close()


@pytest.mark.influx
def test_what_another_process_writes_becomes_the_latest(opened, monkeypatch):
    monkeypatch.setattr("store.engines.serverside.LOOK_SECONDS", 0.0)
    web = type(opened)(opened._address)
    assert web.latest() == {}
    for number in (1, 2, 3):
        opened.write(samples_to_table([sample(number)]))
        assert web.latest(["a"])["a"].values == {"generated_energy_wh": 100 * number}
    web.close()


@pytest.mark.influx
def test_energy_is_the_same_as_from_the_embedded_engine(opened, tmp_path):
    samples = []
    for day in range(3):
        for quarter in range(96):
            gained = day * 480_000 + max(0, min(48, quarter - 24)) * 10_000
            moment = START + timedelta(days=day, hours=quarter / 4 - 8)
            samples.append(Sample("a", moment, moment, {"generated_energy_wh": 5_000_000 + gained}))
    periods = [Period.parse("2025-10"), *Period.parse("2025-10").days()]
    embedded = open_series(f"duckdb:///{tmp_path / 'x.duckdb'}")
    found = []
    for store in (opened, embedded):
        store.write(samples_to_table(samples))
        found.append(device_energy(store, ["a"], periods, rated_power_w={"a": 60_000}))
    embedded.close()
    assert found[0] == found[1]
    assert found[0][0].energy_wh == 3 * 480_000
