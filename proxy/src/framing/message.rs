//! Which part of which message the bytes of a connection belong to.
//!
//! Decides how many of the bytes at hand may go on: a head only whole and only when it is in order, a body as far as it is
//! in order, and nothing behind a fault. Bytes that may not go on yet are handed in again with more behind them.

use super::answer::{self, Next};
use super::chunks::{Chunks, Step};
use super::request;
use super::{Body, Fault};

/// What became of the bytes that were handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// So many of them, from the first, may go on. The others are the beginning of a head, or stand behind a fault.
    pub passed: usize,
    /// Why nothing behind them ever goes on.
    pub broken: Option<Broken>,
}

/// Where a fault lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// In a head, none of which has gone on.
    Head(Fault),
    /// In a body, part of which has gone on.
    Body(Fault),
    /// Behind a request that asks for another protocol, and whose answer is not known.
    Early,
}

/// Follows one direction of a connection.
pub trait Track {
    /// Takes the bytes that have not gone on: those that were left the last time, and new ones behind them.
    fn advance(&mut self, bytes: &[u8]) -> Progress;
}

/// The body of a message.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Length(u64),
    Chunks(Chunks),
    UntilEnd,
}

impl Rest {
    /// `chunks` are those that a body in chunks begins with.
    fn of(body: Body, chunks: Chunks) -> Option<Self> {
        match body {
            Body::None => None,
            Body::Length(length) => Some(Self::Length(length)),
            Body::Chunks => Some(Self::Chunks(chunks)),
            Body::UntilEnd => Some(Self::UntilEnd),
        }
    }

    /// Takes what belongs to the body.
    fn take(&mut self, bytes: &[u8]) -> (usize, Step) {
        match self {
            Rest::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left = left.saturating_sub(taken as u64);
                (taken, if *left == 0 { Step::Over } else { Step::More })
            }
            Rest::Chunks(chunks) => chunks.take(bytes),
            Rest::UntilEnd => (bytes.len(), Step::More),
        }
    }
}

/// Follows what a client sends.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// The most bytes that the header names and values of a request may have.
    headers: usize,
    place: InRequests,
}

#[derive(Clone, Copy, Debug)]
enum InRequests {
    Head(request::Reader),
    Body {
        rest: Rest,
        asks_upgrade: bool,
    },
    /// A request that asks for another protocol is whole, and its answer is not known.
    Undecided,
    /// Another protocol is spoken.
    Switched,
    /// Something was wrong.
    Broken(Broken),
}

impl Requests {
    /// At the beginning of a connection, where the header names and values of a request may have `headers` bytes.
    pub fn new(headers: usize) -> Self {
        Self { headers, place: InRequests::Head(request::Reader::new(headers)) }
    }

    /// Whether the next byte is one of another protocol or of a request, which only an answer can tell.
    pub fn is_undecided(&self) -> bool {
        matches!(self.place, InRequests::Undecided)
    }

    /// Says which it is. Has a meaning only while that is open.
    pub fn decide(&mut self, switched: bool) {
        if self.is_undecided() {
            self.place = if switched { InRequests::Switched } else { self.next_head() };
        }
    }

    fn next_head(&self) -> InRequests {
        InRequests::Head(request::Reader::new(self.headers))
    }

    fn behind(&self, asks_upgrade: bool) -> InRequests {
        if asks_upgrade { InRequests::Undecided } else { self.next_head() }
    }

    fn broken(&mut self, passed: usize, broken: Broken) -> Progress {
        self.place = InRequests::Broken(broken);
        Progress { passed, broken: Some(broken) }
    }
}

impl Track for Requests {
    fn advance(&mut self, bytes: &[u8]) -> Progress {
        let mut passed = 0;
        loop {
            let here = bytes.get(passed..).unwrap_or_default();
            if here.is_empty() {
                return Progress { passed, broken: None };
            }
            match &mut self.place {
                InRequests::Head(reader) => match reader.read(here) {
                    Ok(None) => return Progress { passed, broken: None },
                    Ok(Some(head)) => {
                        let early = head.asks_upgrade && head.body == Body::None && here.len() > head.length;
                        if early {
                            return self.broken(passed, Broken::Head(Fault::Early));
                        }
                        passed += head.length;
                        self.place = match Rest::of(head.body, Chunks::of_request()) {
                            Some(rest) => InRequests::Body { rest, asks_upgrade: head.asks_upgrade },
                            None => self.behind(head.asks_upgrade),
                        };
                    }
                    Err(fault) => return self.broken(passed, Broken::Head(fault)),
                },
                InRequests::Body { rest, asks_upgrade } => {
                    let asks_upgrade = *asks_upgrade;
                    let (taken, step) = rest.take(here);
                    passed += taken;
                    match step {
                        Step::More => {}
                        Step::Over => self.place = self.behind(asks_upgrade),
                        Step::Bad(fault) => return self.broken(passed, Broken::Body(fault)),
                    }
                }
                InRequests::Undecided => return self.broken(passed, Broken::Early),
                InRequests::Switched => return Progress { passed: bytes.len(), broken: None },
                InRequests::Broken(broken) => return Progress { passed, broken: Some(*broken) },
            }
        }
    }
}

/// What was asked, as far as its answer's framing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Neither of the others.
    Plain,
    /// `HEAD`: the answer has no body.
    Head,
    /// Another protocol: the answer may be a `101`.
    Upgrade,
}

/// The most interim answers (`1xx`) to one request.
const INTERIM: u8 = 8;

/// Follows what the application sends.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// The most bytes that a head may have.
    head: usize,
    place: InAnswers,
}

#[derive(Clone, Copy, Debug)]
enum InAnswers {
    /// Nothing was asked.
    Idle,
    Head {
        reader: answer::Reader,
        asked: Asked,
        interim: u8,
    },
    Body(Rest),
    /// Another protocol is spoken.
    Switched,
    /// Something was wrong.
    Broken(Broken),
}

impl Answers {
    /// At the beginning of a connection, where a head may have `head` bytes.
    pub fn new(head: usize) -> Self {
        Self { head, place: InAnswers::Idle }
    }

    /// Whether every answer that was asked for is whole.
    pub fn is_idle(&self) -> bool {
        matches!(self.place, InAnswers::Idle)
    }

    /// A request is on its way. Has a meaning only while nothing else is asked.
    pub fn ask(&mut self, asked: Asked) {
        if self.is_idle() {
            self.place = InAnswers::Head { reader: answer::Reader::new(self.head), asked, interim: 0 };
        }
    }

    fn broken(&mut self, passed: usize, broken: Broken) -> Progress {
        self.place = InAnswers::Broken(broken);
        Progress { passed, broken: Some(broken) }
    }
}

impl Track for Answers {
    fn advance(&mut self, bytes: &[u8]) -> Progress {
        let mut passed = 0;
        loop {
            let here = bytes.get(passed..).unwrap_or_default();
            if here.is_empty() {
                return Progress { passed, broken: None };
            }
            match &mut self.place {
                InAnswers::Idle => return self.broken(passed, Broken::Head(Fault::Surplus)),
                InAnswers::Head { reader, asked, interim } => match reader.read(here, *asked) {
                    Ok(None) => return Progress { passed, broken: None },
                    Ok(Some(head)) => {
                        let (asked, interim) = (*asked, *interim);
                        if head.next == Next::Head && interim >= INTERIM {
                            return self.broken(passed, Broken::Head(Fault::Interim));
                        }
                        passed += head.length;
                        self.place = match head.next {
                            Next::Head => {
                                InAnswers::Head { reader: answer::Reader::new(self.head), asked, interim: interim + 1 }
                            }
                            Next::Body(body) => {
                                Rest::of(body, Chunks::of_answer()).map_or(InAnswers::Idle, InAnswers::Body)
                            }
                            Next::Switched => InAnswers::Switched,
                        };
                    }
                    Err(fault) => return self.broken(passed, Broken::Head(fault)),
                },
                InAnswers::Body(rest) => {
                    let (taken, step) = rest.take(here);
                    passed += taken;
                    match step {
                        Step::More => {}
                        Step::Over => self.place = InAnswers::Idle,
                        Step::Bad(fault) => return self.broken(passed, Broken::Body(fault)),
                    }
                }
                InAnswers::Switched => return Progress { passed: bytes.len(), broken: None },
                InAnswers::Broken(broken) => return Progress { passed, broken: Some(*broken) },
            }
        }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
