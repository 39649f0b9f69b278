//! The messages of nf_tables over netlink, as bytes. Pure: it opens nothing and sends nothing.
//!
//! A batch begins, makes the table anew, adds chains and rules, and ends; the kernel takes it whole or not at all. The
//! numbers are those of `linux/netlink.h`, `linux/netfilter/nfnetlink.h` and `linux/netfilter/nf_tables.h`, which are part
//! of the kernel's stable interface.

/// Where a chain hangs: what comes in from an interface.
pub(super) const PREROUTING: u32 = 0;
/// Where a chain hangs: what processes of this machine send.
pub(super) const OUTPUT: u32 = 3;

const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// The part of netfilter that is meant.
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const DELETE_TABLE: u16 = (NFTABLES << 8) | 2;
const NEW_CHAIN: u16 = (NFTABLES << 8) | 3;
const NEW_RULE: u16 = (NFTABLES << 8) | 6;

/// No family of addresses, for what encloses a batch.
const UNSPECIFIED: u8 = 0;
/// IPv4 and IPv6 in one table.
const INET: u8 = 1;

/// An attribute that holds attributes.
const NESTED: u16 = 0x8000;
/// Destination NAT runs at this place of its hook.
const PRIORITY: i32 = -100;
const ACCEPT: u32 = 1;
/// The register that a value is loaded into and compared from.
const REGISTER: u32 = 1;
const TCP: u8 = 6;
/// The longest name of an interface, with its end.
const INTERFACE_NAME: usize = 16;

const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;

const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;

/// A chain of NAT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: u32,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug)]
pub(super) enum Compare {
    Same,
    Other,
}

/// Which addresses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Family {
    V4,
    V6,
}

/// One step of a rule, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Expression(Vec<u8>);

impl Expression {
    fn new(name: &str, data: &[Vec<u8>]) -> Self {
        Self(nest(1, &[text(1, name), nest(2, data)]))
    }

    fn meta(key: u32) -> Self {
        Self::new("meta", &[number(1, REGISTER), number(2, key)])
    }

    fn payload(base: u32, offset: u32, length: u32) -> Self {
        Self::new("payload", &[number(1, REGISTER), number(2, base), number(3, offset), number(4, length)])
    }

    /// The rule goes on where the register is, or is not, `value`.
    fn compare(how: Compare, value: &[u8]) -> Self {
        let operator = match how {
            Compare::Same => 0,
            Compare::Other => 1,
        };
        Self::new("cmp", &[number(1, REGISTER), number(2, operator), nest(3, &[attribute(1, value)])])
    }

    /// The interface that the packet came by.
    pub(super) fn from_interface(how: Compare, name: &str) -> [Self; 2] {
        [Self::meta(META_IIFNAME), Self::compare(how, &interface(name))]
    }

    /// The interface that the packet goes by.
    pub(super) fn to_interface(how: Compare, name: &str) -> [Self; 2] {
        [Self::meta(META_OIFNAME), Self::compare(how, &interface(name))]
    }

    /// A packet of this family whose destination is no loopback address.
    pub(super) fn not_to_loopback(family: Family) -> [Self; 4] {
        // 127.0.0.0/8 is told by its first byte, ::1 by all of them. The offsets are those of the destination.
        let (number, destination, loopback) = match family {
            Family::V4 => (2, Self::payload(BASE_NETWORK, 16, 1), vec![127]),
            Family::V6 => (10, Self::payload(BASE_NETWORK, 24, 16), std::net::Ipv6Addr::LOCALHOST.octets().to_vec()),
        };
        let family = [Self::meta(META_NFPROTO), Self::compare(Compare::Same, &[number])];
        let [load, compare] = family;
        [load, compare, destination, Self::compare(Compare::Other, &loopback)]
    }

    /// TCP to this port.
    pub(super) fn tcp_to(port: u16) -> [Self; 4] {
        [
            Self::meta(META_L4PROTO),
            Self::compare(Compare::Same, &[TCP]),
            Self::payload(BASE_TRANSPORT, 2, 2),
            Self::compare(Compare::Same, &port.to_be_bytes()),
        ]
    }

    /// To this port of this machine.
    pub(super) fn redirect(port: u16) -> [Self; 2] {
        [
            Self::new("immediate", &[number(1, REGISTER), nest(2, &[attribute(1, &port.to_be_bytes())])]),
            Self::new("redir", &[number(1, REGISTER)]),
        ]
    }
}

/// Messages that are taken together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    table: &'static str,
    bytes: Vec<u8>,
    /// What each message that is acknowledged is about; the number of a message is its place here, counted from 1.
    steps: Vec<&'static str>,
}

impl Batch {
    /// Makes the table anew: it is made, so that it is there; taken away with all that is in it; and made empty.
    pub(super) fn new(table: &'static str) -> Self {
        let mut batch = Self { table, bytes: Vec::new(), steps: Vec::new() };
        batch.bytes.extend(message(BATCH_BEGIN, REQUEST, 0, UNSPECIFIED, NFTABLES, &[]));
        let body = [text(1, table), number(2, 0)];
        batch.add("the table", NEW_TABLE, CREATE, &body);
        batch.add("taking the old table away", DELETE_TABLE, 0, &[text(1, table)]);
        batch.add("the table", NEW_TABLE, CREATE, &body);
        batch
    }

    /// Adds a chain of NAT.
    pub(super) fn chain(&mut self, chain: Chain) -> &mut Self {
        // The kernel reads the priority as a signed number in the same four bytes.
        let priority = attribute(2, &PRIORITY.to_be_bytes());
        let hook = nest(4, &[number(1, chain.hook), priority]);
        let body = [text(1, self.table), text(3, chain.name), hook, number(5, ACCEPT), text(7, "nat")];
        self.add("the chain of NAT", NEW_CHAIN, CREATE, &body);
        self
    }

    /// Adds a rule at the end of a chain.
    pub(super) fn rule(&mut self, chain: Chain, steps: Vec<Expression>) {
        let steps: Vec<Vec<u8>> = steps.into_iter().map(|step| step.0).collect();
        let body = [text(1, self.table), text(2, chain.name), nest(4, &steps)];
        self.add("the rule", NEW_RULE, CREATE | APPEND, &body);
    }

    fn add(&mut self, step: &'static str, kind: u16, flags: u16, body: &[Vec<u8>]) {
        self.steps.push(step);
        let number = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        self.bytes.extend(message(kind, REQUEST | ACKNOWLEDGE | flags, number, INET, 0, body));
    }

    /// All of it, with its end.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.extend(message(BATCH_END, REQUEST, 0, UNSPECIFIED, NFTABLES, &[]));
        bytes
    }

    /// How many messages the kernel acknowledges.
    pub(super) fn acknowledged(&self) -> usize {
        self.steps.len()
    }

    /// What the message with this number is about.
    pub(super) fn step(&self, number: u32) -> &'static str {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| self.steps.get(place)).copied().unwrap_or("the batch")
    }
}

/// What the kernel says to one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The number of the message.
    pub(super) number: u32,
    /// The system's number of an error; 0 for none.
    pub(super) error: i32,
}

/// The answers in one datagram; what is no answer is passed over.
pub(super) fn answers(mut datagram: &[u8]) -> Vec<Answer> {
    const ERROR: u16 = 2;
    let mut found = Vec::new();
    while let Some((head, rest)) = datagram.split_first_chunk::<16>() {
        let [a, b, c, d, kind, kind_end, _, _, number @ .., _, _, _, _] = *head;
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if u16::from_ne_bytes([kind, kind_end]) == ERROR
            && let Some(error) = rest.first_chunk()
        {
            // The kernel says it with a minus.
            let error = i32::from_ne_bytes(*error).saturating_neg();
            found.push(Answer { number: u32::from_ne_bytes(number), error });
        }
        let Some(next) = datagram.get(aligned(length.max(16))..) else { break };
        datagram = next;
    }
    found
}

fn interface(name: &str) -> [u8; INTERFACE_NAME] {
    let mut padded = [0; INTERFACE_NAME];
    // The last byte stays zero.
    padded.iter_mut().take(INTERFACE_NAME - 1).zip(name.bytes()).for_each(|(to, from)| *to = from);
    padded
}

fn message(kind: u16, flags: u16, number: u32, family: u8, resource: u16, body: &[Vec<u8>]) -> Vec<u8> {
    let body = body.concat();
    let length = u32::try_from(20 + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(20 + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), b"\0"].concat())
}

fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &parts.concat())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut bytes = Vec::with_capacity(aligned(length));
    bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(aligned(length), 0);
    bytes
}

/// Messages and attributes begin at multiples of four bytes.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of a batch: kind, flags and number.
    fn heads(mut bytes: &[u8]) -> Vec<(u16, u16, u32)> {
        let mut heads = Vec::new();
        while let Some(head) = bytes.first_chunk::<16>() {
            let length = u32::from_ne_bytes(head[..4].try_into().unwrap()) as usize;
            let kind = u16::from_ne_bytes(head[4..6].try_into().unwrap());
            let flags = u16::from_ne_bytes(head[6..8].try_into().unwrap());
            heads.push((kind, flags, u32::from_ne_bytes(head[8..12].try_into().unwrap())));
            assert_eq!(length % 4, 0);
            bytes = &bytes[length..];
        }
        assert!(bytes.is_empty());
        heads
    }

    #[test]
    fn attributes_are_padded_and_say_their_length_without_the_padding() {
        assert_eq!(
            attribute(3, &[9, 8, 7]),
            [[7_u16.to_ne_bytes(), 3_u16.to_ne_bytes()].concat(), vec![9, 8, 7, 0]].concat()
        );
        assert_eq!(text(1, "nat").len(), 8);
        let nested = nest(2, &[number(1, 5)]);
        assert_eq!(nested[2..4], (2 | NESTED).to_ne_bytes());
        assert_eq!(nested[8..], [0, 0, 0, 5]);
    }

    #[test]
    fn a_batch_makes_the_table_anew_between_its_ends() {
        let batch = super::super::rules(&[3000], 8443);
        let heads = heads(&batch.bytes());
        let kinds: Vec<u16> = heads.iter().map(|head| head.0).collect();
        let one = [NEW_RULE; 3];
        assert_eq!(kinds[..6], [BATCH_BEGIN, NEW_TABLE, DELETE_TABLE, NEW_TABLE, NEW_CHAIN, NEW_CHAIN]);
        assert_eq!((&kinds[6..9], kinds[9]), (&one[..], BATCH_END));
        // The ends are not acknowledged, and every other message has a number of its own.
        let asked: Vec<u32> = heads.iter().filter(|head| head.1 & ACKNOWLEDGE != 0).map(|head| head.2).collect();
        assert_eq!(asked, (1..=8).collect::<Vec<u32>>());
        assert_eq!((batch.acknowledged(), batch.step(8), batch.step(0)), (8, "the rule", "the batch"));
    }

    #[test]
    fn answers_are_read_one_after_the_other() {
        let answer = |number: u32, error: i32| {
            let head = [36_u32.to_ne_bytes(), [2, 0, 0, 0], number.to_ne_bytes(), [0; 4]].concat();
            [head, (-error).to_ne_bytes().to_vec(), vec![0; 16]].concat()
        };
        let both = [answer(1, 0), answer(2, 1)].concat();
        assert_eq!(answers(&both), [Answer { number: 1, error: 0 }, Answer { number: 2, error: 1 }]);
        // Cut short, of length nothing, and empty: it ends.
        assert_eq!(answers(&both[..40]), [Answer { number: 1, error: 0 }]);
        assert!(answers(&[0; 15]).is_empty() && answers(&[0; 64]).is_empty());
    }
}
