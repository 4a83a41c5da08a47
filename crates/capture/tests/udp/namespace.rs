//! What takes a network of its own: interfaces that come and go, limits, missing capabilities.
//!
//! Each test starts this program again, in a namespace that ends with it.

use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use vxscope_capture::udp::{
    Interface, Rebinder, UdpBatch, UdpError, UdpGroup, UdpOpened, UdpSettings, UdpSource,
    UdpWarning,
};
use vxscope_units::ByteSize;
use vxscope_wire::Tunnel;

use crate::receiver::settings;

const BUFFER: ByteSize = ByteSize::kib(64);
/// Set in the namespace; without it, the tests that are for there do nothing.
pub(crate) const INSIDE: &str = "VXSCOPE_TEST_NAMESPACE";
/// Before a program: it has no capability.
pub(crate) const WITHOUT: [&str; 3] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

#[test]
fn an_interface_that_appears_later_is_waited_for() {
    in_namespace("namespace::inside_an_interface_appears_and_goes", &[]);
}

#[test]
fn no_capability_is_needed() {
    in_namespace("namespace::inside_without_capabilities", &WITHOUT);
}

#[test]
fn the_program_fits_the_limits_of_older_kernels() {
    in_namespace("namespace::inside_with_little_option_memory", &[]);
}

#[test]
#[ignore = "for a namespace of its own"]
fn inside_an_interface_appears_and_goes() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    // The other end of the cable is another namespace, which lives as long as this process.
    let neighbour = Neighbour::new();
    let pid = neighbour.0.id();
    assert!(Interface::find("mirror0").is_err());
    let appearing = thread::scope(|scope| {
        scope.spawn(|| {
            // Not before it was looked for in vain, as a rule; it may be there at once.
            thread::sleep(Duration::from_millis(300));
            run("ip link add mirror0 type veth peer name far0");
        });
        let interval = Duration::from_millis(20);
        Interface::wait("mirror0", interval, || true).unwrap()
    });
    assert!(!appearing.is_up());
    let opened = on(&appearing);
    let down = UdpWarning::InterfaceDown {
        name: "mirror0".to_owned(),
    };
    assert_eq!(opened.warnings, [down]);
    run("ip address add 192.0.2.1/24 dev mirror0");
    run("ip link set mirror0 up");
    run(&format!("ip link set far0 netns {pid}"));
    let far = format!("nsenter -t {pid} -n");
    run(&format!("{far} ip address add 192.0.2.2/24 dev far0"));
    run(&format!("{far} ip link set far0 up"));

    // Through the interface it arrives; through another it does not.
    let port = opened.groups[0].port;
    let mut sources = opened.sources;
    hear_far_end(&mut sources, &far, port);

    let found = Interface::find("mirror0").unwrap();
    assert!(found.is_present() && found.is_up());
    run("ip link delete mirror0");
    let rebinder = Rebinder::new(&sources).unwrap();
    let error = rebinder.bind("mirror0").unwrap_err();
    assert!(
        matches!(error, UdpError::InterfaceMissing { .. }),
        "{error}"
    );
    run("ip link add mirror0 type veth peer name far0");
    assert!(!found.is_present());
    // The one of the same name is another one, until the sockets are bound to it.
    run("ip address add 192.0.2.1/24 dev mirror0");
    run("ip link set mirror0 up");
    run(&format!("ip link set far0 netns {pid}"));
    run(&format!("{far} ip address add 192.0.2.2/24 dev far0"));
    run(&format!("{far} ip link set far0 up"));
    assert!(hear(&mut sources, &far, port, 50).is_empty());
    rebinder.bind("mirror0").unwrap();
    hear_far_end(&mut sources, &far, port);
    run("ip link delete mirror0");
    let gone = UdpSettings {
        interface: Some(found),
        ..settings(2, BUFFER)
    };
    let error = gone.open().unwrap_err();
    assert!(
        matches!(error, UdpError::InterfaceMissing { .. }),
        "{error}"
    );
}

/// Sends until something arrives, which must have come from the far end.
fn hear_far_end(sources: &mut [UdpSource], far: &str, port: u16) {
    let far_end = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    let senders = hear(sources, far, port, 5_000);
    assert!(!senders.is_empty(), "nothing arrived");
    assert!(senders.iter().all(|it| *it == far_end), "{senders:?}");
}

/// Sends over loopback and from the far end, so many times at most; who was heard.
fn hear(sources: &mut [UdpSource], far: &str, port: u16, times: u32) -> Vec<IpAddr> {
    let send = |from: &str, to: &str| {
        let script = format!("echo 0123456789 > /dev/udp/{to}/{port}");
        let sent = command(&format!("{from}bash -c")).arg(script).status();
        assert!(sent.unwrap().success());
    };
    let mut batch = UdpBatch::new();
    let mut senders = Vec::new();
    // A link that has just come up may lose the first.
    for _ in 0..times {
        send("", "127.0.0.1");
        send(&format!("{far} "), "192.0.2.1");
        for source in &mut *sources {
            source.receive(&mut batch).unwrap();
            senders.extend(batch.datagrams().map(|datagram| datagram.source));
        }
        if !senders.is_empty() {
            break;
        }
    }
    senders
}

#[test]
#[ignore = "for a namespace of its own"]
fn inside_without_capabilities() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    let privileged = UdpSettings {
        groups: vec![UdpGroup {
            port: 80,
            tunnel: Tunnel::Vxlan,
        }],
        ..settings(1, BUFFER)
    };
    let error = privileged.open().unwrap_err();
    assert!(matches!(error, UdpError::PortDenied { .. }), "{error}");
    // Everything else works, but for a buffer beyond the limit, which is told.
    let loopback = Interface::find("lo").unwrap();
    let wanted = ByteSize::mib(1 << 10);
    let opened = UdpSettings {
        interface: Some(loopback),
        receive_buffer: wanted,
        ..settings(4, BUFFER)
    };
    let opened = opened.open().unwrap();
    assert_eq!(opened.sources.len(), 4);
    let [UdpWarning::ReceiveBuffer { granted, .. }] = opened.warnings[..] else {
        panic!("{:?}", opened.warnings);
    };
    assert!(granted < wanted);
    let text = opened.warnings[0].to_string();
    assert!(
        text.ends_with("sysctl -w net.core.rmem_max=536870912"),
        "{text}"
    );
}

#[test]
#[ignore = "for a namespace of its own"]
fn inside_with_little_option_memory() {
    if env::var_os(INSIDE).is_none() {
        return;
    }
    // The default until Linux 6.7; newer kernels have a limit for each namespace.
    if !try_run("sysctl -q -w net.core.optmem_max=20480") {
        println!("skipped: net.core.optmem_max is not the namespace's own");
        return;
    }
    assert_eq!(settings(64, BUFFER).open().unwrap().sources.len(), 64);
    run("sysctl -q -w net.core.optmem_max=4096");
    let error = settings(2, BUFFER).open().unwrap_err();
    assert!(matches!(error, UdpError::Steering { .. }), "{error}");
    // One worker needs no program.
    assert!(settings(1, BUFFER).open().is_ok());
}

/// A process in a network namespace next to ours, ended when it is dropped.
struct Neighbour(Child);

impl Neighbour {
    fn new() -> Self {
        let mut command = command("unshare --net sleep 600");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        // It is there when the process sees another network than we do.
        let network = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        while network(child.id()) == network(process::id()) {
            thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn on(interface: &Interface) -> UdpOpened {
    let settings = UdpSettings {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        interface: Some(interface.clone()),
        ..settings(2, BUFFER)
    };
    settings.open().unwrap()
}

/// Runs one of the tests above in a new network namespace with a loopback interface, behind the
/// words of `prefix`. Skipped, with a note, where no namespace can be made.
pub(crate) fn in_namespace(test: &str, prefix: &[&str]) {
    let map = ["unshare", "--map-root-user", "--net"];
    let plain = ["unshare", "--net"];
    let can = |words: &[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("true");
        command
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|it| it.success())
    };
    let Some(unshare) = [&plain[..], &map].into_iter().find(|words| can(words)) else {
        return skip("no network namespace can be made");
    };
    let script = "ip link set lo up && exec \"$@\"";
    let program = env::current_exe().unwrap();
    let output = Command::new(unshare[0])
        .args(&unshare[1..])
        .args(["sh", "-c", script, "sh"])
        .args(prefix)
        .arg(program)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "{text}{errors}");
}

/// Notes that a test could not do what it is for. In CI that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(
        env::var_os("CI").is_none(),
        "in CI this must be possible: {why}"
    );
    println!("skipped: {why}");
}

pub(crate) fn run(line: &str) {
    assert!(try_run(line), "{line}");
}

fn try_run(line: &str) -> bool {
    command(line).status().unwrap().success()
}

fn command(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}
