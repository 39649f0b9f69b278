//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`, 2020): the client's address before the first byte
//! of TLS.
//!
//! Decides what a named sender says. It never reads a byte beyond the header, never guesses, and knows no default: what is
//! not a whole, well-formed header is a fault, and the connection ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What every header of version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of version 2.
const FIXED: usize = 16;
/// The most that version 2 may bring behind its fixed part: addresses and TLVs. The text asks for at least 520.
const LONGEST: usize = 4 * 1024;
/// The shortest and the longest line of version 1, with its line end.
const LINE: std::ops::RangeInclusive<usize> = "PROXY UNKNOWN\r\n".len()..=107;
/// The type of the TLV that holds a checksum (CRC32c) of the whole header.
const CHECKSUM: u8 = 3;

/// Who is behind a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// This client.
    Client(IpAddr),
    /// The sender itself, such as its health checks (`LOCAL`, `UNKNOWN`).
    Sender,
}

/// How far a header is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// At least so many more bytes belong to it.
    More(usize),
    /// That was all of it.
    Done(Behind),
}

/// Reads one header, exactly.
///
/// # Errors
/// The socket's; `InvalidData` where it is no header.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Behind> {
    let mut header = Vec::with_capacity(128);
    loop {
        match progress(&header).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))? {
            Progress::Done(behind) => return Ok(behind),
            Progress::More(bytes) => {
                let have = header.len();
                header.resize(have.saturating_add(bytes), 0);
                let (_, missing) = header.split_at_mut_checked(have).unwrap_or_default();
                stream.read_exact(missing).await?;
            }
        }
    }
}

/// What the bytes so far say. Asks for no byte that may not belong to the header.
fn progress(bytes: &[u8]) -> Result<Progress, &'static str> {
    // Both begin differently with the first byte, and neither is shorter than the shortest line.
    let Some(missing) = LINE.start().checked_sub(bytes.len()).filter(|missing| *missing > 0) else {
        return if bytes.starts_with(b"PROXY ") { line(bytes) } else { binary(bytes) };
    };
    Ok(Progress::More(missing))
}

/// Version 1: a line of text.
fn line(bytes: &[u8]) -> Result<Progress, &'static str> {
    let Some(text) = bytes.strip_suffix(b"\n") else {
        return if bytes.len() < *LINE.end() { Ok(Progress::More(1)) } else { Err("the line is too long") };
    };
    let text = text.strip_suffix(b"\r").and_then(|text| str::from_utf8(text).ok()).ok_or("the line is malformed")?;
    let mut words = text.split(' ').skip(1);
    let behind = match words.next() {
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => return Ok(Progress::Done(Behind::Sender)),
        Some("TCP4") => pair::<Ipv4Addr>(&mut words).map(IpAddr::V4),
        Some("TCP6") => pair::<Ipv6Addr>(&mut words).map(IpAddr::V6),
        _ => None,
    };
    let client = behind.filter(|_| words.next().is_none()).ok_or("the line is malformed")?;
    Ok(Progress::Done(Behind::Client(client.to_canonical())))
}

/// Two addresses and two ports; the first address is the client's.
fn pair<'a, A: std::str::FromStr>(words: &mut impl Iterator<Item = &'a str>) -> Option<A> {
    let client = words.next()?.parse().ok()?;
    words.next()?.parse::<A>().ok()?;
    for _ in 0..2 {
        let port = words.next()?;
        let canonical = port == "0" || !port.starts_with('0');
        if !canonical || !port.bytes().all(|byte| byte.is_ascii_digit()) || port.parse::<u16>().is_err() {
            return None;
        }
    }
    Some(client)
}

/// Version 2: a fixed part, addresses, TLVs.
fn binary(bytes: &[u8]) -> Result<Progress, &'static str> {
    let signed = bytes.get(..SIGNATURE.len()).is_some_and(|start| start == SIGNATURE);
    if !signed {
        return Err("no header of the PROXY protocol");
    }
    let Some((&[.., command, family, high, low], rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Progress::More(FIXED.saturating_sub(bytes.len())));
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err("the header is too long");
    }
    match length.checked_sub(rest.len()) {
        Some(0) => {}
        Some(missing) => return Ok(Progress::More(missing)),
        None => return Err("more than the header was read"),
    }
    let (client, tlvs) = match (command, family) {
        // LOCAL: the rest is to be ignored, whatever it is.
        (0x20, _) => return Ok(Progress::Done(Behind::Sender)),
        // PROXY, without an address.
        (0x21, 0x00) => (Behind::Sender, rest),
        (0x21, 0x11) => {
            let (addresses, tlvs) = rest.split_first_chunk::<12>().ok_or("the addresses are cut off")?;
            let [a, b, c, d, ..] = *addresses;
            (Behind::Client(IpAddr::V4(Ipv4Addr::new(a, b, c, d))), tlvs)
        }
        (0x21, 0x21) => {
            let (addresses, tlvs) = rest.split_first_chunk::<36>().ok_or("the addresses are cut off")?;
            let (six, _) = addresses.split_first_chunk::<16>().ok_or("the addresses are cut off")?;
            (Behind::Client(IpAddr::V6(Ipv6Addr::from(*six)).to_canonical()), tlvs)
        }
        _ => return Err("neither TCP over IPv4 nor over IPv6"),
    };
    check_tlvs(bytes, tlvs)?;
    Ok(Progress::Done(client))
}

/// TLVs are passed over, but they must be whole, and a checksum must be right.
fn check_tlvs(whole: &[u8], tlvs: &[u8]) -> Result<(), &'static str> {
    let mut rest = tlvs;
    while !rest.is_empty() {
        let (&[kind, high, low], behind) = rest.split_first_chunk::<3>().ok_or("a TLV is cut off")?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, next) = behind.split_at_checked(length).ok_or("a TLV is cut off")?;
        if kind == CHECKSUM {
            let told: [u8; 4] = value.try_into().map_err(|_| "the checksum is malformed")?;
            let before = whole.len().saturating_sub(behind.len());
            let (start, end) = whole.split_at_checked(before).ok_or("the checksum is malformed")?;
            let summed = start.iter().chain(&[0; 4]).chain(end.iter().skip(4));
            if crc32c(summed) != u32::from_be_bytes(told) {
                return Err("the checksum is wrong");
            }
        }
        rest = next;
    }
    Ok(())
}

/// CRC32c (RFC 9260, appendix A), bit by bit: it is computed once a connection, over some hundred bytes.
fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    let all = bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 })
    });
    !all
}

#[cfg(test)]
#[path = "proxy_protocol_tests.rs"]
mod tests;
