//! What a failed call means, whoever failed.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use std::error::Error;
use vxscope_control::mirror::{ApiError, ErrorKind};

/// Sentences are cut here: somebody's load balancer may answer with a page of HTML.
const MESSAGE_MAX: usize = 400;

/// From the SDK's error.
pub(crate) fn api_error<E>(error: &SdkError<E, HttpResponse>) -> ApiError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            match meta.code() {
                Some(code) => ApiError::new(code, &cut(meta.message().unwrap_or_default())),
                None => unreadable(service.raw(), error),
            }
        }
        SdkError::ResponseError(response) => unreadable(response.raw(), error),
        // Nothing was sent: no credentials, no Region, parameters that cannot be written.
        SdkError::ConstructionFailure(_) => of(ErrorKind::Unauthorized, "NotSent", error),
        SdkError::DispatchFailure(failure) => {
            let source = failure.as_connector_error().and_then(Error::source);
            if failure.is_user() || is_refused(source) {
                of(ErrorKind::Unavailable, "NotSent", error)
            } else {
                of(ErrorKind::UnknownOutcome, "NoAnswer", error)
            }
        }
        _ => of(ErrorKind::UnknownOutcome, "NoAnswer", error),
    }
}

/// An answer without a code of EC2's: the deed may be done.
fn unreadable<E: Error + 'static>(
    raw: &HttpResponse,
    error: &SdkError<E, HttpResponse>,
) -> ApiError {
    let status = raw.status().as_u16();
    let kind = match status {
        401 | 403 => ErrorKind::Unauthorized,
        429 => ErrorKind::Throttled,
        400..=499 => ErrorKind::Invalid,
        // Also 200 with a text that is not EC2's.
        _ => ErrorKind::UnknownOutcome,
    };
    ApiError {
        kind,
        code: format!("Http{status}"),
        message: cut(&DisplayErrorContext(error).to_string()),
    }
}

fn of<E>(kind: ErrorKind, code: &str, error: &SdkError<E, HttpResponse>) -> ApiError
where
    E: Error + 'static,
{
    ApiError {
        kind,
        code: code.to_owned(),
        message: cut(&DisplayErrorContext(error).to_string()),
    }
}

/// Whether nobody listens there: then the call was certainly not made.
fn is_refused(source: Option<&(dyn Error + 'static)>) -> bool {
    let mut next = source;
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        next = error.source();
    }
    false
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_MAX).collect()
}

/// An answer that says success and lacks what it must have.
pub(crate) fn incomplete(what: &str) -> ApiError {
    ApiError {
        kind: ErrorKind::UnknownOutcome,
        code: "Incomplete".to_owned(),
        message: format!("the answer has no {what}"),
    }
}
