use super::*;

const IMPLICIT: &str = "1.2.840.10008.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const BIG: &str = "1.2.840.10008.1.2.2";
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const JLS: &str = "1.2.840.10008.1.2.4.80";
const J2K: &str = "1.2.840.10008.1.2.4.90";
const RLE: &str = "1.2.840.10008.1.2.5";
const H264: &str = "1.2.840.10008.1.2.4.102";

fn uid(text: &str) -> TransferSyntaxUid {
    TransferSyntaxUid::parse(text).unwrap()
}

fn instance(header: &str, stored: &str, single: bool) -> Option<(Packaging, InstanceForm)> {
    Accept::of(None, Some(header)).choose(single, Packaging::Multipart, |w| {
        instance_form(w, &uid(stored), stored != H264)
    })
}

fn frame(header: &str, stored: &str) -> Option<String> {
    Accept::of(None, Some(header))
        .choose(true, Packaging::Multipart, |w| {
            frame_form(w, &uid(stored), stored != H264)
        })
        .map(|(packaging, f)| {
            let one = if packaging == Packaging::Single { "one " } else { "" };
            let decoded = if f.decode { " decoded" } else { "" };
            format!(
                "{one}{}; {}{decoded}",
                f.media,
                f.syntax.trim_start_matches("1.2.840.10008.1.2.")
            )
        })
}

#[test]
fn instances_leave_as_the_standard_says() {
    use InstanceForm::{AsStored, Decompressed, Rewritten};
    let related = r#"multipart/related; type="application/dicom""#;
    let star = r#"multipart/related; type="application/dicom"; transfer-syntax=*"#;
    let explicit = r#"multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1"#;
    let jls = r#"multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.80"#;
    let cases = [
        ("*/*", IMPLICIT, Some(Rewritten)),
        ("*/*", EXPLICIT, Some(AsStored)),
        ("*/*", LOSSLESS, Some(AsStored)),
        ("*/*", DEFLATED, Some(AsStored)),
        (related, IMPLICIT, Some(Rewritten)),
        (related, BIG, Some(Rewritten)),
        (related, DEFLATED, Some(Rewritten)),
        (related, EXPLICIT, Some(AsStored)),
        (related, LOSSLESS, Some(Decompressed)),
        (related, RLE, Some(Decompressed)),
        (related, JPEG, Some(AsStored)),
        (related, H264, Some(AsStored)),
        (star, IMPLICIT, Some(Rewritten)),
        (star, BIG, Some(Rewritten)),
        (star, DEFLATED, Some(AsStored)),
        (star, JPEG, Some(AsStored)),
        (star, RLE, Some(AsStored)),
        (explicit, IMPLICIT, Some(Rewritten)),
        (explicit, JPEG, Some(Decompressed)),
        (explicit, H264, None),
        (jls, JLS, Some(AsStored)),
        (jls, EXPLICIT, None),
        (
            "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2",
            IMPLICIT,
            None,
        ),
        (r#"multipart/related; type="*/*""#, LOSSLESS, Some(AsStored)),
        (
            r#"MULTIPART/Related; Type="Application/DICOM"; Transfer-Syntax="*""#,
            JPEG,
            Some(AsStored),
        ),
        (
            "multipart/related; type=application/dicom; transfer-syntax=nonsense",
            EXPLICIT,
            None,
        ),
        ("image/jpeg", EXPLICIT, None),
        ("application/dicom+xml", EXPLICIT, None),
        (r#"multipart/related; type="application/dicom+xml""#, EXPLICIT, None),
    ];
    for (header, stored, form) in cases {
        assert_eq!(
            instance(header, stored, true).map(|c| c.1),
            form,
            "{header} of {stored}"
        );
    }
}

#[test]
fn the_second_entry_is_taken_where_the_first_cannot_be_met() {
    let header = r#"multipart/related; type="application/dicom"; transfer-syntax=1.2.3.4, multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1;q=0.5"#;
    assert_eq!(
        instance(header, IMPLICIT, false),
        Some((Packaging::Multipart, InstanceForm::Rewritten))
    );
}

#[test]
fn weights_decide_over_order_and_zero_means_never() {
    let header = "image/png;q=0.4, image/jpeg;q=0.6";
    assert_eq!(
        Accept::of(None, Some(header)).picture(),
        Some((Packaging::Single, Picture::Jpeg))
    );
    assert_eq!(
        Accept::of(None, Some("image/jpeg;q=0, image/png")).picture(),
        Some((Packaging::Single, Picture::Png))
    );
    assert_eq!(Accept::of(None, Some("image/jpeg;q=0")).picture(), None);
}

#[test]
fn a_single_part_is_given_for_one_item_only() {
    assert_eq!(
        instance("application/dicom", EXPLICIT, true),
        Some((Packaging::Single, InstanceForm::AsStored))
    );
    assert_eq!(instance("application/dicom", EXPLICIT, false), None);
    let both = "application/dicom, multipart/related; type=application/dicom";
    assert_eq!(
        instance(both, EXPLICIT, false),
        Some((Packaging::Multipart, InstanceForm::AsStored))
    );
}

#[test]
fn frames_leave_as_the_standard_says() {
    let octets = r#"multipart/related; type="application/octet-stream""#;
    let ohif = r#"multipart/related; type="application/octet-stream"; transfer-syntax="*""#;
    let unquoted = "multipart/related; type=application/octet-stream; transfer-syntax=*";
    let cases = [
        (octets, EXPLICIT, Some("application/octet-stream; 1")),
        (octets, IMPLICIT, Some("application/octet-stream; 1")),
        (octets, BIG, Some("application/octet-stream; 1 decoded")),
        (octets, JPEG, Some("application/octet-stream; 1 decoded")),
        (octets, H264, None),
        (ohif, IMPLICIT, Some("application/octet-stream; 1")),
        (ohif, JPEG, Some("application/octet-stream; 4.50")),
        (unquoted, J2K, Some("application/octet-stream; 4.90")),
        (
            r#"multipart/related; type="image/jpeg"; transfer-syntax=*"#,
            JPEG,
            Some("image/jpeg; 4.50"),
        ),
        (
            r#"multipart/related; type="image/jpeg""#,
            JPEG,
            Some("image/jpeg; 4.50"),
        ),
        (
            r#"multipart/related; type="image/jpeg""#,
            LOSSLESS,
            Some("image/jpeg; 4.70"),
        ),
        (
            r#"multipart/related; type="image/jpeg"; transfer-syntax="1.2.840.10008.1.2.4.50""#,
            LOSSLESS,
            None,
        ),
        (r#"multipart/related; type="image/jls""#, JLS, Some("image/jls; 4.80")),
        (r#"multipart/related; type="image/jls""#, JPEG, None),
        (r#"multipart/related; type="image/jls""#, EXPLICIT, None),
        (
            r#"multipart/related; type="image/dicom-rle""#,
            RLE,
            Some("image/dicom-rle; 5"),
        ),
        (r#"multipart/related; type="image/*""#, J2K, Some("image/jp2; 4.90")),
        (r#"multipart/related; type="*/*""#, J2K, Some("image/jp2; 4.90")),
        (
            r#"multipart/related; type="*/*""#,
            EXPLICIT,
            Some("application/octet-stream; 1"),
        ),
        ("*/*", RLE, Some("image/dicom-rle; 5")),
        ("*/*", EXPLICIT, Some("application/octet-stream; 1")),
        ("image/jpeg", JPEG, Some("one image/jpeg; 4.50")),
        (
            "application/octet-stream",
            EXPLICIT,
            Some("one application/octet-stream; 1"),
        ),
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
            RLE,
            Some("application/octet-stream; 1 decoded"),
        ),
        ("application/dicom", EXPLICIT, None),
        // The first of two transfer syntaxes counts, OHIF/Viewers#3990.
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*; transfer-syntax=1.2.3",
            JPEG,
            Some("application/octet-stream; 4.50"),
        ),
        (
            r#"multipart/related; type="image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50""#,
            JPEG,
            Some("image/jpeg; 4.50"),
        ),
    ];
    for (header, stored, form) in cases {
        assert_eq!(frame(header, stored).as_deref(), form, "{header} of {stored}");
    }
}

#[test]
fn json_is_given_to_all_who_can_take_it() {
    for header in [
        None,
        Some("*/*"),
        Some(""),
        Some("application/dicom+json"),
        Some("application/json"),
        Some("application/*"),
        Some("application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"),
        Some("text/html, application/xhtml+xml, */*;q=0.8"),
        Some(r#"multipart/related; type="application/dicom+xml", application/dicom+json;q=0.5"#),
    ] {
        assert!(Accept::of(None, header).takes_json(), "{header:?}");
    }
    for header in [
        "application/dicom+xml",
        r#"multipart/related; type="application/dicom+xml""#,
        "text/html",
    ] {
        assert!(!Accept::of(None, Some(header)).takes_json(), "{header}");
    }
}

#[test]
fn the_query_parameter_comes_before_the_header() {
    let header = Some(r#"multipart/related; type="application/octet-stream""#);
    assert_eq!(
        Accept::of(Some("image/jpeg"), header).picture(),
        Some((Packaging::Single, Picture::Jpeg))
    );
    assert_eq!(Accept::of(None, header).picture(), None);
    assert_eq!(
        Accept::of(Some("image/png"), Some("*/*")).picture(),
        Some((Packaging::Single, Picture::Png))
    );
    assert_eq!(Accept::of(Some("image/gif"), Some("*/*")).picture(), None);
    assert_eq!(
        Accept::of(Some("image/gif"), Some("image/png")).picture(),
        Some((Packaging::Single, Picture::Png))
    );
}

#[test]
fn quotes_make_no_difference_and_hide_separators() {
    let quoted = MediaType::parse(r#"multipart/related; type="application/dicom"; boundary="a;b,c\"d""#).unwrap();
    assert_eq!(quoted.parameter("type"), Some("application/dicom"));
    assert_eq!(quoted.parameter("boundary"), Some("a;b,c\"d"));
    assert_eq!(MediaType::parse("nonsense"), None);
    assert_eq!(MediaType::parse("/"), None);
    assert_eq!(MediaType::parse("\"a/b"), MediaType::parse("\"A/B"));
}

#[test]
fn every_syntax_has_a_media_type() {
    for (syntax, media) in [
        (JPEG, "image/jpeg"),
        (LOSSLESS, "image/jpeg"),
        (JLS, "image/jls"),
        (J2K, "image/jp2"),
        (RLE, "image/dicom-rle"),
        (EXPLICIT, "application/octet-stream"),
        ("1.2.840.10008.1.2.4.201", "image/jphc"),
        ("1.2.840.10008.1.2.4.92", "image/jpx"),
    ] {
        assert_eq!(media_of(&uid(syntax)), media);
    }
}
