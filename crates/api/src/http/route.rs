//! Which path has which answer.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use vxscope_report::State;

use super::Site;
use crate::metrics::{self, Format};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const PATHS: &str = "/metrics\n/healthz\n/readyz\n/api/2.0/status\n/api/v1/status\n\
    /api/v1/sources\n/api/v1/health\n";

/// The answer to a request, whose body nobody reads.
pub(super) fn answer<B>(request: &Request<B>, site: &Site) -> Response<Full<Bytes>> {
    if !site.exposed && !is_local(request) {
        let message = "asked by a name that is not this host's; use 127.0.0.1 or localhost";
        return refusal(StatusCode::MISDIRECTED_REQUEST, message);
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    let shared = &site.shared;
    match request.uri().path() {
        "/metrics" => {
            let format = format(request);
            let text = metrics::text(shared, format, site.metrics_sources_max);
            response(StatusCode::OK, format.content_type(), text)
        }
        "/healthz" => probe(shared.health().healthy, "a worker hangs\n"),
        "/readyz" => {
            let is_running = shared.latest().snapshot.status.state == State::Running;
            probe(is_running && shared.health().healthy, "not receiving\n")
        }
        // What load balancers of this trade ask for: overload and trouble elsewhere do not
        // change it.
        "/api/2.0/status" => match shared.health().healthy {
            true => response(StatusCode::OK, TEXT, "ok"),
            false => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "stalled"),
        },
        "/api/v1/status" => response(StatusCode::OK, JSON, shared.latest().status()),
        "/api/v1/sources" => response(StatusCode::OK, JSON, shared.latest().sources()),
        "/api/v1/health" => response(StatusCode::OK, JSON, shared.health().json()),
        "/" => response(StatusCode::OK, TEXT, PATHS),
        _ => refusal(StatusCode::NOT_FOUND, "no such path; / lists them"),
    }
}

/// A page in somebody's browser may let its name lead to a loopback address, and would then read
/// what is here. It cannot change the name by which its browser asks.
fn is_local<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST);
    let Some(host) = host.and_then(|host| host.to_str().ok()) else {
        // Browsers always say it.
        return !request.headers().contains_key(header::HOST);
    };
    let authority = host.parse::<hyper::http::uri::Authority>();
    authority.is_ok_and(|authority| {
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || address.parse::<std::net::IpAddr>().is_ok()
    })
}

/// The older one, unless asked for the newer.
fn format<B>(request: &Request<B>) -> Format {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    match accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
        true => Format::OpenMetrics,
        false => Format::Prometheus,
    }
}

fn probe(good: bool, complaint: &'static str) -> Response<Full<Bytes>> {
    match good {
        true => response(StatusCode::OK, TEXT, "ok\n"),
        false => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, complaint),
    }
}

fn refusal(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let answer = serde_json::json!({"error": {"message": message}});
    response(status, JSON, format!("{answer}\n"))
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
