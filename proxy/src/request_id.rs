//! The id of a request: in the answer, the log, the record, and told to the application.
//!
//! It decides nothing and is no secret; it is unique in a process, and between processes by 64 random bits.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    process: u64,
    number: u64,
}

impl RequestId {
    /// A number that is spread evenly over all numbers and that no client chooses: what is drawn by it is drawn once.
    pub(crate) fn draw(self) -> u64 {
        spread(self.number ^ self.process.rotate_left(16))
    }
}

impl RequestId {
    /// Its 16 bytes.
    pub(crate) fn bytes(self) -> [u8; 16] {
        (u128::from(self.process) << 64 | u128::from(self.number)).to_be_bytes()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}{:016x}", self.process, self.number)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Hands out ids.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// `process` tells this process from others: 64 random bits.
    pub fn new(process: u64) -> Self {
        Self { process, next: AtomicU64::new(0) }
    }

    /// The next id. Neighbours share no digits to speak of, so that a person can tell two apart by their ends.
    pub fn next(&self) -> RequestId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId { process: self.process, number: spread(count ^ self.process.rotate_left(32)) }
    }
}

/// A bijection on 64 bits (the finalizer of SplitMix64, Steele et al. 2014), so that no two counts give one number.
fn spread(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_different_and_32_digits() {
        let ids = RequestIds::new(7);
        let mut seen: Vec<String> = (0..10_000).map(|_| ids.next().to_string()).collect();
        assert!(seen.iter().all(|id| id.len() == 32));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 10_000);
    }
}
