//! What must hold for every input, whatever it is. The fuzz targets ask it, and so does the normal test run for the corpus.

use anteroom::framing::{Answers, Asked, Broken, Requests, Track};
use anteroom::pipeline::canonical;

/// What goes on in all of what arrives in these pieces, and why nothing more does.
fn run<'p>(track: &mut impl Track, pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<u8>, Option<Broken>) {
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let progress = track.advance(&held);
        passed.extend(held.drain(..progress.passed));
        if progress.broken.is_some() {
            return (passed, progress.broken);
        }
    }
    (passed, None)
}

/// The verdict does not depend on how the bytes were split, what passes is what came, and every request line that passes
/// names a target that the HTTP library takes.
pub(crate) fn framing(bytes: &[u8]) {
    let size = bytes.first().map_or(1, |first| usize::from(first % 7) + 1);
    let requests = || Requests::new(512);
    let whole = run(&mut requests(), [bytes]);
    for pieces in [1, size] {
        let split = run(&mut requests(), bytes.chunks(pieces));
        let early = |broken| matches!(broken, Some(Broken::Early)) || format!("{broken:?}").contains("Early");
        assert!(whole == split || (early(whole.1) && early(split.1)), "{whole:?} but {split:?}");
    }
    assert!(bytes.starts_with(&whole.0));
    if let Some(line) = whole.0.split(|byte| *byte == b'\r').next().filter(|line| !line.is_empty()) {
        let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        assert!(http::Uri::try_from(target).is_ok(), "{}", target.escape_ascii());
    }
    for asked in [Asked::Plain, Asked::Head, Asked::Upgrade] {
        let answers = || {
            let mut answers = Answers::new(512);
            answers.ask(asked);
            answers
        };
        let whole = run(&mut answers(), [bytes]);
        assert!(bytes.starts_with(&whole.0));
        for pieces in [1, size] {
            assert_eq!(whole, run(&mut answers(), bytes.chunks(pieces)));
        }
    }
}

/// What is canonical stays as it is, and holds nothing that a second reader takes for something else.
pub(crate) fn normalise(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // It must say something, whatever it is.
    let query = canonical::check_query(text);
    assert!(query.is_ok() || query.is_err_and(|why| !why.is_empty()));
    let Ok(once) = canonical::path(text) else { return };
    assert_eq!(canonical::path(&once).as_deref(), Ok(once.as_str()));
    // Forms that only a route can allow: what becomes of them is the policy's to judge.
    if once.contains("%2F") || once.contains("%25") || once.contains(';') {
        return;
    }
    let decoded = canonical::percent_decoded(&once).unwrap_or_else(|| panic!("{once} is not UTF-8"));
    for reading in [once.as_str(), decoded.as_str()] {
        assert!(
            reading.starts_with('/') && !reading.contains("//") && !reading.contains(['\\', ';', '\0']),
            "{reading}"
        );
        assert!(!reading.split('/').any(|segment| matches!(segment, "." | "..")), "{reading}");
    }
    assert_eq!(once.matches('/').count(), decoded.matches('/').count(), "{once}");
}
