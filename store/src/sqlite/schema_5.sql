-- flags of a number: 16 means that nothing has happened to it since its import
UPDATE number SET flags = flags | 16 WHERE last_event IN (SELECT seq FROM event WHERE number IS NULL);
DELETE FROM meta WHERE key = 'imports';
