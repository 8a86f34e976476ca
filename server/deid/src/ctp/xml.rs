//! The XML container: `p`, `e`, `k` and `r` below a root `script`.
//!
//! Document types are refused, and with them every entity but the five of XML and character references: a script comes from
//! outside.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::source::{Lines, ParseError, Sourced};

/// What an element of a script says, unchecked.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// `p`, `e`, `k` or `r`.
    pub(crate) kind: String,
    pub(crate) tag: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) text: Sourced,
    /// Offset of the element in the file.
    pub(crate) offset: usize,
}

pub(crate) fn entries(text: &str) -> Result<Vec<Entry>, ParseError> {
    Parser {
        text,
        lines: Lines::new(text),
        entries: Vec::new(),
        open: None,
        depth: 0,
        seen_root: false,
    }
    .run()
}

struct Parser<'a> {
    text: &'a str,
    lines: Lines<'a>,
    entries: Vec<Entry>,
    open: Option<Entry>,
    depth: usize,
    seen_root: bool,
}

impl Parser<'_> {
    fn fault(&self, offset: usize, expected: &str, found: impl Into<String>) -> ParseError {
        ParseError::new(self.lines.position(offset), expected, found)
    }

    fn run(mut self) -> Result<Vec<Entry>, ParseError> {
        let mut reader = Reader::from_str(self.text);
        reader.config_mut().expand_empty_elements = true;
        loop {
            let start = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            let event = reader.read_event().map_err(|error| {
                let at = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
                self.fault(at, "well-formed XML", error.to_string())
            })?;
            match event {
                Event::Start(element) => self.start(&element, start)?,
                Event::End(_) => self.end(),
                Event::Text(text) => {
                    let raw = text.decode().map_err(|_| self.fault(start, "UTF-8", "other bytes"))?;
                    self.chars(&raw, start)?;
                }
                Event::CData(data) => {
                    let raw = data.decode().map_err(|_| self.fault(start, "UTF-8", "other bytes"))?;
                    self.chars(&raw, start + "<![CDATA[".len())?;
                }
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref() {
                        Ok(Some(c)) => Some(c),
                        Ok(None) => match &*reference {
                            b"lt" => Some('<'),
                            b"gt" => Some('>'),
                            b"amp" => Some('&'),
                            b"quot" => Some('"'),
                            b"apos" => Some('\''),
                            _ => None,
                        },
                        Err(_) => None,
                    };
                    let expected = "one of the entities of XML or a character reference";
                    let c = character.ok_or_else(|| self.fault(start, expected, "another reference"))?;
                    if let Some(entry) = &mut self.open {
                        entry.text.push(c, start);
                    }
                }
                Event::DocType(_) => return Err(self.fault(start, "no document type", "<!DOCTYPE")),
                Event::Eof => break,
                _ => {}
            }
        }
        if !self.seen_root || self.depth > 0 {
            return Err(self.fault(self.text.len(), "</script>", "the end of the file"));
        }
        Ok(self.entries)
    }

    fn start(&mut self, element: &BytesStart<'_>, offset: usize) -> Result<(), ParseError> {
        self.depth += 1;
        let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
        if self.depth == 1 {
            if self.seen_root || name != "script" {
                return Err(self.fault(offset, "one root element `script`", format!("<{name}>")));
            }
            self.seen_root = true;
        }
        if self.depth == 2 && matches!(name.as_str(), "p" | "e" | "k" | "r") {
            let mut entry = Entry {
                kind: name,
                offset,
                ..Entry::default()
            };
            for attribute in element.attributes() {
                let attribute = attribute.map_err(|error| self.fault(offset, "attributes", error.to_string()))?;
                let value = attribute
                    .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                    .map_err(|error| self.fault(offset, "an attribute's value", error.to_string()))?;
                match attribute.key.as_ref() {
                    b"t" => entry.tag = value.into_owned(),
                    b"n" => entry.name = value.into_owned(),
                    b"en" => entry.enabled = value == "T",
                    _ => {}
                }
            }
            self.open = Some(entry);
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.depth == 2 {
            self.entries.extend(self.open.take());
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// Text of the element, and of elements inside it: CTP takes all of it.
    fn chars(&mut self, raw: &str, offset: usize) -> Result<(), ParseError> {
        if let Some(entry) = &mut self.open {
            let mut chars = raw.char_indices().peekable();
            while let Some((at, c)) = chars.next() {
                // Ends of lines are one line feed, XML 1.0 2.11.
                let c = match c {
                    '\r' if chars.peek().is_some_and(|(_, next)| *next == '\n') => continue,
                    '\r' => '\n',
                    c => c,
                };
                entry.text.push(c, offset + at);
            }
        } else if self.depth == 0 && !raw.trim_start_matches('\u{FEFF}').trim().is_empty() {
            return Err(self.fault(offset, "a root element `script`", super::source::excerpt(raw.trim())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_text_and_its_place() {
        let text = "<script>\n <p t=\"A\"> 1 </p>\n <e en=\"T\" t=\"00100010\" n=\"N\">a&lt;<![CDATA[b<]]>&#65;</e>\n <x/></script>";
        let entries = entries(text).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].text.text, " 1 ");
        assert_eq!(entries[1].text.text, "a<b<A");
        assert_eq!(&text[entries[1].text.offset(2)..][..1], "b");
        assert!(entries[1].enabled && !entries[0].enabled);
    }

    #[test]
    fn what_is_no_script_says_where() {
        for (text, line) in [
            ("<script>\n<e></script>", 2),
            ("<!DOCTYPE script><script/>", 1),
            ("<script>\n\n<p t=\"A\">&nbsp;</p></script>", 3),
            ("<scripts/>", 1),
            ("<script>", 1),
            ("<script/><script/>", 1),
            ("<script/>x", 1),
            ("", 1),
        ] {
            assert_eq!(entries(text).unwrap_err().line, line, "{text}");
        }
    }
}
