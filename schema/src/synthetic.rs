//! Fills an archive of any size, for tests of scale.
//!
//! Everything goes in through the code that ingest uses, so the rows, counters and indexes are the real ones; only the
//! bytes are not: every image refers to the same blob of one real pack, which the caller has put. Sizes are skewed as in
//! life: few series hold most images, few individuals most studies. The same seed makes the same archive.

use std::ops::Range;

use chrono::{DateTime, Duration, Utc};
use isocenter_model::{
    CollectionAccession, ImageAccession, IndividualAccession, SeriesAccession, SeriesInstanceUid, SopClassUid,
    SopInstanceUid, StudyAccession, StudyInstanceUid, TransferSyntaxUid,
};
use isocenter_storage::{BlobRef, Durable, InArchive, KeyId};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::commit::{self, Fate};
use crate::numbers::{self, Sequence};
use crate::record::{
    Accessions, FindingRecord, ImageFacts, ImageRecord, ImageState, IndividualFacts, Record, SeriesFacts, Severity,
    StudyFacts,
};
use crate::{Database, Error, Result};

/// How much, and of what kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The collections to fill, in equal parts by individual; they exist.
    pub collections: Vec<CollectionAccession>,
    /// Individuals.
    pub individuals: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Images.
    pub images: u64,
    /// Share of the series that is released; the others are pending, a few held.
    pub released: f64,
    /// Bytes of ready-made metadata of an image.
    pub metadata_bytes: usize,
    /// Images of one transaction.
    pub group: usize,
}

impl Spec {
    /// Returns the size of OBIA in September 2023: 937 individuals, 4,136 studies, 24,701 series, 1,938,309 images.
    pub fn obia(collection: CollectionAccession) -> Self {
        Self {
            collections: vec![collection],
            individuals: 937,
            studies: 4_136,
            series: 24_701,
            images: 1_938_309,
            released: 0.95,
            metadata_bytes: 600,
            group: 2_000,
        }
    }

    /// Returns the same shape with so many images.
    pub fn shaped(collection: CollectionAccession, images: u64) -> Self {
        let part = |of: u64| (of.saturating_mul(images) / 1_938_309).max(1);
        let obia = Self::obia(collection);
        let (individuals, studies, series) = (part(obia.individuals), part(obia.studies), part(obia.series));
        Self {
            individuals,
            studies,
            series,
            images: images.max(series),
            ..obia
        }
    }
}

/// Modality, share of the studies, SOP class, weight of a series' size, usual rows and columns.
type Kind = (&'static str, u32, &'static str, f64, i64);
const KINDS: [Kind; 9] = [
    ("CT", 30, "1.2.840.10008.5.1.4.1.1.2", 2.0, 512),
    ("MR", 26, "1.2.840.10008.5.1.4.1.1.4", 1.0, 320),
    ("PT", 8, "1.2.840.10008.5.1.4.1.1.128", 1.6, 168),
    ("US", 9, "1.2.840.10008.5.1.4.1.1.6.1", 0.1, 768),
    ("MG", 8, "1.2.840.10008.5.1.4.1.1.1.2", 0.05, 3328),
    ("DX", 9, "1.2.840.10008.5.1.4.1.1.1.1", 0.02, 2048),
    ("CR", 4, "1.2.840.10008.5.1.4.1.1.1", 0.02, 2010),
    ("XA", 3, "1.2.840.10008.5.1.4.1.1.12.1", 0.3, 1024),
    ("NM", 3, "1.2.840.10008.5.1.4.1.1.20", 0.05, 256),
];
const BODY_PARTS: [&str; 10] = [
    "CHEST", "BREAST", "PELVIS", "ABDOMEN", "HEAD", "LIVER", "UTERUS", "OVARY", "KIDNEY", "LUNG",
];
const MANUFACTURERS: [(&str, &str); 5] = [
    ("SIEMENS", "Somatom Definition"),
    ("GE MEDICAL SYSTEMS", "Discovery MR750"),
    ("Philips", "Ingenia"),
    ("UIH", "uMI 780"),
    ("TOSHIBA", "Aquilion"),
];
const NAMES: [&str; 8] = [
    "Wang^Fang=王^芳",
    "Li^Na=李^娜",
    "Zhang^Wei=张^伟",
    "Müller^Eva",
    "Doe^Jane",
    "García^Ana",
    "Sato^Yui=佐藤^結衣=さとう^ゆい",
    "Kim^Ji",
];

/// Shares out `total` over weights, everyone at least one where it suffices.
fn share(total: u64, weights: &[f64]) -> Vec<u64> {
    let count = weights.len() as u64;
    let spare = total.saturating_sub(count) as f64;
    let sum: f64 = weights.iter().sum();
    let (mut given, mut reached) = (0_u64, 0.0);
    let mut shares = Vec::with_capacity(weights.len());
    for (weight, place) in weights.iter().zip(1..) {
        reached += weight / sum;
        // by the running total, so that the parts add up exactly
        let until = if place == count {
            spare
        } else {
            (reached * spare).floor()
        };
        let until = (until as u64).max(given);
        shares.push(until - given + u64::from(place <= total));
        given = until;
    }
    shares
}

/// A weight with a long tail: the exponential of a normal value.
fn skewed(rng: &mut StdRng, sigma: f64) -> f64 {
    // twelve uniform values less six are as good as normal
    let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    (sigma * normal).exp()
}

struct SeriesPlan {
    study: u64,
    individual: u64,
    kind: Kind,
    number: i64,
    images: u64,
}

fn plan(spec: &Spec, rng: &mut StdRng) -> Result<Vec<SeriesPlan>> {
    let weights: Vec<f64> = (0..spec.individuals).map(|_| skewed(rng, 0.8)).collect();
    let studies = share(spec.studies, &weights);
    let owners = (0..)
        .zip(&studies)
        .flat_map(|(individual, n)| (0..*n).map(move |_| individual));
    let owners: Vec<u64> = owners.collect();
    let mut kinds = Vec::with_capacity(owners.len());
    for _ in &owners {
        let kind = KINDS
            .choose_weighted(rng, |kind| kind.1)
            .map_err(|_| Error::BadValue("no modality"))?;
        kinds.push(*kind);
    }
    let weights: Vec<f64> = owners.iter().map(|_| skewed(rng, 0.7)).collect();
    let series = share(spec.series, &weights);
    let mut plans = Vec::new();
    for (((study, individual), kind), n) in (0..).zip(&owners).zip(&kinds).zip(&series) {
        for number in (1_i64..).take(usize::try_from(*n).unwrap_or(usize::MAX)) {
            plans.push(SeriesPlan {
                study,
                individual: *individual,
                kind: *kind,
                number,
                images: 0,
            });
        }
    }
    let weights: Vec<f64> = plans.iter().map(|plan| plan.kind.3 * skewed(rng, 1.1)).collect();
    for (plan, images) in plans.iter_mut().zip(share(spec.images, &weights)) {
        plan.images = images;
    }
    Ok(plans)
}

/// Fills the archive. `progress` hears after each transaction how many images there are and will be.
///
/// # Errors
/// [`Error::NotFound`] when a collection is not there; else when the engine fails.
pub async fn fill(
    db: &Database,
    durable: &Durable,
    blob: &BlobRef<InArchive>,
    spec: &Spec,
    seed: u64,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<()> {
    if spec.collections.is_empty() || spec.individuals == 0 || spec.studies == 0 || spec.series == 0 {
        return Err(Error::BadValue("an empty archive needs no filling"));
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let plans = plan(spec, &mut rng)?;
    let images: u64 = plans.iter().map(|plan| plan.images).sum();
    let mut maker = Maker {
        individuals: numbers::reserve(db, Sequence::Individual, spec.individuals).await?,
        studies: numbers::reserve(db, Sequence::Study, spec.studies).await?,
        series: numbers::reserve(db, Sequence::Series, spec.series).await?,
        images: numbers::reserve(db, Sequence::Image, images).await?,
        blob,
        spec,
        rng,
        began: Utc::now(),
    };
    let mut group = Vec::with_capacity(spec.group);
    let mut done = 0;
    for (index, plan) in (0..).zip(&plans) {
        let template = maker.template(index, plan)?;
        for number in 0..plan.images {
            group.push(Record::Image(Box::new(maker.image(&template, plan, number)?)));
            if group.len() >= spec.group.max(1) {
                done += write(db, durable, &mut group).await?;
                progress(done, images);
            }
        }
    }
    done += write(db, durable, &mut group).await?;
    progress(done, images);
    db.optimize().await
}

async fn write(db: &Database, durable: &Durable, group: &mut Vec<Record>) -> Result<u64> {
    if group.is_empty() {
        return Ok(0);
    }
    let tx = db.begin_ingest().await?;
    let fates = commit::apply(&tx, durable.pack(), group).await?;
    tx.commit().await?;
    if fates.iter().any(|fate| *fate != Fate::Inserted) {
        return Err(Error::Exists("synthetic image: take another seed"));
    }
    group.clear();
    Ok(fates.len() as u64)
}

struct Maker<'a> {
    individuals: Range<u64>,
    studies: Range<u64>,
    series: Range<u64>,
    images: Range<u64>,
    blob: &'a BlobRef<InArchive>,
    spec: &'a Spec,
    rng: StdRng,
    began: DateTime<Utc>,
}

impl Maker<'_> {
    fn uid(&mut self) -> String {
        format!("2.25.{}", self.rng.random::<u128>())
    }

    /// Returns a random number that depends on the thing alone, so that its every mention says the same.
    fn of(&self, what: u64, number: u64) -> StdRng {
        StdRng::seed_from_u64(number.wrapping_mul(4).wrapping_add(what) ^ self.individuals.start.rotate_left(40))
    }

    /// Returns an image of the series, from which the others are made.
    fn template(&mut self, index: u64, plan: &SeriesPlan) -> Result<ImageRecord> {
        let bad = |_| Error::BadValue("a synthetic identifier");
        let mut of_individual = self.of(0, plan.individual);
        let mut of_study = self.of(1, plan.study);
        let place = usize::try_from(plan.individual).unwrap_or(0) % self.spec.collections.len();
        let collection = self
            .spec
            .collections
            .get(place)
            .cloned()
            .ok_or(Error::BadValue("no collection"))?;
        let patient_id = format!("SYN{:08}", plan.individual);
        let name = NAMES.choose(&mut of_individual).copied().unwrap_or_default();
        let sex = if of_individual.random_bool(0.9) { "F" } else { "M" };
        let birth_date = format!("{}0101", of_individual.random_range(1935..2000));
        let day = DateTime::from_timestamp(1_000_000_000, 0).unwrap_or_default();
        let day =
            day + Duration::days(of_study.random_range(0..8_000)) + Duration::seconds(of_study.random_range(0..86_400));
        let (study_date, study_time) = (day.format("%Y%m%d").to_string(), day.format("%H%M%S").to_string());
        let study_uid = format!("2.25.{}", of_study.random::<u128>());
        let body_part = BODY_PARTS.choose(&mut of_study).copied().unwrap_or_default();
        let (manufacturer, model) = MANUFACTURERS.choose(&mut of_study).copied().unwrap_or_default();
        let (modality, _, class, _, size) = plan.kind;
        let series_uid = self.uid();
        let state = match self.rng.random::<f64>() {
            x if x < self.spec.released => ImageState::Released,
            x if x < self.spec.released + (1.0 - self.spec.released) * 0.9 => ImageState::Pending,
            _ => ImageState::Held,
        };
        let series_description = format!("{modality} {body_part} {}", plan.number);
        Ok(ImageRecord {
            accessions: Accessions {
                individual: IndividualAccession::numbered("I", self.individuals.start + plan.individual),
                study: StudyAccession::numbered("S", self.studies.start + plan.study),
                series: SeriesAccession::numbered("SE", self.series.start + index),
                image: ImageAccession::numbered("IM", self.images.start),
            },
            collection,
            individual: IndividualFacts {
                pseudonym: of_individual.random(),
                key_id: KeyId::from_bytes(of_individual.random()),
                patient_id: patient_id.clone(),
                patient_name: name.to_owned(),
                birth_date: birth_date.clone(),
                sex: sex.to_owned(),
            },
            study: StudyFacts {
                study_instance_uid: StudyInstanceUid::parse(&study_uid).map_err(bad)?,
                study_date: study_date.clone(),
                study_time: study_time.clone(),
                accession_number: format!("A{:08}", plan.study),
                referring_physician_name: "Referrer^Synthetic".to_owned(),
                study_description: format!("{modality} {body_part}"),
                study_id: plan.study.to_string(),
                attributes: format!(
                    "{{\"00080020\":{{\"vr\":\"DA\",\"Value\":[\"{study_date}\"]}},\"00080030\":{{\"vr\":\"TM\",\"Value\":[\"{study_time}\"]}},\
                     \"00100020\":{{\"vr\":\"LO\",\"Value\":[\"{patient_id}\"]}},\"00100030\":{{\"vr\":\"DA\",\"Value\":[\"{birth_date}\"]}},\
                     \"00100040\":{{\"vr\":\"CS\",\"Value\":[\"{sex}\"]}},\"0020000D\":{{\"vr\":\"UI\",\"Value\":[\"{study_uid}\"]}}}}"
                ),
            },
            series: SeriesFacts {
                series_instance_uid: SeriesInstanceUid::parse(&series_uid).map_err(bad)?,
                modality: modality.to_owned(),
                series_number: Some(plan.number),
                series_description: series_description.clone(),
                body_part_examined: body_part.to_owned(),
                protocol_name: format!("{body_part} ROUTINE"),
                manufacturer: manufacturer.to_owned(),
                manufacturer_model_name: model.to_owned(),
                performed_procedure_step_start_date: study_date,
                performed_procedure_step_start_time: study_time,
                scheduled_procedure_step_id: format!("SPS{}", plan.study),
                requested_procedure_id: format!("RP{}", plan.study),
                attributes: format!(
                    "{{\"00080060\":{{\"vr\":\"CS\",\"Value\":[\"{modality}\"]}},\"0008103E\":{{\"vr\":\"LO\",\"Value\":[\"{series_description}\"]}},\
                     \"0020000E\":{{\"vr\":\"UI\",\"Value\":[\"{series_uid}\"]}},\"00200011\":{{\"vr\":\"IS\",\"Value\":[{}]}}}}",
                    plan.number
                ),
            },
            image: ImageFacts {
                sop_instance_uid: SopInstanceUid::parse("2.25.1").map_err(bad)?,
                sop_class_uid: SopClassUid::parse(class).map_err(bad)?,
                transfer_syntax_uid: TransferSyntaxUid::parse("1.2.840.10008.1.2.1").map_err(bad)?,
                instance_number: Some(1),
                number_of_frames: (modality == "US" || modality == "XA").then_some(30),
                rows: Some(size),
                columns: Some(size),
                bits_allocated: Some(16),
                attributes: String::new(),
            },
            sent_digest: [0; 32],
            content_digest: [0; 32],
            pixel_digest: [0; 32],
            state,
            blob: self.blob.clone(),
            header_len: 2_048,
            frame_map: vec![0; 12],
            metadata: Vec::new(),
            deid_report: "{\"profile\":\"synthetic\"}".to_owned(),
            findings: Vec::new(),
            provenance: "{\"source\":\"synthetic\"}".to_owned(),
            received_at: self.began,
        })
    }

    fn image(&mut self, template: &ImageRecord, plan: &SeriesPlan, number: u64) -> Result<ImageRecord> {
        let mut record = template.clone();
        let uid = self.uid();
        let accession = self.images.next().ok_or(Error::BadValue("more images than planned"))?;
        let class = template.image.sop_class_uid.as_str();
        let instance = i64::try_from(number).unwrap_or(i64::MAX).saturating_add(1);
        record.image.attributes = format!(
            "{{\"00080016\":{{\"vr\":\"UI\",\"Value\":[\"{class}\"]}},\"00080018\":{{\"vr\":\"UI\",\"Value\":[\"{uid}\"]}},\
             \"00200013\":{{\"vr\":\"IS\",\"Value\":[{instance}]}},\"00280010\":{{\"vr\":\"US\",\"Value\":[{size}]}},\
             \"00280011\":{{\"vr\":\"US\",\"Value\":[{size}]}},\"00280100\":{{\"vr\":\"US\",\"Value\":[16]}}}}",
            size = plan.kind.4
        );
        record.accessions.image = ImageAccession::numbered("IM", accession);
        record.image.sop_instance_uid =
            SopInstanceUid::parse(&uid).map_err(|_| Error::BadValue("a synthetic identifier"))?;
        record.image.instance_number = Some(instance);
        record.sent_digest = self.rng.random();
        record.content_digest = self.rng.random();
        record.pixel_digest = self.rng.random();
        record.metadata = vec![0; self.spec.metadata_bytes];
        self.rng.fill(record.metadata.as_mut_slice());
        // one image in five thousand has something to say
        if self.rng.random_ratio(1, 5_000) {
            record.findings.push(FindingRecord {
                check: "Q405".to_owned(),
                severity: Severity::Warn,
                detail: "{}".to_owned(),
            });
        }
        record.received_at = self.began + Duration::milliseconds(i64::try_from(accession).unwrap_or(0) * 20);
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_leave_nobody_out() {
        let mut rng = StdRng::seed_from_u64(7);
        let weights: Vec<f64> = (0..500).map(|_| skewed(&mut rng, 1.2)).collect();
        let shares = share(40_000, &weights);
        assert_eq!(shares.iter().sum::<u64>(), 40_000);
        assert!(shares.iter().all(|n| *n >= 1));
        assert_eq!(share(3, &[1.0, 1.0, 1.0, 1.0]).iter().sum::<u64>(), 3);
    }

    #[test]
    fn a_tenth_of_the_series_holds_more_than_a_third_of_the_images() {
        let collection = CollectionAccession::parse("OBIA0001").unwrap();
        let plans = plan(&Spec::obia(collection), &mut StdRng::seed_from_u64(1)).unwrap();
        let mut sizes: Vec<u64> = plans.iter().map(|plan| plan.images).collect();
        assert_eq!((sizes.len(), sizes.iter().sum::<u64>()), (24_701, 1_938_309));
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        assert!(sizes[..2_470].iter().sum::<u64>() > 1_938_309 / 3);
    }
}
