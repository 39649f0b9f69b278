//! An application to stand behind the gate: it keeps every byte that it got, and answers as it is told.
//!
//! Plain threads and blocking sockets, so that a test can do to a connection what no library would.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{PATIENCE, until};

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The head, byte for byte, with its empty line.
    pub head: String,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// What stood behind the last chunk.
    pub trailers: String,
    /// Which connection it came on, from 1.
    pub connection: usize,
    /// Which request of its connection it was, from 1.
    pub turn: usize,
}

impl Seen {
    /// `GET /path HTTP/1.1`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The request target.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// Names (as sent) and values of all headers.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        let lines = self.head.lines().skip(1).take_while(|line| !line.is_empty());
        lines.map(|line| line.split_once(':').map_or((line, ""), |(name, value)| (name, value.trim()))).collect()
    }

    /// Every value of the headers that a CGI-like reader would take for `name`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let folded =
            |name: &str| name.to_ascii_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
        let wanted = folded(name);
        self.headers().into_iter().filter(|(key, _)| folded(key) == wanted).map(|(_, value)| value).collect()
    }

    /// The value of a header that stands exactly once, or not at all.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "`{name}` stands {} times in:\n{}", all.len(), self.head);
        all.first().copied()
    }
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It stays for the next request.
    Keep,
    /// It is closed.
    Close,
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Exchange {
    /// What came so far.
    pub seen: Seen,
    stream: TcpStream,
    buffer: Vec<u8>,
    body_read: bool,
}

impl Exchange {
    /// Sends bytes; a gate that has hung up is no fault.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a whole answer with a length; to `HEAD` without the body.
    pub fn answer(&mut self, status: &str, headers: &str, body: &str) -> After {
        let length = body.len();
        let body = if self.seen.line().starts_with("HEAD ") { "" } else { body };
        let sent = self.send(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}"));
        if sent { After::Keep } else { After::Close }
    }

    /// Reads one piece of the raw body, framing included, as it comes.
    pub fn piece(&mut self, buffer: &mut [u8]) -> usize {
        if !self.buffer.is_empty() {
            let length = self.buffer.len().min(buffer.len());
            buffer[..length].copy_from_slice(&self.buffer[..length]);
            self.buffer.drain(..length);
            return length;
        }
        self.stream.read(buffer).unwrap_or(0)
    }

    /// Reads the rest of the body. False where it ended early.
    pub fn read_body(&mut self) -> bool {
        self.body_read = true;
        let headers = self.seen.headers();
        let of = |name: &str| {
            headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| (*value).to_owned())
        };
        let (length, coding) = (of("content-length"), of("transfer-encoding"));
        match (length, coding) {
            (_, Some(_)) => self.read_chunks(),
            (Some(length), None) => {
                let body = self.exactly(length.parse().unwrap());
                body.map(|body| self.seen.body = body).is_some()
            }
            (None, None) => true,
        }
    }

    fn read_chunks(&mut self) -> bool {
        loop {
            let Some(line) = self.line() else { return false };
            let size = usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("chunk size `{line}`"));
            if size == 0 {
                break;
            }
            let Some(data) = self.exactly(size + 2) else { return false };
            self.seen.body.extend_from_slice(&data[..size]);
        }
        loop {
            match self.line() {
                None => return false,
                Some(line) if line.trim().is_empty() => return true,
                Some(line) => self.seen.trailers.push_str(&line),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            self.more()?;
        }
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.more()?;
        }
        Some(self.buffer.drain(..length).collect())
    }

    fn more(&mut self) -> Option<()> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                self.buffer.extend_from_slice(&piece[..read]);
                Some(())
            }
        }
    }

    /// Waits until the gate closes the connection. False where it does not.
    pub fn until_closed(&mut self) -> bool {
        let mut piece = [0; 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                }
            }
        }
    }
}

type Script = dyn Fn(&mut Exchange) -> After + Send + Sync;

struct State {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    script: Mutex<Arc<Script>>,
}

/// The application.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

impl App {
    /// Answers 200 with `ok` to everything, after having read the body.
    pub fn plain() -> Self {
        Self::start(|exchange| {
            exchange.read_body();
            exchange.answer("200 OK", "content-type: text/plain\r\n", "ok")
        })
    }

    /// Answers as `script` does.
    pub fn start(script: impl Fn(&mut Exchange) -> After + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// The same, on a listener of the test's own.
    pub fn start_on(listener: TcpListener, script: impl Fn(&mut Exchange) -> After + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            script: Mutex::new(Arc::new(script)),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let state = Arc::clone(&shared);
                let connection = state.connections.fetch_add(1, Ordering::AcqRel) + 1;
                state.open.fetch_add(1, Ordering::AcqRel);
                std::thread::spawn(move || {
                    converse(&state, stream, connection);
                    state.open.fetch_sub(1, Ordering::AcqRel);
                });
            }
        });
        Self { address, state }
    }

    /// From now on answers as `script` does.
    pub fn follow(&self, script: impl Fn(&mut Exchange) -> After + Send + Sync + 'static) {
        *self.state.script.lock().unwrap() = Arc::new(script);
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many requests so far.
    pub fn count(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the application got no request")
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Acquire)
    }

    /// Waits until no connection is open any more.
    pub fn until_alone(&self) {
        until("the application's connections to end", || (self.open() == 0).then_some(()));
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::Acquire)
    }
}

fn converse(state: &State, stream: TcpStream, connection: usize) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE + Duration::from_secs(10))).unwrap();
    let mut buffer = Vec::new();
    for turn in 1.. {
        let mut exchange =
            Exchange { seen: Seen::default(), stream: stream.try_clone().unwrap(), buffer, body_read: false };
        let Some(head) = read_head(&mut exchange) else { break };
        exchange.seen = Seen { head, connection, turn, ..Seen::default() };
        let place = {
            let mut seen = state.seen.lock().unwrap();
            seen.push(exchange.seen.clone());
            seen.len() - 1
        };
        let script = Arc::clone(&state.script.lock().unwrap());
        let after = script(&mut exchange);
        if after == After::Keep && !exchange.body_read {
            exchange.read_body();
        }
        if let Some(seen) = state.seen.lock().unwrap().get_mut(place) {
            *seen = exchange.seen.clone();
        }
        if after == After::Close {
            break;
        }
        buffer = exchange.buffer;
    }
    // A connection that is already closed is what this wants.
    drop(stream.shutdown(Shutdown::Both));
}

fn read_head(exchange: &mut Exchange) -> Option<String> {
    loop {
        if let Some(end) = exchange.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = exchange.buffer.drain(..end + 4).collect();
            // Latin-1, so that every byte stays one letter.
            return Some(head.into_iter().map(char::from).collect());
        }
        exchange.more()?;
    }
}
