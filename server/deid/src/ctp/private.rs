//! Which private elements CTP calls safe, and what they are.
//!
//! CTP keeps, under "keep safe private elements", what its own dictionary marks `K`. That dictionary is not ours to hand on.
//! What is built in are the elements that CTP was measured to keep; a site that has CTP also has the dictionary and can
//! hand it in ([`PrivateDictionary::parse`]). An element that neither knows goes, so less is kept than by CTP, never more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use dicom_core::VR;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::reference::Private;
use super::source::{Lines, ParseError};

/// A private element of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateEntry {
    /// The VR, if it is one.
    pub vr: Option<VR>,
    /// Whether "keep safe private elements" keeps it.
    pub safe: bool,
}

type Key = (u16, String, u8);

/// What is known of private elements.
#[derive(Debug, Default)]
pub struct PrivateDictionary {
    entries: HashMap<Key, PrivateEntry>,
    creators: HashSet<(u16, String)>,
    /// Whether elements that are not listed may still be in CTP's own dictionary.
    partial: bool,
}

impl PrivateDictionary {
    /// Returns what is built in.
    pub fn measured() -> Arc<Self> {
        static MEASURED: LazyLock<Arc<PrivateDictionary>> = LazyLock::new(|| {
            let mut dictionary = PrivateDictionary {
                partial: true,
                ..PrivateDictionary::default()
            };
            for line in include_str!("../../data/ctp_kept_private.csv").lines().skip(1) {
                let mut cells = line.split(',');
                let mut cell = || cells.next().unwrap_or_default();
                let (group, creator, element, vr) = (cell(), cell(), cell(), cell());
                dictionary.insert(group, creator, element, vr, true);
            }
            Arc::new(dictionary)
        });
        Arc::clone(&MEASURED)
    }

    /// Reads a dictionary in CTP's own XML form.
    ///
    /// # Errors
    /// When the text is not well-formed XML, or has a document type.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let lines = Lines::new(text);
        let mut reader = Reader::from_str(text);
        let mut dictionary = Self::default();
        loop {
            let at = lines.position(usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX));
            match reader.read_event() {
                Ok(Event::Start(element) | Event::Empty(element)) if element.name().as_ref() == b"element" => {
                    let mut cells: HashMap<Vec<u8>, String> = HashMap::new();
                    for attribute in element.attributes().flatten() {
                        if let Ok(value) = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0) {
                            cells.insert(attribute.key.as_ref().to_vec(), value.into_owned());
                        }
                    }
                    let cell = |name: &str| cells.get(name.as_bytes()).map_or("", String::as_str);
                    dictionary.insert(cell("gp"), cell("cr"), cell("el"), cell("vr"), cell("code") == "K");
                }
                Ok(Event::DocType(_)) => return Err(ParseError::new(at, "no document type", "<!DOCTYPE")),
                Ok(Event::Eof) => return Ok(dictionary),
                Ok(_) => {}
                Err(error) => return Err(ParseError::new(at, "well-formed XML", error.to_string())),
            }
        }
    }

    fn insert(&mut self, group: &str, creator: &str, element: &str, vr: &str, safe: bool) {
        let (Ok(group), Ok(element)) = (u16::from_str_radix(group, 16), u16::from_str_radix(element, 16)) else {
            return;
        };
        let creator = creator.to_uppercase();
        let entry = PrivateEntry {
            vr: vr.parse().ok(),
            safe,
        };
        let element = u8::try_from(element & 0xFF).unwrap_or_default();
        self.creators.insert((group, creator.clone()));
        self.entries.insert((group, creator, element), entry);
    }

    /// Returns what is known of an element.
    pub fn get(&self, group: u16, creator: &str, element: u8) -> Option<&PrivateEntry> {
        self.entries.get(&(group, creator.to_uppercase(), element))
    }

    /// Returns the VR under which CTP would read an element that the file gives as `vr`.
    pub(crate) fn vr(&self, private: &Private, vr: VR) -> Option<VR> {
        match self.get(private.group, &private.creator, private.element) {
            Some(entry) => entry.vr,
            None => {
                let creator = (private.group, private.creator.to_uppercase());
                (self.partial && self.creators.contains(&creator)).then_some(vr)
            }
        }
    }

    pub(crate) fn is_safe(&self, private: &Private) -> bool {
        self.get(private.group, &private.creator, private.element)
            .is_some_and(|entry| entry.safe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creators_are_compared_without_case() {
        let dictionary = PrivateDictionary::measured();
        assert!(
            dictionary
                .get(0x0009, "gems_iden_01", 0x04)
                .is_some_and(|entry| entry.safe)
        );
        assert!(dictionary.get(0x0009, "GEMS_IDEN_01", 0x27).is_none());
    }

    #[test]
    fn the_xml_form_is_read() {
        let text = r#"<dictionary><elements><element code="K" cr="Acme 1" el="11" gp="1001" vr="SH"/>
            <element code="X" cr="Acme 1" el="12" gp="1001" vr="QQ"/></elements></dictionary>"#;
        let dictionary = PrivateDictionary::parse(text).unwrap();
        assert_eq!(
            dictionary.get(0x1001, "ACME 1", 0x11),
            Some(&PrivateEntry {
                vr: Some(VR::SH),
                safe: true
            })
        );
        assert_eq!(
            dictionary.get(0x1001, "Acme 1", 0x12),
            Some(&PrivateEntry { vr: None, safe: false })
        );
        assert!(PrivateDictionary::parse("<!DOCTYPE x><a/>").is_err());
        assert!(PrivateDictionary::parse("<a").is_err());
    }
}
