//! A collector of telemetry: takes OTLP over HTTP, keeps every byte, and answers as it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use certs::dev::{DevCa, Validity};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::PATIENCE;

/// What it does with what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Take,
    /// Reads it and never answers.
    Hang,
    /// Answers with this status.
    Refuse(u16),
}

/// One message as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its head.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

#[derive(Debug)]
struct State {
    received: Mutex<Vec<Received>>,
    manner: Mutex<Manner>,
}

/// The collector.
#[derive(Debug)]
pub struct Collector {
    /// Where it listens.
    pub address: SocketAddr,
    /// The authority of its certificate, where it speaks TLS.
    pub ca: Option<String>,
    state: Arc<State>,
}

impl Collector {
    /// Listens in clear.
    pub fn plain(manner: Manner) -> Self {
        Self::start(manner, None, Some)
    }

    /// Listens with TLS, as 127.0.0.1, under an authority of its own.
    pub fn tls(manner: Manner) -> Self {
        let validity = Validity { not_before: 1_700_000_000, not_after: 4_000_000_000 };
        let ca = DevCa::generate(validity).unwrap();
        let pair = ca.issue(&["127.0.0.1"], validity).unwrap();
        let pair = certs::load_pair(pair.cert_pem.as_bytes(), pair.key_pem.as_bytes()).unwrap();
        let config = certs::server_config(vec![pair]).unwrap();
        let mut config = rustls::ServerConfig::clone(&config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        Self::start(manner, Some(ca.ca_pem().to_owned()), move |stream| {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
            Some(rustls::StreamOwned::new(session, stream))
        })
    }

    fn start<S: Read + Write>(
        manner: Manner,
        ca: Option<String>,
        accept: impl Fn(TcpStream) -> Option<S> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { received: Mutex::default(), manner: Mutex::new(manner) });
        let (shared, accept) = (Arc::clone(&state), Arc::new(accept));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let (state, accept) = (Arc::clone(&shared), Arc::clone(&accept));
                std::thread::spawn(move || {
                    if let Some(mut stream) = accept(stream) {
                        while converse(&state, &mut stream).is_some() {}
                    }
                });
            }
        });
        Self { address, ca, state }
    }

    /// From now on does this with what it gets.
    pub fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    /// Every message so far on this path, whether it was taken or not.
    pub fn received(&self, path: &str) -> Vec<Received> {
        let all = self.state.received.lock().unwrap();
        all.iter().filter(|one| one.head.starts_with(&format!("POST {path} "))).cloned().collect()
    }

    /// How many messages so far.
    pub fn count(&self) -> usize {
        self.state.received.lock().unwrap().len()
    }

    /// All that came, heads and bodies, as text in which every byte is one letter.
    pub fn everything(&self) -> String {
        let all = self.state.received.lock().unwrap();
        all.iter().map(|one| one.head.clone() + &one.body.iter().copied().map(char::from).collect::<String>()).collect()
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        let messages = self.decoded::<ExportTraceServiceRequest>("/v1/traces");
        let scopes = messages.into_iter().flat_map(|one| one.resource_spans).flat_map(|one| one.scope_spans);
        scopes.flat_map(|one| one.spans).collect()
    }

    /// Every line of the log so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        let messages = self.decoded::<ExportLogsServiceRequest>("/v1/logs");
        let scopes = messages.into_iter().flat_map(|one| one.resource_logs).flat_map(|one| one.scope_logs);
        scopes.flat_map(|one| one.log_records).collect()
    }

    /// The metrics of the last round.
    pub fn metrics(&self) -> Vec<Metric> {
        let Some(last) = self.decoded::<ExportMetricsServiceRequest>("/v1/metrics").pop() else { return Vec::new() };
        let scopes = last.resource_metrics.into_iter().flat_map(|one| one.scope_metrics);
        scopes.flat_map(|one| one.metrics).collect()
    }

    /// Who sent each message.
    pub fn resources(&self) -> Vec<Resource> {
        let spans = self.decoded::<ExportTraceServiceRequest>("/v1/traces");
        let logs = self.decoded::<ExportLogsServiceRequest>("/v1/logs");
        let metrics = self.decoded::<ExportMetricsServiceRequest>("/v1/metrics");
        let spans = spans.into_iter().flat_map(|one| one.resource_spans).filter_map(|one| one.resource);
        let logs = logs.into_iter().flat_map(|one| one.resource_logs).filter_map(|one| one.resource);
        let metrics = metrics.into_iter().flat_map(|one| one.resource_metrics).filter_map(|one| one.resource);
        spans.chain(logs).chain(metrics).collect()
    }

    fn decoded<M: Message + Default>(&self, path: &str) -> Vec<M> {
        self.received(path).iter().map(|one| M::decode(one.body.as_slice()).unwrap()).collect()
    }
}

/// The attribute of this name, as text; empty where there is none.
pub fn attribute(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|one| one.key == name);
    found.and_then(|one| one.value.as_ref()).map(written).unwrap_or_default()
}

/// A value as text.
pub fn written(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads one message and answers it; `None` at the end.
fn converse(state: &State, stream: &mut (impl Read + Write)) -> Option<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, &mut bytes)?;
    };
    let body = bytes.split_off(head);
    let head = String::from_utf8(bytes).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |one| one.parse().unwrap());
    let mut received = Received { head, body };
    while received.body.len() < length {
        more(stream, &mut received.body)?;
    }
    state.received.lock().unwrap().push(received);
    let manner = *state.manner.lock().unwrap();
    let status = match manner {
        Manner::Take => 200,
        Manner::Refuse(status) => status,
        Manner::Hang => {
            // Until the other side gives up.
            while more(stream, &mut Vec::new()).is_some() {}
            return None;
        }
    };
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).ok()?;
    stream.flush().ok()
}

fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16 * 1024];
    match stream.read(&mut piece) {
        Ok(0) | Err(_) => None,
        Ok(read) => {
            bytes.extend_from_slice(&piece[..read]);
            Some(())
        }
    }
}
