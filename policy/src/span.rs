//! Where something was written: the files read, and byte ranges in them.
//!
//! Holds the texts that diagnostics draw from. It never opens a file: whoever reads one hands its name and text over.

/// One of the files of a [`Sources`], by its place in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

impl FileId {
    /// The place in its `Sources`, for handing it through serde.
    pub(crate) fn index(self) -> u32 {
        self.0
    }

    /// The inverse of [`index`](Self::index).
    pub(crate) fn from_index(index: u32) -> Self {
        Self(index)
    }
}

/// A range of bytes in one file: `start` is the first byte, `end` the one after the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Span {
    /// The file that the bytes are counted in.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset of the byte after the last.
    pub end: usize,
}

impl Span {
    /// The place of what nobody wrote, such as a default: in no file.
    pub const NOWHERE: Self = Self { file: FileId(u32::MAX), start: 0, end: 0 };

    /// The part of this span that `range` names, counted in bytes from its start and cut at its end.
    ///
    /// For a fault inside a scalar, such as one word of an expression. Exact for plain text on one line; a quoted
    /// scalar begins with its quote.
    #[must_use]
    pub fn within(self, range: std::ops::Range<usize>) -> Self {
        let start = self.start.saturating_add(range.start).min(self.end);
        let end = self.start.saturating_add(range.end).clamp(start, self.end);
        Self { file: self.file, start, end }
    }
}

/// The names and texts of the files read so far.
///
/// Grows with each [`add`](Self::add) and is bounded only by what its owner hands in; [`parse_tree`](crate::parse_tree)
/// refuses a file over 1 MiB.
#[derive(Default, Debug, Clone)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Debug, Clone)]
struct Source {
    name: String,
    text: String,
    /// The offset at which each line starts; the first is 0.
    lines: Vec<usize>,
}

impl Sources {
    /// Keeps a file. `name` is what diagnostics call it, normally its path as the user gave it.
    ///
    /// A byte order mark at its beginning is dropped: it belongs to no line and no column.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let mut text: String = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at.saturating_add(1))).collect();
        self.files.push(Source { name: name.into(), text, lines });
        FileId(u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX))
    }

    /// The name of a file; empty for a file of another `Sources`.
    #[must_use]
    pub fn name(&self, file: FileId) -> &str {
        self.source(file).map_or("", |source| source.name.as_str())
    }

    /// The text of a file; empty for a file of another `Sources`.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.source(file).map_or("", |source| source.text.as_str())
    }

    /// The text that a span covers; empty when the span does not fit the file.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.start..span.end).unwrap_or("")
    }

    /// Line and column of a span's first character, both counted from 1, the column in characters.
    #[must_use]
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        self.position(span.file, span.start)
    }

    /// Line and column of any byte of a file, as in [`line_column`](Self::line_column).
    pub(crate) fn position(&self, file: FileId, at: usize) -> (usize, usize) {
        let Some(source) = self.source(file) else { return (1, 1) };
        let line = source.lines.partition_point(|start| *start <= at).max(1);
        let start = source.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let at = source.text.floor_char_boundary(at).max(start);
        let before = source.text.get(start..at).unwrap_or("");
        (line, before.chars().count().saturating_add(1))
    }

    /// The offset of a line and column, both counted from 1, the column in characters; the last of its line when
    /// the line is shorter.
    pub(crate) fn offset(&self, file: FileId, line: usize, column: usize) -> usize {
        let Some(source) = self.source(file) else { return 0 };
        let start = source.lines.get(line.saturating_sub(1)).copied().unwrap_or(source.text.len());
        let (_, text) = self.line(file, start);
        let within = text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        start.saturating_add(within)
    }

    /// The line that holds byte `at`: its offset and its text without the line end.
    pub(crate) fn line(&self, file: FileId, at: usize) -> (usize, &str) {
        let Some(source) = self.source(file) else { return (0, "") };
        let next = source.lines.partition_point(|start| *start <= at).max(1);
        let start = source.lines.get(next.saturating_sub(1)).copied().unwrap_or(0);
        let end = source.lines.get(next).copied().unwrap_or(source.text.len());
        let line = source.text.get(start..end).unwrap_or("");
        (start, line.trim_end_matches(['\n', '\r']))
    }

    fn source(&self, file: FileId) -> Option<&Source> {
        self.files.get(usize::try_from(file.0).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(sources: &Sources, file: FileId, start: usize) -> (usize, usize) {
        sources.line_column(Span { file, start, end: start })
    }

    #[test]
    fn lines_and_columns_are_counted_from_one_and_in_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "a: 1\nü: 2\n");
        assert_eq!(place(&sources, file, 0), (1, 1));
        assert_eq!(place(&sources, file, 3), (1, 4));
        assert_eq!(place(&sources, file, 5), (2, 1));
        assert_eq!(place(&sources, file, 7), (2, 2), "ü is two bytes and one column");
        assert_eq!(place(&sources, file, 6), (2, 1), "inside a character counts as its start");
        assert_eq!(place(&sources, file, 11), (3, 1));
        assert_eq!(place(&sources, file, 999), (3, 1));
    }

    #[test]
    fn a_line_comes_without_its_end() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "one\r\ntwo\n\nfour");
        assert_eq!(sources.line(file, 1), (0, "one"));
        assert_eq!(sources.line(file, 5), (5, "two"));
        assert_eq!(sources.line(file, 9), (9, ""));
        assert_eq!(sources.line(file, 10), (10, "four"));
        assert_eq!(sources.line(file, 99), (10, "four"));
    }

    #[test]
    fn an_offset_is_the_inverse_of_a_line_and_column() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "\u{feff}one\nü: 2\n");
        assert_eq!(sources.text(file), "one\nü: 2\n");
        for at in [0, 2, 4, 6, 8] {
            let (line, column) = place(&sources, file, at);
            assert_eq!(sources.offset(file, line, column), at);
        }
        assert_eq!((sources.offset(file, 1, 99), sources.offset(file, 99, 1)), (3, 10));
    }

    #[test]
    fn a_foreign_file_has_no_text() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "one");
        let other = Sources::default();
        assert_eq!((other.name(file), other.text(file), place(&other, file, 2)), ("", "", (1, 1)));
    }

    #[test]
    fn a_span_within_stays_within() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "abcdef");
        let span = Span { file, start: 2, end: 5 };
        assert_eq!(span.within(1..2), Span { file, start: 3, end: 4 });
        assert_eq!(span.within(1..99), Span { file, start: 3, end: 5 });
        assert_eq!(span.within(7..9), Span { file, start: 5, end: 5 });
        assert_eq!(sources.slice(span), "cde");
    }
}
