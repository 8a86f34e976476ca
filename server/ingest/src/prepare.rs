//! The CPU part of the one pass: parse, de-identify, check. Runs on a blocking thread under a permit and touches neither
//! the database nor the store.
//!
//! ```text
//! bytes -> layout (length guard) -> header -> UIDs -> checks -> de-identify -> new header | pixel bytes, untouched
//!     but where text was found in them or in the headers of their streams
//! ```
//!
//! An object whose pixels must be searched for text leaves this walk after the checks, and begins it again with what was
//! found: the search runs elsewhere, one at a time.
//!
//! What comes out is either a refusal (nothing is kept), an object for quarantine (as received), or a [`Cleared`] one with
//! everything the committer needs to write it: the pieces of its stored file, its frame map, its metadata record and the
//! facts of its rows.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_imaging::{FrameMap, PixelFacts};
use isocenter_model::arrival::{Arrival, Form, InstanceUids, Refusal, SentUids};
use isocenter_model::part10::{self, ByteSource, Layout, Limits, NewFileMeta, Part10Form, PixelData};
use isocenter_model::uid::{UidError, transfer_syntax};
use isocenter_model::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};
use isocenter_schema::record::{ImageFacts, SeriesFacts, StudyFacts};
use isocenter_storage::{Body, Piece};

use crate::attributes::{self, integer, text, text_in};
use crate::cleared::{Cleared, Parts, PatientFacts};
use crate::destination::Destination;
use crate::metadata;
use crate::pixels::{self, Edited, Search, Searched};
use crate::qc::{self, Finding, Severity, duplicate, header};
use crate::stage::Staged;

/// An instance that was read, with what became of it so far.
pub(crate) struct Prepared {
    pub(crate) sent: SentUids,
    /// Keyed digest of the SOP Instance UID as sent: the key of deduplication.
    pub(crate) sent_digest: [u8; 32],
    pub(crate) content_digest: [u8; 32],
    pub(crate) pixel_digest: [u8; 32],
    /// Keyed reference of the patient as sent, where the object names one.
    pub(crate) individual: Option<[u8; 32]>,
    /// Transfer syntax as received.
    pub(crate) transfer_syntax_uid: Option<TransferSyntaxUid>,
    /// The bytes as received.
    pub(crate) staged: Staged,
    pub(crate) verdict: Verdict,
}

/// Where an instance goes.
pub(crate) enum Verdict {
    /// Into the archive.
    Cleared(Box<Cleared>),
    /// Into quarantine, as received, for these findings.
    Quarantine(Vec<Finding>),
}

/// Nothing is kept: why, and what may be said of it.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) sent: SentUids,
    pub(crate) refusal: Refusal,
    pub(crate) detail: String,
}

impl Refused {
    fn new(sent: &SentUids, refusal: Refusal, detail: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            sent: sent.clone(),
            refusal,
            detail: detail.into(),
        })
    }

    /// A refusal that names no UIDs.
    pub(crate) fn house(refusal: Refusal, detail: impl Into<String>) -> Box<Self> {
        Self::new(&SentUids::default(), refusal, detail)
    }

    /// A refusal for which the bytes that were sent are not to blame.
    pub(crate) fn failed(failed: Failed) -> Box<Self> {
        Self::house(failed.refusal, failed.detail)
    }
}

/// Why an object that may be good could not be laid out.
#[derive(Debug)]
pub(crate) struct Failed {
    refusal: Refusal,
    detail: String,
}

impl Failed {
    /// No room, or a disk that fails: the peer should send again.
    pub(crate) fn out_of_resources(error: impl std::fmt::Display) -> Self {
        Self {
            refusal: Refusal::OutOfResources,
            detail: error.to_string(),
        }
    }
}

#[cfg(test)]
impl Failed {
    pub(crate) fn refusal(&self) -> Refusal {
        self.refusal
    }
}

impl From<String> for Failed {
    fn from(detail: String) -> Self {
        Self {
            refusal: Refusal::Internal,
            detail,
        }
    }
}

impl From<isocenter_imaging::Error> for Failed {
    fn from(error: isocenter_imaging::Error) -> Self {
        match error {
            isocenter_imaging::Error::Source(_) => Self::out_of_resources(error),
            _ => Self::from(error.to_string()),
        }
    }
}

fn unreadable(sent: &SentUids, error: &part10::Error) -> Box<Refused> {
    let refusal = match error {
        part10::Error::CutOff { .. } => Refusal::CutOff,
        part10::Error::TooLarge { .. } => Refusal::TooLarge,
        _ => Refusal::Unreadable,
    };
    Refused::new(sent, refusal, error.to_string())
}

/// How far an object was brought.
pub(crate) enum Step {
    /// All that the CPU does is done.
    Done(Box<Prepared>),
    /// Its pixels must be searched first. Then `prepare` begins anew, with the answer: what was done until here is small.
    Search(Box<Search>),
}

/// Reads one object and decides what of it goes where. Asks for a search once, where `searched` brings none.
pub(crate) fn prepare(
    arrival: &Arrival,
    destination: &Destination,
    staged: Staged,
    searched: Searched,
) -> Result<Step, Box<Refused>> {
    let done = |prepared| Step::Done(Box::new(prepared));
    let limits = Limits::default();
    let mut sent = SentUids::default();
    if let Form::DataSet {
        affected_sop_class_uid,
        affected_sop_instance_uid,
        ..
    } = &arrival.form
    {
        sent.sop_class_uid = Some(affected_sop_class_uid.clone());
        sent.sop_instance_uid = Some(affected_sop_instance_uid.clone());
    }
    let layout = match &arrival.form {
        Form::Part10 => part10::layout_part10(&**staged.source(), &limits),
        Form::DataSet {
            transfer_syntax_uid, ..
        } => part10::layout_data_set(&**staged.source(), transfer_syntax_uid, &limits),
    };
    let layout = match layout {
        Ok(layout) => layout,
        // Nested beyond any sense, yet whole: kept for a person rather than thrown away.
        Err(error @ part10::Error::TooDeep { .. }) => {
            let finding = Finding::new("Q101", Severity::Block, error.to_string());
            return known_by_its_bytes(destination, sent, staged, vec![finding]).map(done);
        }
        Err(error) => return Err(unreadable(&sent, &error)),
    };
    if layout.is_media_directory() {
        return Err(Refused::new(
            &sent,
            Refusal::Unreadable,
            "a DICOMDIR is not an instance",
        ));
    }
    let (staged, layout) = plain(staged, layout, &limits, &sent)?;
    let header =
        part10::read_header(&**staged.source(), &layout, &limits).map_err(|error| unreadable(&sent, &error))?;
    let sniffed = arrival.form == Form::Part10 && layout.form == Part10Form::NoMeta;
    let uids = match identify(&header, arrival, &mut sent) {
        Ok(uids) => uids,
        Err(Unnamed::Refused(refused)) => return Err(refused),
        Err(Unnamed::Kept(_)) if sniffed => {
            return Err(Refused::new(
                &sent,
                Refusal::Unreadable,
                "no file meta, and no usable UIDs",
            ));
        }
        Err(Unnamed::Kept(findings)) => {
            let kept = known_by_its_bytes(destination, sent, staged, findings)?;
            return Ok(done(Prepared {
                transfer_syntax_uid: Some(layout.transfer_syntax_uid.clone()),
                ..kept
            }));
        }
    };
    let received = Received {
        arrival,
        destination,
        staged,
        layout,
        header,
        uids,
    };
    received.decide(sent, searched)
}

/// Returns an object of a deflated syntax inflated, as Explicit VR Little Endian: what is stored must be readable in
/// ranges. All others are returned as they are.
fn plain(staged: Staged, layout: Layout, limits: &Limits, sent: &SentUids) -> Result<(Staged, Layout), Box<Refused>> {
    if !layout.transfer_syntax_uid.is_deflated() {
        return Ok((staged, layout));
    }
    let failed = |error: part10::Error| unreadable(sent, &error);
    let inflated = part10::inflate(&**staged.source(), &layout, limits).map_err(failed)?;
    let staged = staged.replaced_by(inflated);
    let explicit = explicit_little_endian().map_err(failed)?;
    let mut flat = part10::layout_data_set(&**staged.source(), &explicit, limits).map_err(failed)?;
    flat.meta = layout.meta;
    flat.form = layout.form;
    Ok((staged, flat))
}

fn explicit_little_endian() -> Result<TransferSyntaxUid, part10::Error> {
    TransferSyntaxUid::parse(transfer_syntax::EXPLICIT_VR_LITTLE_ENDIAN).map_err(|_| part10::Error::NotDicom)
}

/// Keeps an object that could not be read far enough to tell which instance it is: known by its bytes alone.
fn known_by_its_bytes(
    destination: &Destination,
    sent: SentUids,
    staged: Staged,
    findings: Vec<Finding>,
) -> Result<Prepared, Box<Refused>> {
    let digest = duplicate::bytes_digest(&destination.digest_key, &**staged.source())
        .map_err(|error| Refused::new(&sent, Refusal::OutOfResources, error.kind().to_string()))?;
    Ok(Prepared {
        sent,
        sent_digest: digest,
        content_digest: digest,
        pixel_digest: [0; 32],
        individual: None,
        transfer_syntax_uid: None,
        staged,
        verdict: Verdict::Quarantine(findings),
    })
}

/// Why an object's UIDs do not do.
enum Unnamed {
    /// Refused: a required UID is missing, or another one than the command's or the request's.
    Refused(Box<Refused>),
    /// Kept for a person: a UID is there and malformed, or the object names no patient either. What is so far from an
    /// instance needs somebody who looks at it, not a sender who sends it again.
    Kept(Vec<Finding>),
}

/// Reads the four UIDs and holds them against what the command or the request said.
fn identify(header: &InMemDicomObject, arrival: &Arrival, sent: &mut SentUids) -> Result<InstanceUids, Unnamed> {
    let class = SopClassUid::parse(&text(header, tags::SOP_CLASS_UID));
    let instance = SopInstanceUid::parse(&text(header, tags::SOP_INSTANCE_UID));
    let study = StudyInstanceUid::parse(&text(header, tags::STUDY_INSTANCE_UID));
    let series = SeriesInstanceUid::parse(&text(header, tags::SERIES_INSTANCE_UID));
    if let Form::Part10 = arrival.form {
        sent.sop_class_uid = class.as_ref().ok().cloned();
        sent.sop_instance_uid = instance.as_ref().ok().cloned();
    }
    let faults = [
        ("(0008,0016) SOPClassUID", class.as_ref().err().copied()),
        ("(0008,0018) SOPInstanceUID", instance.as_ref().err().copied()),
        ("(0020,000D) StudyInstanceUID", study.as_ref().err().copied()),
        ("(0020,000E) SeriesInstanceUID", series.as_ref().err().copied()),
    ];
    let (Ok(sop_class_uid), Ok(sop_instance_uid), Ok(study_instance_uid), Ok(series_instance_uid)) =
        (class, instance, study, series)
    else {
        let told = || faults.iter().filter_map(|(name, fault)| Some((*name, (*fault)?)));
        let malformed = told().any(|(_, fault)| fault != UidError::Empty);
        let nobody = text(header, tags::PATIENT_ID).trim().is_empty();
        if malformed || nobody {
            let mut findings: Vec<Finding> = told()
                .map(|(name, fault)| Finding::new("Q105", Severity::Block, format!("{name}: {fault}")))
                .collect();
            if nobody {
                findings.push(Finding::new(
                    "Q201",
                    Severity::Block,
                    "(0010,0020) PatientID missing or empty",
                ));
            }
            return Err(Unnamed::Kept(findings));
        }
        let detail = told()
            .map(|(name, fault)| format!("{name}: {fault}"))
            .next()
            .unwrap_or_default();
        return Err(Unnamed::Refused(Refused::new(sent, Refusal::MissingUid, detail)));
    };
    let uids = InstanceUids {
        sop_class_uid,
        study_instance_uid,
        series_instance_uid,
        sop_instance_uid,
    };
    let differs = |name: &str| {
        Unnamed::Refused(Refused::new(
            sent,
            Refusal::Mismatch,
            format!("{name} differs from the command's"),
        ))
    };
    if let Form::DataSet {
        affected_sop_class_uid,
        affected_sop_instance_uid,
        ..
    } = &arrival.form
    {
        if *affected_sop_class_uid != uids.sop_class_uid {
            return Err(differs("(0008,0016) SOPClassUID"));
        }
        if *affected_sop_instance_uid != uids.sop_instance_uid {
            return Err(differs("(0008,0018) SOPInstanceUID"));
        }
    }
    if arrival
        .bound_to_study
        .as_ref()
        .is_some_and(|study| *study != uids.study_instance_uid)
    {
        let detail = "(0020,000D) StudyInstanceUID differs from the request's study";
        return Err(Unnamed::Refused(Refused::new(sent, Refusal::Mismatch, detail)));
    }
    Ok(uids)
}

struct Received<'a> {
    arrival: &'a Arrival,
    destination: &'a Destination,
    staged: Staged,
    layout: Layout,
    header: InMemDicomObject,
    uids: InstanceUids,
}

impl Received<'_> {
    fn decide(self, sent: SentUids, searched: Searched) -> Result<Step, Box<Refused>> {
        let facts = PixelFacts::from_header(&self.header).ok();
        let allow = header::Allowance {
            unknown_sop_classes: self.destination.profile.changes_nothing(),
            burned_in: !self.destination.profile.changes_nothing(),
        };
        let findings = header::check(&self.header, &self.layout, facts.as_ref(), &self.arrival.form, allow);
        let sniffed = self.arrival.form == Form::Part10 && self.layout.form == Part10Form::NoMeta;
        if let Some(finding) = qc::keeps_out(&findings).filter(|_| sniffed) {
            // Read by guesswork, and what was read does not even say who it is: not worth keeping as DICOM.
            return Err(Refused::new(
                &sent,
                Refusal::Unreadable,
                format!("no file meta, and {}", finding.detail),
            ));
        }
        let searches = matches!(searched, Searched::NotYet) && !self.destination.profile.changes_nothing();
        if searches && qc::keeps_out(&findings).is_none() {
            let search = Search::wanted(&self.pixels(), facts.as_ref(), &self.destination.profile);
            if let Some(search) = search {
                return Ok(Step::Search(Box::new(search)));
            }
        }
        let cannot_read =
            |error: std::io::Error| Refused::new(&sent, Refusal::OutOfResources, error.kind().to_string());
        let key = &self.destination.digest_key;
        let pixel_digest = duplicate::pixel_digest(key, &**self.staged.source(), &self.layout).map_err(cannot_read)?;
        let content_digest = duplicate::content_digest(key, &self.header, &pixel_digest)
            .map_err(|error| Refused::new(&sent, Refusal::Unreadable, error.to_string()))?;
        let sent_digest = self
            .destination
            .pseudonyms
            .digest("sop-instance", &[self.uids.sop_instance_uid.as_str().as_bytes()]);
        let verdict = if qc::keeps_out(&findings).is_some() {
            Verdict::Quarantine(findings)
        } else {
            self.clear(facts.as_ref(), searched, findings)
                .map_err(|failed| Refused::new(&sent, failed.refusal, failed.detail))?
        };
        Ok(Step::Done(Box::new(Prepared {
            sent,
            sent_digest,
            content_digest,
            pixel_digest,
            individual: pseudonym(self.destination, &self.arrival.route.issuer, &self.header),
            transfer_syntax_uid: Some(self.layout.transfer_syntax_uid.clone()),
            staged: self.staged,
            verdict,
        })))
    }

    fn pixels(&self) -> pixels::Received<'_> {
        pixels::Received {
            header: &self.header,
            layout: &self.layout,
            staged: &self.staged,
        }
    }

    /// De-identifies and lays out what will be stored.
    fn clear(
        &self,
        facts: Option<&PixelFacts>,
        searched: Searched,
        mut findings: Vec<Finding>,
    ) -> Result<Verdict, Failed> {
        let issuer = &self.arrival.route.issuer;
        let mut deidentified;
        let mut edited = None;
        let (header, report, changed) = if self.destination.profile.changes_nothing() {
            (&self.header, String::from("{}"), false)
        } else {
            let pixels = self.layout.pixel_data.is_some().then_some(isocenter_deid::PixelFacts {
                transfer_syntax_uid: self.layout.transfer_syntax_uid.as_str(),
                // where there are frames to look at, their search decides on text that an object speaks of
                judged: facts.is_some(),
            });
            let context = isocenter_deid::Context { issuer, pixels };
            match isocenter_deid::deidentify(
                &self.header,
                &self.destination.profile,
                &self.destination.pseudonyms,
                &context,
            ) {
                Ok(done) => deidentified = done,
                Err(held) => {
                    findings.push(Finding::new(held.check, Severity::Hold, held.reason));
                    return Ok(Verdict::Quarantine(findings));
                }
            }
            edited = pixels::clean(
                &self.pixels(),
                self.destination,
                searched,
                &mut deidentified,
                &mut findings,
            )?;
            if qc::keeps_out(&findings).is_some() {
                return Ok(Verdict::Quarantine(findings));
            }
            let report = serde_json::to_string(&deidentified.report).map_err(|error| error.to_string())?;
            (&deidentified.data_set, report, deidentified.changed)
        };
        let uids = match self.uids_after(header) {
            Ok(uids) => uids,
            Err(finding) => {
                findings.push(finding);
                return Ok(Verdict::Quarantine(findings));
            }
        };
        let stored = if changed || !self.destination.profile.changes_nothing() {
            self.rewritten(header, &uids, edited.as_ref())
        } else {
            self.as_received(&uids)
        };
        let stored = match stored {
            Ok(stored) => stored,
            // a rule wrote what its VR cannot hold
            Err(error @ part10::Error::Unwritable { .. }) => {
                findings.push(Finding::new("Q404", Severity::Block, error.to_string()));
                return Ok(Verdict::Quarantine(findings));
            }
            Err(error) => return Err(Failed::from(error.to_string())),
        };
        let layout = self.layout_after(edited.as_ref());
        let facts_after = edited.as_ref().and_then(|_| PixelFacts::from_header(header).ok());
        let frame_map = match facts_after.as_ref().or(facts) {
            Some(facts) => FrameMap::build(facts, &layout, &**self.staged.source(), stored.shift)?,
            None => FrameMap::none(),
        };
        let frame_map = frame_map.encode()?;
        let pixels = pixel_element(&self.layout);
        let parts = Parts {
            patient: self.patient(header, issuer),
            study: study(header, &uids),
            series: series(header, &uids),
            image: image(header, &uids, &layout.transfer_syntax_uid),
            metadata: metadata::record(header, pixels).map_err(|error| error.to_string())?,
            body: stored.body,
            header_len: stored.header_len,
            frame_map,
            deid_report: report,
            coerced: changed,
            uids,
        };
        Ok(match Cleared::new(parts, findings) {
            Ok(cleared) => Verdict::Cleared(Box::new(cleared)),
            Err(findings) => Verdict::Quarantine(findings),
        })
    }

    /// Returns the UIDs that the archive knows the object by. A profile that leaves none made something that is no object:
    /// that is for a person to see, and no reason to have a sender send it again.
    fn uids_after(&self, header: &InMemDicomObject) -> Result<InstanceUids, Finding> {
        let class = parsed(header, tags::SOP_CLASS_UID, SopClassUid::parse)?;
        if class != self.uids.sop_class_uid {
            let detail = format!(
                "{} names another SOP class after de-identification",
                tags::SOP_CLASS_UID
            );
            return Err(Finding::new("Q105", Severity::Block, detail));
        }
        Ok(InstanceUids {
            sop_class_uid: class,
            sop_instance_uid: parsed(header, tags::SOP_INSTANCE_UID, SopInstanceUid::parse)?,
            study_instance_uid: parsed(header, tags::STUDY_INSTANCE_UID, StudyInstanceUid::parse)?,
            series_instance_uid: parsed(header, tags::SERIES_INSTANCE_UID, SeriesInstanceUid::parse)?,
        })
    }

    /// Returns the stored file of an object that nothing was changed in: our file meta, then the data set's own bytes.
    fn as_received(&self, uids: &InstanceUids) -> Result<Stored, part10::Error> {
        let meta = self.file_meta(uids);
        let end = self.staged.source().len().saturating_sub(self.layout.trailing_bytes);
        let from = self.layout.data_set_offset;
        let shift = meta.len() as i64 - from as i64;
        let pixels_at = pixel_span(&self.layout).map_or(end, |(from, _)| from);
        Ok(Stored {
            header_len: pixels_at.saturating_add_signed(shift),
            shift,
            body: vec![Piece::Bytes(Bytes::from(meta)), self.piece(from, end)],
        })
    }

    /// Returns where everything lies after an edit of the pixels, whose offsets then count from their element.
    fn layout_after(&self, edited: Option<&Edited>) -> Cow<'_, Layout> {
        let Some(edited) = edited else {
            return Cow::Borrowed(&self.layout);
        };
        let mut layout = self.layout.clone();
        layout.pixel_data = Some(edited.pixels.pixel_data.clone());
        layout.transfer_syntax_uid = edited.pixels.transfer_syntax_uid.clone();
        Cow::Owned(layout)
    }

    /// Returns the stored file of a de-identified object: our file meta, the new header, the pixel element's own bytes or
    /// what became of them.
    fn rewritten(
        &self,
        header: &InMemDicomObject,
        uids: &InstanceUids,
        edited: Option<&Edited>,
    ) -> Result<Stored, part10::Error> {
        let syntax = edited.map_or(&self.layout.transfer_syntax_uid, |edited| {
            &edited.pixels.transfer_syntax_uid
        });
        let mut head = self.file_meta_in(uids, syntax);
        let written = part10::write_header(header, syntax)?;
        let Some((from, to)) = pixel_span(&self.layout) else {
            head.extend_from_slice(&written.before);
            head.extend_from_slice(&written.after);
            let header_len = head.len() as u64;
            return Ok(Stored {
                header_len,
                shift: 0,
                body: vec![Piece::Bytes(Bytes::from(head))],
            });
        };
        head.extend_from_slice(&written.before);
        let header_len = head.len() as u64;
        let mut body = vec![Piece::Bytes(Bytes::from(head))];
        let shift = match edited {
            None => {
                body.push(self.piece(from, to));
                header_len as i64 - from as i64
            }
            Some(edited) => {
                body.extend(edited.pieces(|from, to| self.piece(from, to)));
                header_len as i64
            }
        };
        if !written.after.is_empty() {
            body.push(Piece::Bytes(Bytes::from(written.after)));
        }
        Ok(Stored {
            header_len,
            shift,
            body,
        })
    }

    fn file_meta(&self, uids: &InstanceUids) -> Vec<u8> {
        self.file_meta_in(uids, &self.layout.transfer_syntax_uid)
    }

    fn file_meta_in(&self, uids: &InstanceUids, syntax: &TransferSyntaxUid) -> Vec<u8> {
        part10::write_file_meta(&NewFileMeta {
            sop_class_uid: uids.sop_class_uid.as_str(),
            sop_instance_uid: uids.sop_instance_uid.as_str(),
            transfer_syntax_uid: syntax,
            // Who sent it is identity too; it stays in the provenance.
            source_ae_title: None,
        })
    }

    fn piece(&self, from: u64, to: u64) -> Piece {
        let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        match self.staged.memory().zip(range) {
            Some((bytes, (from, to))) if from <= to && to <= bytes.len() => Piece::Bytes(bytes.slice(from..to)),
            _ => Piece::Spilled(Arc::clone(self.staged.source()), from..to),
        }
    }

    fn patient(&self, header: &InMemDicomObject, issuer: &str) -> PatientFacts {
        PatientFacts {
            pseudonym: pseudonym(self.destination, issuer, &self.header).unwrap_or([0; 32]),
            patient_id: text(header, tags::PATIENT_ID),
            patient_name: text(header, tags::PATIENT_NAME),
            birth_date: text(header, tags::PATIENT_BIRTH_DATE),
            sex: text(header, tags::PATIENT_SEX),
        }
    }
}

/// Returns the keyed reference of the patient as sent: the same patient is the same individual whatever a profile writes
/// for the ID. `None` where the object names no patient.
fn pseudonym(destination: &Destination, issuer: &str, header: &InMemDicomObject) -> Option<[u8; 32]> {
    let id = text(header, tags::PATIENT_ID);
    let context = isocenter_deid::Context { issuer, pixels: None };
    let issuer = isocenter_deid::issuer_of_patient_id(header, &context);
    let parts = [issuer.as_bytes(), id.trim().as_bytes()];
    (!id.trim().is_empty()).then(|| destination.pseudonyms.digest("individual", &parts))
}

/// The stored file of one object.
struct Stored {
    body: Body,
    /// Bytes of the stored file before the pixel data element; all of it where there is none.
    header_len: u64,
    /// Where the pixel data lies in the stored file, less where it lay in the received one.
    shift: i64,
}

fn parsed<T, E: std::fmt::Display>(
    header: &InMemDicomObject,
    tag: Tag,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Finding> {
    parse(&text(header, tag)).map_err(|error| {
        let detail = format!("{tag} after de-identification: {error}");
        Finding::new("Q105", Severity::Block, detail)
    })
}

fn pixel_element(layout: &Layout) -> Option<(Tag, VR)> {
    match layout.pixel_data.as_ref()? {
        PixelData::Native { tag, vr, .. } => Some((*tag, *vr)),
        PixelData::Encapsulated { .. } => Some((tags::PIXEL_DATA, VR::OB)),
    }
}

fn pixel_span(layout: &Layout) -> Option<(u64, u64)> {
    layout
        .pixel_data
        .as_ref()
        .map(|pixels| (pixels.element_offset(), pixels.end_offset()))
}

fn study(header: &InMemDicomObject, uids: &InstanceUids) -> StudyFacts {
    StudyFacts {
        study_instance_uid: uids.study_instance_uid.clone(),
        study_date: text(header, tags::STUDY_DATE),
        study_time: text(header, tags::STUDY_TIME),
        accession_number: text(header, tags::ACCESSION_NUMBER),
        referring_physician_name: text(header, tags::REFERRING_PHYSICIAN_NAME),
        study_description: text(header, tags::STUDY_DESCRIPTION),
        study_id: text(header, tags::STUDY_ID),
        attributes: attributes::study_json(header),
    }
}

fn series(header: &InMemDicomObject, uids: &InstanceUids) -> SeriesFacts {
    SeriesFacts {
        series_instance_uid: uids.series_instance_uid.clone(),
        modality: text(header, tags::MODALITY),
        series_number: integer(header, tags::SERIES_NUMBER),
        series_description: text(header, tags::SERIES_DESCRIPTION),
        body_part_examined: text(header, tags::BODY_PART_EXAMINED),
        protocol_name: text(header, tags::PROTOCOL_NAME),
        manufacturer: text(header, tags::MANUFACTURER),
        manufacturer_model_name: text(header, tags::MANUFACTURER_MODEL_NAME),
        performed_procedure_step_start_date: text(header, tags::PERFORMED_PROCEDURE_STEP_START_DATE),
        performed_procedure_step_start_time: text(header, tags::PERFORMED_PROCEDURE_STEP_START_TIME),
        scheduled_procedure_step_id: text_in(
            header,
            tags::REQUEST_ATTRIBUTES_SEQUENCE,
            tags::SCHEDULED_PROCEDURE_STEP_ID,
        ),
        requested_procedure_id: text_in(header, tags::REQUEST_ATTRIBUTES_SEQUENCE, tags::REQUESTED_PROCEDURE_ID),
        attributes: attributes::series_json(header),
    }
}

fn image(header: &InMemDicomObject, uids: &InstanceUids, syntax: &TransferSyntaxUid) -> ImageFacts {
    ImageFacts {
        sop_instance_uid: uids.sop_instance_uid.clone(),
        sop_class_uid: uids.sop_class_uid.clone(),
        transfer_syntax_uid: syntax.clone(),
        instance_number: integer(header, tags::INSTANCE_NUMBER),
        rows: integer(header, tags::ROWS),
        columns: integer(header, tags::COLUMNS),
        number_of_frames: integer(header, tags::NUMBER_OF_FRAMES),
        bits_allocated: integer(header, tags::BITS_ALLOCATED),
        attributes: attributes::instance_json(header),
    }
}

#[cfg(test)]
mod tests;
