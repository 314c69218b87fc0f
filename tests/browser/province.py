"""A made-up afternoon in the province: snapshots for the screens, with every state a value or feed can be in."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from ioc import areas as areas_module
from ioc.causes import because
from ioc.config import Config, load
from ioc.kpi.catalogue import Catalogue, Kpi, in_use
from ioc.kpi.catalogue import load as load_catalogue
from ioc.kpi.changes import Changes, Restated, Silent, moves, statuses
from ioc.kpi.tile import Delta, History, Period, Quality, State, Target, Tile, Words
from ioc.live import FeedView, Point, Snapshot, TickerItem
from ioc.store.ledger import Restatement

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 7, 32, 5, tzinfo=UTC)  # a Friday, 14:32:05 in Thái Nguyên
DAY = datetime(2026, 11, 19, 17, tzinfo=UTC)
AREAS = areas_module.load("19")

VALUES: dict[str, float] = {
    "dossiers_received_today": 1284, "dossiers_resolved_today": 1107, "dossiers_on_time_rate": 96.53, "dossiers_open": 18342,
    "dossiers_overdue": 137, "dossiers_median_hours": 52.3, "dossiers_online_share": 84.2, "dossiers_satisfaction": 4.37,
    "documents_sent_today": 2310, "documents_received_today": 12874, "documents_processed_today": 1840, "documents_open": 3911,
    "documents_overdue": 42, "documents_overdue_province": 12, "documents_overdue_commune": 30, "documents_signed_share": 98.0,
    "attendance_rate": 97.1, "schools_reporting": 88.4, "students_absent_unexcused": 812, "students_enrolled": 268431,
    "encounters_today": 4127, "emergency_encounters_today": 96, "immunisations_today": 655, "facilities_reporting": 71.3,
    "incidents_opened_today": 63, "incidents_closed_today": 48, "incidents_open": 214, "incidents_overdue": 23,
    "warnings_in_force": 3, "warnings_severe_in_force": 1, "warnings_issued_today": 4,
    "tourism_visitors_today": 8412, "tourism_international_share": 6.4, "tourism_room_occupancy": 47.3, "tourism_sites_reporting": 100.0,
    "incidents_on_time_rate": 86.9, "incidents_median_hours": 5.3, "incidents_satisfaction": 4.02,
    "cpi_change": 3.41, "industry_index_change": 7.86, "retail_turnover": 6.95e12, "enterprises_new": 121,
    "incidents_open_duong_giao_thong": 58, "incidents_open_moi_truong": 47, "incidents_open_dien_chieu_sang": 31, "incidents_open_cap_thoat_nuoc": 28,
    "incidents_open_trat_tu_do_thi": 33, "incidents_open_an_ninh_trat_tu": 17, "emergency_open": 9, "emergency_open_113": 4, "emergency_open_114": 1,
    "emergency_open_115": 4, "emergency_calls_today": 86, "emergency_false_calls": 11, "emergency_response_minutes": 11.4, "emergency_late_responses": 3,
    "emergency_median_hours": 0.8, "epidemic_cases_week": 212, "epidemic_dengue_week": 64, "epidemic_dengue_communes": 3, "epidemic_communes_reporting": 87,
    "epidemic_hfmd_week": 71, "epidemic_influenza_week": 48, "epidemic_measles_week": 8, "epidemic_varicella_week": 21, "air_aqi_highest": 118,
    "air_pm25_highest": 42.3, "air_stations_poor": 2, "stations_working": 92.3, "water_alarm_highest": 1, "rain_mean_today": 12.6, "air_pm25_mean": 27.9,
    "air_aqi_day_highest": 96, "water_gauges_above_alarm": 1, "cameras_online_share": 93.3, "cameras_offline": 4, "cameras_offline_hour": 2, "cameras_frozen": 3,
    "vehicles_today": 214_380, "buses_running": 38, "buses_speed": 27.4, "bike_stations_working": 96.0, "bikes_available": 241, "bikes_free": 17,
    "bikes_broken": 9, "grdp_growth_rate": 7.06, "grdp_per_capita": 121.5e6, "industry_output": 1.032e15, "export_value": 32.8e9, "budget_revenue": 26.4e12,
    "investment_fdi_value": 11.2e9, "poverty_rate": 3.02, "invoice_electronic_share": 98.6, "trade_products": 4210, "trade_accounts": 1985,
    "investment_domestic_projects": 47, "investment_fdi_projects": 26, "dti_rank": 8, "dti_government_rank": 6, "dti_economy_rank": 9, "dti_society_rank": 7,
    "broadband_mobile": 61.42, "broadband_fixed": 168.9, "app_installs": 412_600, "signatures_issued": 96_480, "documents_exchanged_year": 1_894_000,
    "documents_saved_each": 5200, "enterprises_digital": 1046, "datasets_published": 213, "services_essential_share": 96.0, "insured_verified_share": 97.42,
    "network_links_up": 98.9, "network_links_down": 1, "databases_connected": 91.7, "platforms_up": 97.2, "platforms_down": 1, "service_quality": 86.4,
    "service_quality_publicity": 16.8, "service_quality_progress": 18.9, "service_quality_digitised": 19.4, "service_quality_online": 10.1,
    "service_quality_satisfaction": 17.6, "portals_up": 97.8, "portals_availability": 99.31, "portals_down": 2, "portals_latency": 412,
    "portals_visits_today": 38_214, "portals_visits_month": 812_904, "portals_visits_total": 41_208_733, "portals_online": 1206,
}  # fmt: skip
FEED_STATES: dict[str, State] = {"health": "late", "education": "stale"}

# As ioc.kpi.explain gives it.
EXPLANATION: dict[str, Any] = {
    "numerator": 1284, "denominator": None,
    "formula": {
        "words": {"vi": "Số hồ sơ tiếp nhận từ 0 giờ", "en": "Dossiers received since midnight"}, "symbols": "n(opened)",
        "sql": "SELECT sum(n) FROM rollup_case WHERE measure = 'opened'", "parameters": {"day": "2026-11-20"}, "version": 1, "since": "2025-07-01",
    },
    "limits": {"better": "up", "watch": 95.0, "alarm": [10.0, 20.0], "target": None},
    "events": [
        {"feed": "public-services", "subject": "H55.19-261120-0001", "metric": "", "time": "2026-11-20T07:30:00Z", "data": {"status": "open", "title": "<i>x</i>"}},
    ],
}  # fmt: skip


def config(**changes: Any) -> Config:
    """Return the shipped configuration, its scenes standing still unless a test turns them."""
    found = _shipped()
    return found.model_copy(update={"scenes": found.scenes.model_copy(update={"dwell_s": 86_400.0})} | changes)


@cache
def _shipped() -> Config:
    return load(ROOT / "config.yaml")


@cache
def catalogue() -> Catalogue:
    return load_catalogue(ROOT / "dashboards" / "catalogue")


def tile(kpi: Kpi, value: float | None, *, now: datetime = NOW, states: dict[str, State] | None = None) -> Tile:
    """Return a plausible tile of this KPI with this value."""
    states = states or {}
    found = [states.get(feed, "live") for feed in kpi.feeds]
    order = ("live", "late", "stale", "lost", "never")
    worst: State = max(found, key=order.index)
    dice = random.Random(kpi.kpi)
    before = course(kpi).values[-14:-1]
    spark: list[float | None] = [*[None] * (13 - len(before)), *before, value] if value is not None else []
    ratio = kpi.kind == "ratio" and value is not None
    return Tile(
        kpi=kpi.kpi, title=kpi.title, theme=kpi.theme, value=value, unit=kpi.unit, kind=kpi.kind, better=kpi.better,
        status=_status(kpi, value), period=_period(kpi),
        as_of=None if worst == "never" else now - timedelta(seconds=40 if worst == "live" else 1500),
        published_at=now, area="19", source=list(kpi.feeds), formula=kpi.kpi, formula_version=kpi.version,
        quality=Quality(worst, [feed for feed in kpi.feeds if states.get(feed) in ("stale", "lost", "never")]),
        numerator=round(1190 * (value or 0) / 100) if ratio else None, denominator=1190 if ratio else None,
        target=Target(kpi.target, kpi.target_due) if kpi.target is not None else None,
        delta=None if value is None else Delta(round(value * dice.uniform(-0.08, 0.08), 1 if kpi.decimals or kpi.unit == "h" else 0), "previous_period"),
        decimals=kpi.decimals, spark=spark,
    )  # fmt: skip


def _period(kpi: Kpi) -> Period:
    """Return today or the week until now; of months and years, whose figures come in reports, the last one that is over."""
    if kpi.period == "year":
        return Period(datetime(2024, 12, 31, 17, tzinfo=UTC), datetime(2025, 12, 31, 17, tzinfo=UTC), complete=True)
    if kpi.period == "month":
        return Period(datetime(2026, 9, 30, 17, tzinfo=UTC), datetime(2026, 10, 31, 17, tzinfo=UTC), complete=True)
    return Period(DAY - timedelta(days=DAY.weekday() + 1 if kpi.period == "week" else 0), DAY + timedelta(days=1), complete=False)


def course(kpi: Kpi) -> History:
    """Return a past with the rhythm of a week, quiet weekends and one day without figures."""
    dice = random.Random(kpi.kpi)
    usual = VALUES.get(kpi.kpi, 20.0)
    if kpi.period == "year":
        return History([date(year, 1, 1) for year in range(2016, 2027)], [usual * dice.uniform(0.6, 1.2) for _ in range(11)])
    if kpi.period == "month":
        months = [date(2024 + n // 12, n % 12 + 1, 1) for n in range(11, 34)]
        return History(months, [usual * dice.uniform(0.8, 1.2) for _ in months])
    days = [NOW.date() - timedelta(days=97 - i) for i in range(98)]
    weekly = [usual * (0.35 if day.weekday() > 4 and kpi.unit != "%" else 1.0) * dice.uniform(0.85, 1.15) for day in days]
    values: list[float | None] = [min(value, 100.0) if kpi.unit == "%" else float(round(value)) for value in weekly]
    values[40] = None
    return History(days, values)


def _status(kpi: Kpi, value: float | None) -> Any:
    if value is None or not isinstance(kpi.watch, float):
        return "unknown"
    sign = 1 if kpi.better == "up" else -1
    if isinstance(kpi.alarm, float) and (value - kpi.alarm) * sign < 0:
        return "alarm"
    return "watch" if (value - kpi.watch) * sign < 0 else "good"


def snapshot(
    seq: int = 1, *, now: datetime = NOW, values: dict[str, float | None] | None = None, states: dict[str, State] | None = None, **changes: Any
) -> Snapshot:
    """Return a full snapshot; `values` and `states` override single KPIs and feeds."""
    conf = config()
    states = FEED_STATES | (states or {})
    dice = random.Random(19)
    tiles = {}
    kpis = {kpi.kpi: kpi for kpi in in_use(catalogue(), conf)}
    for kpi in kpis.values():
        value = VALUES.get(kpi.kpi, float(dice.randrange(0, 40)))
        tiles[kpi.kpi] = tile(kpi, (values or {}).get(kpi.kpi, value), now=now, states=states)
    found = Snapshot(
        seq=seq, now=now, tiles=tiles, by_area=_by_area(tiles, dice), feeds=feeds(conf, now, states), ticker=events(now), points=points(dice),
        parts={group.group: {name: msgspec.structs.replace(t, area=group.group) for name, t in tiles.items()} for group in conf.province.groups},
        courses={area: {name: course(kpi) for name, kpi in kpis.items()} for area in ("", *(group.group for group in conf.province.groups))},
        services={
            "database": {"server": "17.2", "timescaledb": "2.17.2", "edition": "community", "reachable": True},
            "broker": {"kind": "embedded", "bootstrap": "127.0.0.1:9092"},
            "processes": [{"name": "ingest", "instance": "1", "seen_at": "2026-11-20T07:32:04Z", "started_at": "2026-11-20T01:00:00Z"}],
        },
    )  # fmt: skip
    return msgspec.structs.replace(found, **changes)


def _by_area(tiles: dict[str, Tile], dice: random.Random) -> dict[str, dict[str, float | None]]:
    codes = list(AREAS.communes)
    counts: dict[str, float | None] = {code: float(int(dice.paretovariate(0.9)) % 23) for code in codes}
    counts[codes[7]] = None
    rates: dict[str, float | None] = {code: round(dice.uniform(80, 100), 1) for code in codes}
    aqi: dict[str, float | None] = {code: float((34, 72, 118, 163, 240, 320)[i % 6]) if i in range(0, 92, 7) else None for i, code in enumerate(codes)}
    return {name: rates if t.unit == "%" else aqi if name == "air_aqi_highest" else counts for name, t in tiles.items()}


def feeds(conf: Config, now: datetime, states: dict[str, State]) -> list[FeedView]:
    views = []
    for i, feed in enumerate(conf.feeds):
        state = states.get(feed.feed, "live")
        seen = None if state == "never" else now - timedelta(seconds=20 if state == "live" else 1500)
        views.append(
            FeedView(
                feed=feed.feed, connector=feed.connector, title=Words(feed.title.vi, feed.title.en), state=state, cadence_s=feed.cadence_s,
                as_of=seen, received_at=seen, checked_at=seen, events=0 if seen is None else 48_213 * (i + 1), duplicates=12 * i,
                dead_letters=(0, 3, 0, 127, 0)[i % 5], lag=None if seen is None else i, rate=0.0 if seen is None else 1.7 * i,
                last_error=f"{feed.feed}.example.vn:443/v1 answered 503" if state == "stale" else "",
                last_cause=because("status", host=f"{feed.feed}.example.vn:443", status=503) if state == "stale" else "",
            )
        )
    return views


def changes(shown: Snapshot) -> Changes:
    """A status that got worse, one that got better, a day far from its weekday, a restated value, a silent feed."""
    tiles = shown.tiles
    then = {name: msgspec.structs.replace(t, status="good" if t.status == "watch" else "watch" if t.status == "alarm" else t.status) for name, t in tiles.items()}
    then["incidents_on_time_rate"] = msgspec.structs.replace(then["incidents_on_time_rate"], status="alarm", value=78.5)
    yesterday = Period(DAY - timedelta(days=1), DAY, complete=True)
    day = [msgspec.structs.replace(tiles["emergency_encounters_today"], period=yesterday, spark=[*[60.0] * 13, 96.0])]
    silent = [Silent(f.feed, f.state, f.as_of) for f in shown.feeds if f.state in ("stale", "lost")]
    late = {"vi": "1 bản ghi của kỳ này đến hoặc được sửa sau khi công bố; đầu tiên là c1", "en": "1 facts of this period came late or corrected after it was published; the first is c1"}
    line = Restatement(date(2026, 11, 18), date(2026, 11, 18), shown.now - timedelta(hours=3), 61.0, 62.0, DAY, "late", late, "incidents_opened_today", 3)
    restated = [Restated(tiles["incidents_opened_today"], line)]
    return Changes(shown.now, shown.now - timedelta(days=1), statuses(tiles, then), moves(day), silent, restated)


def events(now: datetime) -> list[TickerItem]:
    lines = [
        ("incident-reports", "Cấp, thoát nước", "open", "05443"),
        ("public-services", "Đăng ký quyền sử dụng đất, quyền sở hữu tài sản gắn liền với đất lần đầu", "closed", "01840"),
        ("e-documents", "Công văn", "open", None),
        ("incident-reports", "Môi trường, rác thải", "closed", "05455"),
        ("health", "Khám ngoại trú", "paused", "01843"),
        ("incident-reports", "Đường giao thông", "open", "05482"),
    ]
    return [
        TickerItem(feed, f"s{i}", title, "x", status, area, now - timedelta(seconds=37 * i), now - timedelta(seconds=37 * i - 2))
        for i, (feed, title, status, area) in enumerate(lines)
    ]


def points(dice: random.Random) -> list[Point]:
    communes = list(AREAS.communes.values())
    found = []
    for i in range(214):
        area = communes[int(dice.random() ** 2 * len(communes))]
        state = "overdue" if i % 9 == 0 else "open"
        found.append(Point("incident", "incident-reports", f"SR-{i}", "Cây xanh", "cay-xanh", state, area.code, *_near(area, dice), NOW))
    for i, area in enumerate(communes):
        state = "degraded" if i == 5 else "ok"
        found.append(Point("asset", "health", f"tyt-{i}", f"Trạm y tế {area.short}", "health_facility", state, area.code, *_near(area, dice), None))
    return found


def cameras() -> list[Point]:
    """Return the cameras of the province: most work; of the others one is offline, one blurred, one stands still by what its source says."""
    dice = random.Random(8)
    communes = list(AREAS.communes.values())
    bad = {7: ("down", "missing"), 30: ("degraded", "blurred"), 51: ("degraded", "frozen")}
    found = []
    for i in range(1, 61):
        area, (state, picture) = communes[i * 37 % len(communes)], bad.get(i, ("ok", "good"))
        found.append(Point("asset", "cameras", f"CAM-{i:03d}", f"Camera {i:03d}", "camera", state, area.code, *_near(area, dice), None, picture=picture))
    return found


def _near(area: areas_module.Area, dice: random.Random) -> tuple[float, float]:
    return area.lat + dice.uniform(-0.03, 0.03), area.lon + dice.uniform(-0.03, 0.03)
