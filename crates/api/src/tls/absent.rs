//! A build without TLS: there are no certificates, and whoever asks for them is told so.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use tokio::net::TcpStream;

use super::CertificateError;

/// Nothing that there could be.
#[derive(Clone, Debug)]
pub struct Certificates(Infallible);

impl Certificates {
    /// Whether this build has TLS.
    pub const ARE_BUILT: bool = false;

    /// See the variant.
    ///
    /// # Errors
    /// [`CertificateError::NotBuilt`], always.
    pub const fn read(_certificate: &Path, _key: &Path) -> Result<Self, CertificateError> {
        Err(CertificateError::NotBuilt)
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub const fn renew(&self) -> Result<bool, CertificateError> {
        match self.0 {}
    }

    #[expect(clippy::unused_async, reason = "as with TLS")]
    pub(crate) async fn accept(&self, _stream: TcpStream) -> io::Result<TcpStream> {
        match self.0 {}
    }
}
