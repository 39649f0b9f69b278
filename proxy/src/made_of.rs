//! One digest over several parts, each led by its length, so that no two lists of parts share one by where they are cut.
//!
//! It decides nothing. It is no secret's keeper: what is told by a digest of few possible parts can be guessed.

use aws_lc_rs::digest;

/// SHA-256 over what was added so far.
pub(crate) struct MadeOf(digest::Context);

impl MadeOf {
    /// Of nothing.
    pub(crate) fn begin() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Of all these, in this order.
    pub(crate) fn all<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> [u8; 32] {
        let mut made_of = Self::begin();
        for part in parts {
            made_of.add(part.as_ref());
        }
        made_of.end()
    }

    /// One more part.
    pub(crate) fn add(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    /// The digest.
    pub(crate) fn end(self) -> [u8; 32] {
        let mut sum = [0; 32];
        sum.iter_mut().zip(self.0.finish().as_ref()).for_each(|(to, from)| *to = *from);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_parts_are_cut_counts() {
        assert_eq!(MadeOf::all(["a", "bc"]), MadeOf::all(["a", "bc"]));
        for other in [&["ab", "c"][..], &["abc"], &["bc", "a"], &["a", "bc", ""]] {
            assert_ne!(MadeOf::all(["a", "bc"]), MadeOf::all(other), "{other:?}");
        }
    }
}
