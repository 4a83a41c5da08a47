//! Who asks, and what that one may have.

use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};

use super::Site;
use crate::hub::count;

/// What a path needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: probes, and the page without its contents.
    Nothing,
    /// Counters, sources, flows, decisions.
    Metadata,
    /// Packets.
    Packets,
    /// Commands.
    Control,
}

/// What somebody may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// Until when a source is paused.
    pub(super) future: bool,
}

/// Whether the one who asks may have it.
///
/// Without a file of tokens everybody who gets here, which is this machine alone, may read
/// metadata; nothing about the future, no commands, and packets only if `look_back.http` says so.
///
/// # Errors
/// Status and sentence of the refusal.
pub(super) fn check<B>(
    request: &Request<B>,
    site: &Site,
    need: Need,
) -> Result<Access, (StatusCode, &'static str)> {
    if need == Need::Nothing {
        return Ok(Access { future: false });
    }
    let Some(tokens) = &site.tokens else {
        return match need {
            // The sensor itself knows whether it gives packets to somebody without a token.
            Need::Nothing | Need::Metadata | Need::Packets => Ok(Access { future: false }),
            Need::Control => Err((
                StatusCode::FORBIDDEN,
                "this takes a token, and the sensor has none; see api.tokens, or ask on the \
                 control socket",
            )),
        };
    };
    let offered = request.headers().get(AUTHORIZATION);
    let offered = offered.and_then(|it| bearer(it.as_bytes()));
    let scopes = offered.and_then(|token| tokens.scopes(token));
    let Some(scopes) = scopes else {
        count(&site.shared.counters.denied, 1);
        return Err((
            StatusCode::UNAUTHORIZED,
            "a token is needed: authorization: Bearer TOKEN",
        ));
    };
    let may = match need {
        Need::Nothing => true,
        Need::Metadata => scopes.metadata,
        Need::Packets => scopes.packets,
        Need::Control => scopes.control,
    };
    if !may {
        count(&site.shared.counters.denied, 1);
        return Err((StatusCode::FORBIDDEN, "the token's scopes do not hold this"));
    }
    Ok(Access {
        future: scopes.metadata,
    })
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}
