//! The client's address, as named senders tell it in a header.
//!
//! Decides whose address is limited, recorded, judged and told to the application. It believes a header only where the
//! peer is a named sender, and reads it from the right: a sender appends what it saw, so whatever stands left of the first
//! address that is not a sender's was written by the client and is never looked at.
//!
//! A word that cannot be read, where it has to be, is a refusal and not the peer's address: under that one all clients of
//! the sender would share a limit, and the record would name the wrong one. A sender that tells nothing at all is
//! itself the client, as with its own health checks.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderName};

use crate::network::Networks;
use crate::rejection::Rejection;
use crate::runtime::{ClientAddress, ForwardingHeader};

/// The address of the client of a request that came over a connection of `peer`.
///
/// # Errors
/// `BAD_HEADER` where a named sender's header cannot be read.
pub(super) fn of(rules: &ClientAddress, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Rejection> {
    match rules {
        // With the PROXY protocol the connection's peer is the client already.
        ClientAddress::Peer | ClientAddress::ProxyProtocol { .. } => Ok(peer),
        ClientAddress::Header { .. } if headers.is_empty() => Ok(peer),
        ClientAddress::Header { header, sent_by } if sent_by.hold(peer) => told(*header, sent_by, peer, headers),
        ClientAddress::Header { .. } => Ok(peer),
    }
}

fn told(header: ForwardingHeader, sent_by: &Networks, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Rejection> {
    let name = HeaderName::from_static(match header {
        ForwardingHeader::XForwardedFor => "x-forwarded-for",
        ForwardingHeader::Forwarded => "forwarded",
    });
    let mut client = peer;
    // Several lines are one list (RFC 9110, section 5.3).
    for line in headers.get_all(name).iter().rev() {
        let line = line.to_str().map_err(|_| Rejection::BadHeader("the sender's word on the client is no text"))?;
        for element in FromTheRight::of(line, header) {
            let element = element.ok_or(Rejection::BadHeader("the sender's word on the client has an open quote"))?;
            let address = match header {
                ForwardingHeader::XForwardedFor => node(element),
                ForwardingHeader::Forwarded => forwarded_for(element),
            };
            client = address.ok_or(Rejection::BadHeader("the sender's word on the client is no address"))?;
            if !sent_by.hold(client) {
                return Ok(client);
            }
        }
    }
    // Senders all the way: the first of them asked.
    Ok(client)
}

/// The elements of a list, the last one first, without the blanks around them. `None` stands for one that cannot be told
/// from its neighbours.
struct FromTheRight<'h> {
    rest: Option<&'h str>,
    quoted: bool,
}

impl<'h> FromTheRight<'h> {
    fn of(line: &'h str, header: ForwardingHeader) -> Self {
        Self { rest: Some(line), quoted: header == ForwardingHeader::Forwarded }
    }
}

impl<'h> Iterator for FromTheRight<'h> {
    type Item = Option<&'h str>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let Some(comma) = (if self.quoted { last_comma(rest) } else { Ok(rest.rfind(',')) }).transpose() else {
            self.rest = None;
            return Some(Some(blankless(rest)));
        };
        let Some((left, right)) = comma.ok().and_then(|at| rest.split_at_checked(at)) else {
            self.rest = None;
            return Some(None);
        };
        self.rest = Some(left);
        Some(Some(blankless(right.strip_prefix(',').unwrap_or(right))))
    }
}

/// Where the last comma outside of quotes is. Read from the right as all of it is: the client wrote the left, and a quote
/// that it left open there must not reach the sender's own element. A backslash inside quotes is in no address and would
/// make the right end of a string unclear, so it is refused.
fn last_comma(text: &str) -> Result<Option<usize>, ()> {
    let mut inside = false;
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            b'"' => inside = !inside,
            b'\\' if inside => return Err(()),
            b',' if !inside => return Ok(Some(at)),
            _ => {}
        }
    }
    if inside { Err(()) } else { Ok(None) }
}

fn blankless(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The address in the one `for` of an element (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    // No value that is of use here holds a `;`; one in quotes makes its pair unreadable.
    for pair in element.split(';').map(blankless) {
        let (name, value) = pair.split_once('=')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return None;
        }
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\']))?,
            // A token holds neither colon nor bracket, but senders write bare addresses all the same; the quotes are all
            // that is missing.
            None => Some(value).filter(|value| !value.is_empty() && !value.contains(['"', '\\', ' ', '\t']))?,
        };
        if name.eq_ignore_ascii_case("for") && found.replace(node(value)?).is_some() {
            return None;
        }
    }
    found
}

/// An address, with a port or without: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn node(text: &str) -> Option<IpAddr> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !port.is_empty() {
            is_port(port.strip_prefix(':')?).then_some(())?;
        }
        return address.parse::<Ipv6Addr>().ok().map(|six| IpAddr::V6(six).to_canonical());
    }
    if let Some((address, port)) = text.split_once(':').filter(|(_, port)| !port.contains(':')) {
        return address.parse().ok().filter(|_| is_port(port)).map(IpAddr::V4);
    }
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "192.0.2.7";

    fn rules(header: ForwardingHeader) -> ClientAddress {
        let sent_by = ["192.0.2.7", "10.1.0.0/16", "2001:db8:1::/48"].map(|one| one.parse().unwrap());
        ClientAddress::Header { header, sent_by: Networks::of(sent_by.to_vec()) }
    }

    fn read(header: ForwardingHeader, peer: &str, lines: &[&str]) -> Result<String, ()> {
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = match header {
                ForwardingHeader::XForwardedFor => "x-forwarded-for",
                ForwardingHeader::Forwarded => "forwarded",
            };
            headers.append(name, http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers.insert("x-real-ip", http::HeaderValue::from_static("198.51.100.66"));
        of(&rules(header), peer.parse().unwrap(), &headers).map(|address| address.to_string()).map_err(drop)
    }

    #[test]
    fn the_list_is_read_from_the_right_and_only_as_far_as_it_was_written_by_senders() {
        for (lines, client) in [
            (&["203.0.113.9"][..], Ok("203.0.113.9")),
            (&["203.0.113.9:4711"], Ok("203.0.113.9")),
            (&["2001:db8::1"], Ok("2001:db8::1")),
            (&["[2001:db8::1]"], Ok("2001:db8::1")),
            (&["[2001:db8::1]:443"], Ok("2001:db8::1")),
            (&["::ffff:203.0.113.9"], Ok("203.0.113.9")),
            // What the client wrote is never looked at, whatever it is.
            (&["127.0.0.1, 203.0.113.9"], Ok("203.0.113.9")),
            (&["10.1.2.3, 203.0.113.9"], Ok("203.0.113.9")),
            (&["\"<script>,,, 203.0.113.9"], Ok("203.0.113.9")),
            (&["x", "203.0.113.9"], Ok("203.0.113.9")),
            // Senders are passed over.
            (&["203.0.113.9, 10.1.2.3"], Ok("203.0.113.9")),
            (&["198.51.100.1,203.0.113.9,\t10.1.2.3 , 192.0.2.7"], Ok("203.0.113.9")),
            (&["203.0.113.9", "10.1.2.3", "2001:db8:1::5"], Ok("203.0.113.9")),
            // Senders all the way, and a sender that speaks for itself.
            (&["10.1.2.3"], Ok("10.1.2.3")),
            (&["10.1.9.9, 10.1.2.3"], Ok("10.1.9.9")),
            (&[], Ok(PROXY)),
            // Where it has to be read and cannot: refused.
            (&[""], Err(())),
            (&["203.0.113.9,"], Err(())),
            (&["203.0.113.9, unknown"], Err(())),
            (&["203.0.113.9, x, 10.1.2.3"], Err(())),
            (&["203.0.113.09"], Err(())),
            (&["203.0.113.9:65536"], Err(())),
            (&["203.0.113.9:+1"], Err(())),
            (&["203.0.113.9:"], Err(())),
            (&["203.0.113"], Err(())),
            (&["203.0.113.9 10.1.2.3"], Err(())),
            (&["[203.0.113.9]"], Err(())),
            (&["[2001:db8::1"], Err(())),
            (&["[2001:db8::1]443"], Err(())),
            (&["[2001:db8::1]:"], Err(())),
            (&["fe80::1%eth0"], Err(())),
            (&["\"203.0.113.9\""], Err(())),
            (&["for=203.0.113.9"], Err(())),
        ] {
            let read = read(ForwardingHeader::XForwardedFor, PROXY, lines);
            assert_eq!(read.as_deref().ok(), client.ok(), "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_the_same_way_with_its_quotes() {
        for (lines, client) in [
            (&["for=203.0.113.9"][..], Ok("203.0.113.9")),
            (&["For=\"203.0.113.9:4711\";proto=https"], Ok("203.0.113.9")),
            (&["proto=https; for=\"[2001:db8::1]:1\" ;by=10.1.2.3"], Ok("2001:db8::1")),
            (&["for=203.0.113.9;host=\"a,b\", for=10.1.2.3"], Ok("203.0.113.9")),
            (&["for=198.51.100.1, for=203.0.113.9"], Ok("203.0.113.9")),
            // An open quote of the client does not reach what the sender wrote.
            (&["for=\"198.51.100.1, for=203.0.113.9"], Ok("203.0.113.9")),
            (&["for=\"\\", "for=203.0.113.9"], Ok("203.0.113.9")),
            (&["for=unknown"], Err(())),
            (&["for=_hidden"], Err(())),
            (&["for=203.0.113.9;for=203.0.113.9"], Err(())),
            (&["proto=https"], Err(())),
            (&["for"], Err(())),
            (&["for=203.0.113.9;"], Err(())),
            (&["for =203.0.113.9"], Err(())),
            (&["for=\"203.0.113.9"], Err(())),
            (&["for=203.0.113.9\""], Err(())),
            (&["for=\"203.0.113\\.9\""], Err(())),
            (&["for=203.0.113.9;host=\"\\\"\""], Err(())),
        ] {
            let read = read(ForwardingHeader::Forwarded, PROXY, lines);
            assert_eq!(read.as_deref().ok(), client.ok(), "{lines:?}");
        }
    }

    #[test]
    fn whoever_is_not_named_is_not_believed() {
        for peer in ["203.0.113.1", "10.2.0.1", "127.0.0.1", "192.0.2.8", "2001:db8:2::1"] {
            for header in [ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded] {
                assert_eq!(read(header, peer, &["198.51.100.66"]).as_deref(), Ok(peer));
                assert_eq!(read(header, peer, &["\"<"]).as_deref(), Ok(peer));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let parts: [&[u8]; 15] = [
            b"203.0.113.9",
            b",",
            b"\"",
            b"\\",
            b";",
            b"=",
            b"for",
            b"[",
            b"]",
            b":",
            b" ",
            b"10.1.2.3",
            b"%",
            b"\xff",
            b"\t",
        ];
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut line = Vec::new();
            for _ in 0..8 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                line.extend_from_slice(parts[usize::try_from(seed % 15).unwrap()]);
            }
            let mut headers = HeaderMap::new();
            headers.insert("forwarded", http::HeaderValue::from_bytes(&line).unwrap());
            headers.insert("x-forwarded-for", http::HeaderValue::from_bytes(&line).unwrap());
            for header in [ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded] {
                drop(of(&rules(header), PROXY.parse().unwrap(), &headers));
            }
        }
    }
}
