//! What a commit group leaves behind besides its rows: one audit event and one hashing job, whatever its size.

use isocenter_model::ImageAccession;
use isocenter_schema::commit::{AuditEvent, NewJob};
use isocenter_schema::record::Record;

/// Queue of jobs that decode pixels.
pub const IMAGING_QUEUE: &str = "imaging";
/// Name of the job that makes the hash codes of new images; its payload is `{"images": [accession, ...]}`.
pub const HASH_IMAGES: &str = "hash_images";

/// Returns the audit events of a group: one a collection, with counts and the first and last accession; no UIDs.
pub(crate) fn of_group(records: &[&Record]) -> Vec<AuditEvent> {
    let mut collections: Vec<&str> = Vec::new();
    for record in records {
        let accession = match record {
            Record::Image(image) => image.collection.as_str(),
            Record::Quarantine(item) => item.collection.as_str(),
            Record::Collection(_) | Record::Release(_) | Record::Profile(_) => continue,
        };
        if !collections.contains(&accession) {
            collections.push(accession);
        }
    }
    collections
        .into_iter()
        .map(|collection| event(collection, records))
        .collect()
}

fn event(collection: &str, records: &[&Record]) -> AuditEvent {
    let images = records.iter().filter_map(|record| match record {
        Record::Image(image) if image.collection.as_str() == collection => Some(image.accessions.image.as_str()),
        _ => None,
    });
    let kept = records
        .iter()
        .filter(|record| matches!(record, Record::Quarantine(item) if item.collection.as_str() == collection));
    let first = images.clone().next();
    let last = images.clone().next_back();
    AuditEvent {
        actor: "ingest".to_owned(),
        action: "receive".to_owned(),
        subject: collection.to_owned(),
        detail: serde_json::json!({
            "images": images.count(), "quarantined": kept.count(), "first": first, "last": last,
        }),
    }
}

/// Returns the jobs of new images.
pub(crate) fn jobs_of(images: &[ImageAccession]) -> Vec<NewJob> {
    if images.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = images.iter().map(ImageAccession::as_str).collect();
    vec![NewJob::new(
        IMAGING_QUEUE,
        HASH_IMAGES,
        serde_json::json!({"images": names}),
    )]
}
