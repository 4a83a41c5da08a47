//! HTTP over TLS, as programs of others see it.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use vxscope_api::{Certificates, HTTP_CLIENTS_MAX};

use crate::Served;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn curl_believes_the_certificate_and_nobody_else_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let Some(certificates) = made(dir.path(), "sensor") else {
        return;
    };
    let served = Served::encrypted(LONG, certificates);
    let url = format!("https://localhost:{}/healthz", served.http.port());
    let ask = |options: &[&str]| program(dir.path(), "curl", &[&["-sS", &url], options].concat());
    let known = ["--cacert", "sensor.crt"];
    for version in ["1.2", "1.3"] {
        let only = ["--tlsv1.2", "--tls-max", version];
        let Some(answer) = ask(&[&known[..], &only].concat()) else {
            return;
        };
        assert_eq!(answer.stdout, b"ok\n", "{answer:?}");
    }
    // A certificate that nobody vouches for is not believed.
    let stranger = ask(&[]).expect("as before");
    assert_eq!(stranger.status.code(), Some(60), "{stranger:?}");
    let old = ask(&[&known[..], &["--tls-max", "1.1"]].concat()).expect("as before");
    assert!(!old.status.success(), "{old:?}");
    // Whoever speaks in the clear learns nothing.
    let answer = served.exchange("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!((answer.status, answer.body.as_str()), (0, ""));
    // Probes of balancers are as they were.
    let mut probe = TcpStream::connect(served.health).unwrap();
    probe
        .write_all(b"GET /api/2.0/status HTTP/1.0\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    probe.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("ok"), "{text}");
    // Not even the metrics can be had without: the sensor's own count says who came.
    let metrics = ask_for(dir.path(), &served, "/metrics");
    let strangers = "vxscope_api_handshake_errors_total{listener=\"http\"} ";
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix(strangers)?.parse::<u64>().ok());
    assert!(count >= Some(2), "{count:?}");
}

#[test]
fn openssl_gets_a_strong_protocol_and_the_renewed_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let Some(certificates) = made(dir.path(), "sensor") else {
        return;
    };
    let served = Served::encrypted(LONG, certificates.clone());
    let at = format!("localhost:{}", served.http.port());
    let look = || {
        let words = ["s_client", "-connect", &at, "-CAfile", "sensor.crt"];
        let words = [&words[..], &["-verify_return_error", "-alpn", "http/1.1"]].concat();
        let seen = program(dir.path(), "openssl", &words).expect("it made the certificate");
        String::from_utf8_lossy(&seen.stdout).into_owned()
    };
    let first = look();
    for part in [
        "Verification: OK",
        "TLSv1.3",
        "ALPN protocol: http/1.1",
        "CN=localhost",
    ] {
        let first = first.replace("CN = ", "CN=");
        assert!(first.contains(part), "{part}: {first}");
    }
    assert!(matches!(certificates.renew(), Ok(false)));
    made(dir.path(), "sensor").expect("as before");
    // Nobody has said that there is another.
    assert!(!look().contains("Verification: OK"));
    assert!(matches!(certificates.renew(), Ok(true)));
    assert!(look().contains("Verification: OK"));
    // What cannot be used leaves what is.
    fs::write(dir.path().join("sensor.key"), "nonsense").unwrap();
    let error = certificates.renew().expect_err("no key").to_string();
    assert!(
        error.ends_with("sensor.key: has no private key in PEM"),
        "{error}"
    );
    assert!(look().contains("Verification: OK"));
}

#[test]
fn a_handshake_has_no_more_time_and_no_more_places_than_a_request() {
    let dir = tempfile::tempdir().unwrap();
    let Some(certificates) = made(dir.path(), "sensor") else {
        return;
    };
    let quick = Served::encrypted(Duration::from_secs(1), certificates.clone());
    let mut silent = TcpStream::connect(quick.http).unwrap();
    // The beginning of a record, and nothing more: ends when the server hangs up.
    silent.write_all(&[22, 3, 1]).unwrap();
    let _ = silent.read_to_end(&mut Vec::new());
    let metrics = ask_for(dir.path(), &quick, "/metrics");
    let stalled = "vxscope_api_stalled_clients_total{listener=\"http\"} 1\n";
    assert!(metrics.contains(stalled), "{metrics}");

    let patient = Served::encrypted(LONG, certificates);
    let crowd: Vec<TcpStream> = (0..2 * HTTP_CLIENTS_MAX)
        .map(|_| TcpStream::connect(patient.http).unwrap())
        .collect();
    assert_eq!(ask_for(dir.path(), &patient, "/healthz"), "ok\n");
    drop(crowd);
}

#[test]
fn what_cannot_be_a_certificate_is_refused_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    if made(dir.path(), "one").is_none() || made(dir.path(), "two").is_none() {
        return;
    }
    let at = |name: &str| dir.path().join(name);
    fs::write(at("empty"), "").unwrap();
    fs::copy(at("one.key"), at("open.key")).unwrap();
    fs::set_permissions(at("open.key"), Permissions::from_mode(0o644)).unwrap();
    for (certificate, key, message) in [
        ("none", "one.key", "none: cannot be read"),
        ("one.crt", "none", "none: cannot be read"),
        ("empty", "one.key", "empty: has no certificate in PEM"),
        (
            "one.crt",
            "one.crt",
            "others may read or change it (mode 644)",
        ),
        (
            "one.crt",
            "open.key",
            "others may read or change it (mode 644)",
        ),
        ("one.crt", "two.key", "one.crt: cannot be used with its key"),
    ] {
        let refused = Certificates::read(&at(certificate), &at(key)).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(message), "{certificate} {key}: {text}");
        assert!(!text.contains("PRIVATE"), "{text}");
    }
    fs::set_permissions(at("open.key"), Permissions::from_mode(0o640)).unwrap();
    assert!(Certificates::read(&at("one.crt"), &at("open.key")).is_ok());
}

/// A key and a certificate for this host in `NAME.key` and `NAME.crt`, read; `None`, with a note,
/// without OpenSSL.
fn made(dir: &Path, name: &str) -> Option<Certificates> {
    let [key, certificate] = ["key", "crt"].map(|end| format!("{name}.{end}"));
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt"];
    let words = [
        &words[..],
        &["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
        &["-subj", "/CN=localhost", "-addext"],
        &["subjectAltName=DNS:localhost", "-keyout", &key],
        &["-out", &certificate],
    ]
    .concat();
    let output = program(dir, "openssl", &words)?;
    assert!(output.status.success(), "{output:?}");
    let kept = fs::set_permissions(dir.join(&key), Permissions::from_mode(0o600));
    kept.expect("a file of ours");
    let read = Certificates::read(&dir.join(certificate), &dir.join(key));
    Some(read.expect("what OpenSSL made"))
}

fn ask_for(dir: &Path, served: &Served, path: &str) -> String {
    let url = format!("https://localhost:{}{path}", served.http.port());
    let words = ["-sS", "--max-time", "60", "--cacert", "sensor.crt", &url];
    let output = program(dir, "curl", &words).expect("curl, as before");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What a program says; `None`, with a note, if it is not installed.
fn program(dir: &Path, program: &str, words: &[&str]) -> Option<Output> {
    let output = Command::new(program)
        .args(words)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    if matches!(&output, Err(error) if error.kind() == ErrorKind::NotFound) {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "{program} must be there in CI");
        let _ = writeln!(io::stdout(), "skipped: there is no {program}");
        return None;
    }
    Some(output.expect("a program that starts"))
}
