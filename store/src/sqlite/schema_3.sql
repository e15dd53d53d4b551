-- what an account says of its sites and peers, as JSON; null while it has said nothing
ALTER TABLE site ADD COLUMN details TEXT;
ALTER TABLE peer ADD COLUMN details TEXT;

CREATE INDEX user_account ON user (account);

-- how many numbers are in service at a site's peer (0: at none of its peers)
CREATE TABLE in_service (
    site    INTEGER NOT NULL,
    peer    INTEGER NOT NULL,
    numbers INTEGER NOT NULL,
    PRIMARY KEY (site, peer)
) STRICT, WITHOUT ROWID;
INSERT INTO in_service (site, peer, numbers)
    SELECT site, coalesce(peer, 0), count(*) FROM number WHERE state = 2 GROUP BY 1, 2;

-- details: what is said of it, as JSON
CREATE TABLE application (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      BLOB NOT NULL UNIQUE,
    account INTEGER NOT NULL REFERENCES account,
    service TEXT NOT NULL,
    name    TEXT NOT NULL,
    details TEXT
) STRICT;
CREATE INDEX application_account ON application (account);

-- the application that a peer names for a service
CREATE TABLE peer_application (
    peer        INTEGER NOT NULL REFERENCES peer ON DELETE CASCADE,
    service     TEXT NOT NULL,
    application INTEGER NOT NULL REFERENCES application,
    PRIMARY KEY (peer, service)
) STRICT, WITHOUT ROWID;
CREATE INDEX peer_application_of ON peer_application (application);
