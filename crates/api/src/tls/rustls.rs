//! TLS 1.2 and 1.3 by rustls over ring.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{Error, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::CertificateError;

/// Longest file: a chain of dozens of certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Bits of a mode by which somebody reads a key who is neither its owner nor of its group, or
/// changes it who is not its owner.
const OTHERS: u32 = 0o027;

/// What is spoken inside.
const ALPN: &[u8] = b"http/1.1";

/// A chain and its key, as read from two files. Clones are the same.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    chain: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Whether this build has TLS.
    pub const ARE_BUILT: bool = true;

    /// Reads both files, in PEM: the chain with the sensor's own certificate first, and its key.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let current = Mutex::new(Current::read(certificate, key)?);
        Ok(Self(Arc::new(Inner {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current,
        })))
    }

    /// Reads them again. Whoever connects from now on gets what is there now; says whether that
    /// is another chain.
    ///
    /// # Errors
    /// See [`CertificateError`]; then everything is as before.
    pub fn renew(&self) -> Result<bool, CertificateError> {
        let new = Current::read(&self.0.certificate, &self.0.key)?;
        let mut current = self.current();
        let is_another = current.chain != new.chain;
        *current = new;
        Ok(is_another)
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.current().config.clone();
        TlsAcceptor::from(config).accept(stream).await
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        let current = self.0.current.lock();
        current.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let missing = |path: &Path, what| CertificateError::Missing {
            path: path.to_owned(),
            what,
        };
        let (pem, _) = read(certificate)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| missing(certificate, "certificate"))?;
        let secret = PrivateKeyDer::from_pem_slice(&read_key(key)?);
        let secret = secret.map_err(|_| missing(key, "private key"))?;
        let config = config(chain.clone(), secret).map_err(|error| CertificateError::Unusable {
            path: certificate.to_owned(),
            message: error.to_string(),
        })?;
        let config = Arc::new(config);
        Ok(Self { chain, config })
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// What a file holds, and its mode.
fn read(path: &Path) -> Result<(Vec<u8>, u32), CertificateError> {
    let unread = |cause| CertificateError::Read {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(unread)?;
    let mode = file.metadata().map_err(unread)?.mode() & 0o777;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(unread)?;
    Ok((bytes, mode))
}

/// What the file of a key holds, if nobody else can take it.
fn read_key(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let (bytes, mode) = read(path)?;
    if mode & OTHERS != 0 {
        return Err(CertificateError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(bytes)
}
