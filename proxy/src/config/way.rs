//! `app.url`, `app.protocol` and `app.tls`: the way to the application. As written, and compiled.
//!
//! Decides which ways are safe: in clear only to loopback or through a unix socket, to everywhere else over TLS with a
//! verified certificate. There is no switch that turns verification off.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use certs::ClientIdentity;
use http::Uri;
use policy::Spanned;
use rustls_pki_types::ServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::app::RawApp;
use super::compile::Faulty;
use super::tls::RawCertificate;
use crate::made_of::MadeOf;
use crate::upstream::{Address, AppProtocol, AppTarget, Secure, Way};

/// What the application speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by prior knowledge (h2c) over `http` and `unix`, by ALPN over `https`. What gRPC needs.
    Http2,
}

/// TLS to the application. Its certificate is always verified.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAppTls {
    /// A PEM file with the authorities that may sign the application's certificate, and no others. Left out: those of the
    /// system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// The certificate that the gate shows to an application that asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<RawCertificate>,
    /// The name that the application's certificate must be for, where that is not the host of `app.url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Spanned<String>>,
}

/// The kernel's `sun_path` holds 108 bytes, the last of them zero.
const SOCKET_PATH: usize = 107;

pub(super) fn way(app: &RawApp, faults: &mut Faulty<'_>) -> Option<Way> {
    let protocol = match app.protocol {
        RawProtocol::Http1 => AppProtocol::Http1,
        RawProtocol::Http2 => AppProtocol::Http2,
    };
    let url = &app.url;
    if let Some(tls) = app.tls.as_ref().filter(|_| !url.value.starts_with("https://")) {
        let message = format!("`tls` is for `https` only, and `{}` is something else", url.value);
        faults.at(tls.span, "app-tls", message, "take it out, or write `app.url` with `https://`");
        return None;
    }
    let address = match url.value.split_once(':') {
        Some(("unix", path)) => socket(path, url, faults).map(Address::Unix),
        Some(("https", _)) => secure(app, protocol, faults).map(Address::Secure),
        Some(_) | None => match loopback(&url.value) {
            Ok(address) => Some(address),
            Err((message, hint)) => {
                faults.at(url.span, "app-url", message, hint);
                None
            }
        },
    };
    address.map(|address| Way { address, protocol })
}

/// An application that is the gate itself would be asked for ever.
pub(super) fn check_is_not_the_gate(
    written: &RawApp,
    app: Option<&AppTarget>,
    own: &[Option<SocketAddr>],
    control: Option<&Path>,
    faults: &mut Faulty<'_>,
) {
    let Some(app) = app else { return };
    let is_own = |ip: IpAddr, port: u16| {
        let reaches = |own: &SocketAddr| {
            let everywhere = own.ip().is_unspecified() && (own.is_ipv6() || ip.is_ipv4());
            own.port() == port && (everywhere || own.ip().to_canonical() == ip.to_canonical())
        };
        own.iter().flatten().any(reaches)
    };
    let is_own_here = |port: u16| is_own(Ipv4Addr::LOCALHOST.into(), port) || is_own(Ipv6Addr::LOCALHOST.into(), port);
    let itself = match &app.way.address {
        Address::Loopback(address) => is_own(address.ip(), address.port()),
        Address::Localhost(port) => is_own_here(*port),
        Address::Unix(path) => control == Some(path),
        // What any other name stands for is known to the network alone.
        Address::Secure(secure) => match secure.host.parse::<IpAddr>() {
            Ok(ip) => match ip.to_canonical() {
                ip if ip.is_unspecified() => is_own_here(secure.port),
                ip => ip.is_loopback() && is_own(ip, secure.port),
            },
            Err(_) if secure.host.eq_ignore_ascii_case("localhost") => is_own_here(secure.port),
            Err(_) => false,
        },
    };
    if itself {
        let message = format!("`{}` is the gate's own: it would ask itself", written.url.value);
        faults.at(written.url.span, "app-url", message, "write where the application listens, or change `listen`");
    }
}

/// The address in an `http` URL. Plain HTTP is taken to loopback only: nothing leaves the pod unencrypted.
fn loopback(url: &str) -> Result<Address, (String, &'static str)> {
    const HINT: &str = "write it as `http://127.0.0.1:3000`, `unix:/run/app/http.sock` or `https://app.example:8443`";
    if !url.starts_with("http://") {
        return Err((format!("`{url}` does not start with `http://`, `https://` or `unix:`"), HINT));
    }
    let authority = host_and_port(url).map_err(|message| (message, HINT))?;
    let port = authority.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    if let Some(port) = port.filter(|port| *port != 0) {
        return Ok(Address::Localhost(port));
    }
    let parsed: Result<SocketAddr, _> = authority.parse();
    match parsed {
        Ok(address) if address.ip().is_loopback() && address.port() != 0 => Ok(Address::Loopback(address)),
        Ok(address) if !address.ip().is_loopback() => {
            let message = format!("`{}` is not loopback: the request would leave the pod unencrypted", address.ip());
            Err((message, "write `https://`, or `http://127.0.0.1:3000` for an application in the same pod"))
        }
        Ok(_) | Err(_) => Err((format!("`{url}` has no loopback address with a port"), HINT)),
    }
}

/// What stands between the scheme and the end, where that is nothing but a host and a port.
fn host_and_port(url: &str) -> Result<&str, String> {
    let uri = url.parse::<Uri>().map_err(|_| format!("`{url}` is not an address"))?;
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if uri.path() != "/" || uri.query().is_some() || authority.contains(['/', '?', '#', '@']) {
        return Err(format!("`{url}` holds more than a host and a port"));
    }
    Ok(authority)
}

fn socket(path: &str, url: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<PathBuf> {
    let full = faults.base.join(path);
    if !path.is_empty() && !path.starts_with("//") && full.as_os_str().len() <= SOCKET_PATH {
        return Some(full);
    }
    let hint = "write `unix:` and a path of at most 107 bytes, such as `unix:/run/app/http.sock`";
    faults.at(url.span, "app-url", format!("`{}` is no unix socket", url.value), hint);
    None
}

fn secure(app: &RawApp, protocol: AppProtocol, faults: &mut Faulty<'_>) -> Option<Secure> {
    let url = &app.url;
    let place = host_and_port(&url.value).and_then(|_| {
        let uri = url.value.parse::<Uri>().map_err(|_| format!("`{}` is not an address", url.value))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| format!("`{}` names no host", url.value))?;
        match uri.port_u16() {
            Some(0) => Err(format!("`{}` has no port that can be", url.value)),
            port => Ok((host, port.unwrap_or(443), name)),
        }
    });
    let (host, port, name) = match place {
        Ok(place) => place,
        Err(message) => {
            faults.at(url.span, "app-url", message, "write it as `https://app.example:8443`");
            return None;
        }
    };
    let none = RawAppTls::default();
    let tls = app.tls.as_ref().map_or(&none, |tls| &tls.value);
    let name = match &tls.server_name {
        Some(written) => server_name(written, faults)?,
        None => name,
    };
    let authorities = match &tls.ca {
        Some(ca) => Some(faults.file(ca)?),
        None => None,
    };
    let (identity, ours) = match &tls.client_certificate {
        Some(written) => identity(written, faults).map(|(identity, files)| (Some(identity), files))?,
        None => (None, [None, None]),
    };
    let alpn: &[u8] = match protocol {
        AppProtocol::Http1 => b"http/1.1",
        AppProtocol::Http2 => b"h2",
    };
    let [chain, key] = ours;
    match certs::client_config_for(authorities, identity, alpn) {
        Ok(tls) => Some(Secure { host, port, name, tls, files: print_of([authorities, chain, key]) }),
        Err(fault) => {
            let span = tls.ca.as_ref().map_or(url.span, |ca| ca.span);
            faults.at(span, "app-tls", fault.to_string(), "name a PEM file with the authority of the application");
            None
        }
    }
}

fn server_name(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<ServerName<'static>> {
    let name = ServerName::try_from(written.value.clone()).ok();
    if name.is_none() {
        let message = format!("`{}` is not a name that a certificate can have", written.value);
        faults.at(written.span, "app-tls", message, "write a name such as `app.internal`, or an address");
    }
    name
}

/// The certificate of ours, with the two texts that it is made of.
type Ours<'f> = (ClientIdentity, [Option<&'f [u8]>; 2]);

fn identity<'f>(written: &RawCertificate, faults: &mut Faulty<'f>) -> Option<Ours<'f>> {
    let span = written.directory.span;
    let folder = faults.base.join(&written.directory.value);
    let chain = faults.file_at(&folder.join("tls.crt"), span);
    let key = faults.file_at(&folder.join("tls.key"), span);
    match certs::load_identity(chain?, key?) {
        Ok(identity) => Some((identity, [chain, key])),
        Err(fault) => {
            faults.at(span, "app-tls", fault.to_string(), "name a folder with `tls.crt` and `tls.key`");
            None
        }
    }
}

/// One digest over the files, each led by whether it is there.
fn print_of(files: [Option<&[u8]>; 3]) -> [u8; 32] {
    MadeOf::all(files.iter().flat_map(|file| [if file.is_some() { &b"+"[..] } else { b"-" }, file.unwrap_or_default()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_clear_only_to_loopback() {
        for good in ["http://127.0.0.1:3000", "http://127.9.9.9:1/", "http://[::1]:3000", "http://localhost:3000"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in [
            "http://192.0.2.1:3000",
            "http://0.0.0.0:3000",
            "http://app.example:3000",
            "http://localhost.example:3000",
            "http://localhost",
            "http://localhost:0",
            "http://localhost:70000",
            "http://me.localhost:3000",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://127.0.0.1:3000/app",
            "http://127.0.0.1:3000?x",
            "http://me@127.0.0.1:3000",
            "HTTP://127.0.0.1:3000",
            "ftp://127.0.0.1:21",
            "127.0.0.1:3000",
            "",
        ] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_set_of_files_is_another_way() {
        let print = print_of([Some(b"a"), Some(b"bc"), None]);
        assert_eq!(print, print_of([Some(b"a"), Some(b"bc"), None]));
        assert_ne!(print, print_of([Some(b"ab"), Some(b"c"), None]));
        assert_ne!(print, print_of([Some(b"a"), None, Some(b"bc")]));
        assert_ne!(print_of([None; 3]), print_of([Some(b""), None, None]));
    }
}
