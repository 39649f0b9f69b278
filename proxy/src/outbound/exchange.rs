//! One call: resolve, judge every address, connect to one that was judged, ask, read.
//!
//! Decides what is a whole answer. Never resolves twice, so that the address that was judged is the address that is called.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Endpoint, Fault, Reach, Reply};

/// How long resolving, connecting and the TLS handshake may take together.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the whole call may take.
const TOTAL: Duration = Duration::from_secs(10);
/// The most headers, and the most bytes of them, in an answer.
pub(super) const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 32 * 1024;
/// The most addresses of one name that are tried.
const MAX_TRIED: usize = 6;

impl Endpoint {
    pub(super) async fn call(
        &self,
        method: Method,
        accept: &'static str,
        extra: HeaderMap,
        body: Bytes,
        cap: usize,
    ) -> Result<Reply, Fault> {
        let conditional = extra.contains_key(header::IF_NONE_MATCH) || extra.contains_key(header::IF_MODIFIED_SINCE);
        let request = self.request(method, accept, extra, body)?;
        let exchange = async {
            let stream = timeout(CONNECT, self.connect()).await.map_err(|_| Fault::Timeout)??;
            exchange(TokioIo::new(stream), request, conditional, cap).await
        };
        timeout(TOTAL, exchange).await.map_err(|_| Fault::Timeout)?
    }

    fn request(
        &self,
        method: Method,
        accept: &'static str,
        extra: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.target.as_str())
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, accept)
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::USER_AGENT, concat!("anteroom/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|_| Fault::Http)?;
        request.headers_mut().extend(extra);
        Ok(request)
    }

    async fn connect(&self) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>, Fault> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(|_| Fault::Resolve)?;
        let stream = reach_one(&judged(found, &self.reach)?).await?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        connector.connect(self.server.clone(), stream).await.map_err(|_| Fault::Tls)
    }
}

/// The addresses to try. One that may not be called spoils them all: a name that leads outside and inside is either a
/// mistake or somebody who waits for the second attempt (DNS rebinding).
pub(super) fn judged(found: impl Iterator<Item = SocketAddr>, reach: &Reach) -> Result<Vec<SocketAddr>, Fault> {
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(Fault::Resolve);
    }
    if !found.iter().all(|address| reach.allows(address.ip())) {
        return Err(Fault::Unlisted);
    }
    Ok(found.into_iter().take(MAX_TRIED).collect())
}

/// The first that can be reached; each may take its share of the time, so that one that does not answer leaves some to the
/// others.
async fn reach_one(addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
    let shares = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
    let share = CONNECT.checked_div(shares).unwrap_or(CONNECT);
    let mut fault = Fault::Connect;
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(_)) => fault = Fault::Connect,
            Err(_) => fault = Fault::Timeout,
        }
    }
    Err(fault)
}

/// One request on a connection of its own, driven here so that no task outlives the call.
async fn exchange<S>(
    io: TokioIo<S>,
    request: Request<Full<Bytes>>,
    conditional: bool,
    cap: usize,
) -> Result<Reply, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .handshake(io)
        .await
        .map_err(|_| Fault::Http)?;
    let mut answer = pin!(async move {
        let response = sender.send_request(request).await.map_err(|_| Fault::Http)?;
        whole(response, conditional, cap).await
    });
    tokio::select! {
        biased;
        done = &mut answer => return done,
        // The server may close before the last bytes are taken out of the buffer; its errors reach the answer too.
        _ended = connection => {}
    }
    answer.await
}

/// An acceptable answer, its body at most `cap` bytes.
async fn whole(response: http::Response<Incoming>, conditional: bool, cap: usize) -> Result<Reply, Fault> {
    let (head, body) = response.into_parts();
    let unchanged = conditional && head.status == http::StatusCode::NOT_MODIFIED;
    if head.status.is_redirection() && !unchanged {
        return Err(Fault::Redirect(head.status.as_u16()));
    }
    let plain = |encoding: &http::HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !head.headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Err(Fault::Encoded);
    }
    #[expect(clippy::disallowed_methods, reason = "behind `Limited`")]
    let collected = Limited::new(body, cap).collect().await;
    match collected {
        Ok(body) => Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() }),
        Err(fault) if fault.is::<LengthLimitError>() => Err(Fault::TooLarge(cap)),
        Err(_) => Err(Fault::Http),
    }
}
