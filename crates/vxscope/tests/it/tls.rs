//! TLS: captures through a tunnel whose both ends know each other, and the API behind a certificate,
//! of a proxy by the recipe of the documentation, or its own.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::sensor::{Sensor, free_tcp_port, number, until};
use crate::{Run, folder, json, skip};

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps/two-tenants.pcap");

#[test]
fn a_reader_gets_every_frame_through_a_tunnel_and_a_stranger_gets_none() {
    let dir = folder();
    if !certificates(dir.path(), &["sensor", "reader", "stranger"]) {
        return;
    }
    let [captures, tunnel, reader, stranger] = [(); 4].map(|()| free_tcp_port().to_string());
    let at = |port: &str| format!("127.0.0.1:{port}");
    let tunnels = [
        // What stands in GUIDE.md, first for the sensor, then for the reader's host.
        format!(
            "-f -d {} -r {} -p sensor.pem -v 2 -A reader.pem",
            at(&tunnel),
            at(&captures)
        ),
        format!(
            "-c -f -d {} -r {} -p reader.pem -v 2 -A sensor.pem",
            at(&reader),
            at(&tunnel)
        ),
        format!(
            "-c -f -d {} -r {} -p stranger.pem -v 2 -A sensor.pem",
            at(&stranger),
            at(&tunnel)
        ),
    ];
    let tunnels: Option<Vec<Stunnel>> = tunnels
        .iter()
        .map(|words| Stunnel::start(dir.path(), words))
        .collect();
    let Some(_tunnels) = tunnels else {
        return skip("stunnel is not installed");
    };
    let export = format!("pcap-over-ip={}", at(&captures));
    let mut sensor = Command::new(env!("CARGO_BIN_EXE_vxscope"))
        .args(["replay", CAPTURE, "--out", "out", "--export", &export])
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary that cargo built");
    // The sensor waits for its first reader; a stranger is none.
    assert_eq!(read(&at(&stranger)), Some(0));
    let mut seen = 0;
    until("the end of the replay", || {
        if seen == 0 {
            seen = read(&at(&reader)).expect("tshark, as before");
        }
        sensor.try_wait().expect("a child of ours")
    });
    let summary = json(&dir.path().join("out/summary.json"));
    let sink = &summary["sinks"][&export];
    assert_eq!(sink["written"], summary["packets"]["decapsulated"]);
    assert_eq!(seen, number(&sink["written"]));
    let readers = summary["readers"].as_array().expect("a list");
    assert_eq!(readers.len(), 1, "{readers:?}");
}

#[test]
fn the_api_answers_behind_a_certificate() {
    let dir = folder();
    if !certificates(dir.path(), &["sensor"]) {
        return;
    }
    let [inside, outside] = [(); 2].map(|()| free_tcp_port());
    let settings = format!(
        "foreground = yes\npid =\n[vxscope]\naccept = 127.0.0.1:{outside}\n\
         connect = 127.0.0.1:{inside}\ncert = sensor.pem\nkey = sensor.pem\n\
         sslVersionMin = TLSv1.2\n"
    );
    std::fs::write(dir.path().join("vxscope.conf"), settings).expect("a folder of ours");
    let mut stunnel = Command::new("stunnel4");
    let Some(_stunnel) = Stunnel::run(dir.path(), stunnel.arg("vxscope.conf")) else {
        return skip("stunnel is not installed");
    };
    let api = format!("127.0.0.1:{inside}");
    let sensor = Sensor::start(dir.path(), &["--api", &api]);
    let ask = |options: &[&str]| {
        let mut curl = Command::new("curl");
        let url = format!("https://localhost:{outside}/api/2.0/status");
        let output = curl.args(["-sS", "--max-time", "20", &url]).args(options);
        let output = output.current_dir(dir.path()).output();
        (!matches!(&output, Err(error) if error.kind() == ErrorKind::NotFound))
            .then(|| Run::from(output.expect("a program that starts")))
    };
    let known = ["--cacert", "sensor.pem"];
    let Some(answer) = ask(&known) else {
        return skip("curl is not installed");
    };
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), "ok"));
    // Without knowing the certificate nobody is believed, and nobody without TLS is answered.
    let stranger = ask(&[]).expect("as before");
    assert_eq!((stranger.code, stranger.stdout.as_str()), (Some(60), ""));
    let old = ask(&[&known[..], &["--tls-max", "1.1"]].concat()).expect("as before");
    assert_ne!(old.code, Some(0), "{old:?}");
    sensor.stop();
}

#[cfg(feature = "tls")]
#[test]
fn the_api_speaks_tls_itself_and_takes_a_renewed_certificate() {
    let dir = folder();
    if !certificates(dir.path(), &["sensor"]) {
        return;
    }
    let port = free_tcp_port();
    let api = format!("127.0.0.1:{port}");
    let sensor = Sensor::start(dir.path(), &[&["--api", &api], &ENCRYPTED[..]].concat());
    let url = format!("https://localhost:{port}/healthz");
    let ask = || {
        let options = ["-sS", "--max-time", "20", "--cacert", "sensor.crt", &url];
        let mut curl = Command::new("curl");
        let output = curl.args(options).current_dir(dir.path()).output();
        (!matches!(&output, Err(error) if error.kind() == ErrorKind::NotFound))
            .then(|| Run::from(output.expect("a program that starts")))
    };
    let Some(answer) = ask() else {
        return skip("curl is not installed");
    };
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), "ok\n"));
    // It was renewed, as others do it: the same files, and a word to the sensor.
    assert!(certificates(dir.path(), &["sensor"]));
    assert_eq!(ask().expect("as before").code, Some(60));
    sensor.signal("HUP");
    until("the new certificate", || {
        (ask().expect("as before").code == Some(0)).then_some(())
    });
    sensor.stop();
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_says_so() {
    let dir = folder();
    let run = [&["run", "--out", "out"], &ENCRYPTED[..]].concat();
    let check = ["check-config", "--set", ENCRYPTED[1], "--set", ENCRYPTED[3]];
    let check = [&check[..], &["--set", "api.listen=127.0.0.1:0"]].concat();
    let run = [&run[..], &["--api", "127.0.0.1:0"]].concat();
    for words in [run, check] {
        let complaint = crate::vxscope(dir.path(), &words).fails(2);
        assert!(complaint.contains("built without TLS"), "{complaint}");
        assert!(complaint.contains("--features tls"), "{complaint}");
    }
}

const ENCRYPTED: [&str; 4] = [
    "--set",
    "api.tls_certificate=sensor.crt",
    "--set",
    "api.tls_key=sensor.key",
];

/// A key and a certificate for each name, in `NAME.pem`; false, with a note, without OpenSSL.
fn certificates(dir: &Path, names: &[&str]) -> bool {
    names.iter().all(|name| {
        let [key, certificate] = ["key", "crt"].map(|end| format!("{name}.{end}"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext"])
            .args(["subjectAltName=DNS:localhost", "-keyout", &key])
            .args(["-out", &certificate])
            .current_dir(dir)
            .output();
        if !made.is_ok_and(|made| made.status.success()) {
            skip("there is no OpenSSL");
            return false;
        }
        let text = |file| std::fs::read_to_string(dir.join(file)).expect("it was just made");
        let both = format!("{}{}", text(key), text(certificate));
        std::fs::write(dir.join(format!("{name}.pem")), both).expect("a folder of ours");
        true
    })
}

/// A tunnel that does not outlive its test.
struct Stunnel(Child);

impl Stunnel {
    /// By the words of a command line.
    fn start(dir: &Path, words: &str) -> Option<Self> {
        Self::run(dir, Command::new("stunnel3").args(words.split(' ')))
    }

    /// Returns once it listens; `None` if it is not installed.
    fn run(dir: &Path, command: &mut Command) -> Option<Self> {
        use std::io::{BufRead, BufReader};
        let mut child = match command.current_dir(dir).stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                return None;
            }
        };
        let said = BufReader::new(child.stderr.take()?);
        let mut lines = said.lines().map_while(Result::ok);
        let ready = lines.any(|line| line.contains("Configuration successful"));
        assert!(ready, "the tunnel did not start");
        // What it says later is not read, but has to go somewhere.
        std::thread::Builder::new()
            .spawn(move || lines.for_each(drop))
            .expect("a thread");
        Some(Self(child))
    }
}

impl Drop for Stunnel {
    fn drop(&mut self) {
        // Usually it has not ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Frames that tshark reads there until the end; `None`, with a note, if it is not installed.
fn read(address: &str) -> Option<u64> {
    let source = format!("TCP@{address}");
    let mut tshark = Command::new("tshark");
    let output = tshark.args(["-n", "-l", "-i", &source]).output();
    if matches!(&output, Err(error) if error.kind() == ErrorKind::NotFound) {
        skip("tshark is not installed");
        return None;
    }
    let text = output.expect("a program that starts").stdout;
    Some(String::from_utf8_lossy(&text).lines().count() as u64)
}
