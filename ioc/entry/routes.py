"""Figures typed by a person, over HTTP: who asks is who the gate says (ioc/gate.py), and may, by ioc/rights.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import psycopg
from fastapi import FastAPI
from psycopg_pool import ConnectionPool
from pydantic import BaseModel, ConfigDict, Field

from ioc import rights
from ioc.areas import Areas
from ioc.bus import Publisher
from ioc.config import Config
from ioc.entry.entries import Row, approve, enter, entries, publish, reject


class Typed(BaseModel):
    """What somebody typed."""

    model_config = ConfigDict(extra="forbid")

    feed: str
    figure: str
    value: str = Field(max_length=60, description="The number, in the figure's unit; '' withdraws what was published.")
    period: str = Field(max_length=60)
    document: str = Field(max_length=300)
    area: str = ""


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=300)


def add(app: FastAPI, config: Config, areas: Areas, pool: ConnectionPool[psycopg.Connection[Any]], publisher: Publisher, clock: Callable[[], datetime]) -> None:
    """Put the addresses on the application."""
    @app.get("/api/entries", summary="Typed figures, newest first")
    def listed(status: Literal["waiting", "approved", "published", "rejected"] | None = None) -> list[Row]:
        with pool.connection() as conn:
            return entries(conn, status)

    @app.post("/api/entries", status_code=201, summary="Enter a figure, for somebody else to approve")
    def entered(typed: Typed) -> Row:
        with pool.connection() as conn:
            return enter(conn, config, areas, rights.current(), **typed.model_dump(), at=clock())

    @app.post("/api/entries/{number}/approve", summary="Approve another one's figure, and publish it")
    def approved(number: int) -> Row:
        with pool.connection() as conn:
            row = approve(conn, number, rights.current(), clock())
            conn.commit()  # approved it stays, whether or not the broker is there
            publish(conn, publisher, clock())
        return row

    @app.post("/api/entries/{number}/reject", summary="Reject a figure, with the reason")
    def rejected(number: int, reason: Reason) -> Row:
        with pool.connection() as conn:
            return reject(conn, number, rights.current(), reason.reason, clock())
