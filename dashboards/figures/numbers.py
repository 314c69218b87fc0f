"""Numbers, units, durations and times as people in Vietnam write them (CLDR through Babel), or in English."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from dashboards.words import Lang, say

LOCALES: dict[Lang, str] = {"vi": "vi_VN", "en": "en"}

# UCUM unit -> (vi, en). Braced units are UCUM annotations: plain counts of something.
_UNITS: dict[str, tuple[str, str]] = {
    "": ("", ""),
    "1": ("", ""),
    "%": ("%", "%"),
    "h": ("giờ", "hours"),
    "min": ("phút", "minutes"),
    "d": ("ngày", "days"),
    "VND": ("đồng", "VND"),
    "[VND]": ("đồng", "VND"),
    "ug/m3": ("µg/m³", "µg/m³"),
    "{station}": ("trạm", "stations"),
    "{camera}": ("camera", "cameras"),
    "{vehicle}": ("lượt xe", "vehicles"),
    "USD": ("đô la Mỹ", "US dollars"),
    "{mbps}": ("Mbps", "Mbps"),
    "{project}": ("dự án", "projects"),
    "{times}": ("lần", "times"),
    "{place}": ("bậc", "places"),
    "{criterion}": ("chỉ tiêu", "criteria"),
    "{view}": ("lượt xem", "views"),
    "{service}": ("dịch vụ công", "services"),
    "{person}": ("người", "people"),
    "{team}": ("tổ", "teams"),
    "{site}": ("điểm cầu", "sites"),
    "{agency}": ("cơ quan", "agencies"),
    "{system}": ("hệ thống", "systems"),
    "{server}": ("máy", "machines"),
    "{feature}": ("tính năng", "features"),
    "{city}": ("thành phố", "cities"),
    "{delegation}": ("đoàn", "delegations"),
    "{committee}": ("Đảng bộ", "party committees"),
    "{level}": ("cấp", "levels"),
    "{card}": ("thẻ", "cards"),
    "{product}": ("sản phẩm", "products"),
    "{account}": ("tài khoản", "accounts"),
    "{install}": ("lượt tải", "installs"),
    "{signature}": ("chữ ký số", "signatures"),
    "{procedure}": ("thủ tục", "procedures"),
    "{dataset}": ("tập dữ liệu", "datasets"),
    "{enterprise}": ("doanh nghiệp", "enterprises"),
    "{bus}": ("xe buýt", "buses"),
    "{bike}": ("xe đạp", "bikes"),
    "{call}": ("cuộc gọi", "calls"),
    "{case}": ("vụ việc", "cases"),
    "{commune}": ("xã, phường", "communes"),
    "{infection}": ("ca bệnh", "cases"),
    "{dossier}": ("hồ sơ", "dossiers"),
    "{document}": ("văn bản", "documents"),
    "{encounter}": ("lượt khám", "encounters"),
    "{immunisation}": ("mũi tiêm", "doses"),
    "{immunization}": ("mũi tiêm", "doses"),
    "{dose}": ("mũi tiêm", "doses"),
    "{facility}": ("cơ sở", "facilities"),
    "{enrolment}": ("lượt", "enrolments"),
    "{school}": ("trường", "schools"),
    "{student}": ("học sinh", "students"),
    "{warning}": ("cảnh báo", "warnings"),
    "ms": ("mili giây", "ms"),
    "{portal}": ("cổng, trang", "portals"),
    "{visit}": ("lượt", "visits"),
    "{visitor}": ("lượt khách", "visitors"),
    "{incident}": ("phản ánh", "reports"),
    "{report}": ("phản ánh", "reports"),
    "{request}": ("phản ánh", "reports"),
    "{star}": ("/ 5", "/ 5"),
    "{rating}": ("/ 5", "/ 5"),
    "{score}": ("điểm", "points"),
    "{point}": ("điểm", "points"),
}

_SINGULARS = {"people": "person", "criteria": "criterion", "buses": "bus", "Mbps": "Mbps", "ms": "ms"}  # what no rule makes

# From this size on people say the number, not its digits.
_SCALES: tuple[tuple[float, str, str], ...] = (
    (1e12, "nghìn tỷ", "trillion"),
    (1e9, "tỷ", "billion"),
    (1e6, "triệu", "million"),
)


def number(value: float, lang: Lang, decimals: int = 0) -> str:
    """Return `value` with exactly `decimals` digits after the separator: 1234567.891, 3 -> '1.234.567,891'."""
    shape = "#,##0" + ("." + "0" * decimals if decimals else "")
    text: str = format_decimal(_rounded(value, decimals), format=shape, locale=LOCALES[lang])
    return text.replace("-", "\u2212")  # a true minus sign is as wide as a plus


def _rounded(value: float, decimals: int) -> Decimal:
    """Round half up as people do, and never to minus zero."""
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    rounded = exact.quantize(Decimal(1).scaleb(-decimals), rounding="ROUND_HALF_UP")
    return rounded if rounded else Decimal(0)


def plain(value: float | None) -> str:
    """Return a number for machines: '12', '96.53', '' for none. No exponent, no grouping."""
    if value is None or not math.isfinite(value):
        return ""
    return format(Decimal(repr(float(value))).normalize(), "f")


def unit_word(unit: str, lang: Lang, of: str = "") -> str:
    """Return the unit as people say it; an annotation we have no word for shows without its braces.

    `of`: the number before it, as written: in English there is one dossier, and there are 1.0 dossiers.
    """
    over, slash, each = unit.partition("/")
    if slash and each.startswith("{"):
        return f"{unit_word(over, lang, of)}/{unit_word(each, lang, '1')}"
    known = _UNITS.get(unit)
    if known is None:
        return unit.strip("{}").replace("_", " ")
    if lang == "vi":
        return known[0]
    return _singular(known[1]) if of.lstrip("\u2212") == "1" else known[1]


def _singular(words: str) -> str:
    """Return one of what an English unit names: "agencies" -> "agency"."""
    if words in _SINGULARS:
        return _SINGULARS[words]
    return words.removesuffix("ies") + "y" if words.endswith("ies") else words.removesuffix("s")


def quantity(value: float, unit: str, lang: Lang, decimals: int = 0) -> tuple[str, str]:
    """Return (number, unit) as shown: (16.75e12, 'VND') -> ('16,75', 'nghìn tỷ đồng'); (5.3, 'h') -> ('5,3', 'giờ')."""
    if unit == "h":
        return duration(value, lang)
    for size, vi, en in _SCALES:
        if abs(value) >= size:
            scale = vi if lang == "vi" else en
            return _trimmed(value / size, lang), f"{scale} {unit_word(unit, lang)}".strip()
    digits = number(value, lang, decimals)
    return digits, unit_word(unit, lang, digits)


def _trimmed(value: float, lang: Lang) -> str:
    """Up to two decimals, without trailing zeros: 1.9 -> '1,9'."""
    text: str = format_decimal(_rounded(value, 2), format="#,##0.##", locale=LOCALES[lang])
    return text.replace("-", "\u2212")


def duration(hours: float, lang: Lang) -> tuple[str, str]:
    """Return hours as (number, unit): 0.7 -> 42 phút, 5.3 -> 5,3 giờ, 52 -> '2 ngày 4' giờ, 274 -> 11,4 ngày."""
    size = abs(hours)
    if size < 1:
        return number(hours * 60, lang), "phút" if lang == "vi" else "min"
    if size < 24:
        return number(hours, lang, 1), "giờ" if lang == "vi" else "h"
    if size >= 240:
        return number(hours / 24, lang, 1), "ngày" if lang == "vi" else "days"
    sign = "\u2212" if hours < 0 else ""
    days, rest = divmod(round(size), 24)
    day_word, hour_word = ("ngày", "giờ") if lang == "vi" else ("d", "h")
    if not rest:
        return f"{sign}{number(days, lang)}", day_word
    return f"{sign}{number(days, lang)} {day_word} {rest}", hour_word


def in_words(value: float, unit: str, lang: Lang, decimals: int = 0) -> str:
    """Return number and unit in one text: '98,0%', '5,3 giờ'."""
    digits, word = quantity(value, unit, lang, decimals)
    return f"{digits}%" if word == "%" else f"{digits}\u00a0{word}".strip()


def signed(value: float, unit: str, lang: Lang, decimals: int = 0) -> str:
    """Return a difference with its sign: '+12', '−1,2 điểm %', 'không đổi'; a difference of percentages is in points."""
    if _rounded(value, max(decimals, 1 if unit in ("%", "h") else 0)) == 0:
        return say("unchanged", lang)
    if unit == "%":
        text = f"{number(abs(value), lang, max(decimals, 1))} {'điểm %' if lang == 'vi' else 'pts'}"
    elif unit.startswith("{") or unit in ("", "1"):
        text = in_words(abs(value), "1", lang, decimals)
    elif unit == "h" and abs(value) >= 24:
        text = in_words(abs(value) / 24, "d", lang, 1)
    else:
        text = in_words(abs(value), unit.partition("/{")[0], lang, decimals)  # each of what, the number itself says
    return f"+{text}" if value > 0 else f"\u2212{text}"


def clock_time(at: datetime | None, now: datetime, zone: ZoneInfo, lang: Lang) -> str:
    """Return '14:32' today, '21/11 14:32' on another day, '' for never. Both arguments aware."""
    return _clock_time(at, now, zone, lang, "HH:mm")


def clock_time_s(at: datetime | None, now: datetime, zone: ZoneInfo, lang: Lang) -> str:
    """As `clock_time`, with seconds, for operators."""
    return _clock_time(at, now, zone, lang, "HH:mm:ss")


def _clock_time(at: datetime | None, now: datetime, zone: ZoneInfo, lang: Lang, pattern: str) -> str:
    if at is None:
        return ""
    local = at.astimezone(zone)
    time_text: str = format_time(local, pattern, tzinfo=zone, locale=LOCALES[lang])
    if local.date() == now.astimezone(zone).date():
        return time_text
    return f"{format_date(local.date(), 'dd/MM', locale=LOCALES[lang])} {time_text}"


def period_words(start: date, end: date, lang: Lang) -> str:
    """Return a period (its last day is the one before `end`) as people say it: 'năm 2021', 'quý III/2026', '23/11/2026'."""
    days, vi = (end - start).days, lang == "vi"
    if (start.month, start.day, end.month, end.day) == (1, 1, 1, 1) and end.year == start.year + 1:
        return f"năm {start.year}" if vi else str(start.year)
    if start.day == end.day == 1 and start.month % 3 == 1 and 89 < days < 93:
        quarter = start.month // 3
        return f"quý {('I', 'II', 'III', 'IV')[quarter]}/{start.year}" if vi else f"Q{quarter + 1} {start.year}"
    if start.day == end.day == 1 and 27 < days < 32:
        return f"tháng {start.month}/{start.year}" if vi else f"{start:%b %Y}"
    last = end - timedelta(days=1)
    return f"{start:%d/%m/%Y}" if days == 1 else f"{start:%d/%m}–{last:%d/%m/%Y}"


def iso(at: datetime | None) -> str:
    """Return an ISO 8601 time in UTC, '' for never."""
    return "" if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
