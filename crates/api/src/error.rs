//! Why the API cannot be served.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// See the variants; each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Another sensor answers there.
    #[error(
        "{}: another sensor is running with this control socket; stop it, or choose another \
         folder with --out or another socket with --set api.control_socket=PATH", path.display()
    )]
    Occupied {
        /// The socket.
        path: PathBuf,
    },
    /// Something is there that nobody should delete.
    #[error(
        "{}: is no socket; remove it, or choose another with --set api.control_socket=PATH",
        path.display()
    )]
    NotASocket {
        /// What was to be the socket.
        path: PathBuf,
    },
    /// The kernel takes 107 bytes, of which a long folder takes about 20.
    #[error(
        "{}: the name is too long for a socket, by {} bytes; choose another with \
         --set api.control_socket=PATH", path.display(), excess
    )]
    PathTooLong {
        /// The socket.
        path: PathBuf,
        /// How much shorter it must be.
        excess: usize,
    },
    /// It cannot be made.
    #[error("{}: cannot be made: {cause}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It cannot be listened on.
    #[error(
        "{address}: cannot be listened on for HTTP: {cause}; choose another with --api ADDR:PORT"
    )]
    Listen {
        /// Address and port.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Others could ask, and nobody said that they may, or by what they prove it.
    #[error(
        "{address}: can be reached from other machines; use 127.0.0.1, or set api.exposed = true \
         and name a file of tokens with api.tokens"
    )]
    Exposed {
        /// Address and port.
        address: SocketAddr,
    },
    /// There are no tokens.
    #[error("{0}")]
    Tokens(#[from] crate::token::TokenError),
    /// The runtime of the API cannot be made.
    #[error("the API cannot be served: {cause}")]
    Runtime {
        /// Why.
        #[source]
        cause: io::Error,
    },
}
