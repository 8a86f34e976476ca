//! The harness of the end-to-end and fault tests: starts a real archive, speaks to it as its users do.
//!
//! | module | holds |
//! | --- | --- |
//! | [`archive`] | [`TestArchive`](archive::TestArchive): the program `isocenter` in a folder of its own, on SQLite and a folder or on PostgreSQL and S3 |
//! | [`peers`] | dcmtk, pynetdicom and other people's clients, run as programs |
//! | [`samples`] | instances that we make ourselves, with known pixels and planted identifiers |
//! | [`corpus`] | real files: from the pydicom wheel of the test environment, and `../shared/data` where it is present |
//!
//! A missing tool is a failure with a clear message, never a skip: `tests/run` installs them all. Only what reads
//! `../shared` may be absent, and says so.

pub mod archive;
pub mod corpus;
pub mod peers;
pub mod samples;
