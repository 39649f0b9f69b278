//! `listen`: the addresses of the gate. As written, and compiled. Binds nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use policy::Spanned;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compile::Faulty;

/// Where the gate listens.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawListen {
    /// Address and port for clients: TLS 1.3 only. `[::]` takes IPv4 as well, and IPv4 alone on a machine without
    /// IPv6.
    pub https: Spanned<String>,
    /// Address and port for `/startedz /livez /readyz /metrics`: plain HTTP, read-only.
    pub health: Spanned<String>,
    /// `unix:` and the path of the control socket, which the application must not be able to reach. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Spanned<String>>,
}

impl Default for RawListen {
    fn default() -> Self {
        Self {
            https: Spanned::unplaced("[::]:8443".to_owned()),
            health: Spanned::unplaced("[::]:9900".to_owned()),
            control: None,
        }
    }
}

pub(super) fn address(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<SocketAddr> {
    if let Ok(address) = written.value.parse() {
        return Some(address);
    }
    // `:8443` is what people write for "every address".
    let hint = match written.value.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()) {
        Some(port) => format!("write `[::]:{port}` for every address, or `127.0.0.1:{port}` for this machine only"),
        None => "write an address and a port, such as `[::]:8443` or `127.0.0.1:8443`".to_owned(),
    };
    faults.at(written.span, "address", format!("`{}` is no address with a port", written.value), &hint);
    None
}

pub(super) fn control_socket(written: &Spanned<String>, faults: &mut Faulty<'_>) -> Option<PathBuf> {
    // The kernel's `sun_path` holds 108 bytes, the last of them zero.
    let path = written.value.strip_prefix("unix:").filter(|path| !path.is_empty() && path.len() < 108);
    if path.is_none() {
        let hint = "write `unix:` and a path of at most 107 bytes, such as `unix:/run/anteroom/control.sock`";
        faults.at(written.span, "address", format!("`{}` is no unix socket", written.value), hint);
    }
    path.map(|path| faults.base.join(path))
}
