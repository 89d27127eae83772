-- The chain: whatever was written, in its order.
CREATE TABLE record (
    seq    INTEGER PRIMARY KEY,
    kind   INTEGER NOT NULL,
    -- The event or segment that it is about.
    object BLOB,
    body   BLOB NOT NULL,
    salt   BLOB NOT NULL,
    link   BLOB NOT NULL
);
CREATE INDEX record_object ON record (object) WHERE object IS NOT NULL;

CREATE TABLE checkpoint (
    seq       INTEGER PRIMARY KEY,
    link      BLOB NOT NULL,
    at        INTEGER NOT NULL,
    signature BLOB NOT NULL
);

-- Runs of records that were deleted on purpose.
CREATE TABLE gap (
    first       INTEGER PRIMARY KEY,
    last        INTEGER NOT NULL,
    link_before BLOB NOT NULL,
    link_after  BLOB NOT NULL,
    signature   BLOB NOT NULL
);

-- The last state of each event: what the newest record of it says, made easy to search.
CREATE TABLE event (
    id      BLOB PRIMARY KEY,
    camera  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended   INTEGER,
    seq     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX event_started ON event (started, id);
CREATE INDEX event_camera ON event (camera, started, id);

CREATE TABLE segment (
    id      BLOB PRIMARY KEY,
    camera  TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended   INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    seq     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX segment_started ON segment (started, id);
