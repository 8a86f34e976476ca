//! Pixel scripts: signatures of devices, and the regions that each blanks.
//!
//! Free text, then `{ filter }` and any number of `(x,y,width,height)`; what stands between is passed over. The first
//! signature that holds for an object wins. This is the parser; what is done with the regions is not decided here.

use super::apply::Object;
use super::filter::Filter;
use super::source::{Lines, ParseError, excerpt};
use super::{Mode, java};

/// A rectangle as a script says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptRegion {
    /// Left column; negative counts from the right.
    pub x: i32,
    /// Top row; negative counts from the bottom.
    pub y: i32,
    /// Columns.
    pub width: i32,
    /// Rows.
    pub height: i32,
}

impl ScriptRegion {
    /// Returns the region in an image as left, top, width and height; `None` where none of it is in the image.
    ///
    /// CTP blanks one row and one column more than it is told to; in compatible mode so does the region.
    pub fn in_image(&self, rows: u32, columns: u32, mode: Mode) -> Option<(u32, u32, u32, u32)> {
        let more = i64::from(mode == Mode::Compat);
        let span = |start: i32, length: i32, size: u32| {
            let size = i64::from(size);
            let start = i64::from(start);
            let start = if start < 0 { (start + size).max(0) } else { start };
            let length = i64::from(length).min(size - start);
            let end = (start + length + more).min(size);
            (length >= 0 && end > start)
                .then(|| Some((u32::try_from(start).ok()?, u32::try_from(end - start).ok()?)))
                .flatten()
        };
        let (x, width) = span(self.x, self.width, columns)?;
        let (y, height) = span(self.y, self.height, rows)?;
        Some((x, y, width, height))
    }
}

/// A device and its regions.
#[derive(Debug)]
pub struct Signature {
    filter: Filter,
    regions: Vec<ScriptRegion>,
    line: u32,
}

impl Signature {
    /// Returns the line of the script.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Returns the regions in the order of the script.
    pub fn regions(&self) -> &[ScriptRegion] {
        &self.regions
    }

    /// Returns whether the signature holds for an object.
    pub fn matches(&self, object: &Object<'_>) -> bool {
        self.filter.matches(object)
    }
}

/// A pixel script.
#[derive(Debug, Default)]
pub struct PixelScript {
    signatures: Vec<Signature>,
}

impl PixelScript {
    /// Reads a pixel script; a signature that is no filter and a region that is none are errors.
    ///
    /// # Errors
    /// At the first such place.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::read(text, true)
    }

    /// Reads a pixel script as CTP does: a signature that is no filter never holds, regions that are none are passed over.
    pub fn parse_compat(text: &str) -> Self {
        Self::read(text, false).unwrap_or_default()
    }

    /// Returns the signatures in the order of the script.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Returns the first signature that holds for an object.
    pub fn signature_of(&self, object: &Object<'_>) -> Option<&Signature> {
        self.signatures.iter().find(|signature| signature.matches(object))
    }

    fn read(text: &str, strict: bool) -> Result<Self, ParseError> {
        let lines = Lines::new(text);
        let mut signatures = Vec::new();
        let mut at = 0;
        while let Some(open) = text.get(at..).and_then(|rest| rest.find('{')).map(|found| at + found) {
            let Some(close) = text
                .get(open..)
                .and_then(|rest| rest.find('}'))
                .map(|found| open + found)
            else {
                if strict {
                    return Err(ParseError::new(
                        lines.position(open),
                        "`}` after the signature",
                        "the end",
                    ));
                }
                break;
            };
            let filter = text.get(open + 1..close).unwrap_or_default();
            let filter = if strict {
                Filter::parse(filter).map_err(|error| moved(error, lines.position(open + 1)))?
            } else {
                Filter::parse_compat(filter)
            };
            at = close + 1;
            let end = text
                .get(at..)
                .and_then(|rest| rest.find('{'))
                .map_or(text.len(), |found| at + found);
            let between = text.get(at..end).unwrap_or_default();
            let mut regions = Vec::new();
            for (offset, region) in parentheses(between) {
                match region_of(region) {
                    Some(region) => regions.push(region),
                    None if strict => {
                        let place = lines.position(at + offset);
                        return Err(ParseError::new(place, "(x,y,width,height)", excerpt(region)));
                    }
                    None => regions.extend(lenient_region(region)),
                }
            }
            signatures.push(Signature {
                filter,
                regions,
                line: lines.position(open).line,
            });
            at = end;
        }
        Ok(Self { signatures })
    }
}

fn moved(mut error: ParseError, to: super::source::Position) -> ParseError {
    if error.line == 1 {
        error.column += to.column - 1;
    }
    error.line += to.line - 1;
    error
}

/// Returns what stands in parentheses, with its offset.
fn parentheses(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| rest.find('(')).map(|open| at + open) {
        let Some(close) = text
            .get(open..)
            .and_then(|rest| rest.find(')'))
            .map(|close| open + close)
        else {
            break;
        };
        found.push((open, text.get(open + 1..close).unwrap_or_default()));
        at = close + 1;
    }
    found
}

fn region_of(text: &str) -> Option<ScriptRegion> {
    let numbers: Option<Vec<i32>> = text.split(',').map(|part| java::parse_int(java::trim(part))).collect();
    match numbers?.as_slice() {
        [x, y, width, height] if *width >= 0 && *height >= 0 => Some(ScriptRegion {
            x: *x,
            y: *y,
            width: *width,
            height: *height,
        }),
        _ => None,
    }
}

/// CTP reads what is no number as 0.
fn lenient_region(text: &str) -> Option<ScriptRegion> {
    let parts = java::split(text, ',');
    let numbers: Vec<i32> = parts
        .iter()
        .map(|part| java::parse_int(java::trim(part)).unwrap_or(0))
        .collect();
    match numbers.as_slice() {
        [x, y, width, height] => Some(ScriptRegion {
            x: *x,
            y: *y,
            width: *width,
            height: *height,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Free text (1,2,3,4) is ignored.\n{ Modality.equals(\"CT\") } a (10,20,30,40) b (-20, -10,100,100)\n\
        { true. }\n(0,0,9,9)";

    #[test]
    fn signatures_have_regions_and_lines() {
        let script = PixelScript::parse(TEXT).unwrap();
        let found: Vec<(u32, usize)> = script
            .signatures()
            .iter()
            .map(|s| (s.line(), s.regions().len()))
            .collect();
        assert_eq!(found, [(2, 2), (3, 1)]);
        assert_eq!(PixelScript::parse_compat(TEXT).signatures().len(), 2);
    }

    #[test]
    fn regions_count_from_either_side_and_are_cut() {
        let region = |x, y, width, height| ScriptRegion { x, y, width, height };
        let at = |region: ScriptRegion, mode| region.in_image(128, 128, mode);
        assert_eq!(at(region(0, 0, 9, 9), Mode::Compat), Some((0, 0, 10, 10)));
        assert_eq!(at(region(0, 0, 9, 9), Mode::Strict), Some((0, 0, 9, 9)));
        assert_eq!(at(region(-20, -10, 100, 100), Mode::Compat), Some((108, 118, 20, 10)));
        assert_eq!(at(region(-500, 0, 5, 5), Mode::Strict), Some((0, 0, 5, 5)));
        assert_eq!(at(region(128, 0, 5, 5), Mode::Strict), None);
        assert_eq!(at(region(i32::MAX, 0, i32::MAX, 5), Mode::Compat), None);
        assert_eq!(at(region(1, 1, 1, 0), Mode::Compat), Some((1, 1, 2, 1)));
    }

    #[test]
    fn faults_say_where() {
        let error = PixelScript::parse("x\n{ Modality.equals(CT) } (1,2,3,4)").unwrap_err();
        assert_eq!((error.line, error.column), (2, 19));
        assert_eq!(PixelScript::parse("{ true. }\n (1,2,3)").unwrap_err().line, 2);
        assert!(PixelScript::parse("{ true. ").is_err());
        assert!(
            PixelScript::parse_compat("{ true. } (1,2,3) (a,2,3,4) { x").signatures()[0]
                .regions()
                .len()
                == 1
        );
    }
}
