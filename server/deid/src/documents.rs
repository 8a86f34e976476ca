//! Encapsulated documents: what stands in their place where a profile replaces them.
//!
//! No rule cleans a scanned letter or a report in PDF. Table E.1-1 asks for a dummy of (0042,0011); a dummy that opens is an
//! empty page, or an empty CDA document. Of other formats (surfaces and their materials) an empty file would be no file of
//! the format, and a surface may be a face; they are held.

use std::borrow::Cow;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// What becomes of encapsulated documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentRule {
    /// The object is held for a person.
    Hold,
    /// An empty document of the same format takes the place of PDF and CDA; others are held.
    Blank,
}

/// Returns an empty document of the format that an object holds; `None` where there is none.
pub(crate) fn blank(header: &InMemDicomObject) -> Option<Cow<'static, [u8]>> {
    let text = |tag| {
        header
            .get(tag)
            .and_then(|element| element.value().to_str().ok())
            .unwrap_or_default()
    };
    let mime = text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT)
        .trim_matches([' ', '\0'])
        .to_ascii_lowercase();
    let class = text(tags::SOP_CLASS_UID);
    match (mime.as_str(), class.trim_matches([' ', '\0'])) {
        ("application/pdf", _) | ("", "1.2.840.10008.5.1.4.1.1.104.1") => Some(Cow::Owned(empty_pdf())),
        ("text/xml", _) | ("", "1.2.840.10008.5.1.4.1.1.104.2") => Some(Cow::Borrowed(EMPTY_CDA.as_bytes())),
        _ => None,
    }
}

const EMPTY_CDA: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><component><structuredBody><component><section>",
    "<text>Removed by de-identification</text>",
    "</section></component></structuredBody></component></ClinicalDocument>"
);

/// One empty page, with the table of offsets that ISO 32000 7.5.4 asks for.
fn empty_pdf() -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut offsets = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
    }
    let table = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    for offset in offsets {
        out.push_str(&format!("{offset:010} 00000 n \n"));
    }
    out.push_str(&format!(
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n",
        objects.len() + 1
    ));
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::{DataElement, PrimitiveValue, VR};

    fn object(mime: &str) -> InMemDicomObject {
        InMemDicomObject::from_element_iter([DataElement::new(
            tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
            VR::LO,
            PrimitiveValue::from(mime),
        )])
    }

    #[test]
    fn an_empty_pdf_points_to_its_objects() {
        let pdf = String::from_utf8(blank(&object("application/pdf ")).unwrap().into_owned()).unwrap();
        let table = pdf.find("xref").unwrap();
        assert!(pdf.contains(&format!("startxref\n{table}\n")));
        for (index, line) in pdf
            .lines()
            .skip_while(|line| *line != "xref")
            .skip(3)
            .take(3)
            .enumerate()
        {
            let offset: usize = line.get(..10).unwrap().parse().unwrap();
            assert!(pdf.get(offset..).unwrap().starts_with(&format!("{} 0 obj", index + 1)));
        }
    }

    #[test]
    fn formats_without_an_empty_form_have_none() {
        assert!(blank(&object("text/XML")).is_some());
        assert!(blank(&object("model/stl")).is_none() && blank(&object("")).is_none());
    }
}
