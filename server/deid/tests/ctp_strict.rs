//! What strict mode of CTP scripts must close: one test for each leak and fault that was found in CTP (deid reference,
//! section 7), and that no text makes a reader of scripts panic.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: what fails here should fail loudly"
)]

use std::sync::Arc;

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Length, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use isocenter_deid::ctp::{
    Anonymizer, Filter, Inputs, LookupTable, Mode, Object, Outcome, Parameters, ParseError, PixelScript,
    PrivateDictionary, RunningIntegers, Script,
};
use isocenter_deid::{Context, Deidentified, PixelFacts, Profile, Pseudonyms, Secret, deidentify};
use proptest::prelude::*;

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(&Secret::new([7; 32]), "TEST0001")
}

fn text(tag: Tag, vr: VR, text: &str) -> DataElement<InMemDicomObject, Vec<u8>> {
    DataElement::new(tag, vr, PrimitiveValue::from(text))
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject, Vec<u8>> {
    DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
}

const PRIVATE: Tag = Tag(0x0009, 0x1002);

fn data_set() -> InMemDicomObject {
    let inner = InMemDicomObject::from_element_iter([
        text(tags::PATIENT_NAME, VR::PN, "Inner^Name"),
        text(tags::PATIENT_ID, VR::LO, "INNERID"),
        text(Tag(0x0011, 0x0010), VR::LO, "ACME"),
        text(Tag(0x0011, 0x1001), VR::LO, "innermost"),
    ]);
    let middle = InMemDicomObject::from_element_iter([
        text(tags::PATIENT_NAME, VR::PN, "Middle^Name"),
        sequence(tags::REFERENCED_IMAGE_SEQUENCE, vec![inner]),
    ]);
    InMemDicomObject::from_element_iter([
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4.5"),
        text(tags::SOP_CLASS_UID, VR::UI, "1.2.840.10008.5.1.4.1.1.2"),
        text(tags::STUDY_DATE, VR::DA, "20040119"),
        text(tags::ACCESSION_NUMBER, VR::SH, ""),
        text(tags::PATIENT_NAME, VR::PN, "Quellmann^Erna"),
        text(tags::PATIENT_ID, VR::LO, "2188878"),
        text(Tag(0x0009, 0x0010), VR::LO, "GEMS_IDEN_01"),
        text(PRIVATE, VR::SH, "Quellmann CT"),
        text(Tag(0x0009, 0x1004), VR::SH, "HiSpeed"),
        text(Tag(0x0019, 0x0010), VR::LO, "EMPTY BLOCK"),
        text(Tag(0x5000, 0x0022), VR::LO, "a curve"),
        sequence(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![middle]),
    ])
}

fn prepare(script: &str, mode: Mode) -> Result<Anonymizer, Vec<ParseError>> {
    let inputs = Inputs {
        lookup: Some(Arc::new(LookupTable::parse("ptid/1=A\n"))),
        ..Inputs::default()
    };
    Anonymizer::new(Script::parse_compat(script).map_err(|error| vec![error])?, mode, inputs)
}

fn object(data_set: &InMemDicomObject) -> Object<'_> {
    Object {
        data_set,
        meta: None,
        has_pixel_data: false,
        issuer: "",
    }
}

fn outcome(script: &str, mode: Mode, data_set: &InMemDicomObject) -> Outcome {
    prepare(script, mode)
        .unwrap()
        .apply("test", &object(data_set), &pseudonyms())
}

fn done(script: &str, mode: Mode) -> Deidentified {
    match outcome(script, mode, &data_set()) {
        Outcome::Done(done) => *done,
        other => panic!("{other:?}"),
    }
}

fn value(done: &Deidentified, tag: Tag) -> Option<String> {
    let element = done.data_set.get(tag)?;
    Some(element.value().to_str().unwrap().trim_end().to_owned())
}

/// Everything in a data set as one text.
fn dump(done: &Deidentified) -> String {
    format!("{:?}", done.data_set)
}

fn refused(script: &str) -> ParseError {
    prepare(script, Mode::Strict).unwrap_err().remove(0)
}

const NAMES: &str = "set.[0010,0010]PatientName=@empty()\nset.[0010,0020]PatientID=@remove()\nremove.privategroups=\n";

#[test]
fn items_are_entered_at_any_depth_without_a_rule() {
    let strict = dump(&done(NAMES, Mode::Strict));
    for original in ["Inner^Name", "Middle^Name", "INNERID", "innermost"] {
        assert!(!strict.contains(original), "{original}");
    }
    assert!(
        dump(&done(NAMES, Mode::Compat)).contains("Inner^Name"),
        "CTP does not enter them"
    );
}

#[test]
fn keep_and_empty_on_a_sequence_enter_and_empty_it() {
    let keep = format!("{NAMES}set.[0040,0275]RequestAttributesSeq=@keep()\n");
    assert!(!dump(&done(&keep, Mode::Strict)).contains("Inner^Name"));
    let empty = format!("{NAMES}set.[0040,0275]RequestAttributesSeq=@empty()\n");
    let strict = done(&empty, Mode::Strict);
    assert!(
        strict
            .data_set
            .get(tags::REQUEST_ATTRIBUTES_SEQUENCE)
            .unwrap()
            .value()
            .items()
            .unwrap()
            .is_empty()
    );
    assert!(
        dump(&done(&empty, Mode::Compat)).contains("Inner^Name"),
        "CTP leaves a sequence that it is to empty"
    );
}

#[test]
fn an_error_holds_the_object_and_its_value_stays_out_of_the_reason() {
    for rule in [
        "@lookup(PatientID,ptid)",
        "@dateinterval(StudyDate,ptid,PatientID)",
        "@round(PatientName,5)",
        "@decrypt(PatientID,key)",
        "@quarantine()",
    ] {
        let script = format!("set.[0010,0020]PatientID={rule}\n");
        match outcome(&script, Mode::Strict, &data_set()) {
            Outcome::Held(held) => {
                assert!(held.reason.contains("script line 1"), "{held}");
                assert!(
                    !held.reason.contains("2188878") && !held.reason.contains("Quellmann"),
                    "{held}"
                );
            }
            other => panic!("{rule}: {other:?}"),
        }
    }
    let compat = done("set.[0010,0020]PatientID=@round(PatientName,5)\n", Mode::Compat);
    assert_eq!(value(&compat, tags::PATIENT_ID).as_deref(), Some("(PatientName,5)"));
}

#[test]
fn a_value_that_its_vr_does_not_take_holds_the_object() {
    let script = "set.[0008,0020]StudyDate=no date\n";
    assert!(matches!(outcome(script, Mode::Strict, &data_set()), Outcome::Held(_)));
    let compat = done(script, Mode::Compat);
    assert_eq!(
        value(&compat, tags::STUDY_DATE).as_deref(),
        Some("20040119"),
        "CTP keeps the original"
    );
}

#[test]
fn what_would_have_to_be_guessed_is_refused_with_its_place() {
    for (rule, column) in [
        ("@unknownfn(a,b)", 26),
        ("a@contents(PatientName", 28),
        ("@if(this,isblank){x}", 46),
        ("@if(this,nosuch){x}{y}", 26),
        ("@contents(NoSuchKeyword)", 26),
        ("@contents(patientname)", 26),
        ("@contents(PatientName,\"[\")", 26),
        ("@param(@NOSUCH)", 26),
        ("@hash()", 26),
        ("@call(Plugin)", 26),
        ("@integer(PatientID,ptid)", 26),
        ("@incrementdate(StudyDate,x)", 26),
    ] {
        let error = refused(&format!("param.A=1\nset.[0010,0010]PatientName={rule}\n"));
        assert_eq!((error.line, error.column), (2, column + 2), "{rule}: {error}");
    }
    assert!(
        prepare("set.[0010,0010]N=@unknownfn(a,b)\n", Mode::Compat).is_ok(),
        "CTP takes it as text"
    );
}

#[test]
fn digests_are_keyed() {
    let script = "param.R=1.2.3\nset.[0010,0020]P=@hash(this)\nset.[0008,0018]S=@hashuid(@R,this)\nset.[0010,0010]N=@hashptid(7,PatientID,12)\n\
        set.[0008,0020]D=@hashdate(this,PatientID)\n";
    let (strict, compat) = (done(script, Mode::Strict), done(script, Mode::Compat));
    let other = prepare(script, Mode::Strict).unwrap().apply(
        "test",
        &object(&data_set()),
        &Pseudonyms::new(&Secret::new([8; 32]), "TEST0001"),
    );
    let Outcome::Done(other) = other else {
        panic!("{other:?}")
    };
    for tag in [
        tags::PATIENT_ID,
        tags::SOP_INSTANCE_UID,
        tags::PATIENT_NAME,
        tags::STUDY_DATE,
    ] {
        assert_ne!(value(&strict, tag), value(&compat, tag), "{tag}");
        assert_ne!(value(&strict, tag), value(&other, tag), "{tag}");
        assert_eq!(value(&strict, tag), value(&done(script, Mode::Strict), tag), "{tag}");
    }
    assert!(
        strict
            .report
            .warnings
            .iter()
            .any(|w| w.contains("script line 2") && w.contains("keyed"))
    );
    assert!(value(&strict, tags::SOP_INSTANCE_UID).unwrap().starts_with("1.2.3."));
    let shift = pseudonyms().date_shift_days("", "2188878");
    let date = chrono::NaiveDate::from_ymd_opt(2004, 1, 19).unwrap() + chrono::Days::new(0);
    let moved = date.checked_sub_days(chrono::Days::new(shift.unsigned_abs())).unwrap();
    assert_eq!(
        value(&strict, tags::STUDY_DATE).unwrap(),
        moved.format("%Y%m%d").to_string(),
        "as the profiles move it"
    );
}

#[test]
fn an_empty_value_stays_empty() {
    let script = "set.[0008,0050]AccessionNumber=@hash(this,16)\n";
    assert_eq!(
        value(&done(script, Mode::Strict), tags::ACCESSION_NUMBER).as_deref(),
        Some("")
    );
    assert_eq!(
        value(&done(script, Mode::Compat), tags::ACCESSION_NUMBER).as_deref(),
        Some("2819497684894126")
    );
}

#[test]
fn a_root_that_leaves_too_few_digits_is_refused() {
    let error = refused("param.ROOT=1.2.826.0.1.3680043.10.9999\n\nset.[0008,0018]S=@hashuid(@ROOT,this)\n");
    assert_eq!(error.line, 3);
    assert!(error.expected.contains("24"), "{error}");
    assert!(prepare("set.[0008,0018]S=@hashuid(1.2.826.0.1.3680043.10,this)\n", Mode::Strict).is_ok());
    let mut parameters = Parameters::default();
    parameters.set("ROOT", "1.2.3");
    let inputs = Inputs {
        parameters,
        ..Inputs::default()
    };
    let script =
        Script::parse("param.ROOT=1.2.826.0.1.3680043.10.9999\nset.[0008,0018]S=@hashuid(@ROOT,this)\n").unwrap();
    assert!(
        Anonymizer::new(script, Mode::Strict, inputs).is_ok(),
        "parameters of a site win"
    );
}

#[test]
fn curves_go_alone() {
    let script = "remove.curves=\n";
    let curve = Tag(0x5000, 0x0022);
    assert!(done(script, Mode::Strict).data_set.get(curve).is_none());
    assert!(done(script, Mode::Compat).data_set.get(curve).is_some());
}

#[test]
fn creators_of_empty_blocks_and_safe_elements_that_identify_go() {
    let script = "remove.privategroups=\nkeep.safeprivateelements=\n";
    let (strict, compat) = (done(script, Mode::Strict), done(script, Mode::Compat));
    assert!(compat.data_set.get(Tag(0x0019, 0x0010)).is_some() && compat.data_set.get(PRIVATE).is_some());
    assert!(
        strict.data_set.get(Tag(0x0019, 0x0010)).is_none(),
        "no element is left in its block"
    );
    assert!(strict.data_set.get(PRIVATE).is_none(), "it repeats the patient's name");
    assert!(strict.data_set.get(Tag(0x0009, 0x1004)).is_some() && strict.data_set.get(Tag(0x0009, 0x0010)).is_some());
}

#[test]
fn elements_after_the_pixel_data_get_the_same_rules() {
    let mut data_set = data_set();
    let after = Tag(0x7FE1, 0x1001);
    data_set.put(text(Tag(0x7FE1, 0x0010), VR::LO, "ACME"));
    data_set.put(text(after, VR::LO, "after"));
    let script = "set.[7FE1,1001]x=replaced\n";
    let apply = |mode| {
        let object = Object {
            has_pixel_data: true,
            ..object(&data_set)
        };
        match prepare(script, mode).unwrap().apply("test", &object, &pseudonyms()) {
            Outcome::Done(done) => value(&done, after),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(apply(Mode::Strict).as_deref(), Some("replaced"));
    assert_eq!(apply(Mode::Compat).as_deref(), Some("after"));
}

#[test]
fn a_skip_releases_nothing_and_documents_are_held() {
    let profile = |script: &str| Profile::from_ctp("site", prepare(script, Mode::Strict).unwrap());
    let skip = deidentify(
        &data_set(),
        &profile("set.[0010,0010]N=@skip()\n"),
        &pseudonyms(),
        &Context::default(),
    );
    assert_eq!(skip.unwrap_err().check, "Q511");
    assert!(matches!(
        outcome("set.[0010,0010]N=@skip()\n", Mode::Compat, &data_set()),
        Outcome::Skip
    ));
    let mut burned = data_set();
    burned.put(text(tags::BURNED_IN_ANNOTATION, VR::CS, "YES"));
    assert!(deidentify(&burned, &profile(NAMES), &pseudonyms(), &Context::default()).is_err());
}

#[test]
fn a_script_that_takes_out_what_makes_an_object_holds_it_and_names_the_tag() {
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let mut whole = data_set();
    for element in [
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.4.6"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4.7"),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PALETTE COLOR"),
        number(tags::ROWS, 16),
        number(tags::BITS_STORED, 12),
        text(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA, VR::OW, "ab"),
    ] {
        whole.put(element);
    }
    let pixels = Some(PixelFacts {
        transfer_syntax_uid: "1.2.840.10008.1.2.1",
        judged: false,
    });
    let apply = |script: &str, mode, object: &InMemDicomObject| {
        let profile = Profile::from_ctp("site", prepare(script, mode).unwrap());
        let cx = Context { issuer: "", pixels };
        deidentify(object, &profile, &pseudonyms(), &cx)
    };
    for (rule, check, names) in [
        ("set.[0008,0018]U=@remove()", "Q105", "(0008,0018) SOPInstanceUID"),
        ("set.[0008,0018]U=@empty()", "Q105", "(0008,0018) SOPInstanceUID"),
        (
            "set.[0008,0018]U=@contents(PatientName)",
            "Q105",
            "(0008,0018) SOPInstanceUID",
        ),
        ("set.[0020,000D]U=@remove()", "Q105", "(0020,000D) StudyInstanceUID"),
        ("set.[0020,000E]U=@remove()", "Q105", "(0020,000E) SeriesInstanceUID"),
        ("set.[0008,0016]U=@remove()", "Q105", "(0008,0016) SOPClassUID"),
        (
            "set.[0008,0016]U=1.2.840.10008.5.1.4.1.1.4",
            "Q105",
            "(0008,0016) SOPClassUID",
        ),
        ("set.[0008,0060]M=@remove()", "Q404", "(0008,0060) Modality"),
        ("set.[0028,0010]R=@remove()", "Q404", "(0028,0010) Rows"),
        ("set.[0028,0101]B=8", "Q404", "(0028,0101) BitsStored"),
        ("set.[0028,1201]P=@remove()", "Q404", "(0028,1201) RedPalette"),
        ("remove.unspecifiedelements=", "Q105", "(0020,000E) SeriesInstanceUID"),
    ] {
        let script = format!("{NAMES}{rule}\n");
        let held = apply(&script, Mode::Strict, &whole).unwrap_err();
        assert!(held.check == check && held.reason.contains(names), "{rule}: {held}");
        assert!(!held.reason.contains("Quellmann"), "{rule}: {held}");
        // what CTP writes is what CTP writes
        assert!(apply(&script, Mode::Compat, &whole).is_ok(), "{rule}");
    }
    assert!(apply(NAMES, Mode::Strict, &whole).is_ok());
    // the object came without a series; the script is not to blame
    assert!(apply(NAMES, Mode::Strict, &data_set()).is_ok());
}

#[test]
fn a_profile_carries_a_script_to_whoever_applies_profiles() {
    let script = format!("{NAMES}set.[0008,1030]D=@always()@contents(TransferSyntaxUID)\n");
    let profile = Profile::from_ctp("site", prepare(&script, Mode::Strict).unwrap());
    let cx = Context {
        pixels: Some(PixelFacts {
            transfer_syntax_uid: "1.2.840.10008.1.2.1",
            judged: false,
        }),
        ..Context::default()
    };
    let done = deidentify(&data_set(), &profile, &pseudonyms(), &cx).unwrap();
    assert_eq!((done.report.profile.as_str(), done.changed), ("site", true));
    assert_eq!(
        value(&done, tags::STUDY_DESCRIPTION).as_deref(),
        Some("1.2.840.10008.1.2.1")
    );
    let other = Profile::from_ctp("site", prepare(&script, Mode::Compat).unwrap());
    assert_ne!(profile.hash(), other.hash());
}

#[test]
fn a_day_that_does_not_exist_holds_the_object() {
    let script = "set.[0008,0020]D=@modifydate(this,*,2,31)\n";
    assert!(matches!(outcome(script, Mode::Strict, &data_set()), Outcome::Held(_)));
    assert_eq!(
        value(&done(script, Mode::Compat), tags::STUDY_DATE).as_deref(),
        Some("20040302")
    );
}

#[test]
fn ages_are_legal_and_uids_are_mapped_each() {
    let mut data_set = data_set();
    data_set.put(text(tags::PATIENT_AGE, VR::AS, "004Y"));
    let uids = Tag(0x0008, 0x1155);
    data_set.put(text(uids, VR::UI, "1.2.3.4.5\\1.2.840.10008.1.1"));
    let script = "set.[0010,1010]A=@round(this,10)\nset.[0008,1155]U=@hashuid(1.2.3,this)\nset.[0008,0018]S=@hashuid(1.2.3,this)\n";
    let Outcome::Done(done) = outcome(script, Mode::Strict, &data_set) else {
        panic!()
    };
    assert_eq!(value(&done, tags::PATIENT_AGE).as_deref(), Some("000Y"));
    let mapped = value(&done, uids).unwrap();
    assert_eq!(
        mapped,
        format!("{}\\1.2.840.10008.1.1", value(&done, tags::SOP_INSTANCE_UID).unwrap())
    );
}

#[test]
fn running_numbers_need_a_place() {
    let script = Script::parse("set.[0010,0020]P=@integer(this,ptid,4)\n").unwrap();
    let inputs = Inputs {
        integers: Some(Arc::new(RunningIntegers::default())),
        ..Inputs::default()
    };
    let anonymizer = Anonymizer::new(script, Mode::Strict, inputs).unwrap();
    let data_set = data_set();
    for _ in 0..2 {
        let Outcome::Done(done) = anonymizer.apply("test", &object(&data_set), &pseudonyms()) else {
            panic!()
        };
        assert_eq!(value(&done, tags::PATIENT_ID).as_deref(), Some("0001"));
    }
}

/// Text that looks like the languages, and text that does not.
fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("@"),
        Just("("),
        Just(")"),
        Just("{"),
        Just("}"),
        Just(","),
        Just("\\"),
        Just("\""),
        Just("["),
        Just("]"),
        Just("if"),
        Just("@if(this,equals,\"a\"){b}{c}"),
        Just("@contents("),
        Just("@hash(this,3)"),
        Just("PatientName"),
        Just("StudyDate"),
        Just("@incrementdate(StudyDate,1)"),
        Just("@modifydate(StudyDate,"),
        Just("@round(this,"),
        Just("*"),
        Just("+"),
        Just("!"),
        Just(".equals(\"x\")"),
        Just("true."),
        Just("::"),
        Just("root:"),
        Just("0009[A]02"),
        Just("<script>"),
        Just("</script>"),
        Just("<e en=\"T\" t=\"00100010\" n=\"x\">"),
        Just("</e>"),
        Just("&amp;"),
        Just("&#x41;"),
        Just("<![CDATA["),
        Just("]]>"),
        Just("set.[0010,0010]x="),
        Just("param.A="),
        Just("keep.group18="),
        Just("\n"),
        Just("\\u00e9"),
        Just("@hashuid(@A,this,PatientID)"),
        Just("@append(){"),
        Just("@select(){"),
        Just("@truncate(this,-2)"),
        Just("@lookup(this,ptid,ignore,\""),
        Just("é"),
        Just("𝄞"),
        Just("(1,2,3,4)"),
        Just("(-5,"),
        Just("9999999999"),
        Just("@blank("),
        Just("@date(%)"),
        Just(" "),
        Just("\0"),
    ];
    prop_oneof![
        proptest::collection::vec(word, 0..40).prop_map(|words| words.concat()),
        ".{0,200}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_a_reader_panic(text in any_text()) {
        let data_set = data_set();
        let object = object(&data_set);
        Filter::parse_compat(&text).matches(&object);
        if let Ok(filter) = Filter::parse(&text) {
            filter.matches(&object);
        }
        for signature in PixelScript::parse_compat(&text).signatures() {
            for region in signature.regions() {
                region.in_image(64, 64, Mode::Compat);
                region.in_image(64, 64, Mode::Strict);
            }
        }
        let _ = PixelScript::parse(&text);
        let _ = PrivateDictionary::parse(&text);
        let _ = Parameters::parse(&text);
        LookupTable::parse(&text);
        LookupTable::parse_csv(&text, Some("ptid"));
        for text in [text.clone(), format!("set.[0010,0010]N={text}\n"), format!("<script><e en=\"T\" t=\"00100010\" n=\"x\">{text}</e></script>")] {
            if let Ok(script) = Script::parse_compat(&text) {
                script.explain();
                for mode in [Mode::Compat, Mode::Strict] {
                    if let Ok(anonymizer) = Anonymizer::new(script.clone(), mode, Inputs::default()) {
                        let _ = anonymizer.apply("test", &object, &pseudonyms());
                    }
                }
            }
        }
    }

    #[test]
    fn no_expression_makes_the_evaluator_panic(text in any_text(), strict in any::<bool>()) {
        let mode = if strict { Mode::Strict } else { Mode::Compat };
        let anonymizer = prepare("param.A=1.2.3\nset.[0010,0020]P=@hashuid(@A,this,PatientName)\nset.[0010,0010]N=@hashuid(@A,this,PatientID)\n", mode).unwrap();
        let data_set = data_set();
        for tag in [tags::PATIENT_NAME, tags::STUDY_DATE, tags::REQUEST_ATTRIBUTES_SEQUENCE, tags::PATIENT_COMMENTS] {
            let _ = anonymizer.evaluate(&text, Some(tag), &object(&data_set), &pseudonyms());
        }
    }
}
