"""Made-up persons, how they are planted into a source's answers, and how a text is searched for them.

Ten thousand identities, each with a name, a citizen number, a phone, an e-mail, a plate and a home address, the same in
every run. `plant` puts them where a source would have them: in fields of class personal, in fields nobody declared, as
phone, e-mail, number or plate inside public prose. `traces` says which of them a text holds: as written, with other
separators, escaped as JSON, or as a plain hash of the citizen number.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import openpyxl

MANY = 10_000
_FAMILY = ["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương", "Lý", "Nông", "Triệu", "Hà", "Lường", "Ma"]
_MIDDLE = ["Văn", "Thị", "Hữu", "Đức", "Ngọc", "Minh", "Thanh", "Quang", "Xuân", "Thu", "Hồng", "Kim", "Bảo", "Gia", "Khánh", "Diệu", "Đình", "Công", "Mạnh", "Tuấn"]
_GIVEN = ["Nhung", "Hạnh", "Dũng", "Cường", "Lan", "Hương", "Trang", "Thảo", "Quỳnh", "Yến", "Hiếu", "Nghĩa", "Trí", "Tín", "Sơn", "Hải", "Giang", "Thủy", "Mai", "Đào", "Cúc", "Trúc", "Tùng", "Bách", "Kiên", "Trung", "Vinh", "Phúc", "Lộc", "Thọ"]
_STREETS = ["Bến Oánh", "Hoàng Ngân", "Xương Rồng", "Túc Duyên", "Phủ Liễn", "Gia Bẩy", "Bến Tượng", "Đội Cấn", "Nha Trang", "Cột Cờ"]


@dataclass(frozen=True)
class Person:
    """One made-up person."""

    name: str
    citizen: str
    phone: str
    mail: str
    plate: str
    home: str

    @property
    def numbers(self) -> str:
        """What even a public text may not carry."""
        return f"gọi {self.phone}, {self.mail}, CCCD {self.citizen}, xe {self.plate}"

    @property
    def sentence(self) -> str:
        return f"{self.name}, {self.home}, {self.numbers}"


def persons(many: int = MANY, seed: int = 19) -> list[Person]:
    """Return so many persons, no two alike in anything."""
    dice, found = random.Random(seed), []
    names: dict[str, None] = {}
    while len(names) < many:
        names[" ".join((dice.choice(_FAMILY), *dice.sample(_MIDDLE, 2), dice.choice(_GIVEN)))] = None
    for n, name in enumerate(names):
        serial = f"{n * 7919 % 1_000_000:06d}"  # 7919 and 1,000,000 have no common factor: each is another
        plain = unicodedata.normalize("NFD", name.replace("Đ", "D").replace("đ", "d")).encode("ascii", "ignore").decode().lower().replace(" ", ".")
        found.append(
            Person(
                name, f"0{dice.randint(19, 96)}{dice.choice('0123')}{dice.randint(50, 99)}{serial}", f"09{dice.randint(10, 99)}{serial}", f"{plain}{n}@thu.example.vn",
                f"{dice.randint(11, 99)}{dice.choice('ABCDEFH')}-{int(serial) // 1000 % 1000:03d}.{n % 100:02d}", f"Số {n + 1} ngách {int(serial) % 997} đường {dice.choice(_STREETS)}",
            )
        )  # fmt: skip
    return found


class Planter:
    """Plants the next person at each place it finds, round and round; `used` counts the different ones."""

    def __init__(self, everybody: list[Person]) -> None:
        self._everybody = everybody
        self.planted = self._public = 0

    @property
    def used(self) -> int:
        return min(self.planted, len(self._everybody))

    def next(self) -> Person:
        """Return the next person."""
        self.planted += 1
        return self._everybody[(self.planted - 1) % len(self._everybody)]

    def plant(self, body: bytes, classes: Mapping[str, str]) -> bytes:
        """Return the answer with persons in it; `classes`: a connector's fields, dotted path -> class."""
        known = {name.lower().rpartition(".")[2]: cls for name, cls in classes.items()}
        if body.startswith(b"PK\x03\x04"):
            return self._workbook(body, known)
        text = body.decode("utf-8-sig", "replace")
        start = text.lstrip()[:1]
        if start in ("{", "["):
            try:
                return json.dumps(self._json(json.loads(text), "", known), ensure_ascii=False).encode()
            except ValueError:
                return body
        if start == "<":
            return self._xml(text, known).encode()
        return self._table(text, known).encode() if "\n" in text else body

    def _text(self, value: str, cls: str) -> str:
        if " " not in value.strip():
            return value  # a code
        if cls == "personal":
            return self.next().sentence
        self._public += 1
        return value if self._public % 4 else f"{value} {self.next().numbers}"  # a commune's name must stay one, mostly

    def _json(self, value: object, key: str, known: Mapping[str, str]) -> object:
        if isinstance(value, dict):
            person = self.next()
            extra = {"hoTen": person.name, "cccd": person.citizen, "lienHe": {"dienThoai": person.phone, "email": person.mail, "diaChi": [person.home]}, "bienSo": person.plate}
            return {name: self._json(item, name, known) for name, item in value.items()} | extra
        if isinstance(value, list):
            return [self._json(item, key, known) for item in value]
        return self._text(value, known.get(key.lower(), "personal")) if isinstance(value, str) else value

    def _xml(self, text: str, known: Mapping[str, str]) -> str:
        def filled(found: re.Match[str]) -> str:
            cls = known.get(found["tag"].rpartition(":")[2].lower(), "personal")
            return f"<{found['tag']}{found['rest']}>{self._text(found['inner'], cls)}</{found['tag']}><ghiChu>{self.next().sentence}</ghiChu>"

        return re.sub(r"<(?P<tag>[\w:.]+)(?P<rest>(?: [^<>]*)?)>(?P<inner>[^<>]*)</(?P=tag)>", filled, text)

    def _table(self, text: str, known: Mapping[str, str]) -> str:
        mark = max(",;\t|", key=text.partition("\n")[0].count)
        rows = list(csv.reader(io.StringIO(text), delimiter=mark))
        head = [name.strip().lower() for name in rows[0]]
        out = io.StringIO()
        written = csv.writer(out, delimiter=mark, lineterminator="\n")
        written.writerow([*rows[0], "ho_ten", "ghi_chu"])
        for row in rows[1:]:
            person = self.next()
            cells = [self._text(cell, known.get(head[i] if i < len(head) else "", "personal")) for i, cell in enumerate(row)]
            written.writerow([*cells, person.name, person.sentence] if row else [])
        return out.getvalue()

    def _workbook(self, body: bytes, known: Mapping[str, str]) -> bytes:
        book = openpyxl.load_workbook(io.BytesIO(body))
        for sheet in book.worksheets:
            heads = {cell.column: str(cell.value).strip().lower() for row in sheet.iter_rows(max_row=4) for cell in row if cell.value}
            last = sheet.max_column + 1
            sheet.cell(1, last, "Ghi chú của người nhập")
            for number in range(3, sheet.max_row + 1):
                sheet.cell(number, last, self.next().sentence)
                for column, head in heads.items():
                    if known.get(head) == "personal" and not isinstance(cell := sheet.cell(number, column), openpyxl.cell.cell.MergedCell):
                        cell.value = self.next().sentence
        out = io.BytesIO()
        book.save(out)
        return out.getvalue()


# -- the search ----------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d[\d .\-]{7,18}\d")
_PLATE = re.compile(r"\d\d[ \-]?[A-Z]{1,2}[ \-.]{0,3}\d{3}\.?\d{2}")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


class Search:
    """Knows all there is to find; one pass over a text."""

    def __init__(self, everybody: list[Person]) -> None:
        self._words: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        self._numbers: dict[str, str] = {}
        for person in everybody:
            for what in ("name", "mail", "home", "citizen", "phone"):
                self._add(f"{what} {getattr(person, what)}", _words(getattr(person, what)))
            for hashed in (hashlib.md5, hashlib.sha1, hashlib.sha256):
                self._add(f"hash of citizen {person.citizen}", (hashed(person.citizen.encode()).hexdigest(),))
            self._numbers |= {person.citizen: f"citizen {person.citizen}", person.phone: f"phone {person.phone}", "84" + person.phone[1:]: f"phone {person.phone}"}
            self._numbers[_packed(person.plate)] = f"plate {person.plate}"

    def _add(self, what: str, words: tuple[str, ...]) -> None:
        self._words.setdefault(words[0], []).append((words, what))

    def traces(self, text: str | bytes) -> set[str]:
        """Return what of whom stands in the text, in words."""
        text = text.decode("utf-8", "ignore") if isinstance(text, bytes) else text
        text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "\\u" in text else text
        words, found = _words(text), set()
        for at, word in enumerate(words):
            for wanted, what in self._words.get(word, ()):
                if words[at : at + len(wanted)] == wanted:
                    found.add(what)
        for pattern in (_NUMBER, _PLATE):
            for match in pattern.finditer(text):
                if what := self._numbers.get(_packed(match[0])):
                    found.add(what)
        return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(unicodedata.normalize("NFC", text).casefold()))


def _packed(text: str) -> str:
    return re.sub(r"[ .\-]", "", text).upper()


def ways_to_write(person: Person) -> Iterator[tuple[str, str]]:
    """Yield how a person may stand in a text, and what the search must then say."""
    yield json.dumps({"a": person.name}), f"name {person.name}"
    yield unicodedata.normalize("NFD", person.name.upper()), f"name {person.name}"
    yield f"{person.phone[:4]} {person.phone[4:7]}.{person.phone[7:]}", f"phone {person.phone}"
    yield f"+84-{person.phone[1:4]}-{person.phone[4:]}", f"phone {person.phone}"
    yield f"x{person.citizen[:3]} {person.citizen[3:6]} {person.citizen[6:]}", f"citizen {person.citizen}"
    yield person.plate.replace("-", " ").replace(".", ""), f"plate {person.plate}"
    yield f"mailto:{person.mail.upper()}", f"mail {person.mail}"
    yield f'"{person.home}"', f"home {person.home}"
    yield hashlib.sha256(person.citizen.encode()).hexdigest(), f"hash of citizen {person.citizen}"
