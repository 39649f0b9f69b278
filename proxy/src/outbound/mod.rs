//! Calls to services that the configuration names: a provider's keys, metadata and token endpoint, a directory of people.
//!
//! Decides whom we talk to and what counts as an answer: `https` with verified TLS, an address that is public or whose
//! network is listed, one answer within the limits of size and time. Never follows a redirect, never asks a proxy, never
//! keeps a connection, and never takes an address from a request or a token. What an answer means is for the caller.

mod exchange;
mod form;
mod reach;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use certs::CertError;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;

pub use form::{encode, encode_form};
pub use reach::Reach;

/// The longest address that is called, in bytes.
pub const MAX_URL: usize = 2_048;

/// Why an address cannot be called. `Display` is fit for users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndpointFault {
    /// Not an absolute `https` address with a host, or longer than [`MAX_URL`].
    NotHttps,
    /// A user name, password or fragment in the address.
    Decorated,
    /// It names an address that is not public, whose network is not listed.
    Unlisted,
    /// The CA bundle, or the system's trust store, cannot be used.
    Trust(CertError),
}

impl fmt::Display for EndpointFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointFault::NotHttps => f.write_str("only `https://` is called; give the full address"),
            EndpointFault::Decorated => f.write_str("the address must not hold a user name, a password or a fragment"),
            EndpointFault::Unlisted => {
                f.write_str("this address is not public, and `private` does not list its network")
            }
            EndpointFault::Trust(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for EndpointFault {}

/// Why a call failed. `Display` is fit for the status page and the log; it holds nothing of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The name has no address.
    Resolve,
    /// The name has an address that is not public and not listed: none of its addresses is called then.
    Unlisted,
    /// Refused, or unreachable.
    Connect,
    /// The handshake failed: mostly a certificate that is not trusted for this host.
    Tls,
    /// It took too long.
    Timeout,
    /// The answer is not HTTP/1.1, or broke off.
    Http,
    /// A redirect; it is not followed.
    Redirect(u16),
    /// Another status than the caller takes.
    Status(u16),
    /// Compressed although not asked for.
    Encoded,
    /// Larger than so many bytes.
    TooLarge(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Resolve => f.write_str("the host has no address"),
            Fault::Unlisted => {
                f.write_str("the host has an address that is not public, and `private` does not list it")
            }
            Fault::Connect => f.write_str("the host cannot be reached"),
            Fault::Tls => f.write_str("no trusted TLS connection to the host"),
            Fault::Timeout => f.write_str("the host took too long"),
            Fault::Http => f.write_str("the answer is not HTTP/1.1 or broke off"),
            Fault::Redirect(status) => write!(f, "the host answered {status}, and redirects are not followed"),
            Fault::Status(status) => write!(f, "the host answered {status}"),
            Fault::Encoded => f.write_str("the answer is compressed"),
            Fault::TooLarge(most) => write!(f, "the answer is larger than {most} bytes"),
        }
    }
}

impl std::error::Error for Fault {}

/// A whole answer: of any status but a redirect, with its body uncompressed.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status; 304 only where the caller asked with a condition.
    pub status: StatusCode,
    /// Its headers, at most 100 and 32 KiB of them.
    pub headers: HeaderMap,
    /// Its body, at most what the caller takes.
    pub body: Bytes,
}

impl Reply {
    /// The body of a 200.
    ///
    /// # Errors
    /// [`Fault::Status`] for any other status.
    pub fn ok(self) -> Result<Bytes, Fault> {
        if self.status == StatusCode::OK { Ok(self.body) } else { Err(Fault::Status(self.status.as_u16())) }
    }
}

/// An address that was checked, with the trust and the networks that go with it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Endpoint {
    host: String,
    server: ServerName<'static>,
    port: u16,
    authority: String,
    target: String,
    tls: Arc<ClientConfig>,
    reach: Arc<Reach>,
}

impl Endpoint {
    /// Checks an address. With `ca_pem` only the authorities in it are believed, else those of the system (read now). An
    /// address that is not public is called only where `reach` lists its network; a name is held to that at each call.
    ///
    /// # Errors
    /// An address that is not plain `https` or not to be reached, or unusable authorities.
    pub fn new(url: &str, ca_pem: Option<&[u8]>, reach: &Reach) -> Result<Self, EndpointFault> {
        // ORDER: the address before the system's authorities, whose reading costs.
        let place = place(url, reach)?;
        let tls = certs::client_config(ca_pem).map_err(EndpointFault::Trust)?;
        Ok(place.with(tls, Arc::new(reach.clone())))
    }

    /// Another address under the same trust and the same networks, such as one that the provider's metadata names.
    ///
    /// # Errors
    /// As [`Endpoint::new`], but for the authorities.
    pub fn at(&self, url: &str) -> Result<Self, EndpointFault> {
        Ok(place(url, &self.reach)?.with(Arc::clone(&self.tls), Arc::clone(&self.reach)))
    }

    /// The address, as it is called.
    pub fn url(&self) -> String {
        format!("https://{}{}", self.authority, self.target)
    }

    /// Asks for what is there, with `extra` headers beside ours, and reads at most `cap` bytes. Takes at most 10 seconds.
    ///
    /// # Errors
    /// Whatever keeps it from being a whole answer; a redirect.
    pub async fn get(&self, accept: &'static str, extra: HeaderMap, cap: usize) -> Result<Reply, Fault> {
        self.call(Method::GET, accept, extra, Bytes::new(), cap).await
    }

    /// Sends a form (`application/x-www-form-urlencoded`), for an answer in JSON of at most `cap` bytes. Takes at most 10
    /// seconds.
    ///
    /// # Errors
    /// As [`Endpoint::get`].
    pub async fn post_form(
        &self,
        fields: &[(&str, &str)],
        authorization: Option<HeaderValue>,
        cap: usize,
    ) -> Result<Reply, Fault> {
        let mut extra = HeaderMap::new();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        extra.insert(header::CONTENT_TYPE, form);
        if let Some(mut authorization) = authorization {
            authorization.set_sensitive(true);
            extra.insert(header::AUTHORIZATION, authorization);
        }
        self.call(Method::POST, "application/json", extra, encode_form(fields).into(), cap).await
    }
}

/// An address by its parts.
struct Place {
    host: String,
    server: ServerName<'static>,
    port: u16,
    authority: String,
    target: String,
}

impl Place {
    fn with(self, tls: Arc<ClientConfig>, reach: Arc<Reach>) -> Endpoint {
        let Self { host, server, port, authority, target } = self;
        Endpoint { host, server, port, authority, target, tls, reach }
    }
}

fn place(url: &str, reach: &Reach) -> Result<Place, EndpointFault> {
    if url.contains(['#', '@']) {
        return Err(EndpointFault::Decorated);
    }
    if url.len() > MAX_URL {
        return Err(EndpointFault::NotHttps);
    }
    let uri: Uri = url.parse().map_err(|_| EndpointFault::NotHttps)?;
    let authority = uri.authority().ok_or(EndpointFault::NotHttps)?;
    if uri.scheme_str() != Some("https") || authority.host().is_empty() {
        return Err(EndpointFault::NotHttps);
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let server = ServerName::try_from(host.clone()).map_err(|_| EndpointFault::NotHttps)?;
    if host.parse().is_ok_and(|address| !reach.allows(address)) {
        return Err(EndpointFault::Unlisted);
    }
    Ok(Place {
        server,
        port: uri.port_u16().unwrap_or(443),
        authority: authority.as_str().to_owned(),
        target: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        host,
    })
}

#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;
