//! What a large account takes of memory: the process itself.
//!
//! `INTERFACES=10000 cargo test -p vxscope-ec2 -p vxscope-controller --test it scale:: --
//! --nocapture` prints it for as many interfaces as an account may mirror; without it for some
//! hundreds.

use std::time::Duration;

use vxscope_standin::Seed;

use crate::kit::{ALL, KEY, site, until};

/// Interfaces where nobody says how many.
const INTERFACES: usize = 300;

#[test]
fn a_large_account_takes_less_than_64_kib_of_memory_for_each_interface() {
    let number = std::env::var("INTERFACES").ok();
    let interfaces = number.and_then(|text| text.parse().ok());
    let interfaces: usize = interfaces.unwrap_or(INTERFACES);
    let mut site = site();
    // As fast as it can: what it takes of the account's rate is shown elsewhere.
    site.configure(
        "",
        "[[sensor]]\nnetwork_load_balancer = \"arn:aws:elasticloadbalancing:x\"\n\
         [limits]\ncalls_at_once = 1000\ncalls_per_second = 1000.0\n",
    );
    site.account(|account| account.set_throttles(false));
    let running = site.start();
    let count = || site.account(|account| account.session_count());
    let status = site.folder.path().join("state/status.json");
    until("a first reading", Duration::from_secs(60), || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        text.contains("\"control_plane_up\":true")
    });
    let empty = running.resident();
    site.account(|account| {
        for n in 0..interfaces {
            let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + u32::try_from(n).unwrap());
            let seed = Seed::new(
                &format!("i-{n:05}"),
                &format!("eni-{n:05}"),
                &address.to_string(),
            );
            account.add_instance(seed.tag(KEY, ALL));
        }
    });
    until("all of them", Duration::from_secs(900), || {
        count() >= interfaces
    });
    let status_has_all = || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        text.matches("\"grade\":\"full\"").count() >= interfaces
    };
    until(
        "a status with all",
        Duration::from_secs(120),
        status_has_all,
    );
    let full = running.resident();
    let each = (full - empty) / interfaces as u64;
    println!(
        "{interfaces} interfaces: {} MiB resident, {} MiB without any, {each} bytes each",
        full >> 20,
        empty >> 20
    );
    assert!(each < 64 << 10, "{each} bytes each");
    running.kill();
}
