"""SecureVision's events API as its own program does it, for Keepwatch's server to be measured beside.

FastAPI before SQLModel before SQLite: a table of events, one for faces and one for plates, and each
event of a page brings its face or plate by a query of its own, in a handler that blocks its worker.
That is how SecureVision is made; this is written anew, with the routes that are measured alone.

    bench_server_twin.py COUNT FIRST_MS         fills the database with what event_flood stores
    uvicorn --app-dir scripts bench_server_twin:app

TWIN_DATABASE is the file of the database, TWIN_TOKEN what a client has to know.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Annotated, Any, Literal, Optional

from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlmodel import Field, Session, SQLModel, create_engine, select


class EventRow(SQLModel, table=True):
    __tablename__ = "events"

    id: Optional[int] = Field(default=None, primary_key=True)
    type: str = Field(index=True)
    ts_ms: int = Field(index=True)
    frame_source_id: str
    created_at: datetime = Field(index=True)


class FaceRow(SQLModel, table=True):
    __tablename__ = "face_matches"

    id: Optional[int] = Field(default=None, primary_key=True)
    event_id: int = Field(foreign_key="events.id", index=True)
    person_id: str = Field(index=True)
    similarity: float
    bbox: str
    detection_score: float
    track_id: Optional[int] = Field(default=None, index=True)
    detector_metadata: Optional[str] = None


class PlateRow(SQLModel, table=True):
    __tablename__ = "plate_reads"

    id: Optional[int] = Field(default=None, primary_key=True)
    event_id: int = Field(foreign_key="events.id", index=True)
    text_raw: str
    text_clean: str = Field(index=True)
    ocr_confidence: float
    detector_score: float
    matched_list: Optional[str] = Field(default=None, index=True)
    preprocessing_used: str = ""
    bbox: str
    track_id: Optional[int] = Field(default=None, index=True)
    detector_metadata: Optional[str] = None


ROWS = {"face_match": FaceRow, "plate_read": PlateRow}
# Columns that are no part of what is told, and columns of JSON.
OWN, JSON = {"id", "event_id"}, {"bbox", "detector_metadata"}


class EventAnswer(BaseModel):
    id: int
    type: str
    ts_ms: int
    frame_source_id: str
    created_at: str
    payload: dict[str, Any]


Given = Annotated[Optional[HTTPAuthorizationCredentials], Depends(HTTPBearer(auto_error=False))]
engine = create_engine(f"sqlite:///{os.environ['TWIN_DATABASE']}", connect_args={"check_same_thread": False})
app = FastAPI(title="SecureVision Events API")


def check_token(given: Given) -> None:
    if given is None:
        raise HTTPException(401, "Authentication required")
    if given.credentials != os.environ["TWIN_TOKEN"]:
        raise HTTPException(401, "Invalid token")


def payload(session: Session, event: EventRow) -> dict[str, Any]:
    row_type = ROWS[event.type]
    row = session.exec(select(row_type).where(row_type.event_id == event.id)).first()
    fields = row.model_dump(exclude=OWN) if row else {}
    return {name: json.loads(value) if value and name in JSON else value for name, value in fields.items()}


@app.get("/health")
async def health() -> dict[str, bool]:
    return {"ok": True}


@app.get("/events", response_model=list[EventAnswer], dependencies=[Depends(check_token)])
async def events(
    type: Optional[Literal["face_match", "plate_read"]] = None,
    since: Optional[int] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[EventAnswer]:
    query = select(EventRow)
    if type:
        query = query.where(EventRow.type == type)
    if since is not None:
        query = query.where(EventRow.ts_ms >= since)
    with Session(engine) as session:
        return [
            EventAnswer(
                id=event.id,
                type=event.type,
                ts_ms=event.ts_ms,
                frame_source_id=event.frame_source_id,
                created_at=event.created_at.replace(tzinfo=None).isoformat(),
                payload=payload(session, event),
            )
            for event in session.exec(query.order_by(EventRow.ts_ms.desc()).limit(limit)).all()
        ]


# --- Filling -------------------------------------------------------------------------------------


def rows(count: int, first_ms: int) -> Iterator[tuple[str, list]]:
    """Tables and values of what `crates/core/examples/event_flood.rs` stores, in SecureVision's words."""
    for index in range(count):
        number, ts_ms = index + 1, first_ms + index * 1000
        created = datetime.fromtimestamp(ts_ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
        kind, camera = ["face_match", "plate_read"][index % 2], ["door", "yard", "garage"][index % 3]
        yield "events", [number, kind, ts_ms, camera, created]
        score = 0.5 + index % 32 / 64
        x, y = index % 8 * 80.0, index % 4 * 45.0
        box = json.dumps({"x1": x, "y1": y, "x2": x + 320, "y2": y + 180})
        if kind == "face_match":
            yield "face_matches", [None, number, f"Person {index % 50}", score, box, 0.75, index, None]
        else:
            plate, listed = index % 10_000, [None, "whitelist", "blacklist"][index % 3]
            texts = [f"B AB {plate:04}", f"BAB{plate:04}"]
            yield "plate_reads", [None, number, *texts, score * 100, score, listed, "", box, index, None]


def fill(count: int, first_ms: int) -> None:
    SQLModel.metadata.create_all(engine)
    with sqlite3.connect(os.environ["TWIN_DATABASE"]) as db:
        for table, values in rows(count, first_ms):
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


if __name__ == "__main__":
    fill(*map(int, sys.argv[1:]))
