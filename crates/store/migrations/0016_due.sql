-- Nodes that are held are due as well, hundreds of them, and whoever looks for the next one has no use for them.
DROP INDEX nodes_due;
CREATE INDEX nodes_due ON nodes (due_us) WHERE due_us IS NOT NULL AND lease_holder IS NULL;
