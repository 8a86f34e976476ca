//! Do study, series and patient fit those that are here already? And is the object's UID its own?
//!
//! One patient's data under another's Study Instance UID is the fault that hurts most: it goes unseen until somebody reads
//! the wrong scan. The archive knows patients only by keyed digest, and that is enough to see that there are two.

/// What the archive knows of the study and series that an object names.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Neighbours<'a> {
    /// Keyed digest of the patient that the study belongs to.
    pub(crate) study_patient: Option<&'a [u8; 32]>,
    /// Study that the series belongs to.
    pub(crate) series_study: Option<&'a str>,
    /// Whether another object has the UID that this one is to have.
    pub(crate) uid_taken: bool,
}

/// Returns the code of the check that an object fails among its neighbours, if any.
pub(crate) fn check(
    patient: &[u8; 32],
    study: &str,
    neighbours: Neighbours<'_>,
) -> Option<(&'static str, &'static str)> {
    if neighbours.study_patient.is_some_and(|known| known != patient) {
        return Some(("Q202", "study is known under another patient"));
    }
    if neighbours.series_study.is_some_and(|known| known != study) {
        return Some(("Q206", "series is known under another study"));
    }
    if neighbours.uid_taken {
        let detail = "(0008,0018) SOPInstanceUID after de-identification is that of another object";
        return Some(("Q206", detail));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_patient_in_a_known_study_is_seen() {
        let (a, b) = ([1; 32], [2; 32]);
        let here = Neighbours {
            study_patient: Some(&a),
            series_study: Some("1.2"),
            uid_taken: false,
        };
        assert_eq!(check(&a, "1.2", here), None);
        assert_eq!(check(&b, "1.2", here).map(|(code, _)| code), Some("Q202"));
    }

    #[test]
    fn a_series_under_two_studies_is_seen() {
        let here = Neighbours {
            series_study: Some("1.2"),
            ..Neighbours::default()
        };
        assert_eq!(check(&[1; 32], "1.3", here).map(|(code, _)| code), Some("Q206"));
        assert_eq!(check(&[1; 32], "1.3", Neighbours::default()), None);
        let taken = Neighbours {
            uid_taken: true,
            ..Neighbours::default()
        };
        assert_eq!(check(&[1; 32], "1.3", taken).map(|(code, _)| code), Some("Q206"));
    }
}
