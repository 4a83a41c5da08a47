//! The page, and what it is made of: files that are part of the program. It fetches nothing from
//! anywhere else, and shows nothing that the API does not.

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// What a browser may do with the page: run its own script and ask its own server, nothing else.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Kind and contents of a file of the page.
pub(super) fn file(path: &str) -> Option<(&'static str, &'static str)> {
    let file = match path {
        "/" => (HTML, include_str!("page/index.html")),
        "/page.js" => (SCRIPT, include_str!("page/page.js")),
        "/draw.js" => (SCRIPT, include_str!("page/draw.js")),
        "/page.css" => (STYLE, include_str!("page/page.css")),
        "/icon.svg" => (IMAGE, include_str!("page/icon.svg")),
        _ => return None,
    };
    Some(file)
}
