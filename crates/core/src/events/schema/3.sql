-- What was seen, folded (FORMAT.md, section 7.3), filled from the records that are there.
CREATE TABLE labels (
    id      BLOB NOT NULL CHECK (length(id) = 16),
    label   BLOB NOT NULL,
    started INTEGER NOT NULL,
    PRIMARY KEY (id, label)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_label ON labels (label, started, id);
CREATE INDEX events_kind ON events (kind, started, id);
