//! `/api/v1/extract`: packets of the past, as one capture.

use std::net::SocketAddr;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::Site;
use super::body::Answer;
use super::query::Query;
use super::route::{refusal, response};
use crate::look_back::{Asker, Extract, LookBackRequest, Refusal, RefusalKind, Selection};

/// The fields of [`Selection`], and of [`Extract`].
const PARAMETERS: [&str; 11] = [
    "flow_id",
    "community_id",
    "proto",
    "src_ip",
    "src_port",
    "dest_ip",
    "dest_port",
    "vni",
    "outer_ip",
    "format",
    "reason",
];

/// The packets of the flows that the query names. How many there are, and whether these are all,
/// is in the head of the answer.
pub(super) async fn answer<B>(
    request: &Request<B>,
    peer: SocketAddr,
    site: &Site,
) -> Response<Answer> {
    // A page of another origin may make a browser ask, though it cannot read the answer.
    let origin = request.headers().get("sec-fetch-site");
    if origin.is_some_and(|it| it != "none" && it != "same-origin") {
        return refusal(StatusCode::FORBIDDEN, "not from a page of another origin");
    }
    let extract = match parse(request.uri().query()) {
        Ok(extract) => extract,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, &message),
    };
    let content_type = match extract.format.as_deref() {
        Some("pcapng") => "application/x-pcapng",
        _ => "application/vnd.tcpdump.pcap",
    };
    let asker = Asker::Http {
        client: peer,
        by_token: site.tokens.is_some(),
    };
    let asked = LookBackRequest::Extract(extract);
    let given = match site.shared.look_back(asked, asker).await {
        Ok(given) => given,
        Err(Refusal { kind, message }) => return refusal(status(kind), &message),
    };
    let (answer, capture) = (given.answer, given.captures.into_iter().next());
    let mut response = response(StatusCode::OK, content_type, capture.unwrap_or_default());
    for (name, value) in [
        ("x-vxscope-packets-seen", answer.packets_seen.to_string()),
        ("x-vxscope-packets-found", answer.packets_found.to_string()),
        ("x-vxscope-complete", answer.complete.to_string()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(super) const fn status(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::Wrong => StatusCode::BAD_REQUEST,
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::Busy => StatusCode::TOO_MANY_REQUESTS,
        RefusalKind::Failed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn parse(query: Option<&str>) -> Result<Extract, String> {
    let query = Query::parse(query, &PARAMETERS)?;
    let text = |name| query.text(name).map(str::to_owned);
    Ok(Extract {
        selection: Selection {
            flow_id: query.get("flow_id")?,
            community_id: text("community_id"),
            proto: text("proto"),
            src_ip: query.get("src_ip")?,
            src_port: query.get("src_port")?,
            dest_ip: query.get("dest_ip")?,
            dest_port: query.get("dest_port")?,
            address: None,
            vni: query.get("vni")?,
            outer_ip: query.get("outer_ip")?,
        },
        format: text("format"),
        reason: text("reason").unwrap_or_default(),
        merge: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_flows_as_a_line_of_eve_json_does() {
        let query = "community_id=1%3AwCb3OG7yAFWelaUydu0D%2B125CLM%3D&vni=7&reason=a+b";
        let found = parse(Some(query)).unwrap();
        let id = found.selection.community_id.unwrap();
        assert_eq!(id, "1:wCb3OG7yAFWelaUydu0D+125CLM=");
        let rest = (found.selection.vni, found.reason.as_str(), found.merge);
        assert_eq!(rest, (Some(7), "a b", true));
        assert!(parse(Some("flow=7")).is_err() && parse(Some("src_port=x")).is_err());
    }
}
