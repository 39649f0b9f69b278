//! `anteroom demo app`: the sample clinic alone, so that a pod can have it as the application behind a real gate.
//!
//! Decides where it listens. It judges nobody, shows everything to whoever names no clinic, and is for a trial alone:
//! outside of loopback it does not listen.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::app::Exit;
use super::error::DemoError;
use super::{Ending, open_clinic};

/// What `anteroom demo app` was asked for.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct AppArgs {
    /// Where it listens: an address of loopback, and a port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000", value_parser = loopback)]
    listen: SocketAddr,
}

/// An address that only this machine, or this pod, can reach.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "it is not ADDRESS:PORT, such as 127.0.0.1:3000".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err("the sample clinic believes whatever it is told, so it listens on loopback alone".to_owned()),
    }
}

/// Serves until SIGINT, SIGTERM or SIGHUP.
pub(super) async fn serve(args: &AppArgs) -> Result<(), DemoError> {
    let mut ending = Ending::listen()?;
    let act = "listen at the address of `--listen`";
    let listener = TcpListener::bind(args.listen).await.map_err(|detail| DemoError::System { act, detail })?;
    open_clinic(listener, "localhost", Exit::None);
    ending.wait().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_on_loopback_alone() {
        assert!(loopback("127.0.0.1:3000").is_ok() && loopback("[::1]:3000").is_ok());
        for wrong in ["0.0.0.0:3000", "[::]:3000", "10.0.0.7:3000", "localhost:3000", "3000"] {
            assert!(loopback(wrong).is_err(), "{wrong}");
        }
    }
}
