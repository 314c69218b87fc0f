"""Notifiable diseases as MeasureReports of type summary: the cases of a week in a commune become an observation.

A report is cut into its cells first: one a group, or one a stratum where strata tell communes or diseases. Each cell is a report of one group
and one stratum, so that a cell that cannot be read is one dead letter and the others count. From 1 to 4 cases could be somebody everybody
in the commune knows: such a count never leaves, it becomes "at most 4", and no dead letter tells a count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.fhir.resources import dicts, referred, updated, when
from ioc.connect import Context, Defect, Record, Skip, fields, shown
from ioc.doubts import doubt
from ioc.events import Event, Observation

# ICD-10: a category, or a code of it, to the disease in the metric's name; those of the connector epidemics
DISEASES = {
    "A90": "dengue", "A91": "dengue", "A97": "dengue", "B08.4": "hfmd", "B05": "measles", "J09": "influenza", "J10": "influenza", "J11": "influenza", "B01": "varicella",
    "A09": "diarrhoea", "A82": "rabies", "A37": "pertussis", "A36": "diphtheria",
}  # fmt: skip
SUPPRESS_BELOW = 5  # cases of a commune and a week
MOST = 5000  # cases of a commune and a week; more is doubtful
_READ = ("complete", "error")
_COUNTED = ("numerator", "initial-population")  # the population that is the cases, where a group has several


def cells(record: Record, context: Context[Any]) -> list[Record]:
    """Return a report as records of one cell each; one that is not read at all stays whole."""
    report = record.value
    if not isinstance(report, dict) or report.get("type") != "summary" or report.get("status") not in _READ or not report.get("group"):
        return [record]
    groups = dicts(report["group"])
    if not isinstance(report["group"], list) or len(groups) != len(report["group"]):
        return [Record(report, record.kind, record.hints, Defect("wrong_type", "a group of the report is no object", "group"))]
    made = [Record(report | {"group": [part]}, record.kind, record.hints) for group in groups for part in _parts(group, context)]
    told = Counter(_told(cell.value, context) for cell in made)
    for cell in made:
        commune, disease = _told(cell.value, context)
        if disease is not None and told[commune, disease] > 1:  # which of them is the week's number, nobody can say
            cell.defect = Defect("contradiction", f"the report has several counts of {disease} for one commune", "group", "send one count of a disease, or tell their codes apart in the option diseases")
    return made


def _parts(group: Mapping[str, Any], context: Context[Any]) -> Iterator[dict[str, Any]]:
    """Yield a group's strata that tell communes or diseases, each as a group of its own; without any, the group's whole."""
    code = {"code": group.get("code")}
    strata = [
        stratum
        for stratifier in dicts(group.get("stratifier"))
        for found in [dicts(stratifier.get("stratum"))]
        if any(_tells(stratum, context) for stratum in found)  # not by age or sex: that is the same cases once more
        for stratum in found
    ]
    yield from (code | {"stratifier": [{"stratum": [stratum]}]} for stratum in strata)
    if not strata:
        yield {name: value for name, value in group.items() if name != "stratifier"}


def _tells(stratum: Mapping[str, Any], context: Context[Any]) -> bool:
    concepts = list(_concepts(stratum))
    return bool(concepts) and all(_commune(concept, context) or _disease(concept, context) for concept in concepts)


def _concepts(stratum: Mapping[str, Any]) -> Iterator[Any]:
    for holder in (stratum, *dicts(stratum.get("component"))):
        if holder.get("value") is not None:
            yield holder["value"]


def _told(report: Mapping[str, Any], context: Context[Any]) -> tuple[str | None, str | None]:
    """Return the commune's code (None: the report's own) and the disease of a cell."""
    group = report["group"][0]
    concepts = [concept for stratum in _strata(group) for concept in _concepts(stratum)]
    communes = (_commune(concept, context) for concept in concepts)
    diseases = (_disease(concept, context) for concept in (*concepts, group.get("code")))
    return next(filter(None, communes), None), next(filter(None, diseases), None)


def _strata(group: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [stratum for stratifier in dicts(group.get("stratifier")) for stratum in dicts(stratifier.get("stratum"))]


def _commune(concept: Any, context: Context[Any]) -> str | None:
    return next((code for system, code in _codes(concept) if system == context.options.commune_system), None)


def _disease(concept: Any, context: Context[Any]) -> str | None:
    known: dict[str, str] = context.options.diseases
    return next((known[name] for _, code in _codes(concept) for name in (code, code.partition(".")[0]) if name in known), None)


def _codes(concept: Any) -> Iterator[tuple[Any, str]]:
    for coding in dicts(concept.get("coding") if isinstance(concept, dict) else None):
        code = coding.get("code")
        if isinstance(code, str) and code.strip():
            yield coding.get("system"), code.strip()


def to_event(value: Mapping[str, Any], record: Record, context: Context[Any]) -> Event:
    """Return the observation of a cell; raise `Skip` (body withheld). `error` withdraws what the report said."""
    if value.get("type") != "summary":
        raise Skip("out_of_scope", f"a MeasureReport of type {shown(value.get('type'))} is not read: only a summary is without persons", field="type", body=False)
    status = fields.text(value, "status")
    if status == "pending":
        raise Skip("pending", "the report is not finished; it is read when its status is complete", field="status", body=False)
    if status not in _READ:
        raise Skip("unknown_status", f"status is {shown(value.get('status'))}, which a MeasureReport does not have", field="status", body=False)
    if not dicts(value.get("group")):
        raise Skip("missing_value", "the report has no group: there is nothing to count, or to withdraw", field="group", body=False)
    code, disease = _told(value, context)
    if disease is None:
        raise Skip("unknown_code", "the codes of this group are no disease that is known", field="group.code", repair="name its code in the option diseases", body=False)
    subject, area = (code, context.area(code, "group.stratifier.stratum.value")) if code else _place(value, record, context)
    if not subject or area is None:
        raise Skip("unknown_area", "it is not known which commune the report is about", field="subject", repair="read Location too, before MeasureReport; or tell communes in strata", body=False)
    told = updated(value) or when(value.get("date"), "date", context)[0]
    if told is None:
        raise Skip("missing_time", "neither meta.lastUpdated nor date says when the report was made", field="date", repair="send meta.lastUpdated", body=False)
    count, deleted = (None, True) if status == "error" else (_count(value["group"][0]), False)
    small = fields.suppressed(count, SUPPRESS_BELOW) if count is not None else None
    observation = Observation(
        metric=f"cases.{disease}",
        value=count if small is None else small,
        unit="{case}",
        area=area,
        period="P1W",
        version=told,
        qualifier="exact" if small is None else "at_most",
        deleted=deleted,
        doubt=doubt("above", what=f"cases.{disease}", value=count, limit=MOST) if count is not None and count > MOST else None,
    )
    return context.event(subject, fields.start_of(_monday(value.get("period"), context), context.zone), observation)


def _place(value: Mapping[str, Any], record: Record, context: Context[Any]) -> tuple[str | None, str | None]:
    """Return the Location a report is about, else that of who reports, with its commune."""
    areas: dict[str, str] = context.memory.get("areas", {})
    for who in (value.get("subject"), value.get("reporter")):
        if (found := referred(who, record)) is not None:
            return found, areas.get(found)  # a subject that is not known is not the reporter
    return None, None


def _count(group: Mapping[str, Any]) -> Decimal:
    holder = next(iter(_strata(group)), group)
    populations = dicts(holder.get("population"))
    named = {code: population for population in populations for _, code in _codes(population.get("code"))}
    chosen = next((named[name] for name in _COUNTED if name in named), populations[0] if len(populations) == 1 else None)
    score = holder.get("measureScore")
    raw = chosen.get("count") if chosen is not None else score.get("value") if isinstance(score, dict) else None
    try:
        found = fields.count_of(raw, "group.population.count")
    except Skip as exc:
        raise Skip(exc.cause, "group.population.count is no whole number of 0 or more", field=exc.field, repair=exc.repair, body=False) from exc
    if found is None:
        raise Skip("missing_value", "the group has no count of cases", field="group.population.count", repair="send one population, or one called numerator or initial-population", body=False)
    return found


def _monday(period: Any, context: Context[Any]) -> date:
    """Return the first day of a week from Monday to Sunday; its end is the Sunday, or the midnight after it."""
    period = period if isinstance(period, dict) else {}
    first, last = _day(period.get("start"), "period.start", context), _day(period.get("end"), "period.end", context, end=True)
    if first is None or last is None:
        raise Skip("missing_time", "period does not say from when to when", field="period", body=False)
    if first.weekday() != 0 or last - first != timedelta(days=6):
        raise Skip("bad_time", f"the report is of {first} to {last}, not of a week from Monday to Sunday", field="period", repair="send a report a week", body=False)
    return first


def _day(value: Any, field: str, context: Context[Any], *, end: bool = False) -> date | None:
    if isinstance(value, str) and len(value.strip()) == 10:
        return fields.day(value, field)
    at = fields.moment(value, field, context.zone)
    if at is None:
        return None
    local: datetime = at.astimezone(context.zone)
    return (local - timedelta(microseconds=1) if end else local).date()
