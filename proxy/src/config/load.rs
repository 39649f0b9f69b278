//! The only reader of files: the configuration, the policies, and every file that they name, as one set of bytes; and of
//! what the pod says by the environment.
//!
//! It reads and collects; it judges nothing but the form of the YAML. Each file has a size limit, and a file that cannot
//! be read is remembered with its reason, so that [`super::compile`] can say so at the place that names it. A set that
//! changes while it is read is read again: half of one set and half of another is never a set.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use std::time::Duration;

use policy::{Diagnostic, FileId, Node, NodeValue, RawPolicy, Sources};

use super::files::FileSet;
use super::people::RawPeople;
use super::pod::{self, RawPod};
use super::providers::raw::RawProvider;
use super::providers::{filled, login};
use super::raw::RawConfig;

/// The largest file that is read: certificates, key sets and secrets are far smaller. (YAML files: 1 MiB, by the reader.)
const FILE_LIMIT: u64 = 2 * 1024 * 1024;
/// How often a set is read that changes while it is read, and the pause between two times.
const ROUNDS: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);
/// The most policy files that one folder may hold.
const POLICY_FILES: usize = 512;

/// Everything that was read, still as written.
#[derive(Debug)]
pub struct Loaded {
    /// Names and texts of the YAML files, for diagnostics.
    pub sources: Sources,
    /// The configuration.
    pub config: RawConfig,
    /// The policy files, in the order of their names.
    pub policies: Vec<(FileId, RawPolicy)>,
    /// The file of the directory of subjects, where there is one.
    pub people: Option<(FileId, RawPeople)>,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    /// Every other file that the configuration names: its bytes, or why it could not be read.
    pub files: BTreeMap<PathBuf, Result<Vec<u8>, String>>,
    /// What the pod says by the environment.
    pub pod: RawPod,
}

/// Why a set of files is no configuration.
#[derive(Debug)]
pub struct Faults {
    /// What the places point into.
    pub sources: Sources,
    /// Every fault, errors and warnings, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the configuration at `path`, the policies that it names, and every file that they name.
///
/// # Errors
/// Every fault of form in all of the YAML files at once; what needs judgement is left to `compile`.
pub fn load(path: &Path) -> Result<Loaded, Faults> {
    load_set(path).1
}

/// As [`load`], with the files that were read.
pub(super) fn load_set(path: &Path) -> (FileSet, Result<Loaded, Faults>) {
    let mut set = FileSet::of(path);
    for _ in 0..ROUNDS {
        set = FileSet::of(path);
        let loaded = load_once(path, &mut set);
        // INVARIANT: what is handed out is what the files held together at one moment.
        if set.again() == set {
            return (set, loaded);
        }
        std::thread::sleep(PAUSE);
    }
    let message = format!("the files of `{}` change faster than they can be read", path.display());
    let faults = Faults { sources: Sources::default(), diagnostics: vec![Diagnostic::without_place("file", message)] };
    (set, Err(faults))
}

fn load_once(path: &Path, set: &mut FileSet) -> Result<Loaded, Faults> {
    let mut sources = Sources::default();
    let mut faults = Vec::new();
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let text = match read_text(path, set) {
        Ok(text) => text,
        Err(reason) => {
            let message = format!("cannot read the configuration `{}`: {reason}", path.display());
            faults.push(Diagnostic::without_place("file", message));
            return Err(Faults { sources, diagnostics: faults });
        }
    };
    let file = sources.add(path.display().to_string(), text);
    let config = policy::read::<RawConfig>(&sources, file).map_err(|found| faults.extend(found)).ok();
    let config = config.map(|mut config| {
        // ORDER: before anything looks at the providers, so that what judges and `config --effective` see the same.
        config.providers.values_mut().for_each(filled::fill);
        config
    });
    // The policies are read even where the configuration has faults, so that one run shows the faults of both.
    let named = policy::parse_tree(&sources, file).ok().as_ref().and_then(named_policies);
    let policies = named.map(|(folder, span)| {
        let folder = base.join(folder);
        read_policies(&folder, set, &mut sources, &mut faults).unwrap_or_else(|reason| {
            let message = format!("cannot read the policies in `{}`: {reason}", folder.display());
            faults.push(Diagnostic::error("file", span, message).help("paths are relative to the configuration file"));
            Vec::new()
        })
    });
    let people = config.as_ref().and_then(|config| read_people(config, &base, set, &mut sources, &mut faults));
    match config {
        Some(config) if faults.iter().all(|fault| !fault.is_error()) => {
            let files = read_named_files(&config, &base, set);
            let policies = policies.unwrap_or_default();
            Ok(Loaded { sources, config, policies, people, files, base, pod: read_pod() })
        }
        _ => Err(Faults { sources, diagnostics: faults }),
    }
}

fn named_policies(tree: &Node) -> Option<(String, policy::Span)> {
    let NodeValue::Map(entries) = &tree.value else { return None };
    let (_, node) = entries.iter().find(|(key, _)| key.name == "policies")?;
    match &node.value {
        NodeValue::String(folder) => Some((folder.clone(), node.span)),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Seq(_) | NodeValue::Map(_) => None,
    }
}

fn read_policies(
    folder: &Path,
    set: &mut FileSet,
    sources: &mut Sources,
    faults: &mut Vec<Diagnostic>,
) -> Result<Vec<(FileId, RawPolicy)>, String> {
    let mut found = Vec::new();
    for path in set.list(folder)? {
        let text = match read_text(&path, set) {
            Ok(text) => text,
            Err(reason) => {
                let message = format!("cannot read the policy file `{}`: {reason}", path.display());
                faults.push(Diagnostic::without_place("file", message));
                continue;
            }
        };
        let file = sources.add(path.display().to_string(), text);
        match policy::read::<RawPolicy>(sources, file) {
            Ok(raw) => found.push((file, raw)),
            Err(more) => faults.extend(more),
        }
    }
    Ok(found)
}

fn read_people(
    config: &RawConfig,
    base: &Path,
    set: &mut FileSet,
    sources: &mut Sources,
    faults: &mut Vec<Diagnostic>,
) -> Option<(FileId, RawPeople)> {
    let name = config.directory.as_ref()?.value.file.as_ref()?;
    let path = base.join(&name.value);
    let text = read_text(&path, set).map_err(|reason| {
        let message = format!("cannot read `{}`: {reason}", path.display());
        faults.push(Diagnostic::error("file", name.span, message).help("paths are relative to the configuration file"));
    });
    let file = sources.add(path.display().to_string(), text.ok()?);
    policy::read(sources, file).map_err(|more| faults.extend(more)).ok().map(|raw| (file, raw))
}

/// The policy files at `path` in the order of their names. A name that starts with a dot is none: Kubernetes keeps its
/// own entries (`..data`) in a mounted folder.
pub(super) fn policy_files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if about.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml")) {
            files.push(entry.path());
        }
        if files.len() > POLICY_FILES {
            return Err(format!("it holds more than {POLICY_FILES} policy files"));
        }
    }
    files.sort();
    if files.is_empty() { Err("it holds no file that ends in `.yaml` or `.yml`".to_owned()) } else { Ok(files) }
}

fn read_named_files(config: &RawConfig, base: &Path, set: &mut FileSet) -> BTreeMap<PathBuf, Result<Vec<u8>, String>> {
    let mut names: Vec<PathBuf> = Vec::new();
    for certificate in &config.tls.certificates {
        let folder = base.join(&certificate.directory.value);
        names.push(folder.join("tls.crt"));
        names.push(folder.join("tls.key"));
    }
    if let Some(tls) = config.app.tls.as_ref().map(|tls| &tls.value) {
        names.extend(tls.ca.as_ref().map(|ca| base.join(&ca.value)));
        let folder = tls.client_certificate.as_ref().map(|ours| base.join(&ours.directory.value));
        names.extend(folder.into_iter().flat_map(|folder| [folder.join("tls.crt"), folder.join("tls.key")]));
    }
    if let Some(clients) = &config.tls.client_certificates {
        names
            .extend([Some(&clients.ca), clients.crl.as_ref()].into_iter().flatten().map(|name| base.join(&name.value)));
    }
    names.extend(config.providers.values().flat_map(provider_files).map(|name| base.join(name)));
    let revoked = config.session.as_ref().and_then(|session| session.revoked.as_ref());
    names.extend(revoked.map(|name| base.join(&name.value)));
    if let Some(directory) = config.directory.as_ref().map(|directory| &directory.value) {
        let authorization = directory.authorization.as_ref().map(|authorization| &authorization.value.file);
        names.extend(directory.ca.iter().chain(authorization).map(|name| base.join(&name.value)));
    }
    names.extend(config.redact.pseudonym_key.as_ref().map(|key| base.join(&key.file.value)));
    if let Some(telemetry) = &config.telemetry {
        let headers = telemetry.headers.as_ref().map(|headers| &headers.file);
        names.extend(telemetry.ca.iter().chain(headers).map(|name| base.join(&name.value)));
    }
    names.into_iter().map(|path| (path.clone(), set.read(&path))).collect()
}

/// What the environment says; what is no text becomes one that is no value of it either.
fn read_pod() -> RawPod {
    let read = |name| {
        let value = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        value.filter(|value| !value.is_empty())
    };
    RawPod { addresses: read(pod::POD_IPS), probes: read(pod::APP_PROBES) }
}

fn provider_files(provider: &RawProvider) -> Vec<&str> {
    let secret = provider.secret.as_ref().map(|secret| &secret.value.file);
    let keys = provider.jwks.iter().flat_map(|jwks| [&jwks.value.ca, &jwks.value.file]).flatten();
    let metadata = provider.discovery.iter().filter_map(|discovery| discovery.value.ca.as_ref());
    let named = secret.into_iter().chain(keys).chain(metadata).map(|name| name.value.as_str());
    named.chain(provider.login.iter().flat_map(login::files)).collect()
}

fn read_text(path: &Path, set: &mut FileSet) -> Result<String, String> {
    String::from_utf8(set.read(path)?).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Reads one file whole.
///
/// # Errors
/// The system's reason, or that the file is over 2 MiB.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_LIMIT { Err(format!("it is larger than {FILE_LIMIT} bytes")) } else { Ok(bytes) }
}
