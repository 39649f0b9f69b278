//! The TLS handshake of one connection, and what is told of those that fail.
//!
//! Decides how long a handshake may take and that it computes in its turn, and whether a session that was resumed may go on. A client that is turned away
//! here never reaches the pipeline, so this is the only place that says why: in a metric, and in the log at most once a
//! minute for each reason.

use std::io;
use std::sync::Arc;

use certs::{Refusal, refusal};
use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::turns::Turns;
use crate::authn::Presented;
use crate::shared::Shared;
use crate::telemetry::log;
use crate::telemetry::metrics::Handshake;

/// Shakes hands until the deadline; `None` where that failed, which is counted and told by then. With the stream comes the certificate that
/// the client has shown, believed at this moment.
pub(super) async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    tls: TlsAcceptor,
    turns: &Turns,
    deadline: Instant,
    shared: &Shared,
) -> Option<(TlsStream<S>, Option<Presented>)> {
    let started = shared.clock.now().monotone;
    let shaking = async {
        match tls.accept(stream).await {
            Ok(stream) => with_certificate(stream, shared),
            Err(error) => Err(failure(&error)),
        }
    };
    let outcome = timeout_at(deadline, turns.each(shaking)).await.unwrap_or(Err(Handshake::TimedOut));
    let now = shared.clock.now().monotone;
    let result = outcome.as_ref().err().copied().unwrap_or(Handshake::Ok);
    shared.metrics.handshake(result, now.saturating_sub(started));
    if let Handshake::Refused(refusal) = result
        && let Some(count) = shared.refusals.due(refusal, now)
    {
        log::handshake(refusal, count);
    }
    outcome.ok()
}

/// The certificate that the client has shown, judged where the handshake has not done it.
fn with_certificate<S>(stream: TlsStream<S>, shared: &Shared) -> Result<(TlsStream<S>, Option<Presented>), Handshake> {
    let session = stream.get_ref().1;
    let Some(chain) = session.peer_certificates() else { return Ok((stream, None)) };
    let presented = Presented::new(chain.iter().map(|one| one.clone().into_owned()).collect());
    let shown = shared.shown.load();
    if let Some(trust) = &shown.trust {
        let now = shared.clock.now().unix_seconds();
        // A resumed session brings its certificate along unseen: it may have been revoked since, or have expired.
        match session.handshake_kind() {
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => {
                presented.believed(Arc::clone(trust), now);
            }
            Some(HandshakeKind::Resumed) | None => {
                presented.judge(trust, now).map_err(|fault| Handshake::Refused(Refusal::BadCertificate(fault)))?;
            }
        }
    }
    Ok((stream, Some(presented)))
}

/// What became of a handshake that ended with this error.
fn failure(error: &io::Error) -> Handshake {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or(Handshake::BrokenOff, |error| Handshake::Refused(refusal(error)))
}
