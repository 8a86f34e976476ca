//! Does the file meta group speak of the same object as the data set (PS3.10 7.1)?
//!
//! The data set holds, and the meta group is written anew on every way in and out. What a contradiction says about the
//! object depends on what made it (`server/decisions/0002-outcomes-of-doubtful-objects.md`):
//!
//! - *Another instance.* Tools that rename objects forget the meta group. That leaves a trace: it holds a name of another
//!   maker, or the series or study bears a name of the same maker as the instance. Then it is a warning. Without a trace,
//!   where one counter gave both names and neither series nor study, nobody can say which of the two objects this is.
//! - *Another class.* How to read the object depends on it, so it is kept out.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_model::part10::Layout;

use super::{Finding, Severity};
use crate::attributes::text;

/// Returns what is to be said of contradictions between file meta and data set; a meta group that is silent has none.
pub(super) fn check(header: &InMemDicomObject, layout: &Layout, findings: &mut Vec<Finding>) {
    let declared = |uid: &Option<String>| {
        let uid = uid.as_deref().map(|u| u.trim_matches([' ', '\0']).to_owned());
        uid.filter(|uid| !uid.is_empty())
    };
    if let Some(meta) = declared(&layout.meta.media_storage_sop_instance_uid) {
        let parents = [tags::SERIES_INSTANCE_UID, tags::STUDY_INSTANCE_UID].map(|tag| text(header, tag));
        findings.extend(instance(&meta, &text(header, tags::SOP_INSTANCE_UID), &parents));
    }
    if declared(&layout.meta.media_storage_sop_class_uid).is_some_and(|meta| meta != text(header, tags::SOP_CLASS_UID))
    {
        let detail = "(0002,0002) and (0008,0016) name two SOP classes";
        findings.push(Finding::new("Q105", Severity::Block, detail));
    }
}

/// Components from the left that two names of one maker have in common at least: standards and countries are named by fewer.
const MAKER: usize = 3;

fn instance(meta: &str, instance: &str, parents: &[String]) -> Option<Finding> {
    if meta == instance {
        return None;
    }
    let one_counter = match (meta.rsplit_once('.'), instance.rsplit_once('.')) {
        // 2.25 is nobody's: UUIDs stand right below it (PS3.5 B.2)
        (Some((a, _)), Some((b, _))) => a == b && a != "2.25",
        _ => false,
    };
    let same_maker = |parent: &String| shared(instance, parent) >= MAKER;
    Some(if one_counter && !parents.iter().any(same_maker) {
        let detail = "(0002,0003) and (0008,0018) name two instances of one maker, who named neither series nor study";
        Finding::new("Q105", Severity::Block, detail)
    } else {
        let detail = "(0002,0003) names another instance than (0008,0018), which holds";
        Finding::new("Q105", Severity::Warn, detail)
    })
}

/// Returns how many components from the left two UIDs have in common.
fn shared(a: &str, b: &str) -> usize {
    a.split('.').zip(b.split('.')).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity(meta: &str, uid: &str, series: &str, study: &str) -> Option<Severity> {
        instance(meta, uid, &[series.to_owned(), study.to_owned()]).map(|found| found.severity)
    }

    #[test]
    fn one_name_in_both_places_is_nothing_to_speak_of() {
        assert_eq!(severity("1.2.3.4.5", "1.2.3.4.5", "1.9.1", "1.9.2"), None);
    }

    #[test]
    fn a_meta_group_that_a_renaming_tool_forgot_is_a_warning() {
        for (meta, uid, series, study) in [
            // named by the device, renamed by a tool, with its series and study
            (
                "1.2.840.99.6945.148",
                "1.2.826.0.1.77.20598",
                "1.2.826.0.1.77.10562",
                "1.2.826.0.1.77.10473",
            ),
            // or without
            (
                "1.2.840.99.6945.148",
                "1.2.826.0.1.77.20598",
                "1.2.840.99.2",
                "1.2.840.99.1",
            ),
            // renamed twice by one tool
            (
                "1.2.826.0.1.77.155134601",
                "1.2.826.0.1.77.43490658",
                "1.2.826.0.1.77.40321185",
                "1.2.826.0.1.77.4",
            ),
            // UUIDs: who gave them is not to be seen
            ("2.25.7001", "2.25.7002", "1.2.840.99.2", "1.2.840.99.1"),
            // a data set whose UID is none: other checks speak of it
            ("1.2.840.99.6945.148", "", "", ""),
            ("1", "2", "", ""),
        ] {
            assert_eq!(severity(meta, uid, series, study), Some(Severity::Warn), "{meta} {uid}");
        }
    }

    #[test]
    fn two_neighbours_within_a_series_or_study_of_their_maker_are_a_warning() {
        let (meta, uid) = ("1.3.51.7.2.17461", "1.3.51.7.2.17462");
        assert_eq!(severity(meta, uid, "1.3.51.9.1", "1.2.276.1"), Some(Severity::Warn));
        assert_eq!(severity(meta, uid, "1.2.276.1", "1.3.51.7.3"), Some(Severity::Warn));
    }

    #[test]
    fn two_names_of_one_counter_in_another_makers_series_keep_the_object_out() {
        let (meta, uid) = ("1.3.51.7.2.17461", "1.3.51.7.2.17462");
        assert_eq!(
            severity(meta, uid, "1.2.840.99.2", "1.2.840.99.1"),
            Some(Severity::Block)
        );
        // longer last components are names of the same counter too
        assert_eq!(
            severity("1.3.51.7.2.9", uid, "1.3.6.1.4.2", "1.3.6.1.4.1"),
            Some(Severity::Block)
        );
    }
}
