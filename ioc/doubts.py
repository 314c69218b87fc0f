"""Why a value is doubtful: kept as a code with values, said in the reader's language.

A fact's `doubt` is a text without a language, "below:what=pm10&value=-1&limit=0", several joined by "; ". It is made of what the record
itself says, so that it is the same when the record is read again: an event's id is made of its content. Any other text (of a source that
posts its own events, of a row from before there were codes) is shown as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

JOINED = "; "  # never part of a code or of an escaped value


class Reason(NamedTuple):
    """A doubt in words."""

    vi: str
    en: str


# code -> its sentence. `own` is for what only one connector has to ask.
_REASONS: dict[str, Reason] = {
    "own": Reason("{vi}", "{en}"),
    "below": Reason("{what} {value} nhỏ hơn {limit}", "{what} {value} is below {limit}"),
    "above": Reason("{what} {value} lớn hơn {limit}", "{what} {value} is above {limit}"),
    "thousandfold": Reason(
        "{what} {value} gấp khoảng một nghìn lần các nơi cùng loại: sai đơn vị?", "{what} {value} is about a thousand times what its siblings say: a slip of the unit?"
    ),
    "thousandth": Reason(
        "{what} {value} chỉ bằng khoảng một phần nghìn các nơi cùng loại: sai đơn vị?", "{what} {value} is about a thousandth of what its siblings say: a slip of the unit?"
    ),
    "fell": Reason("số đếm {what} giảm từ {was} xuống {value}: đặt lại, thay máy hay đọc sai?", "the counter {what} fell from {was} to {value}: set back, exchanged, or misread?"),
    "swapped": Reason("vĩ độ và kinh độ có vẻ bị đổi chỗ: nguồn ghi {lat}, {lon}", "lat and long look swapped: the source says {lat}, {lon}"),
    "outside": Reason("điểm nằm ngoài tỉnh", "the point lies outside the province"),
    "no_outline": Reason("vùng ảnh hưởng ghi sai, không đọc được ({what})", "the area is written wrongly and cannot be read ({what})"),
    "ended_early": Reason("kết thúc trước khi bắt đầu", "ended before it began"),
    "changed_early": Reason("cập nhật trước khi được lập", "updated before it was made"),
    "no_end": Reason("nguồn không ghi lúc kết thúc", "the source does not say when it ended"),
    "no_day": Reason("{what} không ghi ngày", "{what} does not say the day"),
    "no_month": Reason("{what} không ghi tháng", "{what} does not say the month"),
    "no_area": Reason("không rõ xã, phường: nguồn chưa khai báo {what}", "the commune is not known: the source has not told of {what}"),
    "unequal": Reason("các phần cộng lại là {value}, tổng số ghi {all}", "the parts are {value}, the whole is given as {all}"),
    "more_than_all": Reason("một phần là {value}, lớn hơn tổng số {all}", "a part is {value}, more than the whole, {all}"),
    "marked": Reason("nguồn tự ghi chất lượng là “{what}”", "the source calls it “{what}”"),
    "clock_ahead": Reason("đồng hồ của thiết bị nhanh {s} giây", "the device's clock is {s} s ahead"),
    "clock_behind": Reason("đồng hồ của thiết bị chậm {s} giây", "the device's clock is {s} s behind"),
}
_NUMBERS = ("value", "limit", "was", "all", "s", "lat", "lon")  # values that are written as a language writes numbers


def doubt(code: str, **values: object) -> str:
    """Return a doubt as facts keep it; raise `KeyError` for a code, or a value of it, that nobody has words for."""
    return coded(code, _REASONS, values)


def together(found: Iterable[str | None]) -> str | None:
    """Return several doubts as one text, None when there are none."""
    return JOINED.join(text for text in found if text) or None


def in_words(kept: str) -> Reason:
    """Return a kept doubt in words."""
    return said(kept, _REASONS)


def coded(code: str, words: Mapping[str, Reason], values: Mapping[str, object]) -> str:
    """Return a code of `words` with its values as it is kept; raise `KeyError` where these have no words for it."""
    words[code].en.format_map(values)
    return f"{code}:{urlencode(values, quote_via=quote)}" if values else code


def said(kept: str, words: Mapping[str, Reason]) -> Reason:
    """Return what was kept, one code or several, in words."""
    parts = [_one(part, words) for part in kept.split(JOINED)]
    return Reason(JOINED.join(part.vi for part in parts), JOINED.join(part.en for part in parts))


def _one(kept: str, words: Mapping[str, Reason]) -> Reason:
    code, _, values = kept.partition(":")
    read = dict(parse_qsl(values, keep_blank_values=True))
    try:
        reason = words[code]
        return Reason(reason.vi.format_map(read | _numbers(read, ",.", ".,")), reason.en.format_map(read | _numbers(read, "", "")))
    except KeyError:
        return Reason(kept, kept)


def _numbers(read: dict[str, str], of: str, to: str) -> dict[str, str]:
    return {name: _number(read[name], of, to) for name in _NUMBERS if name in read}


def _number(text: str, of: str, to: str) -> str:
    """A number ("12000 ug/m3") as it is written, its thousands grouped; what is none stays as it is."""
    number, *unit = text.split(" ", 1)
    try:
        return " ".join([f"{Decimal(number):,f}".translate(str.maketrans(of, to)), *unit])
    except (InvalidOperation, ValueError):
        return text
