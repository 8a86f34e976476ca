//! De-identification: a data set goes in, a data set without the patient comes out, or the reason why none may.
//!
//! One executor walks the data set once, into every item of every sequence at any depth, and asks a *script* what becomes
//! of each element. There are two front ends to it: the profiles of PS3.15 Annex E, whose Table E.1-1 is data of this
//! package, and (with a later issue) scripts in the language of RSNA's CTP. What neither says anything of is decided by the
//! rules beyond the table, so that nothing passes because nobody thought of it.
//!
//! What this package promises:
//!
//! - **Nothing is kept untouched for being nested.** "Keep" on a sequence means: its items are processed.
//! - **One patient, one pseudonym, one shift of days**, from a secret and the values alone ([`Pseudonyms`]): no table, any
//!   order of arrival, any node, byte for byte the same.
//! - **What is kept is read first.** Text that does not decode, dates that do not parse, text that repeats a value which was
//!   removed elsewhere in the object: gone, though its attribute is one that may stay.
//! - **Where a rule cannot make an object safe it is [`Held`]**, never passed: documents, video, marked burned-in text.
//! - No original value reaches a report, a reason, an error or a log.
//!
//! | module | holds |
//! | --- | --- |
//! | `table`, `tag_map`, `options` | Table E.1-1, finding a row by its tag, and the options that it has columns for |
//! | `iod`, `sr`, `dictionary` | types by IOD; concepts of structured reports; known private attributes |
//! | `script`, `profile`, `profile_file` | what a front end answers to the executor; the built-in profiles; those of users |
//! | `definition` | the texts of a user's profile, checked once and kept |
//! | `executor`, `element` | the walk; keeping, cleaning or replacing one value |
//! | `beyond`, `private_rules`, `private` | attributes the table does not list; private attributes; numbers that say nothing |
//! | `value`, `date`, `documents` | reading and dummies; shifting; empty documents |
//! | `descriptor`, `written_date`, `naming_words` | cleaning text; dates inside it; words around names |
//! | `known`, `needles`, `token` | what is known of this patient from this object, and finding it again in text, numbers and bytes |
//! | `holds`, `policy`, `pixel` | what may not go out, what the pixels may show and what follows, the seam for editing them |
//! | `pseudonym`, `marks`, `report` | keyed replacements; the marks of PS3.15 E.1.1; what was done, without values |
//!
//! What it leaves to others: reading and writing bytes (with file meta, preamble and the padding after the last element),
//! pixels (a [`PixelEditor`] is implemented by imaging), judging a whole series, keeping keys.

mod beyond;
pub mod ctp;
mod date;
mod definition;
mod descriptor;
mod dictionary;
mod documents;
mod element;
mod error;
mod executor;
#[cfg(test)]
mod generated;
mod holds;
mod iod;
mod known;
mod marks;
mod naming_words;
mod needles;
mod options;
mod pixel;
mod policy;
mod private;
mod private_rules;
mod profile;
mod profile_file;
mod pseudonym;
mod report;
mod script;
mod sr;
pub mod table;
mod tag_map;
mod token;
mod value;
mod written_date;

pub use definition::{Definition, Rules};
pub use documents::DocumentRule;
pub use error::Error;
pub use executor::{Context, Deidentified, PixelFacts, deidentify, issuer_of_patient_id};
pub use holds::{Held, PixelRisk};
pub use options::{ConfidentialityOption, Options};
pub use pixel::{
    EditedPixels, FillStyle, Frames, Part, PixelEdit, PixelEditor, PixelObject, Region, RegionSource, mark_clean,
};
pub use policy::{
    DeviceRegions, FoundText, PixelPlan, PixelPolicy, PixelReport, PixelVerdict, TextSearch, WhenFound, WhenUnanswered,
    plan_pixels, signature_regions,
};
pub use profile::{PrivateRule, Profile};
pub use pseudonym::{Pseudonyms, Secret};
pub use report::{Action, Change, Report};
