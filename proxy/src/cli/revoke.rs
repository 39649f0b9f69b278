//! `anteroom revoke`: ends the sign-ins of a session, a subject or one token, over the control socket.

use http::{Method, StatusCode};
use policy::units::Period;

use super::ask::{self, Control};
use super::{Exit, complain, print};
use crate::sessions::name::{FORM, Name};

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    control: Control,
    /// The issuer, as `iss` in the record; a session by its name in the record goes without
    #[arg(long, value_name = "ISS")]
    issuer: Option<String>,
    /// Whoever this is: every sign-in up to now ends, and a later one is let in
    #[arg(long, value_name = "SUB", group = "what")]
    subject: Option<String>,
    /// One session, by its name in the record (`hs:…`) or at the issuer (`sid`): every sign-in in it up to now ends
    #[arg(long, value_name = "SID", group = "what")]
    session: Option<String>,
    /// One token, by its name at the issuer (`jti`)
    #[arg(long, value_name = "JTI", group = "what")]
    token: Option<String>,
    /// How long that holds, at most 366d: longer than tokens of that sign-in can be renewed
    #[arg(long = "for", value_name = "TIME", default_value = "7d")]
    length: Period,
}

pub(super) fn run(args: &RevokeArgs) -> Exit {
    let (kind, name) = match (&args.subject, &args.session, &args.token) {
        (Some(name), _, _) => ("subject", name),
        (None, Some(name), _) => ("session", name),
        (None, None, Some(name)) => ("token", name),
        (None, None, None) => return Exit::Invalid,
    };
    let seconds = args.length.0.as_secs();
    if !(1..=crate::admin::LONGEST_S).contains(&seconds) {
        complain("error: `--for` is at least `1s` and at most `366d`");
        return Exit::Invalid;
    }
    let is_recorded = kind == "session" && Name::is_meant(name);
    if is_recorded && Name::read(name).is_none() {
        complain(&format!("error: {FORM}"));
        return Exit::Invalid;
    }
    if !is_recorded && args.issuer.is_none() {
        complain(
            "error: `--issuer` is missing: whose name that is; only a session's name in the record (`hs:…`) goes without",
        );
        return Exit::Invalid;
    }
    let issuer = args.issuer.as_ref().map(|issuer| format!("&issuer={}", escaped(issuer))).unwrap_or_default();
    let path = format!("/revoke?kind={kind}&name={}&for={seconds}{issuer}", escaped(name));
    match ask::control(&args.control, Method::POST, &path) {
        Ok(answer) if answer.status == StatusCode::OK => match ask::pretty(&answer.text) {
            Ok(text) => print(&text),
            Err(error) => {
                complain(&format!("error: {error}"));
                Exit::Failed
            }
        },
        Ok(answer) => {
            complain(&format!("error: the gate answered {}: {}", answer.status, answer.text.trim()));
            Exit::Failed
        }
        Err(error) => {
            complain(&format!("error: {error}"));
            Exit::Failed
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
