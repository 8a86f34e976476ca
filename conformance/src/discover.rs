//! What the archive calls an instance that was sent.
//!
//! A plain archive keeps the UIDs. One that de-identifies gives new ones and says so only in its own answers: the Store
//! Instances Response names the instance by the UID sent and points to the stored one with a Retrieve URL (PS3.18 Annex I).

use crate::dicom_json::Row;
use crate::sample::Sample;
use crate::web::{Answer, Web};
use anyhow::Result;
use std::time::Duration;

/// The UIDs under which the archive gives an instance back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Study Instance UID in the archive.
    pub study: String,
    /// Series Instance UID in the archive.
    pub series: String,
    /// SOP Instance UID in the archive.
    pub instance: String,
}

impl Located {
    /// Returns the UIDs that a sample was sent with.
    pub fn as_sent(sample: &Sample) -> Self {
        Self {
            study: sample.study_instance_uid.clone(),
            series: sample.series_instance_uid.clone(),
            instance: sample.sop_instance_uid.clone(),
        }
    }

    /// Returns the UIDs of a Retrieve URL.
    pub fn from_retrieve_url(url: &str) -> Option<Self> {
        let path = url.split(['?', '#']).next()?;
        let mut segments = path.trim_end_matches('/').rsplit('/');
        let instance = segments.next()?;
        (segments.next()? == "instances").then_some(())?;
        let series = segments.next()?;
        (segments.next()? == "series").then_some(())?;
        let study = segments.next()?;
        (segments.next()? == "studies").then_some(())?;
        Some(Self {
            study: study.to_owned(),
            series: series.to_owned(),
            instance: instance.to_owned(),
        })
    }

    /// Returns the path of the study.
    pub fn study_path(&self) -> String {
        format!("/studies/{}", self.study)
    }

    /// Returns the path of the series.
    pub fn series_path(&self) -> String {
        format!("/studies/{}/series/{}", self.study, self.series)
    }

    /// Returns the path of the instance.
    pub fn instance_path(&self) -> String {
        format!(
            "/studies/{}/series/{}/instances/{}",
            self.study, self.series, self.instance
        )
    }
}

/// What a Store Instances Response says of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Stored or kept; the URL where the caller may fetch it, and a warning reason (0008,1196) if there is one.
    Referenced {
        /// Retrieve URL (0008,1190).
        retrieve_url: Option<String>,
        /// Warning Reason (0008,1196).
        warning: Option<i64>,
    },
    /// Refused, with the failure reason (0008,1197).
    Failed(Option<i64>),
    /// Not named at all.
    Unnamed,
}

/// Returns what the answer says of the instance with that UID.
pub fn outcome(answer: &Row, sop_instance_uid: &str) -> Stored {
    let named = |item: &Row| item.text((0x0008, 0x1155)).as_deref() == Some(sop_instance_uid);
    if let Some(item) = answer.items((0x0008, 0x1199)).iter().find(|item| named(item)) {
        return Stored::Referenced {
            retrieve_url: item.text((0x0008, 0x1190)),
            warning: item.number((0x0008, 0x1196)),
        };
    }
    match answer.items((0x0008, 0x1198)).iter().find(|item| named(item)) {
        Some(item) => Stored::Failed(item.number((0x0008, 0x1197))),
        None => Stored::Unnamed,
    }
}

/// Returns where a stored sample is: by its Retrieve URL, else under the UIDs sent; `None` when the archive shows neither.
///
/// # Errors
/// When the archive does not answer.
pub async fn locate(web: &Web, answer: &Answer, sample: &Sample) -> Result<Option<Located>> {
    if let Ok(row) = Row::one(&answer.body)
        && let Stored::Referenced {
            retrieve_url: Some(url),
            ..
        } = outcome(&row, &sample.sop_instance_uid)
        && let Some(located) = Located::from_retrieve_url(&url)
    {
        return Ok(Some(located));
    }
    let sent = Located::as_sent(sample);
    Ok(is_found(web, &sent).await?.then_some(sent))
}

/// Returns whether a search finds the instance.
///
/// # Errors
/// When the archive does not answer.
pub async fn is_found(web: &Web, located: &Located) -> Result<bool> {
    let path = format!(
        "{}/instances?SOPInstanceUID={}",
        located.series_path(),
        located.instance
    );
    let answer = web.get(&path, crate::web::media::JSON).await?;
    Ok(answer.status == 200 && answer.rows().is_ok_and(|rows| rows.len() == 1))
}

/// Returns how many instances of a study a search shows, asking again until it is `wanted` or five seconds are over.
///
/// # Errors
/// When the archive does not answer.
pub async fn count_instances(web: &Web, study: &str, wanted: usize) -> Result<usize> {
    let path = format!("/studies/{study}/instances");
    let mut count = 0;
    for _ in 0..25 {
        count = web.search(&path).await.map_or(0, |rows| rows.len());
        if count == wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retrieve_url_names_study_series_and_instance() {
        let located =
            Located::from_retrieve_url("https://a.example/x/dicom-web/studies/1.2/series/3.4/instances/5.6").unwrap();
        assert_eq!(
            located,
            Located {
                study: "1.2".into(),
                series: "3.4".into(),
                instance: "5.6".into()
            }
        );
        assert!(Located::from_retrieve_url("https://a.example/studies/1.2").is_none());
    }

    #[test]
    fn an_answer_tells_stored_warned_and_failed_apart() {
        let row = Row::one(
            br#"{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1"]},"00081196":{"vr":"US","Value":[45056]}}]},
                 "00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["2"]},"00081197":{"vr":"US","Value":[49152]}}]}}"#,
        )
        .unwrap();
        assert_eq!(
            outcome(&row, "1"),
            Stored::Referenced {
                retrieve_url: None,
                warning: Some(45056)
            }
        );
        assert_eq!(outcome(&row, "2"), Stored::Failed(Some(49152)));
        assert_eq!(outcome(&row, "3"), Stored::Unnamed);
    }
}
