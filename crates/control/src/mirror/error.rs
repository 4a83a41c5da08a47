//! What EC2's error codes mean for what happens next.

use thiserror::Error;

/// A call that was not answered with success.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// What follows from it.
    pub kind: ErrorKind,
    /// EC2's code.
    pub code: String,
    /// EC2's sentence.
    pub message: String,
}

vxscope_units::reasons! {
    /// What follows from an error.
    pub enum ErrorKind {
        /// Not done, because there were too many calls. Try again later.
        Throttled = "throttled",
        /// Not done, because EC2 is in trouble. Try again later.
        Unavailable = "unavailable",
        /// It may have been done or not: no answer, or one that says so. Ask, or repeat what is
        /// safe to repeat.
        UnknownOutcome = "unknown_outcome",
        /// There is no such session, or not yet.
        NotFound = "not_found",
        /// There is no such interface, target or filter, or not yet.
        Missing = "missing",
        /// A quota: of the interface, the target or the account. Somebody must make room.
        Limit = "limit",
        /// This interface can never be mirrored as it is.
        Unsupported = "unsupported",
        /// The interface, number or filter is taken.
        InUse = "in_use",
        /// We may not. Somebody must change that.
        Unauthorized = "unauthorized",
        /// The same token with other parameters: take another token.
        TokenMismatch = "token_mismatch",
        /// The parameters are wrong; repeating does not help.
        Invalid = "invalid",
    }
}

impl ErrorKind {
    /// Whether the account's, not this source's call is the trouble.
    #[must_use]
    pub const fn is_general(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unavailable | Self::UnknownOutcome | Self::Unauthorized
        )
    }

    /// By EC2's code and, where several meanings share one or the code is not documented, by the
    /// sentence. Codes: EC2 API reference, "Error codes for the Amazon EC2 API".
    #[must_use]
    pub fn of(code: &str, message: &str) -> Self {
        let says = |part: &str| message.contains(part);
        match code {
            "RequestLimitExceeded" | "SlowDown" | "Throttling" | "ThrottlingException" => {
                Self::Throttled
            }
            "Unavailable" | "ServiceUnavailable" | "InsufficientCapacity" => Self::Unavailable,
            // Something went wrong after EC2 had taken the request.
            "InternalError" | "InternalFailure" => Self::UnknownOutcome,
            "InvalidTrafficMirrorSessionId.NotFound" => Self::NotFound,
            "NetworkInterfaceNotSupported" => Self::Unsupported,
            "IdempotentParameterMismatch" => Self::TokenMismatch,
            "UnauthorizedOperation"
            | "AuthFailure"
            | "AccessDenied"
            | "AccessDeniedException"
            | "OptInRequired"
            | "ExpiredToken"
            | "RequestExpired"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "RequestTimeTooSkewed"
            | "SignatureDoesNotMatch"
            | "Blocked" => Self::Unauthorized,
            "TrafficMirrorFilterInUse" | "TrafficMirrorTargetInUseException" => Self::InUse,
            _ if code.starts_with("TrafficMirror") && code.ends_with("LimitExceeded") => {
                Self::Limit
            }
            _ if says("limit reached") => Self::Limit,
            _ if says("already being used") || says("in use by target") => Self::InUse,
            _ if code.ends_with(".NotFound")
                || matches!(
                    code,
                    "InvalidTrafficMirrorTarget" | "NoSuchBucket" | "NoSuchKey"
                ) =>
            {
                Self::Missing
            }
            _ => Self::Invalid,
        }
    }
}

impl ApiError {
    /// From EC2's words.
    #[must_use]
    pub fn new(code: &str, message: &str) -> Self {
        Self {
            kind: ErrorKind::of(code, message),
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    /// No answer came.
    #[must_use]
    pub fn no_answer() -> Self {
        Self {
            kind: ErrorKind::UnknownOutcome,
            code: "NoAnswer".to_owned(),
            message: "no answer came in time".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiError, ErrorKind};

    #[test]
    fn codes_mean_what_the_reference_says() {
        let table = [
            ("RequestLimitExceeded", ErrorKind::Throttled),
            ("SlowDown", ErrorKind::Throttled),
            ("NoSuchBucket", ErrorKind::Missing),
            ("SignatureDoesNotMatch", ErrorKind::Unauthorized),
            ("Unavailable", ErrorKind::Unavailable),
            ("InternalError", ErrorKind::UnknownOutcome),
            (
                "InvalidTrafficMirrorSessionId.NotFound",
                ErrorKind::NotFound,
            ),
            ("InvalidTrafficMirrorFilterId.NotFound", ErrorKind::Missing),
            ("InvalidNetworkInterfaceID.NotFound", ErrorKind::Missing),
            ("InvalidTrafficMirrorTarget", ErrorKind::Missing),
            (
                "TrafficMirrorSessionsPerInterfaceLimitExceeded",
                ErrorKind::Limit,
            ),
            (
                "TrafficMirrorSourcesPerTargetLimitExceeded",
                ErrorKind::Limit,
            ),
            ("TrafficMirrorSessionLimitExceeded", ErrorKind::Limit),
            ("NetworkInterfaceNotSupported", ErrorKind::Unsupported),
            ("UnauthorizedOperation", ErrorKind::Unauthorized),
            ("RequestExpired", ErrorKind::Unauthorized),
            ("IdempotentParameterMismatch", ErrorKind::TokenMismatch),
            ("InvalidParameterValue", ErrorKind::Invalid),
        ];
        for (code, kind) in table {
            assert_eq!(ApiError::new(code, "").kind, kind, "{code}");
        }
    }

    #[test]
    fn sentences_tell_where_codes_do_not() {
        let table = [
            (
                "Sources per interface-target limit reached (11)",
                ErrorKind::Limit,
            ),
            (
                "Session number 1 is already being used by eni-1",
                ErrorKind::InUse,
            ),
            ("eni-1 is in use by target tmt-1", ErrorKind::InUse),
        ];
        for (message, kind) in table {
            assert_eq!(
                ErrorKind::of("InvalidParameter", message),
                kind,
                "{message}"
            );
        }
    }
}
