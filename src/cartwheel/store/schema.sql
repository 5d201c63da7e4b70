-- One study. JSON columns hold what the names say; Python's NaN and Infinity spellings occur inside them.
-- A return that is NaN is stored as NULL, because SQLite has no NaN. ``seal``: see seals.py; the writer's triggers fill it.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL,                -- JSON
    seal  TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE sessions (                 -- one per process that ran the study; times only, no results
    number INTEGER PRIMARY KEY,
    pid    INTEGER NOT NULL,
    host   TEXT NOT NULL,
    wall_s REAL NOT NULL DEFAULT 0,
    loop_s REAL NOT NULL DEFAULT 0,     -- asking, telling and storing: what Cartwheel itself costs
    compile_s REAL NOT NULL DEFAULT 0,  -- of the wall time, what compiling took
    seal   TEXT NOT NULL DEFAULT '',
    commit_s REAL NOT NULL DEFAULT 0,   -- of loop_s, what commits took
    num_devices INTEGER NOT NULL DEFAULT 0, -- that worked side by side; 0: not recorded
    device_compile_s REAL NOT NULL DEFAULT 0 -- what compiling took, summed over them
);

CREATE TABLE events (                   -- what the tuner was told, in order: resume is telling it again
    number INTEGER PRIMARY KEY,
    event  TEXT NOT NULL,               -- JSON
    seal   TEXT NOT NULL DEFAULT ''
);

CREATE TABLE segments (
    id         TEXT PRIMARY KEY,
    trial      INTEGER NOT NULL,
    "index"    INTEGER NOT NULL,
    config     TEXT NOT NULL,           -- JSON
    start      INTEGER NOT NULL,
    stop       INTEGER NOT NULL,
    parent     TEXT,                    -- the segment whose weights it continues
    sources    TEXT,                    -- JSON, NULL from nothing; with ``shrink_perturb`` where weights are shrunk
    origin     TEXT NOT NULL,
    seal       TEXT NOT NULL DEFAULT '',
    UNIQUE (trial, "index")
);

CREATE TABLE episodes (
    segment   TEXT NOT NULL REFERENCES segments,
    "index"   INTEGER NOT NULL,
    return    REAL,
    length    INTEGER NOT NULL,
    is_random INTEGER NOT NULL,
    metrics   TEXT NOT NULL,            -- JSON
    warnings  TEXT NOT NULL,            -- JSON
    seconds   TEXT NOT NULL,            -- JSON
    seal      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (segment, "index")
) WITHOUT ROWID;

CREATE TABLE reports (
    segment    TEXT PRIMARY KEY REFERENCES segments,
    status     TEXT NOT NULL,
    checkpoint TEXT,                    -- digest, NULL unless done
    wall_s     REAL NOT NULL,
    reason     TEXT NOT NULL,
    broken     TEXT,                    -- JSON: the episode in which it ended badly, as far as it came
    kind       TEXT,                    -- of failure; NULL if done, or recorded before schema 3
    seal       TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE checkpoints (              -- the newest of each segment; its last one once the segment is done
    segment  TEXT PRIMARY KEY REFERENCES segments,
    digest   TEXT NOT NULL,
    episode  INTEGER NOT NULL,          -- the episode after which it was taken
    is_final INTEGER NOT NULL DEFAULT 0,
    seal     TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE files (
    digest     TEXT PRIMARY KEY,
    size_bytes INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE checkpoint_files (         -- what a checkpoint needs: itself and its replay shards
    segment  TEXT NOT NULL REFERENCES checkpoints ON DELETE CASCADE,
    position INTEGER NOT NULL,          -- 0 is the checkpoint itself
    digest   TEXT NOT NULL REFERENCES files,
    PRIMARY KEY (segment, position)
) WITHOUT ROWID;
CREATE INDEX checkpoint_files_by_digest ON checkpoint_files (digest);

CREATE TABLE evaluations (
    id           INTEGER PRIMARY KEY,
    segment      TEXT NOT NULL REFERENCES segments,
    seed         INTEGER NOT NULL,
    num_episodes INTEGER NOT NULL,
    status       TEXT,                  -- NULL while it runs
    wall_s       REAL NOT NULL DEFAULT 0,
    reason       TEXT NOT NULL DEFAULT '',
    broken       TEXT,                  -- as in reports
    kind         TEXT,                  -- as in reports
    seal         TEXT NOT NULL DEFAULT '',
    UNIQUE (segment, seed, num_episodes)
);

CREATE TABLE evaluation_episodes (
    evaluation INTEGER NOT NULL REFERENCES evaluations,
    "index"    INTEGER NOT NULL,
    return     REAL,
    length     INTEGER NOT NULL,
    is_random  INTEGER NOT NULL,
    metrics    TEXT NOT NULL,           -- JSON
    warnings   TEXT NOT NULL,           -- JSON
    seconds    TEXT NOT NULL,           -- JSON
    seal       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (evaluation, "index")
) WITHOUT ROWID;

CREATE TABLE retries (                  -- attempts that ended badly and were made again
    number     INTEGER PRIMARY KEY,
    segment    TEXT NOT NULL REFERENCES segments,
    evaluation INTEGER REFERENCES evaluations, -- NULL: of the segment itself
    kind       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    wall_s     REAL NOT NULL,
    broken     TEXT,                    -- as in reports
    seal       TEXT NOT NULL DEFAULT ''
);
