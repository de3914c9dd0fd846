-- What is of the site as a whole, by name.
CREATE TABLE site (
    name TEXT PRIMARY KEY,
    value {bytes} NOT NULL
);
