-- where an area lies, from its name
ALTER TABLE area ADD COLUMN region TEXT AS (coalesce(name ->> '$.RateCenter.region', name ->> '$.Prefix.region'));
ALTER TABLE area ADD COLUMN rate_center TEXT AS (name ->> '$.RateCenter.rate_center');
CREATE INDEX area_region ON area (region);
CREATE INDEX area_rate_center ON area (rate_center, region);

-- rate centers that an operator's file or an import of numbers has named; an id stays what it is
CREATE TABLE rate_center (
    id           INTEGER PRIMARY KEY,
    region       TEXT NOT NULL,
    abbreviation TEXT NOT NULL,
    name         TEXT NOT NULL,
    UNIQUE (region, abbreviation)
) STRICT;
CREATE INDEX rate_center_abbreviation ON rate_center (abbreviation);
INSERT INTO rate_center (region, abbreviation, name)
    SELECT region, rate_center, rate_center FROM area WHERE rate_center IS NOT NULL ORDER BY id;

-- npa_nxx: six digits; zips: parted by spaces
CREATE TABLE exchange (
    npa_nxx     INTEGER PRIMARY KEY,
    rate_center INTEGER NOT NULL REFERENCES rate_center,
    lata        TEXT,
    city        TEXT,
    zips        TEXT NOT NULL
) STRICT;
CREATE INDEX exchange_rate_center ON exchange (rate_center);
CREATE INDEX exchange_city ON exchange (city) WHERE city IS NOT NULL;
CREATE INDEX exchange_lata ON exchange (lata) WHERE lata IS NOT NULL;
CREATE TABLE exchange_zip (
    zip     TEXT NOT NULL,
    npa_nxx INTEGER NOT NULL,
    PRIMARY KEY (zip, npa_nxx)
) STRICT, WITHOUT ROWID;
CREATE INDEX exchange_zip_exchange ON exchange_zip (npa_nxx);

-- how many numbers of an exchange and an area are in the pool: what a search goes by, since all of them lie
-- in the same place. North American numbers only
CREATE TABLE stock (
    npa_nxx INTEGER NOT NULL,
    area    INTEGER NOT NULL,
    numbers INTEGER NOT NULL,
    PRIMARY KEY (npa_nxx, area)
) STRICT, WITHOUT ROWID;
CREATE INDEX stock_area ON stock (area);
INSERT INTO stock (npa_nxx, area, numbers)
    SELECT number / 10000 - 1000000, area, count(*) FROM number
    WHERE state = 0 AND number >= 12000000000 AND number < 20000000000 GROUP BY 1, 2;

-- the pool by exchange (with the country code), and within it scattered: cubes modulo the prime 10007 put
-- neighbours far apart, so that reading on tells nothing of blocks or of what is new. It takes the place of
-- the index by area code, at the same size: a search first draws how many numbers come from which exchange
DROP INDEX number_pool;
CREATE INDEX number_pool ON number (number / 10000, (number % 10000) * (number % 10000) % 10007 * (number % 10000) % 10007)
    WHERE state = 0;
CREATE INDEX number_protected ON number (holder, number) WHERE state = 4;
