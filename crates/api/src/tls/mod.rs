//! The certificate that HTTP is served with, and the way to one that was renewed.

#[cfg_attr(feature = "tls", path = "rustls.rs")]
#[cfg_attr(not(feature = "tls"), path = "absent.rs")]
mod backend;

use std::io;
use std::path::PathBuf;

pub use backend::Certificates;

/// Why there is no TLS. No message holds a part of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// This program was built without it.
    #[error(
        "api.tls_certificate: this vxscope was built without TLS; take the one of the Debian \
         package, build it with `cargo build --release -p vxscope --features tls`, or put a proxy \
         in front of it as docs/OPERATING.md shows"
    )]
    NotBuilt,
    /// A file cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Others could take the key.
    #[error("{}: others may read or change it (mode {mode:03o}); chmod 640", path.display())]
    Mode {
        /// The file of the key.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is nothing of that kind in it.
    #[error("{}: has no {what} in PEM", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// They do not go together, or are of a kind that nobody speaks any more.
    #[error("{}: cannot be used with its key: {message}", path.display())]
    Unusable {
        /// The file of the certificate.
        path: PathBuf,
        /// Why.
        message: String,
    },
}
