//! Which path has which answer, and what it takes to get it.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, timeout};
use vxscope_report::State;

use super::access::{self, Need};
use super::body::Answer;
use super::query::Query;
use super::{Site, events, extract, listing, page};
use crate::command::{Command, MirrorOrder};
use crate::hub::json;
use crate::look_back::Refusal;
use crate::metrics::{self, Format};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const TOML: &str = "application/toml";
const EVENTS: &str = "text/event-stream";
const RELOAD: &str = "/api/v1/reload";
const COVERAGE: &str = "/api/v1/coverage";
/// Longest order.
const ORDER_BYTES_MAX: usize = 4 << 10;
/// What everything that can be asked looks like.
const OPENAPI: &str = include_str!("../../openapi.json");

/// The answer to a request.
pub(super) async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    site: &Site,
    ends: Instant,
) -> Response<Answer> {
    if !site.exposed && !is_local(&request) {
        let message = "asked by a name that is not this host's; use 127.0.0.1 or localhost";
        return refusal(StatusCode::MISDIRECTED_REQUEST, message);
    }
    let Some(need) = need(request.uri().path()) else {
        return refusal(
            StatusCode::NOT_FOUND,
            "no such path; /api/v1/openapi.json lists them",
        );
    };
    let (allowed, may) = match need {
        Need::Control => ("POST", request.method() == Method::POST),
        Need::Packets => ("GET", request.method() == Method::GET),
        Need::Nothing | Need::Metadata => (
            "GET, HEAD",
            [Method::GET, Method::HEAD].contains(request.method()),
        ),
    };
    if !may {
        let message = format!("only {allowed}");
        let mut refused = refusal(StatusCode::METHOD_NOT_ALLOWED, &message);
        let allowed = HeaderValue::from_static(allowed);
        refused.headers_mut().insert(header::ALLOW, allowed);
        return refused;
    }
    match access::check(&request, site, need) {
        Ok(_) if request.uri().path() == RELOAD => reload(site).await,
        Ok(_) if need == Need::Control => order(request, site).await,
        Ok(_) if request.uri().path() == COVERAGE => coverage(&request, site).await,
        Ok(_) if need == Need::Packets => extract::answer(&request, peer, site).await,
        Ok(access) => get(&request, site, access, ends),
        Err((status, message)) => {
            let mut refused = refusal(status, message);
            if status == StatusCode::UNAUTHORIZED {
                let scheme = HeaderValue::from_static("Bearer realm=\"vxscope\"");
                let headers = refused.headers_mut();
                headers.insert(header::WWW_AUTHENTICATE, scheme);
            }
            refused
        }
    }
}

/// What a path needs; `None` if there is no such path.
fn need(path: &str) -> Option<Need> {
    let need = match path {
        "/healthz" | "/readyz" | "/api/2.0/status" | "/api/v1/openapi.json" => Need::Nothing,
        "/metrics" | "/api/v1/status" | "/api/v1/health" | "/api/v1/sources"
        | "/api/v1/mirrors" | "/api/v1/decisions" | "/api/v1/duplicates" | "/api/v1/flows"
        | "/api/v1/pins" | "/api/v1/policy" | "/api/v1/config" | "/api/v1/events" => Need::Metadata,
        COVERAGE => Need::Metadata,
        "/api/v1/orders" | RELOAD => Need::Control,
        "/api/v1/extract" => Need::Packets,
        path => page::file(path).map(|_| Need::Nothing)?,
    };
    Some(need)
}

fn get<B>(
    request: &Request<B>,
    site: &Site,
    access: access::Access,
    ends: Instant,
) -> Response<Answer> {
    let (path, query) = (request.uri().path(), request.uri().query());
    let shared = &site.shared;
    let listed = match path {
        "/api/v1/sources" => listing::sources(shared, query, access),
        "/api/v1/decisions" => listing::decisions(shared, query, access),
        "/api/v1/duplicates" => listing::duplicates(shared, query),
        "/api/v1/flows" => listing::flows(shared, query),
        _ if path.starts_with("/api/v1/") => Query::parse(query, &[]).map(|_| Bytes::new()),
        _ => Ok(Bytes::new()),
    };
    let listed = match listed {
        Ok(listed) => listed,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, &message),
    };
    match path {
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
        "/api/2.0/status" => balancer(site),
        "/api/v1/status" => response(StatusCode::OK, JSON, shared.latest().status()),
        "/api/v1/health" => response(StatusCode::OK, JSON, shared.health().json()),
        "/api/v1/mirrors" => response(StatusCode::OK, JSON, listing::oversight(shared)),
        "/api/v1/pins" => response(StatusCode::OK, JSON, listing::pins(shared)),
        "/api/v1/policy" => response(StatusCode::OK, TOML, site.shown.rules.clone()),
        "/api/v1/config" => response(StatusCode::OK, TOML, site.shown.config.clone()),
        "/api/v1/openapi.json" => response(StatusCode::OK, JSON, OPENAPI),
        "/api/v1/events" if request.method() == Method::GET => {
            match events::follow(shared, access, ends) {
                Some(parts) => answered(StatusCode::OK, EVENTS, Answer::Parts(parts)),
                None => refusal(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many follow; try later",
                ),
            }
        }
        path => match page::file(path) {
            Some((kind, text)) => {
                let mut page = response(StatusCode::OK, kind, text);
                let policy = HeaderValue::from_static(page::POLICY);
                let headers = page.headers_mut();
                headers.insert(header::CONTENT_SECURITY_POLICY, policy);
                let none = HeaderValue::from_static("no-referrer");
                headers.insert(header::REFERRER_POLICY, none);
                page
            }
            None => response(StatusCode::OK, JSON, listed),
        },
    }
}

/// What load balancers of this trade ask for: overload and trouble elsewhere do not change it.
fn balancer(site: &Site) -> Response<Answer> {
    match site.shared.health().healthy {
        true => response(StatusCode::OK, TEXT, "ok"),
        false => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, "stalled"),
    }
}

/// All that the listener for load balancers says.
pub(super) fn probe_alone<B>(request: &Request<B>, site: &Site) -> Response<Answer> {
    match request.uri().path() {
        "/api/2.0/status" => balancer(site),
        _ => refusal(StatusCode::NOT_FOUND, "here is /api/2.0/status alone"),
    }
}

/// Reads an order about mirrors and passes it on.
async fn order(request: Request<Incoming>, site: &Site) -> Response<Answer> {
    let body = Limited::new(request.into_body(), ORDER_BYTES_MAX).collect();
    let body = match timeout(site.client_timeout, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "an order is 4 KiB at most");
        }
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "the order did not come"),
    };
    let order: MirrorOrder = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => {
            return refusal(StatusCode::BAD_REQUEST, &format!("not an order: {error}"));
        }
    };
    match site.shared.command(Command::Mirrors(order)).await {
        Ok(done) => response(StatusCode::OK, JSON, done),
        Err(message) => refusal(StatusCode::CONFLICT, &message),
    }
}

/// Has the configuration read again.
async fn reload(site: &Site) -> Response<Answer> {
    match site.shared.command(Command::Reload).await {
        Ok(done) => response(StatusCode::OK, JSON, done),
        Err(message) => refusal(StatusCode::CONFLICT, &message),
    }
}

/// What of a source was seen when.
async fn coverage<B>(request: &Request<B>, site: &Site) -> Response<Answer> {
    let search = match listing::coverage(request.uri().query()) {
        Ok(search) => search,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, &message),
    };
    match site.shared.coverage(search).await {
        Ok(found) => response(StatusCode::OK, JSON, found),
        Err(Refusal { kind, message }) => refusal(extract::status(kind), &message),
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

fn probe(good: bool, complaint: &'static str) -> Response<Answer> {
    match good {
        true => response(StatusCode::OK, TEXT, "ok\n"),
        false => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, complaint),
    }
}

pub(super) fn refusal(status: StatusCode, message: &str) -> Response<Answer> {
    let answer = json(&serde_json::json!({"error": {"message": message}}));
    response(status, JSON, answer)
}

pub(super) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Answer> {
    answered(status, content_type, Answer::Whole(Full::new(body.into())))
}

fn answered(status: StatusCode, content_type: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
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
