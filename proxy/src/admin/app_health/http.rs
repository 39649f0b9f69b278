//! `httpGet`, as the kubelet does it: any status from 200 to 399 is well, certificates are not looked at, redirects are
//! followed on the same port of the pod, nine of them at most, and a redirect to elsewhere is well by itself. Another port
//! may be another container's, which has no business with the headers of this probe.

use http::header::{ACCEPT, HOST, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{call, tls};
use crate::config::HttpAsk;

/// The most requests of one probe: the first, and nine redirects, as Go's client counts them.
const REQUESTS: usize = 10;

/// What is asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    tls: bool,
    /// Path and query.
    path: String,
    host: HeaderValue,
}

/// Asks. `name` is the pod's own, as it stands in an address.
pub(super) async fn ask(ask: &HttpAsk, name: &str) -> Result<(), &'static str> {
    let path = ask.target.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let host = match &ask.host {
        Some(host) => host.clone(),
        None => host_of(name, ask.port)?,
    };
    let mut target = Target { tls: ask.tls, path, host };
    for _ in 0..REQUESTS {
        let (status, headers) = get(&target, ask).await?;
        if is_redirect(status)
            && let Some(location) = headers.get(LOCATION)
        {
            let location = location.to_str().map_err(|_| "redirects to what is no address")?;
            match follow(&target, location, name, ask.port)? {
                Some(next) => target = next,
                None => return Ok(()),
            }
        } else if (200..400).contains(&status.as_u16()) {
            return Ok(());
        } else {
            return Err(if status.is_server_error() { "answered 5xx" } else { "answered 4xx, or no status of HTTP" });
        }
    }
    Err("redirects too often")
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn host_of(name: &str, port: u16) -> Result<HeaderValue, &'static str> {
    HeaderValue::try_from(format!("{name}:{port}")).map_err(|_| "has no name")
}

/// Where a redirect leads; `None` where that is another host or another port than `port`, which is not asked.
fn follow(from: &Target, location: &str, name: &str, port: u16) -> Result<Option<Target>, &'static str> {
    const BAD: &str = "redirects to what is no address";
    let location = location.split('#').next().unwrap_or_default();
    let absolute = match location.strip_prefix("//") {
        Some(rest) => Some(format!("{}://{rest}", if from.tls { "https" } else { "http" })),
        None => location.contains("://").then(|| location.to_owned()),
    };
    let Some(absolute) = absolute else {
        let path = match location.chars().next() {
            None => from.path.clone(),
            Some('/') => location.to_owned(),
            Some('?') => format!("{}{location}", from.path.split('?').next().unwrap_or("/")),
            Some(_) => {
                let path = from.path.split('?').next().unwrap_or("/");
                format!("{}/{location}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
            }
        };
        return Ok(Some(Target { path, ..from.clone() }));
    };
    let uri: Uri = absolute.parse().map_err(|_| BAD)?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        Some(_) | None => return Err(BAD),
    };
    if uri.host() != Some(name) || uri.port_u16().unwrap_or(if tls { 443 } else { 80 }) != port {
        return Ok(None);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let host = uri.authority().and_then(|authority| HeaderValue::try_from(authority.as_str()).ok()).ok_or(BAD)?;
    Ok(Some(Target { tls, path, host }))
}

async fn get(target: &Target, ask: &HttpAsk) -> Result<(StatusCode, HeaderMap), &'static str> {
    let stream = call::connect(ask.port).await?;
    if target.tls { exchange(tls::over(stream).await?, target, ask).await } else { exchange(stream, target, ask).await }
}

async fn exchange<S>(stream: S, target: &Target, ask: &HttpAsk) -> Result<(StatusCode, HeaderMap), &'static str>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = request(target, ask)?;
    let handshake = http1::Builder::new().max_buf_size(call::HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|_| "closed the connection")?;
    let driven = call::drive(connection);
    let answer = sender.send_request(request).await.map_err(|_| "gave no answer of HTTP")?;
    let (parts, _) = answer.into_parts();
    // The body is of no interest; the connection ends here.
    drop(driven);
    Ok((parts.status, parts.headers))
}

fn request(target: &Target, ask: &HttpAsk) -> Result<Request<Empty<bytes::Bytes>>, &'static str> {
    const BAD: &str = "redirects to what is no address";
    let mut request = Request::get(target.path.as_str()).body(Empty::new()).map_err(|_| BAD)?;
    let headers = request.headers_mut();
    headers.insert(HOST, target.host.clone());
    for (name, value) in &ask.headers {
        headers.append(name.clone(), value.clone());
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, HeaderValue::from_static(call::USER_AGENT));
    }
    match headers.get(ACCEPT) {
        // Written empty, it is not sent.
        Some(value) if value.is_empty() => drop(headers.remove(ACCEPT)),
        Some(_) => {}
        None => drop(headers.insert(ACCEPT, HeaderValue::from_static("*/*"))),
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> Target {
        Target { tls: false, path: "/a/ready?x=1".into(), host: HeaderValue::from_static("clinic.example") }
    }

    #[test]
    fn redirects_stay_on_the_port() {
        let follow = |location: &str| follow(&from(), location, "10.1.2.3", 3000);
        let to = |location: &str| follow(location).map(|next| next.map(|next| (next.tls, next.path)));
        for (location, path) in [
            ("/login", "/login"),
            ("other", "/a/other"),
            ("?y=2", "/a/ready?y=2"),
            ("/login#top", "/login"),
            ("", "/a/ready?x=1"),
        ] {
            assert_eq!(to(location).unwrap(), Some((false, path.to_owned())), "{location}");
        }
        assert_eq!(to("http://10.1.2.3:3000/x").unwrap(), Some((false, "/x".to_owned())));
        assert_eq!(to("https://10.1.2.3:3000").unwrap(), Some((true, "/".to_owned())));
        assert_eq!(to("//10.1.2.3:3000/x").unwrap(), Some((false, "/x".to_owned())));
        for elsewhere in [
            "https://clinic.example:3000/",
            "http://127.0.0.1:3000/",
            "//elsewhere:3000/",
            "http://10.1.2.30:3000/",
            "http://10.1.2.3:4000/x",
            "http://10.1.2.3:30000/",
            "//10.1.2.3/",
            "http://10.1.2.3",
            "https://10.1.2.3",
        ] {
            assert_eq!(to(elsewhere).unwrap(), None, "{elsewhere}");
        }
        assert!(to("ftp://10.1.2.3/").is_err() && to("http://[/").is_err());
        // A way within the host keeps the name that the pod says; a whole address has its own.
        assert_eq!(follow("/x").unwrap().unwrap().host, "clinic.example");
        assert_eq!(follow("http://10.1.2.3:3000/x").unwrap().unwrap().host, "10.1.2.3:3000");
    }

    #[test]
    fn headers_are_the_pods_and_the_kubelets() {
        let ask = |headers: &[(&'static str, &'static str)]| HttpAsk {
            tls: false,
            port: 3000,
            target: "/".parse().unwrap(),
            host: None,
            headers: headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect(),
        };
        let plain = request(&from(), &ask(&[("x-a", "1"), ("x-a", "2")])).unwrap();
        assert_eq!(plain.headers().get_all("x-a").iter().count(), 2);
        assert_eq!(
            (&plain.headers()[ACCEPT], &plain.headers()[HOST]),
            (&HeaderValue::from_static("*/*"), &from().host)
        );
        assert!(plain.headers()[USER_AGENT].to_str().unwrap().starts_with("kube-probe/"));
        let own = request(&from(), &ask(&[("accept", ""), ("user-agent", "me")])).unwrap();
        assert!(!own.headers().contains_key(ACCEPT) && own.headers()[USER_AGENT] == "me");
    }
}
