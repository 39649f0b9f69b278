//! `anteroom inject`: manifests in, manifests with the gate out, and a report.
//!
//! The files and the exit code are decided here, everything else in the crate `inject`. Where anything that was asked for
//! cannot be done, nothing is written to standard output: a pipe into a cluster must not carry pods without their gate.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use inject::manifests::{Input, inject_manifests};
use inject::{Asked, ImageName, RawInjection, Settings};
use policy::Sources;

use super::{Exit, complain, print};
use crate::config::Faults;

/// The most that is read in all, in bytes; as much as the crate takes.
const MOST_BYTES: u64 = 64 << 20;
/// The most files of one folder.
const MOST_FILES: usize = 10_000;
/// Settings where no file is given.
const NO_SETTINGS: &str = "apiVersion: anteroom.dev/v1\nkind: Injection\n";

#[derive(Debug, clap::Args)]
pub(super) struct InjectArgs {
    /// Manifests: a file, a folder (its `.yaml`, `.yml` and `.json`), or `-` for standard input. May be given again
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    sidecar: SidecarArgs,
    /// How the report on standard error is written
    #[arg(long, value_enum, default_value_t = Form::Human)]
    report: Form,
}

/// What is injected where the pod does not say otherwise, and into which.
#[derive(Debug, clap::Args)]
pub(super) struct SidecarArgs {
    /// All pods, but for those whose label says "false"; without it, those whose label says "true"
    #[arg(long)]
    all: bool,
    /// What is put into pods: a file with `kind: Injection`, read once
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The image of the gate; comes before that of the settings
    #[arg(long)]
    image: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Human,
    /// One JSON object
    Json,
}

pub(super) fn run(args: &InjectArgs) -> Exit {
    let settings = match args.sidecar.settings() {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let inputs = match inputs(&args.files) {
        Ok(inputs) => inputs,
        Err(reason) => {
            complain(&format!("error: {reason}"));
            return Exit::Failed;
        }
    };
    let done = match inject_manifests(&inputs, &settings, &sha256) {
        Ok(done) => done,
        Err(fault) => {
            complain(&format!("error: {fault}\nnothing was written"));
            return Exit::Invalid;
        }
    };
    match args.report {
        Form::Human => complain(done.report.text().trim_end()),
        Form::Json => complain(&done.report.json().to_string()),
    }
    if done.report.refused() { Exit::Invalid } else { print(&done.text) }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).fold("sha256:".to_owned(), |text, byte| text + &byte)
}

impl SidecarArgs {
    /// What is injected, as a file and the flags say it; what is wrong with them has been told.
    pub(super) fn settings(&self) -> Result<Settings, Exit> {
        let mut sources = Sources::default();
        let (name, text) = match &self.settings {
            None => ("the defaults".to_owned(), NO_SETTINGS.to_owned()),
            Some(path) => {
                let mut left = MOST_BYTES;
                let text = read_file(path, &mut left).map_err(|reason| {
                    complain(&format!("error: {reason}"));
                    Exit::Failed
                })?;
                (path.display().to_string(), text)
            }
        };
        let file = sources.add(name, text);
        let raw = policy::read::<RawInjection>(&sources, file)
            .map_err(|diagnostics| super::show(&Faults { sources, diagnostics }))?;
        let image = self.image.clone().map(ImageName::try_from).transpose();
        let asked = if self.all { Asked::ByDefault } else { Asked::ByLabel };
        let settings =
            image.map_err(str::to_owned).and_then(|image| raw.settings(image, env!("CARGO_PKG_VERSION"), asked));
        settings.map_err(|reason| {
            complain(&format!("error: {reason}"));
            Exit::Invalid
        })
    }
}

fn inputs(files: &[PathBuf]) -> Result<Vec<Input>, String> {
    let mut left = MOST_BYTES;
    let mut inputs = Vec::new();
    for path in files {
        if path.as_os_str() == "-" {
            let text =
                read_text(std::io::stdin().lock(), &mut left).map_err(|error| format!("standard input: {error}"))?;
            inputs.push(Input { name: "-".to_owned(), text });
            continue;
        }
        for path in manifests(path)? {
            let text = read_file(&path, &mut left)?;
            inputs.push(Input { name: path.display().to_string(), text });
        }
    }
    Ok(inputs)
}

/// The file itself, or the manifests of a folder in the order of their names.
fn manifests(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let at = |error: std::io::Error| format!("`{}`: {error}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(at)? {
        let file = entry.map_err(at)?.path();
        let named = file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json");
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if named && !hidden {
            files.push(file);
        }
        if files.len() > MOST_FILES {
            return Err(format!("`{}` holds more than {MOST_FILES} manifests", path.display()));
        }
    }
    files.sort();
    if files.is_empty() { Err(format!("`{}` holds no manifests", path.display())) } else { Ok(files) }
}

fn read_file(path: &Path, left: &mut u64) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    read_text(file, left).map_err(|error| format!("`{}`: {error}", path.display()))
}

fn read_text(from: impl Read, left: &mut u64) -> Result<String, String> {
    let mut text = String::new();
    from.take(left.saturating_add(1)).read_to_string(&mut text).map_err(|error| error.to_string())?;
    *left = left.checked_sub(text.len() as u64).ok_or_else(|| format!("more than {MOST_BYTES} bytes in all"))?;
    Ok(text)
}
