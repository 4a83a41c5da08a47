//! What is not EC2's: named, made to fail where a fault says so, and handed to somebody who plays
//! the other services, such as moto.
//!
//! The answer goes back byte for byte, so that a client sees what that service says.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::answer::Refusal;
use crate::fault::FaultKind;
use crate::http::{HttpRequest, write_response};
use crate::request::Request;

/// Who waits longer for the other service has found a fault of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// More is no answer that anybody here asks for.
const ANSWER_MAX: u64 = 16 << 20;

/// A call to another service, by the names that policies give them: `s3`, `GetObject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) service: &'static str,
    pub(crate) action: String,
}

impl Foreign {
    /// `None` for what the stand-in answers itself.
    pub(crate) fn of(http: &HttpRequest) -> Option<Self> {
        let authorization = http.headers.get("authorization")?;
        let scope = authorization.split("Credential=").nth(1)?;
        let service = match scope.split('/').nth(3)? {
            "s3" => "s3",
            "elasticloadbalancing" => "elasticloadbalancing",
            "monitoring" => "cloudwatch",
            "sqs" => "sqs",
            "wafv2" => "wafv2",
            _ => return None,
        };
        let action = match service {
            "s3" => of_bucket(http),
            _ => of_headers(http).unwrap_or_else(|| {
                let form = String::from_utf8_lossy(&http.body);
                Request::parse(&form).action().to_owned()
            }),
        };
        Some(Self { service, action })
    }

    /// As faults name it: `s3:GetObject`.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.service, self.action)
    }

    /// A refusal in the form of this service: status, type and text.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> (u16, &'static str, String) {
        let (code, message) = (self.code(&refusal.code), &refusal.message);
        match self.service {
            "s3" => {
                let text = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                     <Message>{message}</Message></Error>"
                );
                (refusal.status, "application/xml", text)
            }
            "elasticloadbalancing" => {
                let text = format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
                     <Message>{message}</Message></Error></ErrorResponse>"
                );
                (refusal.status, "text/xml", text)
            }
            _ => {
                let text = serde_json::json!({"__type": code, "message": message}).to_string();
                (refusal.status, "application/x-amz-json-1.0", text)
            }
        }
    }

    /// What this service calls what EC2 calls so.
    fn code(&self, ec2: &str) -> String {
        let known = match (self.service, ec2) {
            ("s3", "RequestLimitExceeded") => "SlowDown",
            ("s3", "Unavailable") => "ServiceUnavailable",
            ("s3", "RequestExpired") => "RequestTimeTooSkewed",
            ("s3" | "elasticloadbalancing", "UnauthorizedOperation") => "AccessDenied",
            (_, "UnauthorizedOperation") => "AccessDeniedException",
            ("elasticloadbalancing", "RequestLimitExceeded") => "Throttling",
            (_, "RequestLimitExceeded") => "ThrottlingException",
            (_, other) => other,
        };
        known.to_owned()
    }
}

/// S3 has no names in its calls; policies call them so.
fn of_bucket(http: &HttpRequest) -> String {
    let (path, query) = http.path.split_once('?').unwrap_or((&http.path, ""));
    let has_key = path.trim_matches('/').contains('/');
    let name = match (http.method.as_str(), has_key) {
        ("GET", false) if query.contains("list-type=2") => "ListBucket",
        ("GET" | "HEAD", true) => "GetObject",
        ("PUT", true) => "PutObject",
        ("DELETE", true) => "DeleteObject",
        (method, _) => method,
    };
    name.to_owned()
}

/// `x-amz-target: Service.Action`, or `/service/Service/operation/Action`.
fn of_headers(http: &HttpRequest) -> Option<String> {
    let target = http.headers.get("x-amz-target");
    let target = target.and_then(|target| target.split_once('.'));
    let by_path = || http.path.split_once("/operation/");
    let (_, action) = target.or_else(by_path)?;
    Some(action.to_owned())
}

/// What a fault leaves of an answer: `false` if the connection is to end.
pub(crate) fn answer(
    stream: &mut impl Write,
    foreign: &Foreign,
    fault: Option<&FaultKind>,
    date: &str,
    ask: impl FnOnce() -> io::Result<Vec<u8>>,
) -> io::Result<bool> {
    if let Some(refusal) = fault.and_then(FaultKind::refusal) {
        if fault.is_some_and(FaultKind::is_done) {
            drop(ask());
        }
        let (status, kind, text) = foreign.refuse(&refusal);
        write_response(stream, status, kind, date, &text)?;
        return Ok(true);
    }
    match fault {
        Some(FaultKind::DropBefore) => return Ok(false),
        Some(FaultKind::Hang(time)) => {
            std::thread::sleep(*time);
            return Ok(false);
        }
        Some(FaultKind::Delay(time)) => std::thread::sleep(*time),
        _ => {}
    }
    let bytes = ask()?;
    match fault {
        Some(FaultKind::DropAfter) => {}
        Some(FaultKind::Html) => {
            let page = "<html><body><h1>It works!</h1></body></html>";
            write_response(stream, 200, "text/html", date, page)?;
        }
        // The head promises all of it.
        Some(FaultKind::Torn) => {
            let body = bytes.windows(4).position(|it| it == b"\r\n\r\n");
            let body = body.map_or(bytes.len(), |at| at + 4);
            let half = body + (bytes.len() - body) / 2;
            stream.write_all(&bytes[..half])?;
        }
        _ => stream.write_all(&bytes)?,
    }
    stream.flush()?;
    // Whoever plays the service says when it ends its connection; ours ends with it.
    Ok(false)
}

/// Asks whoever plays the other services; the whole answer, head and body.
pub(crate) fn ask(address: &str, http: &HttpRequest) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("{} {} HTTP/1.1\r\n", http.method, http.path);
    for (name, value) in &http.headers {
        if !matches!(name.as_str(), "connection" | "expect") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&http.body)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_the_names_that_policies_give_them() {
        for (service, method, path, target, body, name) in [
            ("s3", "GET", "/b/a/key", "", "", "s3:GetObject"),
            ("s3", "PUT", "/b/key?x-id=PutObject", "", "", "s3:PutObject"),
            ("s3", "DELETE", "/b/key", "", "", "s3:DeleteObject"),
            (
                "s3",
                "GET",
                "/b?list-type=2&prefix=a/b",
                "",
                "",
                "s3:ListBucket",
            ),
            (
                "sqs",
                "POST",
                "/",
                "AmazonSQS.ReceiveMessage",
                "{}",
                "sqs:ReceiveMessage",
            ),
            (
                "monitoring",
                "POST",
                "/service/GraniteServiceVersion20100801/operation/GetMetricData",
                "",
                "",
                "cloudwatch:GetMetricData",
            ),
            (
                "elasticloadbalancing",
                "POST",
                "/",
                "",
                "Action=DescribeListeners&Version=2015-12-01",
                "elasticloadbalancing:DescribeListeners",
            ),
        ] {
            let mut http = request(service, method, path, body);
            if !target.is_empty() {
                let name = "x-amz-target".to_owned();
                http.headers.insert(name, target.to_owned());
            }
            assert_eq!(Foreign::of(&http).unwrap().name(), name);
        }
        assert_eq!(Foreign::of(&request("ec2", "POST", "/", "")), None);
    }

    fn request(service: &str, method: &str, path: &str, body: &str) -> HttpRequest {
        let value =
            format!("AWS4-HMAC-SHA256 Credential=A/20261121/us-east-1/{service}/aws4_request, x");
        HttpRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: [("authorization".to_owned(), value)].into(),
            body: body.as_bytes().to_vec(),
        }
    }
}
