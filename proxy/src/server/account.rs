//! What one HTTP/2 connection has done, frame by frame: budgets, the block of headers that is open, streams that nobody takes.
//!
//! Decides when it is too much or too late. It knows nothing of sockets; the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::frames::Head;
use super::streams::PIECE;
use crate::pace::LeastRate;
use crate::telemetry::ended::Ended;

/// Kinds of frames (RFC 9113, section 6; RFC 9218, section 7.1).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const PRIORITY_UPDATE: u8 = 16;

/// The CONTINUATION frames of one block of headers; an empty one counts as [`EMPTY`] of them (CVE-2024-27316).
const CONTINUATIONS: usize = 64;
const EMPTY: usize = 16;
/// The most of an answer that waits in h2 for the client once all of it is handed on: what its buffer holds, and a piece.
const HELD: usize = super::connection::SEND_BUFFER + PIECE;
/// The most streams that are watched; h2 refuses more than `limits.streams` at once, which is fewer.
const STREAMS: usize = 2_048;

/// So many at once, and so many a second.
#[derive(Debug)]
struct Budget {
    left: u32,
    most: u32,
    per_second: u32,
    refilled: Instant,
}

impl Budget {
    fn new(most: u32, per_second: u32, now: Instant) -> Self {
        Self { left: most, most, per_second, refilled: now }
    }

    /// Takes one; false where none is left.
    fn take(&mut self, now: Instant) -> bool {
        if self.left == 0 {
            let seconds = now.saturating_duration_since(self.refilled).as_secs();
            let grown = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(self.per_second);
            self.earn(grown);
            if grown > 0 {
                self.refilled = now;
            }
        }
        let fits = self.left > 0;
        self.left = self.left.saturating_sub(1);
        fits
    }

    /// Work gives reason for some more.
    fn earn(&mut self, more: u32) {
        self.left = self.left.saturating_add(more).min(self.most);
    }
}

/// Whose requests come on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clients {
    /// Those of one client.
    One,
    /// Those of everybody behind a sender that `client_address` names. It passes on what its clients take back; a
    /// connection that is ended for one of them would end the requests of all others.
    Many,
}

/// What one connection has done.
#[derive(Debug)]
pub(super) struct Account {
    settings: Budget,
    pings: Budget,
    priorities: Budget,
    resets: Budget,
    updates: Budget,
    empty: Budget,
    unknown: Budget,
    /// The block of headers that is open: by when it has to end, and its CONTINUATION frames so far.
    block: Option<(Instant, usize)>,
    /// The streams whose answers have not ended, each with the time by which the client should have taken what there was.
    open: Vec<(u32, Instant)>,
    last: u32,
    /// Whether the socket takes nothing at this moment.
    stuck: bool,
    head_time: Duration,
    rate: LeastRate,
}

impl Account {
    /// `clients` says whose requests come on the connection.
    pub(super) fn new(clients: Clients, head_time: Duration, rate: LeastRate, now: Instant) -> Self {
        let resets = match clients {
            Clients::One => Budget::new(200, 20, now),
            Clients::Many => Budget::new(20_000, 2_000, now),
        };
        Self {
            settings: Budget::new(32, 1, now),
            pings: Budget::new(100, 10, now),
            priorities: Budget::new(200, 20, now),
            resets,
            updates: Budget::new(1_000, 100, now),
            empty: Budget::new(100, 10, now),
            unknown: Budget::new(100, 10, now),
            block: None,
            open: Vec::new(),
            last: 0,
            stuck: false,
            head_time,
            rate,
        }
    }

    /// A frame of the client.
    pub(super) fn came(&mut self, head: Head, now: Instant) -> Result<(), Ended> {
        let (budget, why) = match head.kind {
            HEADERS => {
                self.block = (!head.ends_headers()).then(|| (self.by_then(now), 0));
                self.priorities.earn(2);
                if head.stream > self.last {
                    self.last = head.stream;
                    if self.open.len() < STREAMS {
                        self.open.push((head.stream, self.taken_by(now)));
                    }
                }
                return Ok(());
            }
            CONTINUATION => return self.continued(head),
            DATA if head.length > 0 || head.ends_stream() => {
                self.pings.earn(1);
                return Ok(());
            }
            DATA => (&mut self.empty, Ended::EmptyData),
            SETTINGS => (&mut self.settings, Ended::Settings),
            PING => (&mut self.pings, Ended::Ping),
            PRIORITY | PRIORITY_UPDATE => (&mut self.priorities, Ended::Priority),
            RST_STREAM => {
                self.open.retain(|(stream, _)| *stream != head.stream);
                (&mut self.resets, Ended::Reset)
            }
            WINDOW_UPDATE => (&mut self.updates, Ended::WindowUpdate),
            // Neither comes twice: h2 ends the connection with the first.
            PUSH_PROMISE | GOAWAY => return Ok(()),
            _ => (&mut self.unknown, Ended::UnknownFrame),
        };
        if budget.take(now) { Ok(()) } else { Err(why) }
    }

    fn continued(&mut self, head: Head) -> Result<(), Ended> {
        let Some((by, count)) = self.block else { return Ok(()) };
        let count = count.saturating_add(if head.length == 0 { EMPTY } else { 1 });
        self.block = (!head.ends_headers()).then_some((by, count));
        if count > CONTINUATIONS { Err(Ended::Continuation) } else { Ok(()) }
    }

    /// A frame of ours has left.
    pub(super) fn left(&mut self, head: Head, now: Instant) {
        match head.kind {
            DATA => {
                self.updates.earn(4);
                self.pings.earn(1);
            }
            HEADERS => self.pings.earn(1),
            RST_STREAM => {}
            _ => return,
        }
        if head.kind == RST_STREAM || head.ends_stream() {
            self.resets.earn(1);
            self.open.retain(|(stream, _)| *stream != head.stream);
            return;
        }
        let longest = self.taken_by(now);
        let more = self.rate.time_for(head.length);
        for (_, by) in self.open.iter_mut().filter(|(stream, _)| *stream == head.stream) {
            *by = if head.kind == HEADERS { longest } else { by.checked_add(more).unwrap_or(longest).min(longest) };
        }
    }

    fn by_then(&self, now: Instant) -> Instant {
        now.checked_add(self.head_time).unwrap_or(now)
    }

    /// By when a client should have taken all that can wait for it.
    fn taken_by(&self, now: Instant) -> Instant {
        now.checked_add(self.rate.grace.saturating_add(self.rate.time_for(HELD))).unwrap_or(now)
    }

    /// How many answers have not left to their ends.
    pub(super) fn leaving(&self) -> usize {
        self.open.len()
    }

    /// What has taken too long. A stream that is late and still `running` is none of ours: it may be silent by nature, and
    /// has its own account. So more late ones than running ones are streams that wait for the client alone.
    pub(super) fn late(&self, running: usize, now: Instant) -> Result<(), Ended> {
        if self.block.is_some_and(|(by, _)| by <= now) {
            return Err(Ended::HeaderBlock);
        }
        if self.stuck {
            return Ok(());
        }
        let late = self.open.iter().filter(|(_, by)| *by <= now).count();
        if late > running { Err(Ended::SlowReader) } else { Ok(()) }
    }

    /// The socket takes something again after so long, or takes nothing.
    pub(super) fn put_off(&mut self, takes: bool, longer: Duration) {
        self.stuck = !takes;
        if !longer.is_zero() {
            for (_, by) in &mut self.open {
                *by = by.checked_add(longer).unwrap_or(*by);
            }
        }
    }

    /// When to look again; `None` while there is nothing to wait for.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        // A running stream that is late stays so: it is looked at again now and then.
        let again = now.checked_add(self.rate.grace)?;
        let streams = self.open.iter().map(|(_, by)| (*by).max(again)).min();
        self.block.map(|(by, _)| by).into_iter().chain(streams).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::Frames;
    use super::*;

    const RATE: LeastRate = LeastRate { per_second: 1_024, grace: Duration::from_secs(30) };

    fn head(kind: u8, flags: u8, stream: u32, length: usize) -> Head {
        let [_, high, middle, low] = u32::try_from(length).unwrap().to_be_bytes();
        let [a, b, c, d] = stream.to_be_bytes();
        let bytes = [high, middle, low, kind, flags, a, b, c, d];
        Frames::from_the_start().next(&mut &bytes[..]).unwrap()
    }

    #[test]
    fn each_kind_has_its_budget_and_it_grows_back() {
        let start = Instant::now();
        for (kind, most, per_second, why) in [
            (SETTINGS, 32, 1, Ended::Settings),
            (PING, 100, 10, Ended::Ping),
            (PRIORITY, 200, 20, Ended::Priority),
            (PRIORITY_UPDATE, 200, 20, Ended::Priority),
            (RST_STREAM, 200, 20, Ended::Reset),
            (WINDOW_UPDATE, 1_000, 100, Ended::WindowUpdate),
            (DATA, 100, 10, Ended::EmptyData),
            (0x2a, 100, 10, Ended::UnknownFrame),
        ] {
            let mut account = Account::new(Clients::One, Duration::from_secs(30), RATE, start);
            for _ in 0..most {
                assert_eq!(account.came(head(kind, 0, 1, 0), start), Ok(()));
            }
            assert_eq!(account.came(head(kind, 0, 1, 0), start), Err(why));
            let later = start + Duration::from_secs(1);
            for _ in 0..per_second {
                assert_eq!(account.came(head(kind, 0, 1, 0), later), Ok(()));
            }
            assert_eq!(account.came(head(kind, 0, 1, 0), later), Err(why));
        }
    }

    #[test]
    fn who_speaks_for_many_may_take_back_what_many_take_back() {
        let start = Instant::now();
        let mut account = Account::new(Clients::Many, Duration::from_secs(30), RATE, start);
        for _ in 0..20_000 {
            assert_eq!(account.came(head(RST_STREAM, 0, 1, 4), start), Ok(()));
        }
        assert_eq!(account.came(head(RST_STREAM, 0, 1, 4), start), Err(Ended::Reset));
    }

    #[test]
    fn grpc_with_tiny_messages_pings_and_window_updates_goes_on_for_ever() {
        let start = Instant::now();
        let mut account = Account::new(Clients::One, Duration::from_secs(30), RATE, start);
        account.came(head(HEADERS, 4, 1, 50), start).unwrap();
        account.left(head(HEADERS, 4, 1, 50), start);
        for _ in 0..100_000 {
            account.came(head(DATA, 0, 1, 6), start).unwrap();
            account.left(head(DATA, 0, 1, 6), start);
            account.came(head(WINDOW_UPDATE, 0, 0, 4), start).unwrap();
            account.came(head(WINDOW_UPDATE, 0, 1, 4), start).unwrap();
            account.came(head(PING, 0, 0, 8), start).unwrap();
        }
    }

    #[test]
    fn a_block_of_headers_has_a_bound_and_a_time() {
        let start = Instant::now();
        let mut account = Account::new(Clients::One, Duration::from_secs(30), RATE, start);
        account.came(head(HEADERS, 0, 1, 9), start).unwrap();
        for _ in 0..CONTINUATIONS {
            account.came(head(CONTINUATION, 0, 1, 9), start).unwrap();
        }
        assert_eq!(account.came(head(CONTINUATION, 0, 1, 9), start), Err(Ended::Continuation));
        let mut account = Account::new(Clients::One, Duration::from_secs(30), RATE, start);
        account.came(head(HEADERS, 0, 1, 9), start).unwrap();
        for _ in 0..4 {
            account.came(head(CONTINUATION, 0, 1, 0), start).unwrap();
        }
        assert_eq!(account.late(9, start + Duration::from_secs(29)), Ok(()));
        assert_eq!(account.late(9, start + Duration::from_secs(30)), Err(Ended::HeaderBlock));
        assert_eq!(account.came(head(CONTINUATION, 0, 1, 0), start), Err(Ended::Continuation));
    }

    #[test]
    fn an_answer_that_is_handed_on_and_never_taken_is_late_and_a_silent_one_is_not() {
        let start = Instant::now();
        let mut account = Account::new(Clients::One, Duration::from_secs(30), RATE, start);
        for stream in [1, 3] {
            account.came(head(HEADERS, 5, stream, 50), start).unwrap();
            account.left(head(HEADERS, 4, stream, 50), start);
        }
        let late = start + Duration::from_secs(30 + 80);
        assert_eq!(account.late(2, late), Ok(()), "both may be events that do not come");
        assert_eq!(account.late(1, late), Err(Ended::SlowReader), "one is handed on, and waits for the client");
        account.put_off(false, Duration::ZERO);
        assert_eq!(account.late(1, late), Ok(()), "while the socket is stuck, no stream is to blame");
        account.put_off(true, Duration::from_secs(5));
        assert_eq!(account.late(1, late), Ok(()), "nor for that time");
        let late = late + Duration::from_secs(5);
        assert_eq!(account.late(1, late), Err(Ended::SlowReader));
        account.left(head(DATA, 1, 1, 10), late);
        assert_eq!(account.late(1, late), Ok(()));
        // A byte now and then does not hold it up.
        account.left(head(DATA, 0, 3, 1), late);
        assert_eq!(account.late(0, late + Duration::from_secs(1)), Err(Ended::SlowReader));
        account.came(head(RST_STREAM, 0, 3, 4), late).unwrap();
        assert_eq!(account.late(0, late + Duration::from_secs(1)), Ok(()));
        assert_eq!(account.next_look(late), None);
    }
}
