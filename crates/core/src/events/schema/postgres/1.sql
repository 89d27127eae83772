CREATE SCHEMA IF NOT EXISTS keepwatch;
CREATE TABLE schema (version BIGINT NOT NULL);
INSERT INTO schema VALUES (1);
-- What is in files where the store is a directory: the header, key slots, private files.
CREATE TABLE files (
    name  TEXT COLLATE "C" PRIMARY KEY,
    stamp BIGINT NOT NULL,
    bytes BYTEA NOT NULL
);
-- The hash chain (FORMAT.md, section 7.4); the body holds the salt, sealed.
CREATE TABLE records (
    seq     BIGINT PRIMARY KEY,
    kind    BIGINT NOT NULL,
    subject BYTEA,
    salt    BYTEA,
    digest  BYTEA NOT NULL,
    link    BYTEA NOT NULL,
    body    BYTEA NOT NULL,
    CHECK (salt IS NULL)
);
CREATE INDEX records_subject ON records (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX records_checkpoint ON records (seq) WHERE kind = 4;
CREATE INDEX records_audit ON records (seq) WHERE kind = 3;
CREATE TABLE gaps (
    first_seq BIGINT PRIMARY KEY,
    body      BYTEA NOT NULL,
    signature BYTEA NOT NULL
);
CREATE TABLE events (
    id      BYTEA PRIMARY KEY,
    camera  TEXT COLLATE "C" NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    started BIGINT NOT NULL,
    ended   BIGINT,
    seq     BIGINT NOT NULL
);
CREATE INDEX events_started ON events (started, id);
CREATE INDEX events_camera ON events (camera, started, id);
CREATE INDEX events_kind ON events (kind, started, id);
CREATE INDEX events_open ON events (started) WHERE ended IS NULL;
CREATE TABLE segments (
    id      BYTEA PRIMARY KEY,
    camera  TEXT COLLATE "C" NOT NULL,
    started BIGINT NOT NULL,
    ended   BIGINT NOT NULL,
    bytes   BIGINT NOT NULL,
    seq     BIGINT NOT NULL
);
CREATE INDEX segments_started ON segments (started, id);
CREATE TABLE labels (
    id      BYTEA NOT NULL CHECK (octet_length(id) = 16),
    label   BYTEA NOT NULL,
    started BIGINT NOT NULL,
    PRIMARY KEY (id, label)
);
CREATE INDEX labels_label ON labels (label, started, id);
