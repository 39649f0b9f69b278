//! What counts as a header, byte by byte, and that none is read beyond its end.

use super::*;

const TCP4: [u8; 12] = [203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x34, 1, 0xbb];

/// A header of version 2.
fn two(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// A header with a checksum that is `off` from the right one.
fn summed(off: u32) -> Vec<u8> {
    let mut header = two(0x21, 0x11, &[&TCP4[..], &tlv(4, b"noop"), &tlv(CHECKSUM, &[0; 4]), &tlv(1, b"h2")].concat());
    let sum = crc32c(header.iter()).wrapping_add(off).to_be_bytes();
    let at = FIXED + 12 + 7 + 3;
    header[at..at + 4].copy_from_slice(&sum);
    header
}

/// Reads a header from a socket on which TLS follows: what it says, and how many bytes were taken.
async fn taken(bytes: &[u8]) -> (io::Result<Behind>, usize) {
    let behind = b"\x16\x03\x01 the client's hello, longer than any header's fixed part";
    let all = [bytes, behind].concat();
    let mut rest = &all[..];
    let read = read(&mut rest).await;
    (read, all.len() - rest.len())
}

fn client(text: &str) -> Behind {
    Behind::Client(text.parse().unwrap())
}

#[tokio::test]
async fn a_header_is_read_to_its_last_byte_and_no_further() {
    let six: Vec<u8> = ["2001:db8::9", "2001:db8::1"]
        .iter()
        .flat_map(|text| text.parse::<Ipv6Addr>().unwrap().octets())
        .chain([0, 1, 0, 2])
        .collect();
    let mapped: Vec<u8> =
        "::ffff:203.0.113.9".parse::<Ipv6Addr>().unwrap().octets().into_iter().chain([0; 20]).collect();
    for (header, behind) in [
        (b"PROXY UNKNOWN\r\n".to_vec(), Behind::Sender),
        (b"PROXY UNKNOWN whatever 1 2\r\n".to_vec(), Behind::Sender),
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n".to_vec(), client("203.0.113.9")),
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 0 0\r\n".to_vec(), client("1.1.1.1")),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 65535 1\r\n".to_vec(), client("2001:db8::9")),
        (b"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 1\r\n".to_vec(), client("203.0.113.9")),
        (two(0x20, 0x00, b""), Behind::Sender),
        (two(0x20, 0xff, b"ignored"), Behind::Sender),
        (two(0x21, 0x00, b""), Behind::Sender),
        (two(0x21, 0x11, &TCP4), client("203.0.113.9")),
        (two(0x21, 0x21, &six), client("2001:db8::9")),
        (two(0x21, 0x21, &mapped), client("203.0.113.9")),
        (two(0x21, 0x11, &[&TCP4[..], &tlv(2, b"clinic.example")].concat()), client("203.0.113.9")),
        (two(0x21, 0x11, &[&TCP4[..], &tlv(0xe0, &[7; LONGEST - 15])].concat()), client("203.0.113.9")),
        (summed(0), client("203.0.113.9")),
    ] {
        let (read, bytes) = taken(&header).await;
        assert_eq!((read.unwrap(), bytes), (behind, header.len()), "{header:?}");
    }
}

#[tokio::test]
async fn what_is_no_header_is_a_fault() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    for header in [
        // TLS, HTTP and nothing at all.
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello and so on"[..],
        b"GET / HTTP/1.1\r\nhost: clinic.example\r\n\r\n",
        // Version 1.
        long.as_bytes(),
        b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        b"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 02\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 +2\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
        b"PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"PROXY TCP4 \xff 2.2.2.2 1 2 and more\r\n",
        // Version 2.
        &two(0x11, 0x11, &TCP4),
        &two(0x22, 0x11, &TCP4),
        &two(0x21, 0x12, &TCP4),
        &two(0x21, 0x31, &[0; 216]),
        &two(0x21, 0x11, &TCP4[..11]),
        &two(0x21, 0x21, &[0; 35]),
        &two(0x21, 0x11, &[&TCP4[..], &[2, 0]].concat()),
        &two(0x21, 0x11, &[&TCP4[..], &[2, 0, 5, 1, 1]].concat()),
        &two(0x21, 0x11, &[&TCP4[..], &tlv(CHECKSUM, &[0; 3])].concat()),
        &two(0x21, 0x11, &vec![0; LONGEST + 1]),
        &summed(1),
    ] {
        let (read, _) = taken(header).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData, "{}", String::from_utf8_lossy(header));
    }
}

#[tokio::test]
async fn a_header_that_ends_early_is_a_fault() {
    for whole in [two(0x21, 0x11, &TCP4), b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n".to_vec()] {
        for end in 0..whole.len() {
            let mut rest = &whole[..end];
            assert_eq!(read(&mut rest).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
    }
}

#[test]
fn the_checksum_is_crc32c() {
    assert_eq!(crc32c(b"123456789".iter()), 0xe306_9283);
}

#[tokio::test]
async fn mutated_headers_never_panic_and_never_read_too_far() {
    let starts = [two(0x21, 0x11, &TCP4), summed(0), b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n".to_vec()];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).unwrap()
    };
    for round in 0..30_000 {
        let mut header = starts[round % starts.len()].clone();
        for _ in 0..=next() % 3 {
            let at = next() % header.len();
            header[at] = u8::try_from(next() % 256).unwrap();
        }
        header.extend([0xaa; 64]);
        let mut rest = &header[..];
        if read(&mut rest).await.is_ok() && header.starts_with(&SIGNATURE) {
            let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
            assert_eq!(header.len() - rest.len(), FIXED + length);
        }
    }
}
