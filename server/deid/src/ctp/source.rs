//! Positions in a script file, kept through unescaping, so that a fault is told by line and column.

/// Why a text is not a script, a filter or a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
#[non_exhaustive]
pub struct ParseError {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl ParseError {
    pub(crate) fn new(at: Position, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            line: at.line,
            column: at.column,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// Finds positions by byte offset.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or_default().char_indices();
        let before = rest.take_while(|(at, _)| start + at < offset).count();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: number(line),
            column: number(before + 1),
        }
    }
}

/// Text that was taken out of a file, with the offset in the file of each of its characters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sourced {
    pub(crate) text: String,
    /// One offset for each byte of `text`.
    offsets: Vec<u32>,
}

impl Sourced {
    pub(crate) fn push(&mut self, c: char, offset: usize) {
        self.text.push(c);
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        self.offsets.resize(self.text.len(), offset);
    }

    pub(crate) fn push_str(&mut self, text: &str, offset: usize) {
        for (at, c) in text.char_indices() {
            self.push(c, offset + at);
        }
    }

    /// Takes a text that is its own file.
    pub(crate) fn verbatim(text: &str) -> Self {
        let mut sourced = Self::default();
        sourced.push_str(text, 0);
        sourced
    }

    /// Returns the offset in the file of a byte of the text; just behind the last one, if beyond the end.
    pub(crate) fn offset(&self, at: usize) -> usize {
        match (self.offsets.get(at), self.offsets.last()) {
            (Some(offset), _) => *offset as usize,
            (None, Some(last)) => *last as usize + 1,
            (None, None) => 0,
        }
    }

    /// Returns the text without characters up to U+0020 at both ends.
    pub(crate) fn trimmed(&self) -> Self {
        let start = self.text.len() - self.text.trim_start_matches(|c: char| c <= ' ').len();
        let text = super::java::trim(&self.text).to_owned();
        let offsets = self.offsets.get(start..start + text.len()).unwrap_or_default().to_vec();
        Self { text, offsets }
    }
}

/// Shows a bit of a script in a message: one line, short.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(24)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if shown.is_empty() {
        return "the end".to_owned();
    }
    if text.chars().count() > 24 {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let lines = Lines::new("äb\ncd");
        assert_eq!(lines.position(0), Position::START);
        assert_eq!(lines.position(2), Position { line: 1, column: 2 });
        assert_eq!(lines.position(5), Position { line: 2, column: 2 });
        assert_eq!(lines.position(99).line, 2);
    }

    #[test]
    fn trimmed_text_keeps_its_offsets() {
        let text = Sourced::verbatim("  ab ").trimmed();
        assert_eq!((text.text.as_str(), text.offset(0), text.offset(1)), ("ab", 2, 3));
    }
}
