//! `anteroom dev`: certificates and tokens for development, made on the spot.
//!
//! It writes private keys, readable by their owner alone, and only into the folder that it is told.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use certs::dev::{DevCa, Validity};
use clap::Subcommand;
use policy::units::Period;
use serde_json::{Map, Value, json};

use super::{Exit, complain, print};
use crate::clock::Clock;
use crate::dev_key::DevKey;

#[derive(Debug, clap::Args)]
pub(super) struct DevArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A development CA (kept and used again), and a certificate of it
    Certs(CertsArgs),
    /// A token, signed by a development key (kept and used again) whose key set is written beside it
    Token(TokenArgs),
}

#[derive(Debug, clap::Args)]
struct CertsArgs {
    /// Names and addresses that the certificate is for
    #[arg(default_values = ["localhost", "127.0.0.1", "::1"])]
    names: Vec<String>,
    /// The folder for ca.crt, ca.key, tls.crt and tls.key
    #[arg(long, value_name = "FOLDER", default_value = "dev-certs")]
    out: PathBuf,
    /// How long it is valid, in days
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

#[derive(Debug, clap::Args)]
struct TokenArgs {
    /// The folder for token.key and jwks.json
    #[arg(long, value_name = "FOLDER", default_value = "dev-keys")]
    keys: PathBuf,
    /// The claim `iss`
    #[arg(long, default_value = "https://issuer.example/")]
    issuer: String,
    /// The claim `aud`
    #[arg(long, default_value = "https://api.clinic.example")]
    audience: String,
    /// The claim `sub`
    #[arg(long, default_value = "ada.example")]
    subject: String,
    /// How long it is valid, for example `1h`
    #[arg(long, default_value = "1h")]
    expires: Period,
    /// How many, one a line; of several each has an id (`jti`) of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    number: u32,
    /// A further claim, for example `--claim org_id=a` or `--claim 'roles=["provider"]'`
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
}

pub(super) fn run(args: &DevArgs) -> Exit {
    let done = match &args.what {
        What::Certs(args) => certificates(args),
        What::Token(args) => token(args),
    };
    match done {
        Ok(text) => print(&text),
        Err(reason) => {
            complain(&format!("error: {reason}"));
            Exit::Failed
        }
    }
}

fn certificates(args: &CertsArgs) -> Result<String, String> {
    let now = Clock::system().now().unix_seconds();
    make_folder(&args.out)?;
    let (ca_crt, ca_key) = (args.out.join("ca.crt"), args.out.join("ca.key"));
    let ca = match (read(&ca_crt)?, read(&ca_key)?) {
        (Some(crt), Some(key)) => {
            DevCa::from_pem(&crt, &key).map_err(|fault| format!("`{}`: {fault}", ca_crt.display()))?
        }
        (None, None) => {
            let ca = DevCa::generate(Validity::days(now, 3_650)).map_err(|fault| fault.to_string())?;
            write(&ca_crt, ca.ca_pem())?;
            write(&ca_key, &ca.key_pem())?;
            ca
        }
        (Some(_), None) | (None, Some(_)) => {
            return Err(format!("`{}` holds half a CA: remove ca.crt and ca.key", args.out.display()));
        }
    };
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let pair = ca.issue(&names, Validity::days(now, args.days)).map_err(|fault| fault.to_string())?;
    write(&args.out.join("tls.crt"), &pair.cert_pem)?;
    write(&args.out.join("tls.key"), &pair.key_pem)?;
    let folder = args.out.display();
    Ok(format!("{folder}/tls.crt and {folder}/tls.key for {}\nclients trust {folder}/ca.crt\n", names.join(", ")))
}

fn token(args: &TokenArgs) -> Result<String, String> {
    make_folder(&args.keys)?;
    let (pem, set) = (args.keys.join("token.key"), args.keys.join("jwks.json"));
    let key = match read(&pem)? {
        Some(text) => DevKey::from_pem(text.as_bytes()).map_err(|fault| format!("`{}`: {fault}", pem.display()))?,
        None => {
            let key = DevKey::generate().map_err(|fault| fault.to_string())?;
            write(&pem, &key.pem())?;
            key
        }
    };
    write(&set, &format!("{:#}\n", key.key_set()))?;
    let now = Clock::system().now().unix_seconds();
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!(args.issuer));
    claims.insert("aud".to_owned(), json!(args.audience));
    claims.insert("sub".to_owned(), json!(args.subject));
    claims.insert("iat".to_owned(), json!(now));
    claims.insert("exp".to_owned(), json!(now.saturating_add(args.expires.0.as_secs())));
    for written in &args.claims {
        let (name, value) = written.split_once('=').ok_or_else(|| format!("`{written}` is not NAME=VALUE"))?;
        // What is no JSON is the text itself, so that nobody has to quote a word twice.
        let value = serde_json::from_str::<Value>(value).unwrap_or_else(|_| json!(value));
        claims.insert(name.to_owned(), value);
    }
    let mut text = String::new();
    for number in 0..args.number {
        if args.number > 1 {
            claims.insert("jti".to_owned(), json!(format!("{now}-{number}")));
        }
        text.push_str(&key.sign(key.kid(), &claims).map_err(|fault| fault.to_string())?);
        text.push('\n');
    }
    Ok(text)
}

fn make_folder(path: &Path) -> Result<(), String> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| format!("cannot make `{}`: {error}", path.display()))
}

/// The text of a small file of our own; `None` where there is none.
#[expect(clippy::disallowed_methods, reason = "files of this command's own folder, not of the configuration")]
fn read(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read `{}`: {error}", path.display())),
    }
}

/// Writes beside and renames, so that nobody ever reads half a file.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let beside = path.with_extension("new");
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            fs::rename(&beside, path)
        });
    written.map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}
