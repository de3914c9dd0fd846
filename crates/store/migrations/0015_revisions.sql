-- Counts the changes of a node's document, so that what was made of it is known to be of date. Identifiers are never used twice.
ALTER TABLE nodes ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
