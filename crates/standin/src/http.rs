//! HTTP/1.1, as far as the SDKs of AWS speak it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

use vxscope_units::civil;

/// More is not a request to EC2.
const HEAD_MAX: u64 = 64 << 10;
const BODY_MAX: u64 = 1 << 20;

/// One request.
#[derive(Debug)]
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By name, in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// The next request of a connection; `None` at its end.
pub(crate) fn read_request(stream: &mut impl BufRead) -> io::Result<Option<HttpRequest>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut head = stream.by_ref().take(HEAD_MAX);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut parts = line.split_whitespace();
    let (Some(method), Some(path)) = (parts.next(), parts.next()) else {
        return Err(wrong("no request line"));
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(wrong("the head has no end"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("no header"))?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map(|text| text.parse::<u64>());
    let length = length.transpose().map_err(|_| wrong("no length"))?;
    let length = length.unwrap_or(0);
    if length > BODY_MAX {
        return Err(wrong("too long"));
    }
    let mut body = Vec::new();
    stream.by_ref().take(length).read_to_end(&mut body)?;
    Ok(Some(HttpRequest {
        method,
        path,
        headers,
        body,
    }))
}

/// Answers; the connection goes on.
pub(crate) fn write_response(
    stream: &mut impl Write,
    status: u16,
    kind: &str,
    date: &str,
    body: impl AsRef<[u8]>,
) -> io::Result<()> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ndate: {date}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, from seconds since 1970.
pub(crate) fn http_date(seconds: u64) -> String {
    let (year, month, day) = civil::date(seconds / 86_400);
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let weekday = usize::try_from(seconds / 86_400 % 7).unwrap_or(0);
    let month = usize::try_from(month).unwrap_or(1);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        weekdays[weekday],
        months[month - 1],
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// `2026-11-21T08:49:37Z`.
pub(crate) fn iso_date(seconds: u64) -> String {
    let (year, month, day) = civil::date(seconds / 86_400);
    format!(
        "{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Seconds since 1970 of `20261121T084937Z`.
pub(crate) fn amz_date(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let days = civil::days(year, month, day)?;
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(iso_date(1_709_210_096), "2024-02-29T12:34:56Z");
        assert_eq!(amz_date("20240229T123456Z"), Some(1_709_210_096));
        assert_eq!(amz_date("nonsense"), None);
    }

    #[test]
    fn a_request_has_head_and_body() {
        let text =
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nX-A: b\r\n\r\na=bGET /x HTTP/1.1\r\n\r\n";
        let mut stream = text.as_bytes();
        let first = read_request(&mut stream).unwrap().unwrap();
        assert_eq!((&*first.body, first.path.as_str()), (&b"a=b"[..], "/"));
        assert_eq!(first.headers["x-a"], "b");
        assert_eq!(read_request(&mut stream).unwrap().unwrap().path, "/x");
        assert!(read_request(&mut stream).unwrap().is_none());
    }
}
