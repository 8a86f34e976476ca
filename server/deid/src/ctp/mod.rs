//! The script language of RSNA's CTP, unchanged (deid reference, sections 2 to 8).
//!
//! A script says for each attribute which text takes its place. Sites have such scripts, and have had them approved; what
//! they mean is what CTP does with them. So there are two modes:
//!
//! - [`Mode::Compat`] gives element by element what CTP gives, faults included, to compare with and to move from.
//! - [`Mode::Strict`], the default, is the same language with the faults closed that let identity through: items are
//!   entered at any depth, an error holds the object instead of becoming its value, what CTP hashes without a key is keyed,
//!   and a script that holds anything the engine would have to guess is refused when it is loaded.
//!
//! ```text
//! text -> Script (rules, parameters, keeps, removes)          container, xml, properties, script
//!            + parameters, lookup table, clock, ...            parameters, lookup, inputs
//!            = Anonymizer, checked once for its mode           check, explain
//! data set -> insert pass -> walk -> data set + report         walk, evaluate, write
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | `xml`, `properties`, `source`, `script` | the two containers, positions in them, and what they say together |
//! | `expression`, `reference`, `names` | one expression as a tree; ways to name an element; old and new keywords |
//! | `evaluate`, `text`, `dates`, `digests` | the functions |
//! | `reading`, `values`, `write`, `private` | values as CTP's toolkit reads and writes them; private dictionaries |
//! | `apply`, `insert`, `walk` | applying a script to an object: what it adds, and the walk |
//! | `check`, `explain` | what strict mode refuses; a script in words, and what it would leak |
//! | `filter`, `pixel_script` | conditions on an object; signatures of devices and their regions |
//! | `java`, `regex` | text as Java's library treats it |
//!
//! What CTP does was read in its sources and measured on its answers; none of its code is here.

mod apply;
mod check;
mod dates;
mod digests;
mod evaluate;
mod explain;
mod expression;
mod filter;
mod inputs;
mod insert;
mod java;
mod lookup;
mod names;
mod pixel_script;
mod private;
mod properties;
mod reading;
mod reference;
mod regex;
mod script;
mod source;
mod text;
mod values;
mod walk;
mod write;
mod xml;

pub use apply::{Object, Outcome, elements_of_meta, meta_elements};
pub use check::Anonymizer;
pub use evaluate::Thrown;
pub use explain::{Explanation, Severity};
pub use filter::Filter;
pub use inputs::{Inputs, Integers, Mode, Parameters, RunningIntegers};
pub use lookup::LookupTable;
pub use pixel_script::{PixelScript, ScriptRegion, Signature};
pub use private::{PrivateDictionary, PrivateEntry};
pub use script::{Keep, Rule, Script};
pub use source::ParseError;
