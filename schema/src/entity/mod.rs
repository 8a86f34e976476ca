//! The tables. Row ids of individuals, studies, series and images are the numbers of their accessions: an insert needs no
//! answer to know its id, a lookup by accession is one by primary key, and a rebuilt database has the same ids.
//!
//! Absent texts are empty, instants are microseconds since 1970 (column names end in `_at` or `_until`), digests and ids
//! are bytes.

pub(crate) mod archive;
pub(crate) mod curation;
pub(crate) mod people;
pub(crate) mod system;
