"""Values for every state a figure can be in: made up, always the same, of no feed.

A sample is a caption and what a figure is given; whoever adds a state to a figure adds a sample of it here.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from dashboards.words import Lang, say
from ioc.kpi.tile import STATES, Delta, History, Period, Quality, State, Status, Target, Tile, Words
from ioc.live import FeedView, TickerItem

NOW = datetime(2026, 11, 20, 7, 32, 5, tzinfo=UTC)  # a Friday, 14:32:05 in the province
MIDNIGHT = datetime(2026, 11, 19, 17, tzinfo=UTC)
FEED = "sample"
FEED_TITLE = Words("Dịch vụ công", "Public services")
STATUSES: tuple[Status, ...] = ("good", "watch", "alarm", "unknown")
AGES: dict[State, timedelta | None] = {
    "live": timedelta(seconds=40), "late": timedelta(minutes=25), "stale": timedelta(hours=3), "lost": timedelta(hours=26), "never": None,
}  # fmt: skip
LONG_LABEL = Words(
    "Xã Nguyễn Thị Minh Khai Thượng và các thôn bản vùng cao, thuộc khu vực sông Cầu cũ, trước đây gồm ba xã và một thị trấn nhỏ",
    "Nguyen Thi Minh Khai Thuong commune with the upland hamlets of the former Cau river area, once three communes and one town",
)  # 120 characters or more
LONG_UNIT = "{luot_ho_so_lien_thong_truc_tuyen_toan_trinh_cua_cac_co_quan_tinh}"  # 60 characters or more inside the braces


class Sample(NamedTuple):
    """`name`: the tile's id, unique in the gallery."""

    name: str
    caption: Words
    tile: Tile


def base(**changes: Any) -> Tile:
    """Return an unremarkable tile of today, with these fields changed."""
    found = Tile(
        kpi="sample", title=Words("Hồ sơ tiếp nhận trong ngày", "Dossiers received today"), theme="sample", value=1284.0, unit="{dossier}", kind="sum", better="up",
        status="unknown", period=Period(MIDNIGHT, MIDNIGHT + timedelta(days=1), complete=False), as_of=NOW - timedelta(seconds=40), published_at=NOW, area="19",
        source=[FEED], formula="sample", formula_version=1, quality=Quality("live"), delta=Delta(68.0, "previous_period"),
        spark=[1190.0, 1240.0, 1100.0, 1310.0, 420.0, 380.0, 1216.0, 1284.0],
    )  # fmt: skip
    return msgspec.structs.replace(found, **changes)


def aged(t: Tile, state: State) -> Tile:
    """Return the tile as it looks when its only feed is in `state`."""
    age = AGES[state]
    missing = [FEED] if state in ("stale", "lost", "never") else []
    known: dict[str, Any] = {} if age else {"value": None, "delta": None, "spark": []}
    return msgspec.structs.replace(t, as_of=NOW - age if age else None, quality=Quality(state, missing), **known)


def states() -> list[Sample]:
    """Every freshness with every status: a row of four by freshness."""
    rate = base(
        title=Words("Tỷ lệ hồ sơ giải quyết đúng hạn", "Dossiers resolved on time"), value=96.53, unit="%", decimals=1, kind="ratio", numerator=1149.0, denominator=1190.0,
        delta=Delta(-1.2, "previous_period"), spark=[97.1, 96.0, 98.2, 97.7, 96.53],
    )  # fmt: skip
    found = []
    for state in STATES:
        for status in STATUSES:
            t = aged(msgspec.structs.replace(rate, status=status), state)
            found.append(Sample(f"{state}_{status}", Words(_named(state, status, "vi"), _named(state, status, "en")), t))
    return found


def _named(state: State, status: Status, lang: Lang) -> str:
    return f"{say(f'state.{state}', lang)} · {say('gallery.no_threshold' if status == 'unknown' else f'status.{status}', lang)}"


def values() -> list[Sample]:
    """What a value can be, and what can stand beside it."""
    year = Period(datetime(2024, 12, 31, 17, tzinfo=UTC), datetime(2025, 12, 31, 17, tzinfo=UTC), complete=True)
    quarter = Period(datetime(2026, 6, 30, 17, tzinfo=UTC), datetime(2026, 9, 30, 17, tzinfo=UTC), complete=True)
    month = Period(datetime(2026, 10, 31, 17, tzinfo=UTC), datetime(2026, 11, 30, 17, tzinfo=UTC), complete=False)
    share: dict[str, Any] = {"unit": "%", "decimals": 1, "spark": []}
    made: list[tuple[str, str, str, Tile]] = [
        ("nothing", "không có gì để chia", "nothing to divide by", base(title=Words("Tỷ lệ hồ sơ trả đúng hạn", "Dossiers on time"), value=None, delta=None, **share)),
        ("zero", "số không, không đổi", "zero, unchanged", base(value=0.0, delta=Delta(0.0, "previous_period"), spark=[0.0, 0.0, 0.0])),
        ("negative", "số âm", "negative", base(title=Words("Tốc độ tăng trưởng GRDP", "GRDP growth"), value=-2.45, kind="index", delta=Delta(-9.31, "same_period_last_year"), status="alarm", **share)),
        ("huge", "số rất lớn", "a huge number", base(title=Words("Tổng thu ngân sách", "Budget revenue"), value=844_123_456_789_012.0, unit="VND", decimals=2, delta=Delta(16.75e12, "previous_period"), spark=[])),
        ("digits", "chín chữ số", "nine digits", base(value=999_999.0, delta=Delta(-123_456.0, "previous_period"))),
        ("unit", "đơn vị 60 ký tự", "a unit of 60 characters", base(unit=LONG_UNIT)),
        ("title", "tên 120 ký tự", "a title of 120 characters", base(title=LONG_LABEL, status="watch")),
        ("rank", "thứ hạng", "a rank", base(title=Words("Xếp hạng chuyển đổi số", "Rank in digital transformation"), value=8.0, unit="1", kind="rank", better="down", period=year, written="8/63", delta=None, spark=[])),
        ("ratio", "tỷ lệ, cả hai phần", "a ratio with both parts", base(title=Words("Tỷ lệ hồ sơ trực tuyến", "Dossiers filed online"), value=84.2, kind="ratio", numerator=1_148_705.0, denominator=1_364_258.0, period=year, delta=None, **share)),
        ("duration", "thời gian", "a duration", base(title=Words("Thời gian giải quyết (trung vị)", "Median time to resolve"), value=52.3, unit="h", kind="duration", delta=Delta(-1.5, "same_weekday"), spark=[])),
        ("least", "ít nhất", "at least", base(title=Words("Tài khoản định danh", "Identity accounts"), value=1_012_000.0, unit="{account}", qualifier="at_least", period=year, delta=None, spark=[])),
        ("most", "tối đa", "at most", base(title=Words("Xã chưa phủ sóng", "Communes without coverage"), value=12.0, unit="{commune}", qualifier="at_most", period=year, delta=None, spark=[])),
        ("about", "khoảng, theo lời văn bản", "about, as its document has it", base(title=Words("Văn bản điện tử trao đổi", "Documents exchanged"), value=1_900_000.0, unit="{document}", qualifier="about", period=year, written="gần 1,9 triệu văn bản", delta=None, spark=[])),
        ("running", "kỳ chưa kết thúc", "a period that still runs", base(title=Words("Hồ sơ tiếp nhận", "Dossiers received"), value=24_310.0, period=month, delta=Delta(1204.0, "previous_period", fair=False))),
        ("complete", "kỳ đã kết thúc", "a period that is over", base(title=Words("Doanh thu du lịch", "Tourism revenue"), value=512e9, unit="VND", decimals=1, period=quarter, delta=Delta(42e9, "same_period_last_year"), spark=[])),
        ("target", "mục tiêu có hạn", "a target with its date", base(title=Words("Người dân có tài khoản định danh", "People with an identity account"), value=71.4, status="watch", target=Target(80.0, date(2026, 12, 31)), delta=None, **share)),
        ("missing", "thiếu nguồn", "sources missing", base(quality=Quality("late", ["sample", "another", "a third"]), as_of=NOW - timedelta(minutes=25))),
        ("doubt", "cần hỏi lại", "to be asked about", base(doubts=[Words("gấp nghìn lần các trạm bên cạnh", "a thousand times its siblings")], delta=None)),
        ("few", "quá ít để đánh giá", "too few to judge", base(title=Words("Tỷ lệ hồ sơ giải quyết đúng hạn", "Dossiers resolved on time"), value=0.0, kind="ratio", numerator=0.0, denominator=1.0, judged_from=10, delta=Delta(-96.5, "previous_period"), **share)),
        ("gaps", "diễn biến có chỗ trống", "a course with gaps", base(spark=[1190.0, None, None, 1310.0, 420.0, None, 1216.0, 1284.0], delta=None)),
        ("level", "đi ngang", "a level course", base(value=12.0, unit="{team}", spark=[12.0] * 8, delta=Delta(0.0, "same_weekday"))),
    ]  # fmt: skip
    return [Sample(name, Words(vi, en), t) for name, vi, en, t in made]


def past(value: float = 1200.0) -> History:
    """Return fourteen weeks of days with a quiet weekend and one day without a figure; the last one is today."""
    days = [NOW.date() - timedelta(days=97 - i) for i in range(98)]
    # A weekly rhythm and a slow swing; no dice, so that every picture of the gallery is the same.
    found: list[float | None] = [round(value * (0.35 if day.weekday() > 4 else 1.0) * (1 + 0.12 * math.sin(i / 5)) + 7 * (i % 5)) for i, day in enumerate(days)]
    found[40] = None
    return History(days, found)


def years() -> tuple[Tile, History]:
    """Return a figure of reports, a value a year, and its course."""
    found: list[float | None] = [15.2, 13.0, 11.2, 9.0, 6.7, 4.2, 6.4, 6.1, 5.8, -2.4, 8.5]
    last = Period(datetime(2025, 12, 31, 17, tzinfo=UTC), datetime(2026, 12, 31, 17, tzinfo=UTC), complete=True)
    t = base(title=Words("Tốc độ tăng trưởng GRDP", "GRDP growth"), value=8.5, unit="%", decimals=1, kind="index", period=last, spark=found)
    return t, History([date(year, 1, 1) for year in range(2016, 2027)], found)


def stages(came: float | None, there: float | None, overdue: float | None, went: float | None) -> list[Tile]:
    """Return the KPIs of a flow: what came, lies there, is late, went."""
    titles = (("Hồ sơ tiếp nhận", "Dossiers received"), ("Hồ sơ đang xử lý", "Dossiers in progress"), ("Hồ sơ quá hạn", "Dossiers overdue"), ("Hồ sơ đã trả", "Dossiers resolved"))
    kinds: list[dict[str, Any]] = [{"kind": "sum"}, {"kind": "count_now"}, {"kind": "count_now", "status": "alarm" if overdue else "good"}, {"kind": "sum"}]
    shown = zip(("came", "there", "overdue", "went"), titles, kinds, (came, there, overdue, went), strict=True)
    return [base(kpi=f"flow_{name}", title=Words(*title), value=value, as_of=None if value is None else NOW - timedelta(seconds=40), quality=Quality("never" if value is None else "live"), **kind) for name, title, kind, value in shown]


def classes(*found: float | None) -> list[Tile]:
    """Return KPIs of one unit for bars, with these values."""
    names = (("xe máy", "Motorcycles"), ("ô tô con", "Cars"), ("xe khách", "Coaches"), ("xe tải", "Lorries"))
    shown = zip(names, found, strict=False)
    return [
        base(kpi=f"class_{i}", title=Words(f"Lượt {vi} trong ngày", f"{en} today"), unit="{vehicle}", value=value, as_of=None if value is None else NOW - timedelta(seconds=40),
             quality=Quality("never" if value is None else "live"))
        for i, ((vi, en), value) in enumerate(shown)
    ]  # fmt: skip


def feeds(n: int) -> list[FeedView]:
    """Return `n` feeds, in every state by turns."""
    titles = (("Dịch vụ công", "Public services"), ("Văn bản điện tử", "E-documents"), ("Y tế", "Health"), ("Giáo dục", "Education"), ("Phản ánh hiện trường", "Incident reports"))
    found = []
    for i in range(n):
        state, title = STATES[i % len(STATES)], titles[i % len(titles)]
        age = AGES[state]
        seen = NOW - age if age else None
        found.append(FeedView(f"feed-{i}", "sample", Words(*title), state, 60.0, seen, seen, seen, 0 if seen is None else 48_213, 12, 0, 0, 1.7, ""))
    return found


def events(areas: list[str]) -> list[TickerItem]:
    """Return an event of every kind; `areas`: codes of two communes."""
    lines = [
        ("Cấp, thoát nước", "open", areas[0]),
        ("Đăng ký quyền sử dụng đất, quyền sở hữu nhà ở và tài sản khác gắn liền với đất lần đầu cho hộ gia đình, cá nhân", "closed", areas[1]),
        ("Khám ngoại trú", "paused", None),
        ("Công văn", "open", LONG_LABEL.vi),
        ("", "chuyển cấp trên", areas[0]),
    ]
    return [TickerItem(FEED, f"s{i}", title, "văn bản", status, area, NOW - timedelta(hours=9 * i), NOW) for i, (title, status, area) in enumerate(lines)]
