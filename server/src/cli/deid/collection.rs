//! What a collection of the archive holds, as a report: the survey of its metadata, and what the archive knows beside it.
//!
//! ```text
//! page of rows (one is asked for ahead) -> inflated and read on all cores -> survey, one after the other
//! rows of reports that the page names -> counted; their bodies are read when many wait, and at the end
//! ```
//!
//! Values are those that stand in the archive, after de-identification. What was there before is known to nobody here: of
//! that the report says which rule acted where and how often (`changes`), and why objects were kept out.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use isocenter_deid::{Action, RegionSource, Report as DeidReport};
use isocenter_model::CollectionAccession;
use isocenter_schema::audit::{self, AuditEvent};
use isocenter_schema::contents::{self, Contents, FindingCount, KeptOut};
use isocenter_schema::stats::{self, CollectionCounts};
use isocenter_schema::{Database, collections};
use serde::Serialize;
use tokio::sync::mpsc;

use super::json::Unreadable;
use super::survey::{Report, Seen, Survey, keyword};
use crate::archive::Archive;

/// Most images of a page.
const PAGE: u32 = 400;
/// Bytes of deflated metadata that a page should have, and that are inflated together. What they become is many times more.
const PAGE_BYTES: usize = 4 << 20;
const BATCH_BYTES: usize = 256 << 10;
/// Reports of de-identification whose bodies are waited for.
const MOST_WAITING: usize = 4_000;
/// Most lines of each list of what was done.
const MOST_LINES: usize = 20_000;

/// What the archive knows of a collection.
#[derive(Debug, Serialize)]
pub(crate) struct CollectionReport {
    pub(crate) accession: CollectionAccession,
    pub(crate) title: String,
    /// Profile that is applied now, and its hash in hexadecimal.
    pub(crate) profile: String,
    pub(crate) profile_hash: Option<String>,
    pub(crate) counts: CollectionCounts,
    pub(crate) done: Done,
    /// What the checks found, in the archive and in quarantine.
    pub(crate) findings: Vec<FindingCount>,
    /// What is not in the collection, and why.
    pub(crate) kept_out: Vec<KeptOut>,
}

/// What de-identification did to the images of the collection.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Done {
    /// Images by profile, hash and engine: more than one line says that rules changed between them.
    pub(crate) rules: Vec<RulesLine>,
    /// Which rule did what where.
    pub(crate) changes: Vec<ChangeLine>,
    /// Changes beyond the limits, which are not listed.
    pub(crate) changes_left_out: u64,
    /// Private elements that stay, and the rule that lets them.
    pub(crate) private_kept: Vec<KeptLine>,
    /// What a person should know, and of how many images.
    pub(crate) warnings: BTreeMap<String, u64>,
    /// Images by what their pixels may show.
    pub(crate) pixel_risks: BTreeMap<String, u64>,
    pub(crate) pixels: PixelsDone,
}

/// Rules that images were de-identified with.
#[derive(Debug, Serialize)]
pub(crate) struct RulesLine {
    pub(crate) profile: String,
    pub(crate) profile_hash: String,
    pub(crate) engine: String,
    pub(crate) objects: u64,
}

/// Something done to an element.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeLine {
    /// Tags from the outside in, without the numbers of items.
    pub(crate) path: String,
    pub(crate) keyword: &'static str,
    pub(crate) action: Action,
    pub(crate) rule: String,
    /// How often, items counted apart.
    pub(crate) times: u64,
}

/// A private element that stays.
#[derive(Debug, Serialize)]
pub(crate) struct KeptLine {
    /// Its path and the rule, as in the reports.
    pub(crate) element: String,
    pub(crate) times: u64,
}

/// What was done about pixels.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PixelsDone {
    /// Images that detectors looked at, by detector.
    pub(crate) detectors: BTreeMap<String, u64>,
    /// Images that were not looked at whole.
    pub(crate) not_whole: u64,
    /// Images in which something is hidden.
    pub(crate) hidden: u64,
    /// Images in which a device signature hides something, by its line in the pixel script.
    pub(crate) signatures: BTreeMap<u32, u64>,
    /// Boxes that detectors found.
    pub(crate) found: u64,
    /// Boxes that repeated a known value of their patient.
    pub(crate) matched: u64,
    /// Images stored in another transfer syntax for it.
    pub(crate) stored_otherwise: u64,
}

/// Returns the report of a collection, and whether all of it could be read; the audit trail says that it was asked for.
pub(crate) async fn report(
    archive: &Archive,
    accession: &CollectionAccession,
    most_values: usize,
    private_values: bool,
) -> anyhow::Result<(Report, bool)> {
    let db = &archive.db;
    let row = collections::get(db, accession)
        .await?
        .with_context(|| format!("no collection {accession}"))?;
    let event = AuditEvent {
        actor: "command line".to_owned(),
        action: "report".to_owned(),
        subject: accession.to_string(),
        detail: serde_json::json!({"private_values": private_values}),
    };
    let tx = db.begin_write().await?;
    audit::append(&tx, &[event]).await?;
    tx.commit().await?;

    let (mut survey, done, all_read) = survey_all(db, accession, Survey::new(most_values, private_values)).await?;
    let kept_out = contents::kept_out(db, accession).await?;
    let profile = isocenter_ingest::profile_of(db, &archive.storage, &row).await.ok();
    survey.of_collection(CollectionReport {
        accession: accession.clone(),
        title: row.record.title.clone(),
        profile: row.record.profile.clone(),
        profile_hash: profile.map(|profile| hex::encode(profile.hash())),
        counts: stats::of_collection(db, accession).await?,
        done,
        findings: contents::findings(db, accession).await?,
        kept_out,
    });
    Ok((survey.finish(), all_read))
}

/// Surveys every image; what cannot be read is named in the survey.
async fn survey_all(
    db: &Database,
    accession: &CollectionAccession,
    survey: Survey,
) -> anyhow::Result<(Survey, Done, bool)> {
    let (send, receive) = mpsc::channel(1);
    let reader = tokio::task::spawn_blocking(move || read_all(receive, survey));
    let mut collected = Collected::default();
    let mut waiting: HashMap<i64, u64> = HashMap::new();
    let (mut after, mut limit) = (0, PAGE);
    loop {
        let page = contents::page(db, accession, after, limit).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        // the images after these are likely to be alike
        let mean = bytes(&page).div_ceil(page.len()).max(1);
        limit = u32::try_from(PAGE_BYTES / mean).unwrap_or(PAGE).clamp(1, PAGE);
        for image in &page {
            *waiting.entry(image.deid_report_id).or_default() += 1;
        }
        if waiting.len() >= MOST_WAITING {
            collected.read(db, &mut waiting).await?;
        }
        if send.send(page).await.is_err() {
            break; // the reader failed, and says so
        }
    }
    drop(send);
    collected.read(db, &mut waiting).await?;
    let (survey, all_read) = reader.await.context("reading the metadata failed")?;
    Ok((survey, collected.finish(), all_read))
}

fn bytes(images: &[Contents]) -> usize {
    images.iter().map(|image| image.record.len()).sum()
}

/// Returns images in batches of few bytes; one that has more is a batch of its own.
fn batches(mut page: &[Contents]) -> impl Iterator<Item = &[Contents]> {
    std::iter::from_fn(move || {
        let mut total = 0;
        let fits = |image: &&Contents| {
            total += image.record.len();
            total <= BATCH_BYTES
        };
        let len = page.iter().take_while(fits).count().max(1);
        let (batch, rest) = page.split_at_checked(len)?;
        page = rest;
        Some(batch)
    })
}

/// Adds page after page to the survey, each read on all cores.
fn read_all(mut pages: mpsc::Receiver<Vec<Contents>>, mut survey: Survey) -> (Survey, bool) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = true;
    while let Some(page) = pages.blocking_recv() {
        for batch in batches(&page) {
            all &= read_batch(batch, threads, &mut survey);
        }
    }
    (survey, all)
}

/// Adds images to the survey and returns whether all of them could be read.
fn read_batch(page: &[Contents], threads: usize, survey: &mut Survey) -> bool {
    let mut all = true;
    let read = |images: &[Contents]| -> Vec<Result<Seen, Unreadable>> {
        images.iter().map(|image| Seen::of_record(&image.record)).collect()
    };
    let seen: Vec<Result<Seen, Unreadable>> = std::thread::scope(|scope| {
        let parts = page.chunks(page.len().div_ceil(threads).max(1));
        let running: Vec<_> = parts
            .map(|part| (part.len(), scope.spawn(move || read(part))))
            .collect();
        let failed = |n: usize| (0..n).map(|_| Err(Unreadable)).collect();
        let joined = running
            .into_iter()
            .map(|(n, thread)| thread.join().unwrap_or_else(|_| failed(n)));
        joined.flatten().collect()
    });
    for (image, seen) in page.iter().zip(seen) {
        let name = image.accession.as_str();
        match seen {
            Ok(seen) => survey.add(name, seen),
            Err(error) => {
                all = false;
                survey.leave_out(name, &error.to_string());
            }
        }
    }
    all
}

/// What was done, put together from the reports of single objects. Every map has a limit.
#[derive(Debug, Default)]
struct Collected {
    rules: BTreeMap<(String, String, String), u64>,
    changes: BTreeMap<(String, Action, String), u64>,
    private_kept: BTreeMap<String, u64>,
    done: Done,
}

fn count<K: Ord>(map: &mut BTreeMap<K, u64>, key: K, times: u64) -> bool {
    let room = map.len() < MOST_LINES;
    match map.get_mut(&key) {
        Some(count) => *count += times,
        None if room => {
            map.insert(key, times);
        }
        None => return false,
    }
    true
}

impl Collected {
    /// Reads the reports that wait, each once for all images that share it.
    async fn read(&mut self, db: &Database, waiting: &mut HashMap<i64, u64>) -> anyhow::Result<()> {
        let ids: Vec<i64> = waiting.keys().copied().collect();
        for some in ids.chunks(PAGE as usize) {
            for (id, body) in contents::deid_reports(db, some).await? {
                let images = waiting.get(&id).copied().unwrap_or_default();
                // a collection that changes nothing has empty ones
                if let Ok(report) = serde_json::from_str(&body) {
                    self.add(report, images);
                }
            }
        }
        waiting.clear();
        Ok(())
    }

    fn add(&mut self, report: DeidReport, images: u64) {
        count(
            &mut self.rules,
            (report.profile, report.profile_hash, report.engine),
            images,
        );
        for change in report.changes {
            let key = (without_items(&change.path), change.action, change.rule.into_owned());
            if !count(&mut self.changes, key, images) {
                self.done.changes_left_out += images;
            }
        }
        self.done.changes_left_out += u64::from(report.changes_left_out) * images;
        for element in report.private_kept {
            count(&mut self.private_kept, without_items(&element), images);
        }
        for warning in report.warnings {
            count(&mut self.done.warnings, warning, images);
        }
        for risk in report.pixel_risks {
            let name = serde_json::to_value(risk).ok();
            let name = name.and_then(|name| name.as_str().map(str::to_owned));
            count(&mut self.done.pixel_risks, name.unwrap_or_default(), images);
        }
        let Some(pixels) = report.pixels else { return };
        let done = &mut self.done.pixels;
        let mut lines: Vec<u32> = pixels
            .regions
            .iter()
            .filter_map(|region| match region.source {
                RegionSource::Signature { line } => Some(line),
                _ => None,
            })
            .collect();
        lines.dedup();
        for line in lines {
            count(&mut done.signatures, line, images);
        }
        done.not_whole += if pixels.complete { 0 } else { images };
        done.hidden += if pixels.regions.is_empty() { 0 } else { images };
        done.found += u64::from(pixels.found) * images;
        done.matched += u64::from(pixels.matched) * images;
        done.stored_otherwise += if pixels.stored_as.is_some() { images } else { 0 };
        for detector in pixels.detectors {
            count(&mut done.detectors, detector, images);
        }
    }

    fn finish(self) -> Done {
        let rules = |((profile, profile_hash, engine), objects)| RulesLine {
            profile,
            profile_hash,
            engine,
            objects,
        };
        let change = |((path, action, rule), times): ((String, Action, String), u64)| ChangeLine {
            keyword: last_tag(&path).map_or("", keyword),
            path,
            action,
            rule,
            times,
        };
        let kept = |(element, times)| KeptLine { element, times };
        Done {
            rules: self.rules.into_iter().map(rules).collect(),
            changes: self.changes.into_iter().map(change).collect(),
            private_kept: self.private_kept.into_iter().map(kept).collect(),
            ..self.done
        }
    }
}

/// Returns a path of a report, `00081140[0].00081155`, without the numbers of items.
fn without_items(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

fn last_tag(path: &str) -> Option<dicom_core::Tag> {
    let last = path.rsplit('.').next()?;
    let half = |range: std::ops::Range<usize>| u16::from_str_radix(last.get(range)?, 16).ok();
    Some(dicom_core::Tag(half(0..4)?, half(4..8)?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report as three images may share it.
    const BODY: &str = r#"{"profile":"obia","profile_hash":"ab","engine":"isocenter-deid 1","table":"2026d",
        "counts":{"removed":2},"changes":[
            {"path":"00081140[0].00081155","action":"uid_mapped","rule":"U"},
            {"path":"00081140[1].00081155","action":"uid_mapped","rule":"U"},
            {"path":"00100010","action":"pseudonymized","rule":"patient"}],
        "changes_left_out":1,"private_kept":["00191004 number"],"private_count":1,"warnings":["no patient ID"],
        "pixel_risks":["ultrasound"],"pixels":{"regions":[
            {"frames":"All","x":0,"y":0,"width":1,"height":1,"source":{"signature":{"line":7}}},
            {"frames":"All","x":2,"y":0,"width":1,"height":1,"source":{"signature":{"line":7}}}],
            "detectors":["shapes 1"],"complete":false,"found":2,"matched":1,"cleaned_bytes":0,"cleared_unused_bits":false}}"#;

    pub(crate) fn done() -> Done {
        let mut collected = Collected::default();
        collected.add(serde_json::from_str(BODY).unwrap(), 3);
        collected.add(serde_json::from_str(&BODY.replace("\"ab\"", "\"cd\"")).unwrap(), 1);
        collected.finish()
    }

    #[test]
    fn reports_of_many_objects_become_one() {
        let done = done();
        assert_eq!(done.rules.iter().map(|rules| rules.objects).collect::<Vec<_>>(), [3, 1]);
        let changes: Vec<_> = done
            .changes
            .iter()
            .map(|c| (c.path.as_str(), c.keyword, c.times))
            .collect();
        assert_eq!(
            changes,
            [
                ("00081140.00081155", "ReferencedSOPInstanceUID", 8),
                ("00100010", "PatientName", 4)
            ]
        );
        assert_eq!((done.changes_left_out, done.warnings["no patient ID"]), (4, 4));
        assert_eq!(done.private_kept[0].element, "00191004 number");
        assert_eq!(done.pixel_risks["ultrasound"], 4);
        let pixels = done.pixels;
        assert_eq!((pixels.signatures[&7], pixels.hidden, pixels.not_whole), (4, 4, 4));
        assert_eq!((pixels.found, pixels.matched, pixels.detectors["shapes 1"]), (8, 4, 4));
    }

    #[test]
    fn images_are_read_in_batches_of_few_bytes() {
        let image = |bytes: usize| Contents {
            id: 1,
            accession: "IM00000001".parse().unwrap(),
            deid_report_id: 1,
            record: vec![0; bytes],
        };
        let page: Vec<Contents> = [1, BATCH_BYTES, 3 * BATCH_BYTES, BATCH_BYTES - 2, 1, 1, 1]
            .map(image)
            .into();
        let sizes: Vec<usize> = batches(&page).map(<[Contents]>::len).collect();
        assert_eq!(sizes, [1, 1, 1, 3, 1]);
        assert_eq!(batches(&[]).count(), 0);
        let mut survey = Survey::new(1, false);
        assert!(!read_batch(&page[..2], 2, &mut survey));
        assert_eq!(survey.finish().left_out.len(), 2);
    }

    #[test]
    fn there_is_an_end_to_every_list() {
        let mut map = BTreeMap::new();
        let counted = (0..2 * MOST_LINES).filter(|n| count(&mut map, *n, 1)).count();
        assert_eq!((counted, map.len()), (MOST_LINES, MOST_LINES));
        assert!(count(&mut map, 0, 5) && map[&0] == 6);
    }
}
