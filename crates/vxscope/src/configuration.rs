//! From a file and assignments to a configuration, or to everything that is wrong with it.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;

use vxscope_api::{CertificateError, Certificates};
use vxscope_config::{Config, Way};

use crate::arguments::{CheckConfigArguments, RunOptions};
use crate::failure::Failure;
use crate::print;

/// Longest configuration file. The commented default has a hundredth of it; what is longer is
/// another kind of file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads the file, if there is one, and applies the assignments in their order.
pub(crate) fn load(file: Option<&Path>, assignments: &[String]) -> Result<Config, Failure> {
    let text = file.map(read).transpose()?.unwrap_or_default();
    Config::parse_with(&text, assignments).map_err(|problems| {
        let file = file.map(|file| file.display().to_string());
        Failure::Configuration { file, problems }
    })
}

/// The configuration; the command line's own options override it like assignments.
pub(crate) fn with_options(
    options: &RunOptions,
    api: Option<SocketAddr>,
) -> Result<Config, Failure> {
    let mut assignments = options.config.set.clone();
    assignments.extend(api.map(|address| format!("api.listen=\"{address}\"")));
    if let Some(workers) = options.workers {
        assignments.push(format!("workers.count={workers}"));
    }
    if !options.export.is_empty() {
        let ways: Vec<String> = options.export.iter().map(Way::to_string).collect();
        assignments.push(format!("export.kinds={ways:?}"));
    }
    let mut config = load(options.config.config.as_deref(), &assignments)?;
    if config.report.sensor.is_empty() {
        config.report.sensor = host();
    }
    Ok(config)
}

/// What HTTP is to be encrypted with, read while whoever may read it is still who we are.
pub(crate) fn certificates(config: &Config) -> Result<Option<Certificates>, Failure> {
    let api = &config.api;
    if api.tls_certificate.is_empty() {
        return Ok(None);
    }
    let read = Certificates::read(api.tls_certificate.as_ref(), api.tls_key.as_ref());
    read.map(Some)
        .map_err(|error| Failure::Usage(error.to_string()))
}

/// The name of the host; of one without a name, ours.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "vxscope".to_owned(),
        name => name.to_owned(),
    }
}

/// `vxscope check-config`.
pub(crate) fn check(arguments: &CheckConfigArguments) -> Result<(), Failure> {
    if arguments.print_default {
        return print(&Config::reference());
    }
    let config = load(arguments.file.as_deref(), &arguments.set)?;
    // The files themselves are perhaps for the sensor's user alone.
    if !config.api.tls_certificate.is_empty() && !Certificates::ARE_BUILT {
        return Err(Failure::Usage(CertificateError::NotBuilt.to_string()));
    }
    match &arguments.file {
        Some(file) => print(&format!("{}: ok\n", file.display())),
        None => print("ok\n"),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let wrong = |what: String| Failure::Usage(format!("{}: {what}", file.display()));
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(
            "longer than 1 MiB; this is not a configuration".to_owned(),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        wrong(format!(
            "not UTF-8 at byte {offset}; this is not a configuration"
        ))
    })
}
