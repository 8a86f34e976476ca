//! Breaking the engine on purpose: a rule that is skipped must show in the bytes.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::objects::Generator;
use super::{de_identified, left, syntax_of, through};
use crate::documents::DocumentRule;
use crate::iod::Type;
use crate::options::Options;
use crate::private_rules::PrivateLists;
use crate::profile::{PrivateRule, Profile, Settings, TableScript};
use crate::script::{Decision, Script};

/// The script of a profile, with one attribute that it passes as it is.
#[derive(Debug)]
struct Broken {
    inner: TableScript,
    at: Tag,
}

impl Script for Broken {
    fn decide(&self, tag: Tag) -> Option<Decision> {
        self.inner.decide(tag)
    }

    fn identifies(&self, tag: Tag) -> bool {
        self.inner.identifies(tag)
    }

    fn options(&self) -> Options {
        self.inner.options()
    }

    fn private(&self) -> PrivateRule {
        self.inner.private()
    }

    fn decide_by_type(&self, tag: Tag, kind: Option<Type>) -> Option<Decision> {
        self.inner.decide_by_type(tag, kind)
    }

    fn private_lists(&self) -> Option<&PrivateLists> {
        self.inner.private_lists()
    }

    fn documents(&self) -> DocumentRule {
        self.inner.documents()
    }

    fn is_broken_at(&self, tag: Tag) -> bool {
        tag == self.at
    }
}

#[test]
fn a_rule_that_is_skipped_is_seen_in_a_hundred_of_a_hundred_runs() {
    let mut objects = Vec::new();
    let mut rows = Vec::new();
    for seed in 0..5 {
        let mut generator = Generator::new(seed);
        let object = generator.object(2);
        objects.push(through(&object, syntax_of(seed)));
        rows = generator.rows().into_iter().collect();
    }
    rows.sort_unstable();
    // Not entering a sequence, and rules beyond the table, can be forgotten too.
    rows.extend([
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        tags::TEXT_VALUE,
        Tag(0xFFFA, 0xFFFA),
        Tag(0xFFFC, 0xFFFC),
        Tag(0x0029, 0x1013),
    ]);
    let mut choice = Generator::new(77);
    let mut missed = Vec::new();
    for run in 0..100 {
        let at = rows[choice.below(rows.len())];
        let inner = TableScript::new(Settings::default());
        let profile = Profile::with_script("broken", Box::new(Broken { inner, at }));
        let object = &objects[run % objects.len()];
        if !holds(object, at) {
            // A sequence that this seed goes down another way: the next one has it.
            let other = objects.iter().find(|object| holds(object, at));
            let seen = other.is_some_and(|object| !left(&de_identified(&profile, object)).is_empty());
            if !seen {
                missed.push(at);
            }
        } else if left(&de_identified(&profile, object)).is_empty() {
            missed.push(at);
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}

fn holds(object: &dicom_object::InMemDicomObject, tag: Tag) -> bool {
    object.get(tag).is_some()
}
