-- Which record holds the last state of an event or segment, and what is searched for.
CREATE TABLE events (
    id      BLOB PRIMARY KEY,
    camera  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended   INTEGER,
    seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX events_started ON events (started, id);
CREATE INDEX events_camera ON events (camera, started, id);
CREATE INDEX events_open ON events (started) WHERE ended IS NULL;
CREATE TABLE segments (
    id      BLOB PRIMARY KEY,
    camera  TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended   INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX segments_started ON segments (started, id);
