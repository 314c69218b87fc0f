"""The words of the screens, in Vietnamese and English. KPI, feed and area names come with the data, not from here."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

Lang: TypeAlias = Literal["vi", "en"]
LANGS: tuple[Lang, ...] = ("vi", "en")


class Bilingual(Protocol):
    """Anything with a text in both languages (`ioc.kpi.tile.Words`, `ioc.config.Words`)."""

    @property
    def vi(self) -> str: ...
    @property
    def en(self) -> str: ...


# word -> (vi, en). Braces are filled by `say`.
_WORDS: dict[str, tuple[str, str]] = {
    "centre": ("Trung tâm điều hành thông minh", "Intelligent operations centre"),
    "state.live": ("mới", "live"),
    "state.late": ("trễ", "late"),
    "state.stale": ("cũ", "stale"),
    "state.lost": ("mất", "lost"),
    "state.never": ("chưa có", "none yet"),
    "status.good": ("đạt", "good"),
    "status.watch": ("chú ý", "watch"),
    "status.alarm": ("báo động", "alarm"),
    "no_data": ("chưa có dữ liệu", "no data yet"),
    "not_computable": ("chưa tính được", "nothing to divide by"),
    "waits_for": ("chờ {feeds}", "waiting for {feeds}"),
    "missing": ("thiếu {n} nguồn", "{n} sources missing"),
    "missing.one": ("thiếu 1 nguồn", "1 source missing"),
    "versus.previous_period.day": ("so với hôm qua", "vs yesterday"),
    "versus.previous_period": ("so với kỳ trước", "vs previous period"),
    "versus.same_weekday": ("so với tuần trước", "vs last week"),
    "versus.target": ("so với mục tiêu", "vs target"),
    "target": ("mục tiêu {value}", "target {value}"),
    "target.due": ("mục tiêu {value} đến {date}", "target {value} by {date}"),
    "incomplete": ("kỳ chưa kết thúc", "period still running"),
    "points": ("điểm %", "pts"),
    "at_least": ("trên {value}", "over {value}"),
    "at_most": ("gần {value}", "nearly {value}"),
    "about": ("khoảng {value}", "about {value}"),
    "trend": ("Diễn biến {title}", "Trend of {title}"),
    "feeds.others": ("{n} nguồn khác", "{n} other feeds"),
    "chart.value": ("nay {value}", "now {value}"),
    "chart.band": ("thường lệ", "usual"),
    "chart.calendar": ("{title}: {n} tuần gần đây theo ngày", "{title}: the last {n} weeks by day"),
    "chart.flow": ("Dòng xử lý", "Flow of cases"),
    "chart.highest": ("{n} cao nhất trong {all}", "{n} highest of {all}"),
    "chart.lowest": ("{n} thấp nhất trong {all}", "{n} lowest of {all}"),
    "chart.unit": ("đơn vị: {unit}", "unit: {unit}"),
    "chart.without": ("{n} chưa có", "{n} none yet"),
    "map": ("Bản đồ", "Map"),
    "map.approximate": ("ranh giới gần đúng", "approximate boundaries"),
    "map.no_data": ("không có", "none"),
    "map.incident": ("đang mở", "open"),
    "map.overdue": ("quá hạn", "overdue"),
    "map.asset": ("cơ sở", "facility"),
    "map.vehicle": ("phương tiện", "vehicle"),
    "map.grouped": ("gộp {all} điểm", "{all} points, grouped"),
    "map.outside": ("{n} ngoài tỉnh", "{n} outside"),
    "map.country": ("Việt Nam, với quần đảo Hoàng Sa và quần đảo Trường Sa; khung là tỉnh", "Viet Nam with the archipelagos Hoàng Sa and Trường Sa; the frame is the province"),
    "map.hoang_sa": ("Hoàng Sa", "Hoàng Sa"),
    "map.truong_sa": ("Trường Sa", "Trường Sa"),
    "map.refused": ("Máy này không vẽ được bản đồ; bảng xếp hạng thay thế", "This machine cannot draw the map; a ranking instead"),
    "map.label": ("Bản đồ {title} theo xã, phường", "Map of {title} by commune"),
    "wall.help": ("Phím điều khiển", "Keys"),
    "wall.paused": ("đang dừng", "paused"),
    "wall.keys": ("cách: dừng, chạy tiếp|← →: cảnh trước, sau|1–9: đến cảnh|f: tìm|r: xem lại, về trực tiếp|?: bảng này|Esc: đóng", "space: pause, go on|← →: scene before, after|1–9: to a scene|f: find|r: look back, back to live|?: this list|Esc: close"),
    "wall.find": ("Tìm cảnh hoặc chỉ tiêu", "Find a scene or a KPI"),
    "wall.none": ("Không có cảnh hoặc chỉ tiêu nào như vậy", "No scene or KPI is called so"),
    "past.title": ("XEM LẠI", "LOOKING BACK"),
    "past.not_now": ("không phải số liệu lúc này", "these are not the figures of now"),
    "past.as_then": ("như đã thấy lúc đó", "as it looked then"),
    "past.as_now": ("như nay đã biết", "as known now"),
    "past.mode": ("Xem theo", "Look by"),
    "past.slider": ("Giờ trong ngày", "Time of day"),
    "past.play": ("Phát lại cả ngày, nhanh gấp 60 (phím cách)", "Replay the day 60 times as fast (space)"),
    "past.stop": ("Dừng phát lại (phím cách)", "Stop the replay (space)"),
    "past.day_before": ("Hôm trước", "The day before"),
    "past.day_after": ("Hôm sau", "The day after"),
    "past.live": ("Về trực tiếp", "Back to live"),
    "past.fetching": ("đang lấy…", "fetching…"),
    "past.bad_time": (
        "Không hiểu thời điểm trong địa chỉ; hãy viết như ?at=2026-11-20T14:30.",
        "The moment in the address cannot be read; write it as ?at=2026-11-20T14:30.",
    ),
    "past.ahead": ("Thời điểm này chưa đến, không thể xem lại.", "This moment has not come yet; it cannot be looked back at."),
    "past.not_kept": (
        "Không xem lại được: sự kiện gốc chỉ được giữ từ {since}.",
        "This cannot be looked back at: raw events are kept since {since} only.",
    ),
    "past.busy": (
        "Đã đủ số màn hình đang xem lại; hãy thử lại sau một phút.",
        "As many screens look back as may; try again in a minute.",
    ),
    "past.away": (
        "Cơ sở dữ liệu không trả lời, chưa xem lại được; màn hình trực tiếp không bị ảnh hưởng.",
        "The database does not answer, so nothing can be looked back at; live screens are not affected.",
    ),
    "past.slow": (
        "Dựng lại thời điểm này quá lâu nên đã dừng; hãy chọn thời điểm gần hơn.",
        "Rebuilding this moment took too long and was stopped; choose a later one.",
    ),
    "latest": ("Mới nhất", "Latest"),
    "latest.none": ("chưa có sự kiện nào", "no event yet"),
    "feeds": ("Nguồn dữ liệu", "Feeds"),
    "case.open": ("đang xử lý", "open"),
    "case.paused": ("tạm dừng", "paused"),
    "case.closed": ("đã đóng", "closed"),
    "asset.ok": ("hoạt động", "working"),
    "asset.degraded": ("hạn chế", "degraded"),
    "asset.down": ("ngừng", "down"),
    "asset.unknown": ("không rõ", "unknown"),
    "asset.retired": ("thôi dùng", "retired"),
    "link.lost": ("Mất kết nối máy chủ", "Link to the server lost"),
    "link.since": ("từ", "since"),
    "link.note": ("số liệu dưới đây đã cũ; đang tự kết nối lại", "the values below are old; reconnecting by itself"),
    "link.denied": ("Màn hình chưa được cấp quyền", "This screen has not been granted access"),
    "link.denied.note": (
        "Quản trị viên cấp quyền bằng lệnh: ioc token create TÊN --role screen",
        "An administrator grants it with: ioc token create NAME --role screen",
    ),
    "nav.leaders": ("Chỉ số", "Indicators"),
    "nav.wall": ("Màn hình lớn", "Wall"),
    "nav.operations": ("Vận hành", "Operations"),
    "nav.language": ("English", "Tiếng Việt"),
    "nav.skip": ("Đến nội dung chính", "Skip to the main content"),
    "nav.back": ("Tất cả chỉ số", "All indicators"),
    "nav.menu": ("Các trang", "Pages"),
    "leaders.export": ("Tải về:", "Download:"),
    "leaders.title": ("Chỉ số điều hành", "Indicators"),
    "leaders.abnormal": ("{n} chỉ số cần chú ý", "{n} indicators need attention"),
    "leaders.abnormal.one": ("1 chỉ số cần chú ý", "1 indicator needs attention"),
    "leaders.normal": ("Không có chỉ số nào vượt ngưỡng", "No indicator is outside its threshold"),
    "leaders.by_category": ("Theo loại", "By category"),
    "leaders.first": ("Cần chú ý trước", "What needs attention first"),
    "leaders.rest": ("và {n} chỉ số khác bên dưới", "and {n} others below"),
    "leaders.jump": ("Đến chủ đề", "Jump to a theme"),
    "leaders.sources": ("Nguồn dữ liệu", "Sources"),
    "today": ("hôm nay", "today"),
    "so_far": ("{period}, đang tính", "{period} so far"),
    "period.own": ("Hôm nay", "Today"),
    "period.week": ("Tuần", "Week"),
    "period.month": ("Tháng", "Month"),
    "period.quarter": ("Quý", "Quarter"),
    "period.year": ("Năm", "Year"),
    "period.ytd": ("Lũy kế năm", "Year to date"),
    "picker.period": ("Kỳ", "Period"),
    "picker.area": ("Khu vực", "Area"),
    "picker.from": ("Từ ngày", "From"),
    "picker.to": ("đến ngày", "to"),
    "picker.days": ("Chọn ngày", "Choose days"),
    "picker.show": ("Xem", "Show"),
    "picker.province": ("Toàn tỉnh {name}", "{name} province"),
    "picker.groups": ("Nhóm xã, phường", "Groups of communes"),
    "picker.communes": ("Xã, phường", "Communes"),
    "kpi.path": ("Đường dẫn", "Path"),
    "kpi.points": ("Xem số liệu", "Show the figures"),
    "kpi.raw": ("Sự kiện gốc", "Raw event"),
    "kpi.no_events": ("Chưa có sự kiện nào ở khu vực này.", "There is no event of this area yet."),
    "kpi.range": ("thấp nhất {low} · cao nhất {high}", "lowest {low} · highest {high}"),
    "kpi.no_trend": ("chưa đủ số liệu để vẽ", "not enough figures to draw"),
    "kpi.ranking": ("Xếp hạng xã, phường", "Communes ranked"),
    "kpi.ranking.none": ("Chỉ số này chưa có số liệu theo xã, phường", "This indicator has no figures by commune yet"),
    "kpi.areas_without": ("{n} xã, phường chưa có số liệu", "{n} communes without figures"),
    "kpi.sources": ("Nguồn và độ mới", "Sources and freshness"),
    "kpi.explain": ("Cách tính", "How it is computed"),
    "kpi.version": ("Phiên bản công thức", "Version of the formula"),
    "kpi.since": ("từ", "since"),
    "kpi.watch": ("Ngưỡng chú ý", "Watch from"),
    "kpi.alarm": ("Ngưỡng báo động", "Alarm from"),
    "kpi.target": ("Mục tiêu", "Target"),
    "kpi.time": ("Thời điểm", "Time"),
    "kpi.feed": ("Nguồn", "Feed"),
    "kpi.subject": ("Đối tượng", "Subject"),
    "kpi.data": ("Nội dung", "Data"),
    "kpi.unknown": ("Không có chỉ số nào tên là “{kpi}”.", "There is no indicator called “{kpi}”."),
    "kpi.trend": ("Diễn biến", "Trend"),
    "kpi.period": ("Kỳ tính", "Period"),
    "kpi.as_of": ("Số liệu đến", "As of"),
    "kpi.loading": ("đang tải…", "loading…"),
    "kpi.unavailable": ("chưa tải được phần giải thích; sẽ thử lại", "the explanation could not be loaded; trying again"),
    "kpi.sql": ("Câu truy vấn SQL", "Query"),
    "kpi.events": ("Sự kiện gốc mới nhất", "Latest raw events"),
    "kpi.numerator": ("Tử số", "Numerator"),
    "kpi.denominator": ("Mẫu số", "Denominator"),
    "page.unknown": ("Không có trang này.", "There is no such page."),
    "ops.title": ("Vận hành", "Operations"),
    "ops.feed": ("Nguồn", "Feed"),
    "ops.state": ("Trạng thái", "State"),
    "ops.as_of": ("Số liệu đến", "As of"),
    "ops.received": ("Nhận lúc", "Received"),
    "ops.checked": ("Hỏi nguồn lúc", "Checked"),
    "ops.rate": ("Bản ghi/s", "Records/s"),
    "ops.events": ("Sự kiện", "Events"),
    "ops.duplicates": ("Trùng", "Duplicates"),
    "ops.dead_letters": ("Thư hỏng", "Dead letters"),
    "ops.lag": ("Chờ nạp", "Lag"),
    "ops.error": ("Lỗi gần nhất", "Last error"),
    "ops.services": ("Dịch vụ", "Services"),
    "ops.database": ("Cơ sở dữ liệu", "Database"),
    "ops.broker": ("Bộ chuyển tin", "Broker"),
    "ops.ingest": ("Nạp dữ liệu", "Ingest"),
    "ops.processes": ("Tiến trình", "Processes"),
    "ops.server": ("PostgreSQL", "PostgreSQL"),
    "ops.timescaledb": ("TimescaleDB", "TimescaleDB"),
    "ops.edition": ("Ấn bản", "Edition"),
    "ops.reachable": ("Kết nối được", "Reachable"),
    "ops.kind": ("Loại", "Kind"),
    "ops.bootstrap": ("Địa chỉ", "Address"),
    "ops.name": ("Tên", "Name"),
    "ops.instance": ("Máy", "Instance"),
    "ops.seen_at": ("Báo hiệu lúc", "Last seen"),
    "ops.started_at": ("Chạy từ", "Started"),
    "ops.config_problem": (
        "config.yaml vừa đổi và không dùng được; hệ thống vẫn chạy theo bản đúng gần nhất. {problem}",
        "config.yaml was changed and cannot be used; the last good one stays in force. {problem}",
    ),
    "ops.memory_only": (
        "Bộ chuyển tin đang dùng chỉ giữ trong bộ nhớ, để dùng thử: khởi động lại là mất phần chưa nạp. Khi vận hành thật, hãy dùng Apache Kafka.",
        "The broker in use keeps messages in memory only, for trying out: what is not yet ingested is lost when it restarts. For real operation use Apache Kafka.",
    ),
    "ops.dead.title": ("Thư hỏng mới nhất", "Latest dead letters"),
    "ops.dead.none": ("Không có thư hỏng nào.", "There are no dead letters."),
    "ops.dead.cause": ("Nguyên nhân", "Cause"),
    "ops.dead.message": ("Chi tiết", "Message"),
    "ops.dead.field": ("Trường", "Field"),
    "ops.dead.repair": ("Cách sửa", "Repair"),
    "ops.dead.times": ("Số lần", "Times"),
    "ops.dead.last": ("Lần cuối", "Last"),
    "ops.yes": ("có", "yes"),
    "ops.no": ("không", "no"),
}


def say(word: str, lang: Lang, **values: object) -> str:
    """Return the screen word in `lang`, braces filled from `values`. An unknown word is a mistake here: KeyError."""
    text = _WORDS[word][0 if lang == "vi" else 1]
    return text.format(**values) if values else text


def known_or(word: str, lang: Lang, otherwise: str) -> str:
    """Return the screen word, or `otherwise` when we have none (names that other parts may add to)."""
    return say(word, lang) if word in _WORDS else otherwise


def pick(words: Bilingual, lang: Lang) -> str:
    """Return a text that carries both languages, in `lang`."""
    return words.vi if lang == "vi" else words.en


def as_lang(text: str | None, default: Lang) -> Lang:
    """Return the language asked for by `text`, or the default when it is none of ours."""
    if text == "vi":
        return "vi"
    return "en" if text == "en" else default
