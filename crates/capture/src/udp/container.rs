//! What a container changes about receiving, and what to do about it.

use std::fs;
use std::path::Path;

use super::error::UdpWarning;

/// The container that this process runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its network is a namespace of its own, behind a virtual cable.
    own_network: bool,
}

impl Container {
    /// As far as a process can tell; `None` if it is in none.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let marks = ["/.dockerenv", "/run/.containerenv"];
        let is_marked = marks.iter().any(|mark| Path::new(mark).exists())
            || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
            || std::env::var_os("container").is_some();
        is_marked.then(|| Self {
            own_network: has_cable(Path::new("/sys/class/net")),
        })
    }

    /// Sentences for the operator, given what else is less than was asked for.
    #[must_use]
    pub fn advice(self, warnings: &[UdpWarning]) -> Vec<String> {
        let mut advice = Vec::new();
        let small = |it: &UdpWarning| matches!(it, UdpWarning::ReceiveBuffer { .. });
        if warnings.iter().any(small) {
            advice.push(
                "in a container net.core.rmem_max is the host's: set it there, or grant NET_ADMIN \
                 (docker run --cap-add NET_ADMIN)"
                    .to_owned(),
            );
        }
        if self.own_network {
            advice.push(
                "this container has a network of its own: a published port (docker run -p, \
                 hostPort) comes through address translation, which may make all mirror sources \
                 look like one; use --network host (hostNetwork: true)"
                    .to_owned(),
            );
        }
        advice
    }
}

/// Whether an interface's other end is in another namespace: then they have different numbers.
fn has_cable(interfaces: &Path) -> bool {
    let entries = fs::read_dir(interfaces).into_iter().flatten().flatten();
    let number = |path: &Path, name: &str| {
        let text = fs::read_to_string(path.join(name)).ok()?;
        text.trim().parse::<u32>().ok()
    };
    entries.map(|entry| entry.path()).any(|path| {
        match (number(&path, "ifindex"), number(&path, "iflink")) {
            (Some(here), Some(there)) => here != there && there > 0,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use vxscope_units::ByteSize;

    use super::{Container, UdpWarning, has_cable};

    #[test]
    fn advice_is_about_what_is_the_case() {
        let small = UdpWarning::ReceiveBuffer {
            granted: ByteSize::kib(416),
            wanted: ByteSize::mib(64),
        };
        check(false, &[], &[]);
        check(
            false,
            std::slice::from_ref(&small),
            &["rmem_max is the host's"],
        );
        check(false, &[UdpWarning::OnlyIpv4], &[]);
        check(true, &[], &["--network host"]);
        check(
            true,
            &[small],
            &["rmem_max is the host's", "--network host"],
        );
    }

    #[test]
    fn a_cable_leads_to_an_interface_of_another_number() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "lo", 1, 1);
        put(folder.path(), "ens5", 2, 2);
        put(folder.path(), "tunl0", 3, 0);
        assert!(!has_cable(folder.path()));
        put(folder.path(), "eth0", 4, 17);
        assert!(has_cable(folder.path()));
        assert!(!has_cable(Path::new("/no/such/folder")));
    }

    fn check(own_network: bool, warnings: &[UdpWarning], expected: &[&str]) {
        let advice = Container { own_network }.advice(warnings);
        assert_eq!(advice.len(), expected.len(), "{advice:?}");
        for (advice, expected) in advice.iter().zip(expected) {
            assert!(advice.contains(expected), "{advice}");
        }
    }

    fn put(folder: &Path, name: &str, here: u32, there: u32) {
        let interface = folder.join(name);
        fs::create_dir(&interface).expect("a folder");
        fs::write(interface.join("ifindex"), format!("{here}\n")).expect("a file");
        fs::write(interface.join("iflink"), format!("{there}\n")).expect("a file");
    }
}
