-- The hash chain (FORMAT.md, section 7.4).
CREATE TABLE records (
    seq     INTEGER PRIMARY KEY,
    kind    INTEGER NOT NULL,
    subject BLOB,
    salt    BLOB NOT NULL,
    digest  BLOB NOT NULL,
    link    BLOB NOT NULL,
    body    BLOB NOT NULL
) STRICT;
CREATE INDEX records_subject ON records (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX records_checkpoint ON records (seq) WHERE kind = 4;
CREATE INDEX records_audit ON records (seq) WHERE kind = 3;
-- What takes the place of runs of records that were purged.
CREATE TABLE gaps (
    first_seq INTEGER PRIMARY KEY,
    body      BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;
